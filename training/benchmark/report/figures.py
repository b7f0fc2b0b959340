"""The figures of a benchmark: its results as data of `router_model.charts`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import numpy as np
import numpy.typing as npt

from router_model.charts import Bin, CostCurve, CostPoint, IntervalRow, frontier, intervals, random_mix, reliability
from router_model.charts.intervals import Kind
from router_model.charts.names import short_model, short_name
from router_model.charts.shares import shares
from router_model.pages.blocks import Figure
from router_model.saving import saving_cell
from router_model.training.benchmark.glossary import GLOSSARY
from router_model.training.benchmark.margins import by_margin
from router_model.training.benchmark.results import Curve, MethodResult, Results
from router_model.training.benchmark.verdicts import LEARNED_KINDS, Comparison, by_kind, comparisons, ours, ranked
from router_model.wording import percent

Float64Array = npt.NDArray[np.float64]

_GRID: Final = 120
_TASKS: Final = 25
_PANELS: Final = 4
_KINDS: Final = {"ours": "ours", "bound": "bound", "simple": "simple"}


@dataclass(frozen=True, slots=True)
class TaskSaving:
    """The saving and the kept quality of a method's chosen configuration on one task, means over trials.

    Attributes
    ----------
    task : str
    n_prompts : int
    saving : share of the best single model's cost; None if that model is free
    quality_kept : share of its quality; None if that is 0
    """

    task: str
    n_prompts: int
    saving: float | None
    quality_kept: float | None


def frontier_figures(results: Results) -> tuple[Figure, Figure]:
    """Return the mean frontiers over trials, and the gains of learned methods over a random mix of single models."""
    singles = mean_singles(results)
    best_rival = next((one.name for one in ranked(results.methods) if one.kind in {"learned", "package"}), "")
    curves, gains = [], []
    for method in by_kind(results.methods)[::-1]:
        cost, quality = mean_frontier([trial.frontier for trial in method.trials])
        if len(cost) < 2:  # noqa: PLR2004  (a single model is a point already)
            continue
        is_named = method.kind in {"ours", "bound"} or method.name == best_rival
        kind = "rival" if method.name == best_rival else _KINDS.get(method.kind, "other")
        name = short_name(method.name, 30)
        curves.append(CostCurve(name, cost.tolist(), quality.tolist(), kind, is_named))  # type: ignore[arg-type]
        if method.kind in LEARNED_KINDS and singles:
            gain = hull(cost, quality, cost) - _static_mix(cost, singles)
            gains.append(CostCurve(name, cost.tolist(), gain.tolist(), kind, is_named))  # type: ignore[arg-type]
    mix = [random_mix(singles)] if singles else []
    said = "Mean quality over mean cost for every method and single model"
    return (
        Figure(
            lambda width: frontier(singles, [*mix, *curves], description=said, width=width, height=460),
            "Mean quality over mean cost on test prompts, frontiers averaged over trials at equal cost. Strong: ours; "
            "coloured: the best rival by AIQ; grey: other methods, which the pointer names; dashed: bounds that know "
            "the outcomes. Circles: every model used for everything; the thin dashes are a random mix of these.",
        ),
        Figure(
            lambda width: frontier(
                [], gains, quality="quality above the random mix", width=width, height=300,
                description="Gain of learned methods over the random mix of single models",
            ),
            "What learned methods add to a random mix of single models: concave hull minus concave hull, as AIQ "
            "compares them.",
        ),
    )  # fmt: skip


def differences_figure(results: Results, metric: str) -> Figure:
    """Return our method minus each other one with 95 % intervals; what is further away than learned methods, arrows."""
    found = comparisons(results, metric)
    term = GLOSSARY[metric]
    rows = [
        IntervalRow(short_name(one.rival.name, 30), one.difference.value, one.difference.low, one.difference.high)
        for one in found
    ]
    reach = _reach(found)
    side = "left" if term.lower_is_better else "right"
    return Figure(
        lambda width: intervals(
            rows, axis=f"{term.label}, ours minus rival", description=f"Ours minus each rival in {term.label}",
            lower_is_better=term.lower_is_better, reach=(-reach, reach), write=term.write_change, width=width,
        ),
        f"{term.label}: {side} of the line ours is better. Intervals of 95 %, of a bootstrap over the same prompts.",
    )  # fmt: skip


def reliability_figures(results: Results) -> tuple[Figure, ...]:
    """Return reliability diagrams of our method and of those with the least log-loss; none without probabilities."""
    reference = ours(results)
    having = [
        method
        for method in ranked(results.methods, "log_loss")
        if method.kind != "bound" and any(trial.reliability is not None for trial in method.trials)
    ]
    shown = sorted(having, key=lambda method: method is not reference)[:_PANELS]
    return tuple(_reliability(method) for method in shown)


def savings_figures(savings: Sequence[TaskSaving]) -> tuple[Figure, ...]:
    """Return cost saved and quality kept on the largest 25 tasks; none without tasks."""
    largest = sorted(savings, key=lambda row: -row.n_prompts)[:_TASKS]
    rows = sorted(largest, key=lambda row: -(-1.0 if row.saving is None else row.saving))
    if not rows:
        return ()
    more = f" {len(savings) - len(rows)} smaller tasks are not shown." if len(savings) > len(rows) else ""
    saved = [_row(row, row.saving, note="the best single model is free") for row in rows]
    kept = [_row(row, None if row.quality_kept is None else row.quality_kept - 1) for row in rows]
    return (
        Figure(
            lambda width: intervals(
                saved, axis="cost saved, %", description="Cost saved on each task", reach=(-104.0, 104.0),
                write=lambda value: saving_cell(value / 100), width=width,
            ),
            f"Cost saved; in brackets the number of test prompts.{more}",
        ),
        Figure(
            lambda width: intervals(
                kept, axis="quality, % of the best single model's", description="Quality kept on each task",
                write=lambda value: percent(value / 100, signed=True, digits=1), width=width,
            ),
            "Quality, against the best single model's.",
        ),
    )  # fmt: skip


def shares_figure(results: Results) -> Figure:
    """Return the share of prompts that each method sends to each model."""
    cheapest = [point.label for point in sorted(_singles(results), key=lambda point: point.cost_usd)]
    of = {short_name(method.name, 30): mean_shares(method) for method in by_kind(results.methods)}
    return Figure(
        lambda width: shares(of, cheapest_first=cheapest, width=width),
        "Share of test prompts that the configuration chosen on validation sends to each model.",
    )


def shift_figures(results: Results) -> tuple[Figure, ...]:
    """Return margins over the static mix: ours on each task left out, and each method's mean; none without margins."""
    found = by_margin(results)
    if not found:
        return ()
    means = [IntervalRow(short_name(method.name, 30), fmean(margins.values()), kind=_side(fmean(margins.values())))
             for method, margins in found]  # fmt: skip
    figures = [_margins(means, "Mean over the tasks left out, each method.")]
    for method, margins in found:
        if method is ours(results):
            rows = [IntervalRow(short_name(name, 34), margin, kind=_side(margin)) for name, margin in margins.items()]
            figures.append(_margins(rows, "Ours, on each task left out."))
    return tuple(figures)


def mean_shares(method: MethodResult) -> dict[str, float]:
    """Return the share of prompts a method's chosen configuration sends to each model, the mean over trials."""
    found: dict[str, float] = {}
    for trial in method.trials:
        for model, share in trial.shares.items():
            found[model] = found.get(model, 0.0) + share / len(method.trials)
    return found


def task_savings(method: MethodResult) -> list[TaskSaving]:
    """Average a method's chosen configuration over trials, weighted by prompts."""
    found: dict[str, list[tuple[int, float | None, float | None]]] = {}
    for trial in method.trials:
        for task, realised in trial.by_task.items():
            found.setdefault(task, []).append((realised.n_prompts, realised.saving, realised.quality_kept))
    return [
        TaskSaving(
            task,
            round(sum(n for n, _, _ in rows) / len(rows)),
            _weighted([(n, saving) for n, saving, _ in rows]),
            _weighted([(n, kept) for n, _, kept in rows]),
        )
        for task, rows in found.items()
    ]


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


def hull(x: Float64Array, y: Float64Array, at: Float64Array) -> Float64Array:
    """Return the height of the non-decreasing concave hull of points, extended flat to both sides.

    Examples
    --------
    >>> hull(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.2, 1.0]), np.array([0.0, 2.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    corners = random_mix([CostPoint("", float(a), float(b)) for a, b in zip(x, y, strict=True)], steps=1)
    return np.asarray(np.interp(at, corners.cost_usd, corners.value))


def mean_singles(results: Results) -> list[CostPoint]:
    """Average each single model over trials; free ones are left out, because the axis is logarithmic."""
    return [
        CostPoint(short_model(point.label), point.cost_usd, point.value)
        for point in _singles(results)
        if point.cost_usd > 0
    ]


def _singles(results: Results) -> list[CostPoint]:
    found: dict[str, list[tuple[float, float]]] = {}
    for trial in results.trials:
        for single in trial.singles:
            found.setdefault(single.model, []).append((single.cost_usd, single.quality))
    return [CostPoint(model, *np.mean(values, axis=0).tolist()) for model, values in found.items()]


def _static_mix(cost_usd: Float64Array, singles: Iterable[CostPoint]) -> Float64Array:
    known = list(singles)
    return hull(np.array([one.cost_usd for one in known]), np.array([one.value for one in known]), cost_usd)


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


def _reliability(method: MethodResult) -> Figure:
    curves = [trial.reliability for trial in method.trials if trial.reliability is not None]
    same = [curve for curve in curves if len(curve.x) == len(curves[0].x)]
    bins = [
        Bin(
            fmean(one.x[k] for one in same),
            fmean(one.y[k] for one in same),
            sum(one.n[k] if one.n else 1 for one in same),
        )
        for k in range(len(curves[0].x))
    ]
    error = GLOSSARY["calibration_error"]
    interval = method.metrics.get(error.key)
    written = error.write(None if interval is None else interval.value)
    name = short_name(method.name)
    return Figure(
        lambda width: reliability(
            {name: bins}, title=name, width=min(width, 400), description=f"Reliability of {name}"
        ),
        f"{error.label} {written}, {sum(one.n for one in bins):,} outcomes",
    )


def _row(row: TaskSaving, share: float | None, note: str = "") -> IntervalRow:
    label = f"{short_name(row.task, 30)} ({row.n_prompts:,})"
    if share is None:
        return IntervalRow(label, None, note=note)
    return IntervalRow(label, 100 * share, kind=_side(share))


def _side(value: float) -> Kind:
    return "good" if value >= 0 else "bad"


def _margins(rows: Sequence[IntervalRow], caption: str) -> Figure:
    return Figure(
        lambda width: intervals(
            rows, axis="AIQ minus the static mix's", description=caption, write="{:+.4f}".format, axis_format="+.3f",
            width=width,
        ),
        caption,
    )  # fmt: skip


def _weighted(rows: Sequence[tuple[int, float | None]]) -> float | None:
    known = [(n, value) for n, value in rows if value is not None]
    total = sum(n for n, _ in known)
    return sum(n * value for n, value in known) / total if total else None


def chosen_cost(method: MethodResult) -> Mapping[str, float] | None:
    """Return the mean costs of 1,000 test prompts: ``own`` by the chosen configuration, ``best`` by the best model.

    None if the best single model (on validation) is free in some trial.
    """
    chosen = [trial.chosen for trial in method.trials]
    if not chosen or any(one.saving is None or one.saving >= 1 for one in chosen):
        return None
    own = fmean(one.cost_usd for one in chosen)
    best = fmean(one.cost_usd / (1 - one.saving) for one in chosen if one.saving is not None)
    return {"own": 1000 * own, "best": 1000 * best}
