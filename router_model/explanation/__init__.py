"""Explain a decision: the evidence behind it, and what would change it (`Router.route` with ``explain=True``)."""
