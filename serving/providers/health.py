"""Health of a key, of a model with a key, and of a model at a provider: whether it may be called now.

All three work alike. Signs of failure put the thing aside for a pause, then one call probes it. The pause grows with
each probe that fails; a probe that works ends it.

Whom it is paused for depends on who saw the signs, as a prompt may be the reason as well as the provider:

- What one caller's calls alone have shown counts for that caller alone. Others go on.
- It is paused for everybody once several callers have seen it, and nobody was answered in between. No caller can
  supply more than half of the signs that this takes.
- A caller that saw a probe fail waits twice as long, so that another caller probes next.

Times are seconds of one clock, that of whoever calls.
"""

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

from router_model.serving.common.breaker import Breaker
from router_model.serving.common.remembered import Remembered

Thing = TypeVar("Thing", bound=Hashable)
CallerId: TypeAlias = str | None
"""The id of a caller's key; None if the service runs without keys."""
LONGEST_TOLD_S: Final = 300.0
"""The longest pause a provider can ask for. After it one call looks whether the provider still means it."""
PROBE_S: Final = 60.0
"""How long a probing call keeps others from probing; after that, others no longer wait for it."""
_MOST_CALLERS: Final = 1000
_MOST_THINGS: Final = 1_000


@dataclass(frozen=True, slots=True)
class HealthRules:
    """The settings of pausing: how many failures it takes, and for how long.

    Attributes
    ----------
    in_a_row : int
        So many signs without a success in between put it aside,
    window, share : int, float
        and so does this share of failures among so many last calls; a window of 0: only signs in a row count.
    first_pause_s, longest_pause_s : float
        Until a probe is let through; doubles with each probe that fails.
    """

    in_a_row: int = 5
    window: int = 20
    share: float = 0.5
    first_pause_s: float = 5.0
    longest_pause_s: float = 60.0


REFUSALS: Final = HealthRules(in_a_row=2, window=0, longest_pause_s=300.0)
"""Of a key: one refusal is a sign, and another call's confirms it."""
LIMITS: Final = HealthRules(in_a_row=1, window=0, first_pause_s=1.0)
"""Of a rate limit: the provider has counted, and says so."""


class HealthState(StrEnum):
    """Whether calls go through; the worst last."""

    CLOSED = "closed"
    """All do."""
    HALF_OPEN = "half_open"
    """One does, or is under way: what becomes of it closes it again, or opens it for longer."""
    OPEN = "open"
    """Those of one caller at least do not."""


class Verdict(StrEnum):
    """What a call shows about a key or a model."""

    WORKS = "works"
    FAILS = "fails"
    UNKNOWN = "unknown"
    """Nothing: the caller went away, the request was bad, or the failure was another thing's."""


@dataclass(frozen=True, slots=True)
class LastFailure:
    """The last failure of a model at its provider.

    Attributes
    ----------
    error : its type, with the HTTP status if an answer came
    at : seconds
    """

    error: str
    at: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """The last failure of a model at its provider, for operators.

    Attributes
    ----------
    provider, error : str
    at : datetime
        UTC.
    is_last : whether no call worked there since
    """

    provider: str
    error: str
    at: datetime
    is_last: bool


class Health:
    """The health of one thing.

    Attributes
    ----------
    last_failure : LastFailure or None
        Of calls of a model, whoever is to blame but the caller; for operators alone, no pause depends on it.
    worked_at : float or None
        When a call worked the last time.

    Examples
    --------
    >>> health = Health(HealthRules(in_a_row=2, first_pause_s=5.0))
    >>> for now in (1.0, 2.0):
    ...     health.report(Verdict.FAILS, "ann", is_probe=health.admit("ann", now), now=now)
    >>> health.is_ready("ann", 6.9), health.is_ready("bob", 6.9), health.is_ready("ann", 7.0)
    (False, True, True)
    >>> probe = health.admit("ann", 7.0)
    >>> probe, health.is_ready("ann", 8.0)
    (True, False)
    >>> health.report(Verdict.WORKS, "ann", is_probe=probe, now=9.0)
    >>> health.state(9.0)
    <HealthState.CLOSED: 'closed'>
    """

    __slots__ = ("_own", "_probes", "_recent", "_rules", "_shared", "_signs", "last_failure", "worked_at")

    def __init__(self, rules: HealthRules) -> None:
        self._rules = rules
        self._shared = self._breaker()
        self._own: OrderedDict[CallerId, Breaker] = OrderedDict()
        self._probes: dict[CallerId, float] = {}
        self._signs: Counter[CallerId] = Counter()
        self._recent: deque[tuple[CallerId, bool]] = deque(maxlen=rules.window)
        self.last_failure: LastFailure | None = None
        self.worked_at: float | None = None

    @property
    def is_failing(self) -> bool:
        """Whether the last call that showed anything failed, though it need not be paused."""
        return self.last_failure is not None and (self.worked_at is None or self.worked_at < self.last_failure.at)

    @property
    def is_open(self) -> bool:
        """Whether it is paused, for one caller at least."""
        return self._shared.is_open or bool(self._own)

    @property
    def is_suspected(self) -> bool:
        """Whether there are signs against it since it was last seen to work, and it is not paused."""
        return bool(self._signs) and not self.is_open

    @property
    def is_blank(self) -> bool:
        """Whether it says no more than a new one: nothing is amiss, nor was of late."""
        return not (self.is_open or self._signs or self._probes or any(failed for _, failed in self._recent))

    def put_aside_for(self) -> Collection[CallerId] | None:
        """Return the callers it is paused for; None: for everybody."""
        return None if self._shared.is_open else tuple(self._own)

    def is_ready(self, caller: CallerId, now: float) -> bool:
        """Tell whether a call of this caller may go through now."""
        return not self.is_open or self.retry_at(caller, now) <= now

    def retry_at(self, caller: CallerId, now: float) -> float:
        """Return when a call of this caller may go through; `now` or before: it may."""
        breakers = self._open_for(caller)
        if not breakers:
            return now
        at = max(breaker.retry_at or now for breaker in breakers)
        rivals = self._probes if self._shared.is_open else (caller,)
        return max([at, *(self._probes[one] for one in rivals if one in self._probes)])

    def is_probed(self, caller: CallerId, now: float) -> bool:
        """Tell whether a call that probes for this caller is under way."""
        return self._probes.get(caller, now) > now

    def is_probed_by_any(self, now: float) -> bool:
        """Tell whether any call that probes is under way."""
        return any(until > now for until in self._probes.values())

    def admit(self, caller: CallerId, now: float) -> bool:
        """Take note of a call that goes through; return whether it is a probe."""
        if not self._open_for(caller):
            return False
        self._probes[caller] = now + PROBE_S
        return True

    def report(
        self, verdict: Verdict, caller: CallerId, *, is_probe: bool, now: float, pause_s: float | None = None
    ) -> None:
        """Take note of what became of a call; each that was admitted is reported once.

        Parameters
        ----------
        pause_s : float, optional
            The pause that the provider asks for; `LONGEST_TOLD_S` at most.
        """
        if pause_s is not None:
            pause_s = min(max(pause_s, 0.0), LONGEST_TOLD_S)
        if is_probe:
            self._probes.pop(caller, None)
        if breakers := self._open_for(caller):
            if is_probe and verdict is Verdict.WORKS:
                self._recover(caller)
            elif is_probe and verdict is Verdict.FAILS:
                self._fail_again(caller, now, pause_s)
            # A call that began before the pause may bring a longer pause that the provider asks for.
            elif verdict is Verdict.FAILS and pause_s is not None:
                for breaker in breakers:
                    breaker.retry_at = max(breaker.retry_at or now, now + pause_s)
            # any other call began before the pause, and shows nothing new
        elif verdict is Verdict.WORKS:
            self._signs.clear()  # only failures in a row count
            self._recent.append((caller, False))
        elif verdict is Verdict.FAILS:
            self._take_sign(caller, now, pause_s)

    def state(self, now: float) -> HealthState:
        """Return the state; of those of several callers the worst."""
        if not self.is_open:
            return HealthState.CLOSED
        waits = self._shared.is_open and (self._shared.retry_at or now) > now
        waits = waits or any((own.retry_at or now) > now for own in self._own.values() if not self._shared.is_open)
        return HealthState.OPEN if waits and not self.is_probed_by_any(now) else HealthState.HALF_OPEN

    def described(self, now: float) -> dict[str, Any]:
        """Return what operators want to know: the state, the callers that it holds for (None: all), and until when."""
        callers, until = self.put_aside_for(), self.until()
        return {
            "state": self.state(now).value,
            "callers": None if callers is None else sorted(caller or "" for caller in callers),
            "retry_in_s": None if until is None else round(max(until - now, 0.0), 1),
        }

    def until(self) -> float | None:
        """Return when the first pause of those under way ends; None if there is none."""
        breakers = [self._shared] if self._shared.is_open else self._own.values()
        return min((breaker.retry_at for breaker in breakers if breaker.retry_at is not None), default=None)

    def _open_for(self, caller: CallerId) -> list[Breaker]:
        own = self._own.get(caller)
        return [breaker for breaker in (self._shared, own) if breaker is not None and breaker.is_open]

    def _take_sign(self, caller: CallerId, now: float, pause_s: float | None) -> None:
        """Count a failure, and put the thing aside for those for whom it is one too many."""
        self._signs[caller] += 1
        self._recent.append((caller, True))
        if self._is_enough(self._signs, self._rules.in_a_row) or self._is_enough(self._recently(), self._in_window):
            self._shared.fail(now, pause_s=pause_s)
        if self._signs[caller] >= self._rules.in_a_row or self._recently()[caller] >= self._in_window:
            self._put_aside_for(caller).fail(now, pause_s=pause_s)

    def _fail_again(self, caller: CallerId, now: float, pause_s: float | None) -> None:
        """Open for longer after a probe; one that came before its time leaves the pause as long as it was."""
        own = self._put_aside_for(caller)
        if not self._shared.is_open:
            own.fail(now, pause_s=pause_s if pause_s is not None else self._same_pause_s(own, now))
            return
        told_s = pause_s if pause_s is not None else self._same_pause_s(self._shared, now)
        self._shared.fail(now, pause_s=told_s)
        pause_s = (self._shared.retry_at or now) - now
        own.fail(now, pause_s=max(min(2 * pause_s, LONGEST_TOLD_S), pause_s))

    def _recover(self, caller: CallerId) -> None:
        if self._shared.is_open:
            self._shared.succeed()
            self._own.clear()
        else:
            self._own.pop(caller, None)
        self._signs.clear()
        self._recent.clear()

    def _put_aside_for(self, caller: CallerId) -> Breaker:
        own = self._own.setdefault(caller, self._breaker())
        if len(self._own) > _MOST_CALLERS:
            self._own.popitem(last=False)
        return own

    def _recently(self) -> Counter[CallerId]:
        """Return the failures by caller among the last calls; none before there were enough calls."""
        is_full = len(self._recent) == self._rules.window
        return Counter(caller for caller, failed in self._recent if failed) if is_full else Counter()

    @property
    def _in_window(self) -> float:
        return self._rules.share * self._rules.window if self._rules.window else math.inf

    @staticmethod
    def _is_enough(signs: Counter[CallerId], enough: float) -> bool:
        """Tell whether signs of several callers are enough, each counted for half of it at most."""
        most_of_one = max(math.ceil(enough / 2), 1) if math.isfinite(enough) else 0
        return sum(min(n, most_of_one) for n in signs.values()) >= max(enough, 2)

    @staticmethod
    def _same_pause_s(breaker: Breaker, now: float) -> float | None:
        is_early = breaker.retry_at is not None and now < breaker.retry_at
        return (breaker.pause_s or breaker.first_pause_s) if is_early else None

    def _breaker(self) -> Breaker:
        return Breaker(self._rules.first_pause_s, longest_pause_s=self._rules.longest_pause_s)


class HealthTable(Remembered[Thing, Health]):
    """The health of many things; of what callers made up, and nothing is amiss with, little is remembered."""

    def __init__(self, rules: HealthRules, *, most: int = _MOST_THINGS) -> None:
        super().__init__(lambda: Health(rules), most=most, is_blank=lambda health: health.is_blank)
