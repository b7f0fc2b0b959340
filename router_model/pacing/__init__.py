"""Keep average spend within a budget over a stream of requests."""
