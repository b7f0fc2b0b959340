"""Budgets: average spend is kept under a limit over a stream of requests."""
