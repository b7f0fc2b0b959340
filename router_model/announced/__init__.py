"""Models that nobody graded: their level from what is published of them, their answers from those of known models."""
