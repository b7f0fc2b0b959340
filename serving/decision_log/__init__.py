"""The decision log: its stores, a writer in the background, and the commands that work on the records later."""
