"""Compute the pause before something that failed is tried again."""

from typing import Final

_MOST_DOUBLINGS: Final = 60
"""Beyond any pause in use; the power of a count that grows for days would overflow."""


def backoff_s(n_before: int, *, first_s: float, longest_s: float, drawn: float) -> float:
    """Return a pause in [b/2, b), b = min(longest, first * 2^n_before): exponential, with equal jitter.

    Full jitter would sometimes try again at once, which meets the same fault. Without jitter, all that failed together
    would come back together. Source: M. Brooker, "Exponential backoff and jitter", AWS Architecture Blog, 2015.

    Parameters
    ----------
    n_before : retries before this one
    first_s, longest_s : seconds
    drawn : evenly from [0, 1)

    Examples
    --------
    >>> [backoff_s(n, first_s=0.5, longest_s=5.0, drawn=0.0) for n in (0, 1, 2, 9, 10_000)]
    [0.25, 0.5, 1.0, 2.5, 2.5]
    """
    return min(longest_s, first_s * 2.0 ** min(n_before, _MOST_DOUBLINGS)) * (1.0 + drawn) / 2.0
