"""Decide what to do after a failure: the proxy's failover table as a pure function."""

from dataclasses import dataclass
from enum import StrEnum
from math import inf
from random import Random
from typing import Final

from router_model.serving.common.backoff import backoff_s
from router_model.serving.forwarding.rules import Rules
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

_FOR_OTHERS: Final = frozenset({FailureKind.MODEL_GONE, FailureKind.TOO_LONG, FailureKind.REFUSED, FailureKind.BUSY})


class Do(StrEnum):
    """The next step."""

    RAISE = "raise"
    """It is the caller's: no other candidate is asked."""
    AGAIN = "again"
    """The same candidate with the same key, after the pause."""
    OTHER_KEY = "other_key"
    """The same candidate with another key at once; the next candidate if there is none."""
    NEXT = "next"
    """The next candidate: another provider of the model, or else another model."""
    GIVE_UP = "give_up"
    """No attempt or no time is left."""


@dataclass(frozen=True, slots=True)
class Step:
    """The next step.

    Attributes
    ----------
    do : Do
    pause_s : float or None
        Of `Do.AGAIN`: to wait. Otherwise: when the candidate may be asked once more, should no other answer; None:
        not again.
    """

    do: Do
    pause_s: float | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """The attempts so far, including the one that failed.

    Attributes
    ----------
    n_attempts : int
        At all candidates.
    n_here : int
        At this candidate, of those that failed alike: limited, refused our key, or in any other way.
    n_untried : int
        Candidates that were not tried.
    left_s, left_here_s : float
        Of the order's time, and of what it may lose to this candidate.
    """

    n_attempts: int
    n_here: int
    n_untried: int
    left_s: float
    left_here_s: float = inf


def next_step(failure: UpstreamFailure, tried: Tried, rules: Rules, rng: Random) -> Step:
    """Return the next step after a failure.

    =============================  =====================================================================
    connection, 5xx, malformed,    the same candidate after a pause, `Rules.max_at_target` times; then next
    truncated
    timeout                        next; the same one only if there is no other
    429                            other key, else next; this one when ``Retry-After`` is over, if in time
    key refused                    other key, else next
    model gone, too long, refused  next
    no connection free             next
    bad request                    raise
    =============================  =====================================================================

    The last attempt goes to a candidate that was not tried, if there is one: dead keys of the first must not use
    up what the others could answer.

    Examples
    --------
    >>> gone = UpstreamFailure(FailureKind.MODEL_GONE, "no such model", status=404)
    >>> next_step(gone, Tried(n_attempts=1, n_here=1, n_untried=1, left_s=60.0), Rules(), Random(0))
    Step(do=<Do.NEXT: 'next'>, pause_s=None)
    """
    if failure.kind is FailureKind.BAD_REQUEST:
        return Step(Do.RAISE)
    if tried.n_attempts >= rules.max_attempts or tried.left_s <= 0:
        return Step(Do.GIVE_UP)
    step = _by_kind(failure, tried, rules, rng)
    is_last = tried.n_attempts == rules.max_attempts - 1
    if is_last and tried.n_untried and step.do in {Do.AGAIN, Do.OTHER_KEY}:
        return Step(Do.NEXT)
    return step


def _by_kind(failure: UpstreamFailure, tried: Tried, rules: Rules, rng: Random) -> Step:
    if failure.kind in _FOR_OTHERS:
        return Step(Do.NEXT)
    if failure.kind is FailureKind.KEY:
        return Step(Do.OTHER_KEY)
    pause_s = _pause_s(failure, tried, rules, rng)
    later_s = pause_s if pause_s < tried.left_s else None
    if failure.kind is FailureKind.RATE_LIMITED:
        return Step(Do.OTHER_KEY, later_s)
    if tried.n_here >= rules.max_at_target:
        return Step(Do.NEXT)
    if pause_s > rules.longest_backoff_s or _had_its_time(failure, tried, pause_s):  # others first
        return Step(Do.NEXT, later_s)
    return Step(Do.NEXT) if later_s is None else Step(Do.AGAIN, later_s)


def _had_its_time(failure: UpstreamFailure, tried: Tried, pause_s: float) -> bool:
    """Return whether trying again here would cost the time that another candidate needs."""
    return tried.n_untried > 0 and (failure.kind is FailureKind.TIMEOUT or pause_s >= tried.left_here_s)


def _pause_s(failure: UpstreamFailure, tried: Tried, rules: Rules, rng: Random) -> float:
    """Return the pause; what the provider asks for is kept, and spread, so that not all come back at once."""
    n_before = tried.n_here - 1 if failure.retry_after_s is None else 0
    pause_s = backoff_s(n_before, first_s=rules.first_backoff_s, longest_s=rules.longest_backoff_s, drawn=rng.random())
    return max(failure.retry_after_s or 0.0, 0.0) + pause_s
