"""One circuit breaker for each (provider, model): who fails again and again is left alone, then probed once."""

import math
from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from serving.engine.breaker import Breaker
from serving.forwarding.rules import BreakerRules
from serving.providers.failures import FailureKind
from serving.providers.provider import Target


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    """All do."""
    OPEN = "open"
    """None does."""
    HALF_OPEN = "half_open"
    """One does, or is under way: what becomes of it closes the breaker, or opens it for longer."""


class Verdict(StrEnum):
    """What an attempt says of who was called."""

    WORKS = "works"
    FAILS = "fails"
    UNKNOWN = "unknown"
    """Nothing: the caller went away, or the request was bad."""


COUNTED: Final = frozenset(
    {
        FailureKind.CONNECTION,
        FailureKind.TIMEOUT,
        FailureKind.SERVER,
        FailureKind.RATE_LIMITED,
        FailureKind.MALFORMED,
        FailureKind.TRUNCATED,
    }
)
"""Failures that say something of the candidate; of keys the ring keeps account, and of errors the caller."""


class TargetBreaker:
    """The breaker of one candidate: counts, and lets `serving.engine.breaker.Breaker` time the pauses and probes.

    Opens after `in_a_row` failures in a row, or when at least `share` of the last `window` calls failed. After a pause
    one call is let through, and no second one before it is over. Times are seconds of one clock.

    Examples
    --------
    >>> breaker = TargetBreaker(BreakerRules(in_a_row=2, first_pause_s=5.0))
    >>> for now in (1.0, 2.0):
    ...     breaker.report(Verdict.FAILS, is_probe=breaker.admit(now), now=now)
    >>> breaker.is_ready(6.9), breaker.is_ready(7.0)
    (False, True)
    >>> probe = breaker.admit(7.0)
    >>> probe, breaker.is_ready(60.0)
    (True, False)
    >>> breaker.report(Verdict.WORKS, is_probe=probe, now=61.0)
    >>> breaker.state(61.0)
    <BreakerState.CLOSED: 'closed'>
    """

    __slots__ = ("_breaker", "_in_a_row", "_is_probing", "_last", "_n_failed", "_rules")

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._breaker = Breaker(rules.first_pause_s, longest_pause_s=rules.longest_pause_s)
        self._is_probing = False
        self._last: deque[bool] = deque(maxlen=rules.window)
        self._n_failed = 0
        self._in_a_row = 0

    def is_ready(self, now: float) -> bool:
        """Tell whether a call may go through now."""
        retry_at = self._breaker.retry_at
        return retry_at is None or (not self._is_probing and now >= retry_at)

    @property
    def is_open(self) -> bool:
        """Whether its calls failed again and again, and none has succeeded since."""
        return self._breaker.is_open

    def admit(self, now: float) -> bool:
        """Take note of a call that goes through, where it is ready; return whether it is the probe."""
        if not self.is_open:
            return False
        self._is_probing = self._breaker.allows(now)
        return self._is_probing

    def report(self, verdict: Verdict, *, is_probe: bool, now: float) -> None:
        """Take note of what became of a call; each that was admitted is reported once."""
        if is_probe:
            self._settle_probe(verdict, now)
        elif self.is_open or verdict is Verdict.UNKNOWN:
            return  # open: the call began before, and says nothing new
        else:
            self._count(failed=verdict is Verdict.FAILS, now=now)

    def retry_in_s(self, now: float) -> float:
        """Return after how many seconds to ask again; 0 where it is ready."""
        if self.is_ready(now):
            return 0.0
        return max((self._breaker.retry_at or now) - now, 1.0 if self._is_probing else 0.0)

    def state(self, now: float) -> BreakerState:
        """Return the state."""
        if not self.is_open:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self._is_probing or self.is_ready(now) else BreakerState.OPEN

    def _settle_probe(self, verdict: Verdict, now: float) -> None:
        self._is_probing = False
        if verdict is Verdict.WORKS:
            self._breaker.succeed()
            self._last.clear()
            self._in_a_row = self._n_failed = 0
        elif verdict is Verdict.FAILS:
            self._breaker.fail(now)
        else:  # the next call probes
            self._breaker.retry_at = now

    def _count(self, *, failed: bool, now: float) -> None:
        if len(self._last) == self._rules.window:
            self._n_failed -= self._last[0]
        self._last.append(failed)
        self._n_failed += failed
        self._in_a_row = self._in_a_row + 1 if failed else 0
        is_full = len(self._last) == self._rules.window
        if failed and (
            self._in_a_row >= self._rules.in_a_row
            or (is_full and self._n_failed >= self._rules.share * self._rules.window)
        ):
            self._breaker.fail(now)


class Breakers:
    """The breakers of all candidates that were ever called."""

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._breakers: dict[tuple[str, str], TargetBreaker] = {}

    def of(self, target: Target) -> TargetBreaker:
        """Return the breaker of a candidate."""
        key = (target.provider.name, target.model)
        breaker = self._breakers.get(key)
        if breaker is None:
            breaker = self._breakers[key] = TargetBreaker(self._rules)
        return breaker

    def states(self, now: float) -> Mapping[tuple[str, str], BreakerState]:
        """Return the state of each by (provider, model)."""
        return {key: breaker.state(now) for key, breaker in self._breakers.items()}


def retry_after(seconds: float) -> str:
    """Return a ``Retry-After`` header, in whole seconds, 1 or more.

    >>> retry_after(0.2), retry_after(2.1)
    ('1', '3')
    """
    return str(max(math.ceil(seconds), 1))
