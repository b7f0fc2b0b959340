"""Compare routing methods on the same prompts, with the same vectors and the same metrics."""
