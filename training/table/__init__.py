"""Outcome tables as arrays, with their costs, prices, learning targets and splits."""
