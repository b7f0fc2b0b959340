"""Sub-commands that need only the routing library, not training or serving."""
