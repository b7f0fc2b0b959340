"""Decide how long to wait for a candidate, from how long it needed lately.

Three times are watched of each (provider, model, how much it thinks): to the first token, the longest pause within a
stream, and the whole of an answer that does not come as a stream. A deadline is a multiple of the 99th percentile of
the last calls, within bounds. Where ``providers.toml`` says a deadline, that is taken as it is.

Leaving early only helps if there is somebody else to ask: without another candidate, and in a stream whose beginning
the caller has, the deadline is never shorter than the one without any observation.

A call that was cut has not shown how long it would have taken. So every cut makes the deadline longer by half, and
every call that came in time brings it back by a little: in balance, one call in a hundred is cut, and a model that has
become slower is waited for again.

Long prompts take longer to read: times are kept for a short prompt, and multiplied by the length of the one at hand.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from router_model.serving.common.remembered import Remembered
from router_model.serving.formats.format import Call
from router_model.serving.forwarding.rules import Bounds, PatienceRules
from router_model.serving.forwarding.thinking import Thinking, thinking_of
from router_model.serving.providers.provider import Target

_SHARE: Final = 0.99
_WIDER: Final = 1.5
_BACK: Final = 0.996
"""1.5 ^ share x 0.996 ^ (1 - share) = 1 where a share of 0.98 % of the calls is cut."""
_WIDEST: Final = 100.0


@dataclass(slots=True)
class _Series:
    """The last times of one kind, of short prompts; and how much longer than usual is waited."""

    times: deque[float]
    widened: float = 1.0
    _p99: float | None = None

    def add(self, seconds: float) -> None:
        self.times.append(seconds)
        self._p99 = None
        self.widened = max(1.0, self.widened * _BACK)

    def p99(self) -> float:
        if self._p99 is None:
            self._p99 = sorted(self.times)[math.ceil(_SHARE * len(self.times)) - 1]
        return self._p99


@dataclass(slots=True)
class Wait:
    """The time limit of one wait; its result is reported back.

    Attributes
    ----------
    seconds : float
    has_run_out : bool
        Whether it was waited for in vain, for so long.
    """

    seconds: float
    _series: _Series
    _scale: float = 1.0
    _widened: float = 1.0
    has_run_out: bool = False

    def took(self, seconds: float) -> None:
        """Take note that it came, after so many seconds."""
        self._series.add(seconds / self._scale)

    def ran_out(self) -> None:
        """Take note that it did not come in time; of calls that were cut at the same deadline, one counts."""
        self.has_run_out = True
        if self._series.widened <= self._widened:
            self._series.widened = min(self._widened * _WIDER, _WIDEST)


@dataclass(frozen=True, slots=True)
class Waits:
    """The waits of one attempt: for the first token, for every further one, for a whole answer that is not streamed."""

    first: Wait
    idle: Wait
    whole: Wait

    @property
    def have_run_out(self) -> bool:
        """Whether the candidate was silent for longer than it may be."""
        return self.first.has_run_out or self.idle.has_run_out or self.whole.has_run_out


@dataclass(slots=True)
class _Seen:
    """The observed times of a candidate, one series for each kind of time."""

    first: _Series
    idle: _Series
    whole: _Series
    short: _Series
    """Of whole answers that may not be long."""

    @property
    def is_blank(self) -> bool:
        return not any(one.times or one.widened > 1.0 for one in (self.first, self.idle, self.whole, self.short))


@dataclass(slots=True)
class Patience:
    """The waits of all candidates that something was seen of lately; memory is bounded.

    Examples
    --------
    A model that answered ten times within 1 s, and another candidate is there: 4 x (1 + 5 / 10) x 1 s.

    >>> from router_model.serving.formats.format import Surface
    >>> from router_model.serving.providers.provider import Kind, Provider
    >>> target = Target("m", Provider("p", Kind.OPENAI, "https://p.example/v1"), "m")
    >>> patience, call = Patience(), Call(Surface.CHAT, {})
    >>> for _ in range(10):
    ...     patience.of(target, call, 0, has_others=True).first.took(1.0)
    >>> patience.of(target, call, 0, has_others=True).first.seconds
    6.0
    >>> patience.of(target, call, 0, has_others=False).first.seconds
    60.0
    """

    rules: PatienceRules = field(default_factory=PatienceRules)
    _seen: Remembered[tuple[str, str, Thinking], _Seen] = field(init=False)

    def __post_init__(self) -> None:
        self._seen = Remembered(self._new, most=self.rules.most_candidates, is_blank=lambda seen: seen.is_blank)

    def of(
        self,
        target: Target,
        call: Call,
        n_bytes: int,
        *,
        has_others: bool,
        is_live: bool = False,
        is_short: bool = False,
    ) -> Waits:
        """Return the waits of an attempt.

        Parameters
        ----------
        target, call : whom to ask for what
        n_bytes : int
            Length of the request.
        has_others : bool
            Whether another candidate can be asked instead.
        is_live : bool
            Whether the caller gets the answer while it comes, so that nobody else can be asked after its first token.
        is_short : bool
            Whether a stream would be asked for, but for the answer's limit of a few tokens.
        """
        rules, limits = self.rules, target.provider.deadlines
        thinking = thinking_of(call, target)
        seen = self._seen.of((target.provider.name, target.served_model, thinking))
        scale = min(1.0 + n_bytes // rules.bytes_a_step, rules.most_scale)
        first, idle = rules.first[thinking], rules.idle[thinking]
        whole, of_whole = (seen.short, rules.short) if is_short else (seen.whole, rules.whole)
        return Waits(
            self._wait(seen.first, first, limits.first_token_s, scale, is_eager=has_others),
            self._wait(seen.idle, idle, limits.idle_s, 1.0, is_eager=has_others and not is_live),
            self._wait(whole, of_whole, None, scale, is_eager=has_others),
        )

    def _wait(self, series: _Series, bounds: Bounds, said_s: float | None, scale: float, *, is_eager: bool) -> Wait:
        if said_s is not None:
            return Wait(said_s, series, scale, series.widened)
        usual = bounds.eager_s if is_eager else bounds.patient_s
        n = len(series.times)
        if n >= self.rules.at_least:
            multiple = self.rules.multiple * (1.0 + self.rules.at_least / n)
            learned = max(multiple * series.p99(), bounds.floor_s)
            usual = learned if is_eager else max(learned, usual)
        return Wait(usual * series.widened * scale, series, scale, series.widened)

    def _new(self) -> _Seen:
        return _Seen(*(_Series(deque(maxlen=self.rules.window)) for _ in range(4)))
