"""Predict, from the features of a prompt, how well and how expensively each model will answer it."""
