"""Off-policy evaluation: what a policy would have brought, estimated from the log of another one."""
