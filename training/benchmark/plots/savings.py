"""Plot how much cost routing saves on each task, and how much quality it keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from router_model.training.benchmark.plots.style import AHEAD, BEHIND, label, new_figure, plain, short_name
from router_model.training.benchmark.results import MethodResult
from router_model.training.measuring.evaluation import Evaluation

_TASKS = 25
_FLOOR = -1.0


@dataclass(frozen=True, slots=True)
class TaskSaving:
    """The saving and the kept quality on one task: one bar of the figure.

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

    @classmethod
    def of_method(cls, method: MethodResult) -> list["TaskSaving"]:
        """Average a method's chosen configuration over trials, weighted by prompts."""
        found: dict[str, list[tuple[int, float | None, float | None]]] = {}
        for trial in method.trials:
            for task, realised in trial.by_task.items():
                found.setdefault(task, []).append((realised.n_prompts, realised.saving, realised.quality_kept))
        return [
            cls(
                task,
                round(sum(n for n, _, _ in rows) / len(rows)),
                _weighted([(n, saving) for n, saving, _ in rows]),
                _weighted([(n, kept) for n, _, kept in rows]),
            )
            for task, rows in found.items()
        ]

    @classmethod
    def of_evaluation(cls, evaluation: Evaluation) -> list["TaskSaving"]:
        """Return the savings on each task from an evaluation of a router."""
        return [
            cls(task, n, router.saving, router.quality / best.quality if best.quality > 0 else None)
            for task, (n, router, best) in evaluation.by_task.items()
        ]


def savings_by_task(savings: Sequence[TaskSaving], *, title: str = "") -> Any:
    """Draw cost saved and quality kept for each task, against the best single model; the largest 25 tasks.

    Returns
    -------
    matplotlib.figure.Figure, or None if there are no tasks
    """
    largest = sorted(savings, key=lambda row: -row.n_prompts)[:_TASKS]
    if not largest:
        return None
    rows = sorted(largest, key=lambda row: _FLOOR if row.saving is None else row.saving)
    figure = new_figure(9, 1.4 + 0.3 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _draw_savings(left, rows)
    _draw_quality(right, rows)
    left.set_ylim(-0.7, len(rows) - 0.3)
    left.set_yticks(range(len(rows)), [f"{label(short_name(row.task, 30))} ({row.n_prompts:,})" for row in rows])
    more = len(savings) - len(rows)
    figure.suptitle(title + (f"; {more} smaller tasks not shown" if more else ""), fontsize=11)
    return figure


def _draw_savings(axes: Any, rows: Sequence[TaskSaving]) -> None:
    values = [max(row.saving or 0.0, _FLOOR) for row in rows]
    axes.barh(range(len(rows)), values, color=[AHEAD if value >= 0 else BEHIND for value in values], height=0.7)
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        axes.annotate(
            _said(row.saving),
            (max(value, 0.0), place),
            textcoords="offset points",
            xytext=(4, 0),
            verticalalignment="center",
            fontsize=8,
        )
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set(
        xlabel="cost saved against the best single model", xlim=(min(0.0, *values) * 1.05, max(0.0, *values) + 0.2)
    )
    axes.xaxis.set_major_formatter("{x:.0%}")
    plain(axes, grid="x")


def _draw_quality(axes: Any, rows: Sequence[TaskSaving]) -> None:
    known = [(place, row.quality_kept) for place, row in enumerate(rows) if row.quality_kept is not None]
    for place, kept in known:
        colour = AHEAD if kept >= 1 else BEHIND
        axes.plot([1, kept], [place, place], color=colour, linewidth=1.5)
        axes.plot([kept], [place], "o", color=colour, markersize=5)
    axes.axvline(1, color="0.3", linewidth=0.8)
    axes.set_xlabel("quality kept")
    reach = max([abs(kept - 1) for _, kept in known], default=0.0)
    axes.set_xlim(1 - max(1.15 * reach, 0.02), 1 + max(1.15 * reach, 0.02))
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.locator_params(axis="x", nbins=5)
    plain(axes)


def _said(saving: float | None) -> str:
    """Format a saving; if the cost is more than twice as high, say how many times as high."""
    if saving is None:
        return "best single is free"
    return f"{saving:.0%}" if saving >= _FLOOR else f"{1 - saving:.1f}x the cost"


def _weighted(rows: Sequence[tuple[int, float | None]]) -> float | None:
    known = [(n, value) for n, value in rows if value is not None]
    total = sum(n for n, _ in known)
    return sum(n * value for n, value in known) / total if total else None
