"""Work out what the pages show from summaries: rates with intervals, percentiles, and what routing saved.

Intervals are for 95 %. What routing saved is the sum of paired differences,
with a normal interval: for each decision what the best single model would have cost, less what it did cost.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from router_model.rates import wilson_interval
from router_model.serving.decision_log.store import Summaries
from router_model.serving.decision_log.summaries import Tree, added, value_of

_Z: Final = 1.959964
_MET_CALLS: Final = 30
"""Calls of a model from which on what they really cost corrects what it was expected to cost."""
_ALMOST_ALL: Final = 0.9
"""Share of the decisions that a model must have been a candidate of, to be what routing is compared with."""
_MOST_POINTS: Final = 62


@dataclass(frozen=True, slots=True)
class Rate:
    """A share, with its interval.

    Attributes
    ----------
    n : int
    value, low, high : float
    """

    n: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, won: float, n: float) -> "Rate | None":
        """Return the rate of `won` among `n`; None of nothing.

        >>> rate = Rate.of(9, 10)
        >>> round(rate.low, 3), round(rate.high, 3)
        (0.596, 0.982)
        """
        if n <= 0:
            return None
        return cls(int(n), won / n, *wilson_interval(won / n, n))


@dataclass(frozen=True, slots=True)
class Saved:
    """What routing saved against sending everything to the best single model.

    Attributes
    ----------
    best : str
        The model with the highest mean P(success) among those that were candidates of almost all decisions.
    usd, low, high : float
        What was saved, with its interval.
    share : float
        Of what the best single model would have cost.
    n : int
        Decisions that were compared.
    p_chosen, p_best : float
        Mean P(success) of what was chosen and of the best single model, as predicted.
    corrected : bool
        Whether the best model's expected costs were corrected by what its calls really cost.
    """

    best: str
    usd: float
    low: float
    high: float
    share: float
    n: int
    p_chosen: float
    p_best: float
    corrected: bool


def saved(tree: Mapping[str, Any]) -> Saved | None:
    """Return what routing saved in the decisions of a summary; None if none had costs to compare.

    Examples
    --------
    Two decisions, which cost $1 and $2, where the best model was expected to cost $4 each time: $5 saved of $8, and
    the differences, 3 and 2, have a variance of 0.5.

    >>> tree = {"compared": {"n": 2, "c": 3, "cc": 5, "p": 1.6},
    ...         "against": {"best": {"n": 2, "p": 1.8, "e": 8, "ee": 32, "ec": 12}}}
    >>> found = saved(tree)
    >>> found.best, found.usd, found.share, round(found.high - found.usd, 2)
    ('best', 5.0, 0.625, 1.96)
    """
    compared = tree.get("compared")
    if not compared:
        return None
    n = compared["n"]
    against = {model: sums for model, sums in tree["against"].items() if sums["n"] >= _ALMOST_ALL * n}
    if not against:
        return None
    best = max(against, key=lambda model: (against[model]["p"] / against[model]["n"], -against[model]["e"]))
    sums, all_of_it = against[best], n / against[best]["n"]
    ratio, ratio_variance = _cost_ratio(tree.get("met", {}).get(best))
    expected = {name: sums[name] * all_of_it for name in ("e", "ee", "ec")}
    would = ratio * expected["e"]
    mean = (would - compared["c"]) / n
    squares = ratio * ratio * expected["ee"] - 2 * ratio * expected["ec"] + compared["cc"]
    variance = max(squares - n * mean * mean, 0.0) / max(n - 1, 1)
    half = _Z * math.sqrt(n * variance + expected["e"] ** 2 * ratio_variance)
    total = would - compared["c"]
    return Saved(
        best,
        total,
        total - half,
        total + half,
        total / would if would else 0.0,
        int(n),
        compared["p"] / n,
        sums["p"] / sums["n"],
        ratio_variance > 0,
    )


def _cost_ratio(met: Mapping[str, float] | None) -> tuple[float, float]:
    """Return what a model's calls cost in times of what was expected, and the variance of that (a ratio estimate)."""
    if met is None or met["n"] < _MET_CALLS or not met["e"]:
        return 1.0, 0.0
    ratio = met["a"] / met["e"]
    left = max(met["aa"] - 2 * ratio * met["ae"] + ratio * ratio * met["ee"], 0.0)
    return ratio, left / met["e"] ** 2


def percentiles(steps: Mapping[str, float] | None, *shares: float) -> list[float | None]:
    """Return percentiles of a histogram, in seconds; None of an empty one.

    >>> percentiles({"0": 9, "100": 1}, 0.5, 0.8)
    [1.0, 1.0]
    """
    if not steps:
        return [None for _ in shares]
    ordered = sorted(steps.items(), key=lambda item: int(item[0]))
    total = sum(steps.values())
    found: list[float | None] = []
    for share in shares:
        left, at = share * total, ordered[-1][0]
        for name, n in ordered:
            left -= n
            if left <= 0:
                at = name
                break
        found.append(value_of(at))
    return found


def total(summaries: Summaries) -> Tree:
    """Return the summary of a whole period."""
    together: Tree = {}
    for _, tree in summaries.parts:
        added(together, tree)
    return together


def series(summaries: Summaries, now: datetime) -> list[tuple[datetime, Tree]]:
    """Return the summaries of parts of a period, at most 62 of one length, also of those in which nothing was asked.

    The last part is left out if it is not over: it would look as if everything had come to an end.
    """
    length = (now - summaries.since) / _MOST_POINTS
    unit = next((unit for unit in _UNITS if unit >= length), _UNITS[-1])
    n = max(math.ceil((now - summaries.since) / unit), 1)
    points: list[tuple[datetime, Tree]] = [(summaries.since + k * unit, {}) for k in range(n)]
    for begin, tree in summaries.parts:
        added(points[min(int((begin - summaries.since) / unit), n - 1)][1], tree)
    is_over = points[-1][0] + unit <= now
    return points if is_over or n == 1 else points[:-1]


_UNITS: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 60, 180, 360, 720, 1440))


def usd_of(tree: Mapping[str, Any]) -> float:
    """Return what the calls of a summary cost."""
    return math.fsum(one["usd"] for models in tree.get("spend", {}).values() for one in models.values())


def shares(counts: Mapping[str, float]) -> list[tuple[str, int, float]]:
    """Return names with their counts and shares, the largest first.

    >>> shares({"a": 1, "b": 3})
    [('b', 3, 0.75), ('a', 1, 0.25)]
    """
    whole = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(name, int(n), n / whole) for name, n in ordered if n]
