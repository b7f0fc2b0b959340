"""Forwarding a call: attempts, retries, failover along the plan, breakers, deadlines, and streams that are whole."""
