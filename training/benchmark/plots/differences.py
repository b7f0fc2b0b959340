"""Plot how far our method is ahead of, or behind, each other method, with intervals."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from router_model.training.benchmark.glossary import HEADLINE
from router_model.training.benchmark.margins import by_margin
from router_model.training.benchmark.plots.style import (
    AHEAD,
    BEHIND,
    NOISE,
    label,
    method_styles,
    new_figure,
    plain,
    short_name,
)
from router_model.training.benchmark.results import MethodResult, Results
from router_model.training.benchmark.verdicts import LEARNED_KINDS, Comparison, Verdict, comparisons, ranked

_COLOURS: Mapping[Verdict, str] = {
    Verdict.AHEAD: AHEAD,
    Verdict.BEHIND: BEHIND,
    Verdict.NOISE: NOISE,
    Verdict.UNTESTED: NOISE,
}
_MARKERS: Mapping[Verdict, str] = {Verdict.AHEAD: "o", Verdict.BEHIND: "s", Verdict.NOISE: "D", Verdict.UNTESTED: "x"}


def paired_differences(results: Results, metrics: Sequence[str] = HEADLINE) -> Any:
    """Draw our method minus each other one with 95 % intervals, one panel per metric; right of 0 ours is better.

    The axis spans the learned methods. A simple method further away is an arrow with its number.

    Returns
    -------
    matplotlib.figure.Figure, or None if there is nothing to compare
    """
    found = {metric: comparisons(results, metric) for metric in metrics}
    compared = {comparison.rival.name for each in found.values() for comparison in each}
    rivals = [method.name for method in ranked(results.methods) if method.name in compared]
    if not rivals:
        return None
    figure = new_figure(11, 1.8 + 0.32 * len(rivals))
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    places = {name: len(rivals) - 1 - place for place, name in enumerate(rivals)}
    for axes, each in zip(panels, found.values(), strict=True):
        _forest(axes, each, places)
    panels[0].set_yticks(list(places.values()), [label(short_name(name, 30)) for name in places])
    panels[0].set_ylim(-0.7, len(rivals) - 0.3)
    said = {comparison.verdict for each in found.values() for comparison in each}
    handles = [
        Line2D([], [], color=_COLOURS[verdict], marker=_MARKERS[verdict], label=verdict)
        for verdict in Verdict
        if verdict in said
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _forest(axes: Any, found: Sequence[Comparison], places: Mapping[str, int]) -> None:
    if not found:
        axes.set_visible(False)
        return
    reach, term = _reach(found), found[0].term
    axes.axvline(0, color="0.3", linewidth=0.9)
    for comparison in found:
        _draw_comparison(axes, comparison, places[comparison.rival.name], reach)
    axes.set_xlim((reach, -reach) if term.lower_is_better else (-reach, reach))
    axes.set_title(f"{term.label}, ours minus rival", fontsize=10)
    axes.set_xlabel("rival better   ←  0  →   ours better")
    axes.locator_params(axis="x", nbins=5)
    plain(axes)


def _draw_comparison(axes: Any, comparison: Comparison, place: int, reach: float) -> None:
    difference, colour = comparison.difference, _COLOURS[comparison.verdict]
    value = difference.value or 0.0
    if abs(value) > reach:
        side = np.sign(value)
        lower = comparison.term.lower_is_better
        axes.annotate(
            f"{comparison.term.write_change(value)}",
            (side * reach * 0.98, place),
            xytext=(side * reach * 0.72, place),
            arrowprops={"arrowstyle": "->", "color": colour},
            ha="left" if (side < 0) != lower else "right",
            va="center",
            fontsize=8,
            color=colour,
        )
        return
    if difference.low is not None and difference.high is not None:
        axes.plot([difference.low, difference.high], [place, place], color=colour, linewidth=1.6)
    axes.plot([value], [place], _MARKERS[comparison.verdict], color=colour, markersize=5.5)


def _reach(found: Sequence[Comparison]) -> float:
    """Return half the width of the axis: the farthest end of a learned method's interval, with some margin."""
    near = [comparison for comparison in found if comparison.rival.kind in LEARNED_KINDS] or found
    ends = [
        abs(end)
        for comparison in near
        for end in (comparison.difference.value, comparison.difference.low, comparison.difference.high)
        if end is not None
    ]
    return 1.15 * max(ends) or 1.0


def shift_by_task(results: Results) -> Any:
    """Draw AIQ minus that of the single models' hull for each trial (one task left out), one point per method.

    Left of 0, a method is worse than a random mix of single models. Bounds are not drawn. Small upright lines show the
    null of the leading method: the margin that shows without any knowledge of quality.

    Returns
    -------
    matplotlib.figure.Figure, or None if no method has both
    """
    found, names = by_margin(results), [trial.name for trial in results.trials]
    if not found:
        return None
    figure = new_figure(10, 1.8 + 0.34 * len(names))
    axes = figure.add_subplot()
    axes.axvline(0, color="0.3", linewidth=1)
    styles = method_styles([method for method, _ in found])
    places = {name: len(names) - place for place, name in enumerate(names)}
    for method, margins in found:
        style, strong = styles[method.name], method.kind == "ours"
        axes.scatter(
            [*margins.values(), fmean(margins.values())], [*(places[name] for name in margins), 0],
            s=70 if strong else 26, color=style["color"], zorder=style["zorder"], alpha=1 if strong else 0.75,
            marker="D" if strong else "o", linewidth=0, label=label(short_name(method.name, 30)),
        )  # fmt: skip
    _draw_nulls(axes, found[0][0], places)
    axes.axhline(0.5, color="0.7", linewidth=0.8)
    axes.set_yticks([*places.values(), 0], [*(label(short_name(name, 34)) for name in places), "mean"])
    axes.set(xlabel="AIQ minus that of the best static mix of single models", ylim=(-0.7, len(names) + 0.7))
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    plain(axes)
    return figure


def _draw_nulls(axes: Any, method: MethodResult, places: Mapping[str, int]) -> None:
    nulls = {trial.trial: null for trial in method.trials if (null := trial.metrics.get("aiq_null")) is not None}
    if nulls:
        axes.scatter(
            list(nulls.values()), [places[name] for name in nulls],
            marker="|", s=160, color="0.3", label="null: no knowledge of quality",
        )  # fmt: skip
