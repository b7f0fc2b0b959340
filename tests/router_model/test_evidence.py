import numpy as np

from router_model.prediction.evidence import LinearHead


def test_a_head_is_affine():
    """3 * 0.25 + 0.5."""
    head = LinearHead(np.full((1, 1, 1), 0.25, np.float32), np.full((1, 1), 0.5, np.float32))
    assert head.score(np.array([[3.0]], np.float32)).item() == 1.25
