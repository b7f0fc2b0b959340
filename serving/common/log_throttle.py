"""Throttle log lines: a repeated line is written once in ten seconds, with a count."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

_MOST_KINDS = 1_000  # some have a model's name in them, which callers may make up


class LogThrottle:
    """Tells whether a line of some kind is due.

    Parameters
    ----------
    every_s : float
    clock : returns seconds

    Examples
    --------
    >>> times = iter([0.0, 1.0, 2.0, 11.0])
    >>> throttle = LogThrottle(10.0, clock=lambda: next(times))
    >>> [throttle.due("kind") for _ in range(4)]
    [1, 0, 0, 3]
    """

    def __init__(self, every_s: float = 10.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._last: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def due(self, kind: Hashable) -> int:
        """Return how often it has happened since the last line, this time included; 0 if no line is due yet."""
        now = self._clock()
        last, count = self._last.get(kind, (float("-inf"), 0))
        if len(self._last) >= _MOST_KINDS and kind not in self._last:
            self._last.popitem(last=False)
        if now - last < self._every_s:
            self._last[kind] = (last, count + 1)
            return 0
        self._last[kind] = (now, 0)
        return count + 1
