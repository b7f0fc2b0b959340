"""Train a router from outcome tables and logs, and measure it."""
