"""Measure a trained router: evaluate it on a table, certify its success rate, and test it on reworded prompts."""
