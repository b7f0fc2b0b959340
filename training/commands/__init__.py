"""Sub-commands that import tables, train, certify, evaluate and compare routers."""
