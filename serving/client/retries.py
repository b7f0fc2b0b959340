"""How often, and after how long, a call is tried again."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

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
        evenly from [0.5, 1], so that clients that failed together do not come back together.
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
        return min(self.backoff_s * 2.0**n_retries, self.max_backoff_s) * (0.5 + 0.5 * self.draw())


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which may be a date; None where there is none to be read.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> read_retry_after("1.5", now), read_retry_after("Thu, 01 Jan 2026 00:00:30 GMT", now)
    (1.5, 30.0)
    >>> read_retry_after("soon", now), read_retry_after("nan", now), read_retry_after(None, now)
    (None, None, None)
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, now)
    return seconds if 0 <= seconds < float("inf") else None


def _seconds_until(date: str, now: datetime) -> float:
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return float("nan")
    if then.tzinfo is None:
        then = then.replace(tzinfo=now.tzinfo)
    return max((then - now).total_seconds(), 0.0)
