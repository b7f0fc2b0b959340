"""Reports for people as pages: what a router is worth, two routers compared, and what other commands found."""
