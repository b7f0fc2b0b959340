"""Figures that several reports show."""

from collections.abc import Mapping, Sequence
from math import isfinite

from router_model.charts import Bin, intervals, reliability
from router_model.charts.intervals import IntervalRow
from router_model.pages.blocks import Figure
from router_model.training.measuring.verdict import Difference
from router_model.training.metrics import Reliability


def by_task_figures(differences: Sequence[tuple[str, Difference]]) -> tuple[Figure, Figure]:
    """Return the saving and the difference in quality of each task, for two figures side by side."""
    return (
        Figure(lambda width: saving_chart(differences, width), "Share of the cost that is saved, with 95 % intervals."),
        Figure(lambda width: quality_chart(differences, width), "Difference in quality, with 95 % intervals."),
    )


def saving_chart(differences: Sequence[tuple[str, Difference]], width: int):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Return a chart of the savings of named differences; those of more than all costs are arrows."""
    rows = [
        IntervalRow(_label(name, one), None, note="the other is free")
        if not isfinite(one.saving.value)
        else IntervalRow(_label(name, one), 100 * one.saving.value, 100 * one.saving.low, 100 * one.saving.high)
        for name, one in differences
    ]
    lows = [row.low for row in rows if row.low is not None]
    return intervals(
        rows, axis="cost saved, %", description="Share of the cost that is saved", reach=(max(min([*lows, 0.0]), -100.0) - 4, 104.0),
        write="{:.0f} %".format, width=width,
    )  # fmt: skip


def quality_chart(differences: Sequence[tuple[str, Difference]], width: int):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Return a chart of the differences in quality."""
    rows = [
        IntervalRow(_label(name, one), 100 * one.quality.value, 100 * one.quality.low, 100 * one.quality.high)
        for name, one in differences
    ]
    return intervals(
        rows, axis="points of quality", description="Difference in quality", write="{:+.1f}".format, width=width
    )


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
