"""A router against one model task by task, with intervals; tasks that are too small for one are pooled."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from router_model.training.measuring.evaluation import Decided
from router_model.training.measuring.paired import paired_difference
from router_model.training.measuring.verdict import MIN_INDEPENDENT, Difference

_MOST: Final = 15
"""Tasks that are shown apart."""


@dataclass(frozen=True, slots=True)
class TaskDifference:
    """A router minus the best single model on one task, or on several small ones.

    Attributes
    ----------
    task : its name, or what was pooled
    difference : Difference
    """

    task: str
    difference: Difference


@dataclass(frozen=True, slots=True)
class Tasks:
    """All tasks of a table.

    Attributes
    ----------
    shown : the largest first, the pooled ones last
    n_left_out : prompts of small tasks that are too few even together, and prompts without a task
    """

    shown: tuple[TaskDifference, ...]
    n_left_out: int


def difference_by_task(decided: Decided) -> Tasks:
    """Return what a router brought against the best single model on each task.

    A task is pooled with the other small ones if it has fewer than 30 independent prompts, or is not among the largest.
    """
    names = np.array(decided.outcomes.tasks)
    rows_of = {str(name): np.flatnonzero(names == name) for name in np.unique(names) if name}
    largest = sorted(rows_of, key=lambda name: (-len(rows_of[name]), name))
    apart = [name for name in largest if _independent(decided, rows_of[name]) >= MIN_INDEPENDENT][:_MOST]
    small = [name for name in largest if name not in apart]
    shown = [TaskDifference(name, _difference(decided, rows_of[name])) for name in apart]
    pooled = np.sort(np.concatenate([rows_of[name] for name in small])) if small else np.zeros(0, dtype=np.intp)
    n_left_out = int((names == "").sum())
    if len(pooled) and _independent(decided, pooled) >= MIN_INDEPENDENT:
        label = small[0] if len(small) == 1 else f"{len(small)} small tasks"
        shown.append(TaskDifference(label, _difference(decided, pooled)))
    else:
        n_left_out += len(pooled)
    return Tasks(tuple(shown), n_left_out)


def _independent(decided: Decided, rows: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> int:
    return len(np.unique(decided.groups[rows]))


def _difference(decided: Decided, rows: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> Difference:
    best = np.full(len(rows), decided.best)
    drawn = decided.drawn.take(rows, _independent(decided, rows))
    return paired_difference(decided.chosen[rows], best, decided.quality[rows], decided.cost_usd[rows], drawn)
