"""Figures that several reports show."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from router_model.charts import (
    Bin,
    CostCurve,
    CostPoint,
    IntervalRow,
    frontier,
    intervals,
    random_mix,
    reliability,
)
from router_model.charts.layout import Width
from router_model.charts.names import short_model
from router_model.charts.scatter import PointKind
from router_model.pages.blocks import Figure
from router_model.saving import saving_cell
from router_model.training.measuring.evaluation import Evaluation, Realised
from router_model.training.measuring.verdict import Difference
from router_model.training.metrics import Reliability
from router_model.wording import number

if TYPE_CHECKING:
    from altair import LayerChart


def by_task_figures(differences: Sequence[tuple[str, Difference]]) -> tuple[Figure, Figure]:
    """Return the saving and the difference in quality of each task, for two figures side by side."""
    return (
        Figure(lambda width: saving_chart(differences, width), "Share of the cost that is saved, with 95 % intervals."),
        Figure(lambda width: quality_chart(differences, width), "Difference in quality, with 95 % intervals."),
    )


def saving_chart(differences: Sequence[tuple[str, Difference]], width: int) -> "LayerChart":
    """Return a chart of the savings of named differences; those of more than all costs are arrows."""
    rows = [
        IntervalRow(_label(name, one), None, note="the other is free")
        if not isfinite(one.saving.value)
        else IntervalRow(_label(name, one), 100 * one.saving.value, 100 * one.saving.low, 100 * one.saving.high)
        for name, one in differences
    ]
    lows = [row.low for row in rows if row.low is not None]
    return intervals(
        rows,
        axis="cost saved, %",
        description="Share of the cost that is saved",
        reach=(max(min([*lows, 0.0]), -100.0) - 4, 104.0),
        write=lambda value: saving_cell(value / 100),
        width=width,
    )


def quality_chart(differences: Sequence[tuple[str, Difference]], width: int) -> "LayerChart":
    """Return a chart of the differences in quality."""
    rows = [
        IntervalRow(_label(name, one), 100 * one.quality.value, 100 * one.quality.low, 100 * one.quality.high)
        for name, one in differences
    ]
    return intervals(rows, axis="points of quality", description="Difference in quality", write=_signed, width=width)


def reliability_figure(curves: Mapping[str, Reliability]) -> Figure:
    """Return predicted against observed success, narrower than the page."""
    bins = {
        name: [
            Bin(float(p), float(o), int(n)) for p, o, n in zip(curve.predicted, curve.observed, curve.n, strict=True)
        ]
        for name, curve in curves.items()
    }
    return Figure(
        lambda width: reliability(bins, width=min(width, 520)),
        "On the dashed line, predictions come true. Each point has as many outcomes as the others; bars are 95 % "
        "intervals of the rate of successes.",
    )


def _label(name: str, difference: Difference) -> str:
    return f"{name} ({difference.n_prompts:,})"


def router_frontier(evaluation: Evaluation, *, width: Width = 640) -> "LayerChart":
    """Return a router's frontier, its setting as trained and cheaper ones, among the single models and their mix."""
    best = next(one for one in evaluation.singles if one.label == evaluation.best_single)
    singles = [CostPoint(short_model(one.label), one.cost_usd, one.quality) for one in evaluation.singles]
    settings = [
        _setting(f"position {position}", best, difference, "option")
        for position, difference in evaluation.cheaper.items()
    ]
    settings.append(_setting("the router", best, evaluation.against[best.label], "router"))
    curves = [random_mix(singles), router_curve(evaluation)]
    return frontier([*singles, *settings], curves, width=width, height=400)


def _setting(label: str, best: Realised, difference: Difference, kind: PointKind) -> CostPoint:
    """Return where a setting lies, by its difference to the best single model, and the interval of that."""
    quality = difference.quality
    cost = best.cost_usd - (0.0 if difference.saved_usd is None else difference.saved_usd.value)
    ends = (best.quality + quality.low, best.quality + quality.high)
    return CostPoint(label, max(cost, 0.0), best.quality + quality.value, *ends, kind=kind, needed=True)


def router_curve(evaluation: Evaluation) -> CostCurve:
    """Return a router's frontier in the order of cost, without the points that a cheaper one surpasses."""
    found = evaluation.frontier
    kept: list[tuple[float, float]] = []
    for cost, quality in sorted(zip(found.cost_usd.tolist(), found.quality.tolist(), strict=True)):
        if not kept or quality > kept[-1][1]:
            kept.append((cost, quality))
    costs, qualities = zip(*kept, strict=True)
    return CostCurve("the router, over all settings", costs, qualities)


def _signed(points: float) -> str:
    return number(points, digits=1, signed=True)
