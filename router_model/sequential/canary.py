"""Whether a canary goes on: what its sessions show against the others', at an error rate that holds at every look.

A *session* is the unit, because its calls share a user, a prompt and an arm. Chance puts each into the canary with
probability `share`, so that under "no difference" the canary's sessions are like the others', whatever the hour.

============ ===================================================================== ===========================
metric       question                                                              method
============ ===================================================================== ===========================
assignment   do as many sessions arrive in the canary as were assigned to it?      beta-binomial e-value, both
failures     are more of the failed sessions the canary's than by chance?          beta-binomial e-value
latency      are more of the slow sessions the canary's than by chance?            the same, twice
quality      is its quality lower, by more than may be?                            betting, `Differences`
cost         does it cost more, by more than may be?                               betting, `Differences`
============ ===================================================================== ===========================

Each of the five may err with alpha / 5, so that an equal canary is ever stopped with probability alpha at most.

**Latency.** A session is *slow* above the 50 % or 95 % quantile of the champion's sessions just before it; the canary
is given the tolerance on top. If the canary is not slower, a slow session is one of the canary's with probability
`share` at most, and so its e-value is that of failures. The two quantiles' e-values are averaged. The test of Lindon,
Sanden & Shirikian (KDD 2022) compares intervals of two quantiles instead; these suppose that latency does not change
over the day.

Simplifies: one `share` for all sessions, and costs count up to `MOST_COST` times the mean before.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from router_model.sequential.confidence_sequences import difference_values
from router_model.sequential.sequential_tests import log_e_binomial, share_interval
from router_model.wording import number, percent, usd

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Shown = Literal["worse", "better", "not worse", "nothing"]

METRICS: Final = ("assignment", "failures", "latency", "quality", "cost")
"""What `examine` looks at."""
MOST_COST: Final = 10.0
SLOW_QUANTILES: Final = (0.5, 0.95)
_BLOCK: Final = 64
"""Sessions that share thresholds of latency."""
_BEFORE: Final = 512
"""Sessions of the champion that these come from, at most."""
_FEWEST_BEFORE: Final = 20


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of a canary, in order of their beginning.

    Attributes
    ----------
    is_canary : bool, shape (n,)
    failed_at : float64, shape (n,)
        When a call failed first, on any clock; NaN where none did.
    quality, cost_usd, latency_s : float64, shape (n,)
        NaN where unknown. A value must not change between two looks, so it is unknown until it is final.
    """

    is_canary: BoolArray
    failed_at: Float64Array
    quality: Float64Array
    cost_usd: Float64Array
    latency_s: Float64Array

    @property
    def n_canary(self) -> int:
        """How many are the canary's."""
        return int(self.is_canary.sum())


@dataclass(frozen=True, slots=True)
class Limits:
    """What a canary may do, and how often a good one may be stopped.

    Attributes
    ----------
    alpha : the probability that an equal canary is ever stopped
    quality_loss : quality that it may lose
    cost_rise, latency_rise : shares of the champion's by which it may be dearer and slower
    """

    alpha: float = 0.05
    quality_loss: float = 0.01
    cost_rise: float = 0.1
    latency_rise: float = 0.2


@dataclass(frozen=True, slots=True)
class Finding:
    """What one metric shows.

    Attributes
    ----------
    metric : str
    n_canary, n_others : int
        Sessions that tell something about it.
    effect : float
        Assignment: the canary's share of the sessions. Failures and latency: how many times as often as the others'.
        Quality: the difference. Cost: the difference as a share of the mean cost. NaN if nothing is known.
    low, high : float
        Bounds of the effect that hold at all times at once.
    shown : Shown
    stopped_after : int or None
        The number of the session, in order of beginning, that first showed it to be worse.
    says : str
    """

    metric: str
    n_canary: int
    n_others: int
    effect: float
    low: float
    high: float
    shown: Shown
    stopped_after: int | None
    says: str


def examine(sessions: Sessions, share: float, limits: Limits | None = None) -> tuple[Finding, ...]:
    """Return what each metric shows; the canary stops if one is `worse`.

    A metric that was worse at an earlier time stays so, because that is when one would have looked.

    Parameters
    ----------
    sessions : Sessions
    share : the probability of the canary, between 0 and 1

    Raises
    ------
    ValueError
        If the share is not between 0 and 1, or a value cannot be.
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}, expected a number between 0 and 1: without both arms nothing is compared")
    limits = limits or Limits()
    alpha = limits.alpha / len(METRICS)
    return (
        _assignment(sessions, share, alpha),
        _failures(sessions, share, alpha),
        _quality(sessions, share, alpha, limits.quality_loss),
        _cost(sessions, share, alpha, limits.cost_rise),
        _latency(sessions, share, alpha, limits.latency_rise),
    )


def _assignment(sessions: Sessions, share: float, alpha: float) -> Finding:
    hits = sessions.is_canary
    stopped = _first(log_e_binomial(np.cumsum(hits), np.cumsum(~hits), share), alpha, np.arange(len(hits)))
    n, n_canary = len(hits), sessions.n_canary
    seen = n_canary / n if n else np.nan
    says = "no session"
    if n:
        shares = f"{percent(seen, digits=1)}, assigned {percent(share, digits=1)}"
        says = f"{n_canary:,} of {n:,} sessions are the canary's ({shares})"
    if stopped is not None:
        says += ": sessions get lost or are assigned wrongly, so nothing else can be believed"
    effect = (seen, *share_interval(n_canary, n - n_canary, alpha=alpha))
    return _finding("assignment", hits, effect, stopped, otherwise="nothing", says=says)


def _failures(sessions: Sessions, share: float, alpha: float) -> Finding:
    order = np.argsort(sessions.failed_at, kind="stable")  # NaN come last
    failed = order[: np.count_nonzero(~np.isnan(sessions.failed_at))]
    hits = sessions.is_canary[failed]
    log_e = log_e_binomial(np.cumsum(hits), np.cumsum(~hits), share, alternative="greater")
    better = log_e_binomial(hits.sum(), (~hits).sum(), share, alternative="less") >= -np.log(alpha)
    stopped = _first(log_e, alpha, failed)
    otherwise: Shown = "better" if better else "nothing"
    return _who_got_them(
        "failures", hits, share, alpha, stopped=stopped, otherwise=otherwise, what="sessions that failed"
    )


def _latency(sessions: Sessions, share: float, alpha: float, tolerance: float) -> Finding:
    known = np.flatnonzero(~np.isnan(sessions.latency_s))
    is_canary, waits = sessions.is_canary[known], sessions.latency_s[known]
    slow = waits / np.where(is_canary, 1 + tolerance, 1) > slow_thresholds(is_canary, waits)
    hits, misses = np.cumsum(slow & is_canary, axis=1), np.cumsum(slow & ~is_canary, axis=1)
    greater = log_e_binomial(hits, misses, share, alternative="greater")
    less = log_e_binomial(hits, misses, share, alternative="less")
    stopped = _first(_mean_of_two(greater), alpha, known)
    not_worse = len(waits) > 0 and _mean_of_two(less)[-1] >= -np.log(alpha)
    telling = int(greater[:, -1].argmax()) if len(waits) else 0
    what = f"sessions slower than {percent(SLOW_QUANTILES[telling])} of the others" + (
        f" (the canary's: by {percent(tolerance)} more)" if tolerance else ""
    )
    otherwise: Shown = "not worse" if not_worse else "nothing"
    return _who_got_them(
        "latency", is_canary[slow[telling]], share, alpha, stopped=stopped, otherwise=otherwise, what=what
    )


def _mean_of_two(log_e: Float64Array) -> Float64Array:
    return np.asarray(np.logaddexp.reduce(log_e, axis=0) - np.log(len(log_e)))


def slow_thresholds(is_canary: BoolArray, waits: Float64Array) -> Float64Array:
    """Return above what each session is slow, from sessions of the champion before it; infinite where these are few.

    Returns
    -------
    float64 array, shape (len(SLOW_QUANTILES), n)
    """
    thresholds = np.full((len(SLOW_QUANTILES), len(waits)), np.inf)
    of_champion, n_before = waits[~is_canary], np.cumsum(~is_canary)
    for start in range(_BLOCK, len(waits), _BLOCK):
        end = n_before[start - 1]
        before = of_champion[max(end - _BEFORE, 0) : end]
        if len(before) >= _FEWEST_BEFORE:
            thresholds[:, start : start + _BLOCK] = np.quantile(before, SLOW_QUANTILES)[:, None]
    return thresholds


def _who_got_them(
    metric: str, hits: BoolArray, share: float, alpha: float, *, stopped: int | None, otherwise: Shown, what: str
) -> Finding:
    """Return the finding on events, each of the canary or not."""
    n_canary, n_others = int(hits.sum()), int((~hits).sum())
    low, high = (_times(p, share) for p in share_interval(n_canary, n_others, alpha=alpha))
    times = _times(n_canary / len(hits), share) if len(hits) else np.nan
    says = f"{n_canary:,} of {len(hits):,} {what} are the canary's"
    if len(hits):
        says += f": {_number(times)} [{_number(low)}, {_number(high)}] times as often as the others"
    return _finding(metric, hits, (times, low, high), stopped, otherwise=otherwise, says=says)


def _quality(sessions: Sessions, share: float, alpha: float, tolerance: float) -> Finding:
    known = np.flatnonzero(~np.isnan(sessions.quality))
    is_canary, quality = sessions.is_canary[known], sessions.quality[known]
    found = difference_values(is_canary, quality, share=share)
    low, high = found.bounds(alpha=2 * alpha)
    stopped = _first(found.log_e_below(-tolerance), alpha, known)
    shown: Shown = "better" if low > 0 else "not worse" if low > -tolerance else "nothing"
    effect = float(found.values.mean()) if len(quality) else np.nan
    says = "no grades"
    if len(quality):
        written = (number(100 * one, digits=1, signed=True) for one in (effect, low, high))
        says = "{} [{}, {}] points on {:,} graded sessions".format(*written, len(quality))
    return _finding("quality", is_canary, (effect, low, high), stopped, otherwise=shown, says=says)


def _cost(sessions: Sessions, share: float, alpha: float, tolerance: float) -> Finding:
    known = np.flatnonzero(~np.isnan(sessions.cost_usd))
    is_canary, cost = sessions.is_canary[known], sessions.cost_usd[known]
    mean = (np.cumsum(cost) - cost) / np.maximum(np.arange(len(cost)), 1)
    scaled = np.flatnonzero(
        mean > 0
    )  # the first session, and those before the first that cost something, have no scale
    relative = np.minimum(cost[scaled] / mean[scaled], MOST_COST)
    found = difference_values(is_canary[scaled], relative, share=share, most=MOST_COST, guess=1.0)
    low, high = found.bounds(alpha=2 * alpha)
    stopped = _first(found.log_e_above(tolerance), alpha, known[scaled])
    shown: Shown = "better" if high < 0 else "not worse" if high < tolerance else "nothing"
    effect = float(found.values.mean()) if len(found.values) else np.nan
    says = "no costs"
    if len(found.values):
        means = [cost[arm].mean() if arm.any() else np.nan for arm in (is_canary, ~is_canary)]
        more, least, most = (percent(one, signed=True) for one in (effect, low, high))
        says = f"{usd(means[0])} a session instead of {usd(means[1])}: {more} [{least}, {most}]"
    return _finding("cost", is_canary, (effect, low, high), stopped, otherwise=shown, says=says)


def _finding(
    metric: str,
    hits: BoolArray,
    effect: tuple[float, float, float],
    stopped: int | None,
    *,
    otherwise: Shown,
    says: str,
) -> Finding:
    n_canary = int(hits.sum())
    shown: Shown = otherwise if stopped is None else "worse"
    return Finding(metric, n_canary, len(hits) - n_canary, *effect, shown, stopped, says)


def _first(log_e: Float64Array, alpha: float, positions: npt.NDArray[np.intp]) -> int | None:
    """Return the number of the session at which the e-value first reaches 1 / alpha; None if it never does."""
    reached = log_e >= -np.log(alpha)
    return int(positions[reached.argmax()]) + 1 if reached.any() else None


def _times(p: float, share: float) -> float:
    """Return how many times as often the canary gets an event, if a part `p` of the events are its.

    >>> _times(0.5, 0.1)
    9.0
    """
    return p * (1 - share) / ((1 - p) * share) if p < 1 else np.inf


def _number(times: float) -> str:
    return f"{times:.2g}" if np.isfinite(times) else "∞"
