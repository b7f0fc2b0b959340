"""The decision log: stores, a writer that nothing waits for, and what is done with the records later."""
