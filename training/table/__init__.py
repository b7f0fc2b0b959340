"""Outcome tables as arrays: what was asked, what was made of it, what it cost, and how it is split."""
