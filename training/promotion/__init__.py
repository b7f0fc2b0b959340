"""The gate before a router is published."""
