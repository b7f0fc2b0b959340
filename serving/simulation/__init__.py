"""Simulated production: a table of known outcomes is replayed as traffic through the real engine and the real log."""
