"""Who may do what: keys, roles, limits, and what no request may be."""
