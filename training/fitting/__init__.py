"""Fit every learned part of a predictor from the arrays of an outcome table."""
