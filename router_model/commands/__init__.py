"""Sub-commands that need nothing but the library."""
