"""Access control: keys, roles, limits, budgets and the checks of the settings at the start."""
