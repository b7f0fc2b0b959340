"""Hard constraints: which models may be called for a prompt at all, and why not the others."""
