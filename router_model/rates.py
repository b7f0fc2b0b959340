"""The interval of a rate that was counted."""

import math
from typing import Final

_Z: Final = 1.959964  # 95 %


def wilson_interval(rate: float, n: float) -> tuple[float, float]:
    """Return the 95 % interval of a rate that was seen in `n` cases (Wilson, *JASA* 22, 1927); (0, 1) of none.

    >>> low, high = wilson_interval(0.9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    if n <= 0:
        return 0.0, 1.0
    z2 = _Z * _Z / n
    middle = (rate + z2 / 2) / (1 + z2)
    half = _Z / (1 + z2) * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)
