"""Forward a call: attempts, retries, failover along the plan, breakers, deadlines, and guarded streams."""
