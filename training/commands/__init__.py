"""Sub-commands that import, train and evaluate."""
