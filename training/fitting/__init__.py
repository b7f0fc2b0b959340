"""From a table's arrays to a predictor: every part that is learned."""
