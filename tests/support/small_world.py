"""A world whose outcomes are seen at a glance."""

import numpy as np

from router_model.serving.simulation.world import World


def small_world(**other) -> World:
    """``cheap`` is right on the first prompt, ``dear`` on the first two; a call costs 1 and 10."""
    nothing = np.full((3, 2), np.nan)
    facts = {
        "prompts": ["p", "q", "r"],
        "tasks": ["sums", "sums", "verse"],
        "models": ("cheap", "dear"),
        "quality": np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]),
        "cost_usd": np.array([[1.0, 10.0]] * 3),
        "input_tokens": nothing,
        "output_tokens": nothing,
        "latency_s": nothing,
    }
    return World(**facts | other)
