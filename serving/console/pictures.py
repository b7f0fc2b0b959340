"""Charts for the pages, as specifications that the browser draws.

Making one takes tens of milliseconds, so pages do it in a thread.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

from router_model.charts import (
    Attempt,
    Bin,
    CostCurve,
    CostPoint,
    Moment,
    attempts,
    data_chart,
    frontier,
    plan,
    random_mix,
    reliability,
    series,
    shares,
)
from router_model.wording import usd

WIDTHS: Final[Mapping[str, int]] = {"wide": 600, "narrow": 310}
"""Pixels of each picture; the style sheet shows one of them."""
Picture: TypeAlias = dict[str, str]
"""A chart's specification for each of `WIDTHS`."""


def over_time(points: Sequence[Mapping[str, Any]], models: Mapping[str, float]) -> dict[str, Picture]:
    """Return the pictures of *Now*.

    Parameters
    ----------
    points : parts of the period, with ``begin``, ``n``, ``usd``, ``n_errors``, ``p50`` and ``p90``
    models : share of each chosen model
    """
    found = {
        "Requests": _both(
            series,
            [Moment(one["begin"], one["n"], "requests") for one in points]
            + [Moment(one["begin"], one["n_errors"], "failed calls") for one in points],
            unit="requests",
            description="Requests and failed calls over time",
        ),
        "Cost of calls": _both(
            series,
            [Moment(one["begin"], one["usd"]) for one in points],
            unit="USD",
            axis_format="$~g",
            write=usd,
            description="Cost of calls over time, in USD",
        ),
    }
    if any(one["p50"] is not None for one in points):
        found["Time to the whole answer"] = _both(
            series,
            [Moment(one["begin"], one["p50"], "50 %") for one in points]
            + [Moment(one["begin"], one["p90"], "90 %") for one in points],
            unit="seconds",
            axis_format="~g",
            description="Time to the whole answer over time: the median, and what 90 % of the calls do not exceed",
        )
    if models:
        by_share = sorted(models, key=lambda model: -models[model])
        found["Share of each model"] = _both(shares, {"here": dict(models)}, cheapest_first=by_share)
    return found


def of_decision(points: Sequence[CostPoint], calls: Sequence[Attempt]) -> dict[str, Picture]:
    """Return the pictures of one decision: its plan, and its calls over time."""
    found = {}
    if points:
        found["Plan"] = _both(plan, points)
    if calls:
        found["Calls"] = _both(attempts, calls)
    return found


def spent_over_time(days: Sequence[datetime], by_model: Mapping[str, Sequence[float]]) -> dict[str, Picture]:
    """Return the picture of what was spent each day, by model."""
    moments = [Moment(day, usd, model) for model, row in by_model.items() for day, usd in zip(days, row, strict=True)]
    if len(days) < len(("one", "another")) or not moments:
        return {}
    return {
        "Cost by day": _both(
            series,
            moments,
            unit="USD a day",
            axis_format="$~g",
            write=usd,
            description="Cost of calls by day and model, in USD",
        )
    }


def of_frontier(curve: CostCurve, here: CostPoint, singles: Sequence[CostPoint]) -> Picture:
    """Return the picture of a router's frontier, with its operating point and each model alone."""
    return _both(partial(frontier, [*singles, here]), [random_mix(singles), curve])


def of_reliability(bins: Sequence[Bin]) -> Picture:
    """Return the picture of predicted probabilities against what happened."""
    return _both(reliability, {"the router": bins})


def _both(make: Callable[..., Any], what: Any, **options: Any) -> Picture:
    return {name: data_chart(make(what, width=width, **options)) for name, width in WIDTHS.items()}
