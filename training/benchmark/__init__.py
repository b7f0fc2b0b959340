"""Measure routing methods side by side: the same prompts, the same vectors, the same metrics, every rival."""
