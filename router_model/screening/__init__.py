"""Apply hard constraints: which models may be called for a prompt, and why the others may not."""
