"""Rivals as published packages, each run in an environment of its own."""
