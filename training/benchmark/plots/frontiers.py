"""Plot quality against cost: the frontiers of routing methods, and the single models as points."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.patheffects import withStroke

from router_model.training.benchmark.glossary import GLOSSARY
from router_model.training.benchmark.plots.style import (
    DARK,
    GREY,
    OURS,
    cost_axis,
    label,
    method_styles,
    new_figure,
    plain,
    short_model,
    short_name,
)
from router_model.training.benchmark.results import Curve, MethodResult, Results
from router_model.training.benchmark.verdicts import KIND_ORDER, LEARNED_KINDS, mean, ranked
from router_model.training.measuring.evaluation import Evaluation

Float64Array = npt.NDArray[np.float64]

_GRID = 200
_PER_1000 = 1000


@dataclass(frozen=True, slots=True)
class _Point:
    """A single model."""

    name: str
    cost_usd: float
    quality: float


def cost_and_quality(evaluation: Evaluation) -> Any:
    """Draw one router's frontier and operating point among the single models.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    _draw_singles(axes, [_Point(single.label, single.cost_usd, single.quality) for single in evaluation.singles])
    frontier, router = evaluation.frontier, evaluation.router
    axes.plot(
        frontier.cost_usd * _PER_1000,
        frontier.quality,
        color=OURS,
        linewidth=2,
        label="the router, over all values of a success",
    )
    axes.plot(
        [router.cost_usd * _PER_1000], [router.quality], "D", color=DARK, zorder=6, label="the router as it decides"
    )
    cost_axis(axes, [*frontier.cost_usd, *(single.cost_usd for single in evaluation.singles)])
    axes.set(ylabel="mean quality", title=f"{evaluation.n_prompts:,} prompts the router was not trained on")
    axes.legend(loc="lower right", frameon=False)
    _name_singles(axes)
    plain(axes)
    return figure


def frontiers(results: Results) -> Any:
    """Draw the mean frontier of every method over trials, and the single models; the legend begins with the best AIQ.

    A second panel shows the gain of learned methods over the static mix of single models (concave hull minus concave
    hull, as AIQ compares them), which makes differences between methods visible. A frontier is a step function of cost,
    and the mean over trials is taken at equal costs. Costs of 0 are left out, because the axis is logarithmic.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(10, 8.5)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    styles, singles = method_styles(results.methods), _mean_singles(results)
    _draw_singles(above, singles)
    handles, names = [], []
    for method in _legend_order(results.methods):
        cost, quality = mean_frontier([trial.frontier for trial in method.trials])
        if not len(cost):
            continue
        marker = "o" if len(cost) == 1 else None
        handles += above.plot(cost * _PER_1000, quality, marker=marker, **styles[method.name])
        names.append(_legend_name(method))
        if method.kind in LEARNED_KINDS:
            gain = _hull(cost, quality, cost) - static_mix(cost, singles)
            below.plot(cost * _PER_1000, gain, **styles[method.name])
    cost_axis(below, [single.cost_usd for single in singles])
    above.set(ylabel="mean quality on test prompts", title=_title(results))
    above.legend(
        handles, names, title="AIQ, method", loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False,
        alignment="left",
    )  # fmt: skip
    below.axhline(0, color="0.3", linewidth=0.9)
    below.set(ylabel="gain over the static mix\nof single models")
    plain(above)
    plain(below)
    _name_singles(above)
    return figure


def static_mix(cost_usd: Float64Array, singles: Sequence[_Point]) -> Float64Array:
    """Return the quality of a random mix of single models at each cost: the height of their concave hull."""
    return _hull(np.array([s.cost_usd for s in singles]), np.array([s.quality for s in singles]), cost_usd)


def _hull(x: Float64Array, y: Float64Array, at: Float64Array) -> Float64Array:
    """Return the height of the non-decreasing concave hull of points, extended flat to both sides.

    Examples
    --------
    >>> _hull(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.2, 1.0]), np.array([0.0, 2.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    corners: list[tuple[float, float]] = []
    for place in np.lexsort((-y, x)):
        point = float(x[place]), float(y[place])
        if corners and point[1] <= corners[-1][1]:
            continue
        while len(corners) > 1 and _slope(corners[-2], point) >= _slope(corners[-2], corners[-1]):
            corners.pop()
        corners.append(point)
    xs, ys = zip(*corners, strict=True)
    return np.asarray(np.interp(at, xs, ys))


def _slope(start: tuple[float, float], end: tuple[float, float]) -> float:
    return (end[1] - start[1]) / max(end[0] - start[0], 1e-300)


def mean_frontier(curves: Sequence[Curve]) -> tuple[Float64Array, Float64Array]:
    """Return the mean of step frontiers at equal costs, from the mean of their first costs to that of their last.

    Means of costs are geometric. Below a frontier's first cost, its quality is the one at its first cost.

    Examples
    --------
    >>> mean_frontier([Curve((1.0,), (0.5,)), Curve((4.0,), (0.7,))])
    (array([2.]), array([0.6]))
    """
    kept = [(np.array(curve.x), np.array(curve.y)) for curve in curves]
    positive = [(x[x > 0], np.maximum.accumulate(y)[x > 0]) for x, y in kept if (x > 0).any()]
    if not positive:
        return np.zeros(0), np.zeros(0)
    first, last = (np.exp(np.mean([np.log(x[end]) for x, _ in positive])) for end in (0, -1))
    grid = np.geomspace(first, last, _GRID) if last > first * (1 + 1e-9) else np.array([first])
    heights = [y[np.maximum(np.searchsorted(x, grid * (1 + 1e-12), side="right") - 1, 0)] for x, y in positive]
    return grid, np.mean(heights, axis=0)


def _title(results: Results) -> str:
    n_trials = len(results.trials)
    n_test = sum(trial.n_test for trial in results.trials) // max(n_trials, 1)
    return f"{n_test:,} test prompts" + (f", mean of {n_trials} trials" if n_trials > 1 else "")


def _legend_order(methods: Iterable[MethodResult]) -> list[MethodResult]:
    """Sort key of the legend: bounds first, because they lie on top; then by AIQ."""
    return sorted(ranked(methods), key=lambda method: method.kind != KIND_ORDER[-1])


def _legend_name(method: MethodResult) -> str:
    return f"{GLOSSARY['aiq'].write(mean(method, 'aiq'))}  {label(short_name(method.name, 30))}"


def _mean_singles(results: Results) -> list[_Point]:
    """Average each single model over trials."""
    found: dict[str, list[tuple[float, float]]] = {}
    for trial in results.trials:
        for single in trial.singles:
            found.setdefault(single.model, []).append((single.cost_usd, single.quality))
    return [_Point(model, *np.mean(values, axis=0).tolist()) for model, values in found.items()]


def _draw_singles(axes: Any, singles: Sequence[_Point]) -> None:
    shown = [single for single in singles if single.cost_usd > 0]
    axes.scatter(
        [single.cost_usd * _PER_1000 for single in shown],
        [single.quality for single in shown],
        color=GREY,
        s=22,
        zorder=4,
        label="single models",
    )
    for single in sorted(shown, key=lambda single: _dominated(single, shown)):
        axes.annotate(
            label(short_model(single.name)),
            (single.cost_usd * _PER_1000, single.quality),
            textcoords="offset points",
            xytext=(4, -4),
            verticalalignment="top",
            fontsize=7,
            color="0.35",
            path_effects=[withStroke(linewidth=2, foreground="white", alpha=0.8)],
            gid="single",
            zorder=6,
        )


def _name_singles(axes: Any) -> None:
    """Move the names of single models so that they cover no other name; remove names without room.

    Names of undominated models were added first, so they find room first.
    """
    figure = axes.figure
    figure.draw_without_rendering()
    taken: list[Any] = []
    for name in [text for text in axes.texts if text.get_gid() == "single"]:
        for dx, dy, horizontal, vertical in _PLACES:
            name.set(position=(dx, dy), horizontalalignment=horizontal, verticalalignment=vertical)
            box = name.get_window_extent()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
        else:
            name.remove()


_PLACES = ((4, -4, "left", "top"), (4, 4, "left", "bottom"), (-4, -4, "right", "top"), (-4, 4, "right", "bottom"))


def _dominated(single: _Point, singles: Sequence[_Point]) -> bool:
    """Return whether another model is better and no dearer."""
    return any(other.quality > single.quality and other.cost_usd <= single.cost_usd for other in singles)
