"""Decide how often a call is repeated, and after which pause."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from router_model.serving.common.backoff import backoff_s

RETRIED_STATUSES: Final = frozenset({429, 502, 503, 504})
"""Statuses that may be better in a moment. 500 is a defect, which would only repeat itself."""


@dataclass(frozen=True, slots=True)
class Retries:
    """A retry plan: exponential backoff with jitter.

    Attributes
    ----------
    limit : int
        Attempts after the first.
    backoff_s, max_backoff_s : float
        Wait ``backoff_s * 2**k``, at most ``max_backoff_s``, after the k-th retry (from 0), times a number drawn
        evenly from [0.5, 1), so that clients that failed together do not come back together.
    draw : callable
        Draws from [0, 1); for tests.

    Examples
    --------
    >>> [Retries(backoff_s=0.1, max_backoff_s=0.3, draw=lambda: 0.0).wait_s(k, None) for k in range(3)]
    [0.05, 0.1, 0.15]
    >>> Retries().wait_s(0, retry_after_s=4.0)
    4.0
    """

    limit: int = 2
    backoff_s: float = 0.1
    max_backoff_s: float = 2.0
    draw: Callable[[], float] = random.random

    def wait_s(self, n_retries: int, retry_after_s: float | None) -> float:
        """Return how long to wait after `n_retries` retries; the server's own wish comes first."""
        if retry_after_s is not None:
            return retry_after_s
        return backoff_s(n_retries, first_s=self.backoff_s, longest_s=self.max_backoff_s, drawn=self.draw())
