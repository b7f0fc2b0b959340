"""Weigh judges: leave out grades of judges that the other judges contradict, before anything is learned.

A judge is the source of a grade: the key that sent the feedback, or a name in the column ``judge``. Grades without a
judge are the operator's own (from a benchmark, or a grader with the role ``feedback-all``). They are never left out. If
there are enough of them, only they serve as the reference.

For each model and judge, the judge's grades are compared with the grades of the others on the same kinds of prompts.
The difference is measured in standard errors. The weight of the judge for this model follows from it as in Hampel's
redescending estimators (Hampel et al., *Robust Statistics*, 1986): full up to `FULL_Z`, then falling, and zero from
`NO_Z` on. So a judge cannot move a model's record by more than a few standard errors of its own grades, whatever it
writes. The worst judge is left out first, and then the others are compared again, because a gross lie makes honest
judges look wrong.

The same comparison is made within each kind of prompts, to find a judge who lies about one topic only.

One simplification: if a judge's weight is below one, that share of its grades is kept, drawn by a hash of prompt and
model. So learning, certification and measurement all see the same grades.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from router_model.training.fitting.uncertainty import kinds_of
from router_model.training.table.outcomes import MATRIX_COLUMNS, Outcomes
from router_model.training.table.split import percentiles

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FULL_Z: Final = 2.5
"""Up to this many standard errors from the others, a judge counts in full; by chance, one in eighty exceeds it."""
NO_Z: Final = 4.0
"""From this many standard errors on, a judge does not count; by chance, one in sixteen thousand exceeds it."""
MIN_YARDSTICK: Final = 100
"""If a model has this many grades without a judge, its judges are compared with only these."""

_TOPIC_SPREAD: Final = 0.15  # standard deviation of a kind's mean grade around the model's level
_GRACE: Final = 1.0  # a judge may always differ by this many grades, because one thumb down is not a lie
_FEW_JUDGES: Final = 5
_SPREADS: Final = np.geomspace(0.01, 0.1, 20)  # allowed range of the standard deviation between honest judges
_LEAST_VARIANCE: Final = 0.005
_MEDIAN_Z: Final = 0.6745  # median of the absolute value of a standard normal
_MEDIAN_ERROR: Final = 0.787  # standard error of that median, times the square root of the number of values


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding that one judge's grades of one model were left out.

    Attributes
    ----------
    judge, model : str
    n_grades, n_left_out : int
        Grades of this model by this judge, and how many of them were left out.
    mean : float
        Mean of the judge's grades that others contradict.
    expected : float
        Mean that follows from the others' grades of the same kinds of prompts.
    z : float
        The difference in standard errors.
    is_of_topic : bool
        Whether it concerns one kind of prompts only, or all of the judge's grades of the model.
    """

    judge: str
    model: str
    n_grades: int
    n_left_out: int
    mean: float
    expected: float
    z: float
    is_of_topic: bool = False

    def __str__(self) -> str:
        """Describe the finding in a sentence."""
        where = " on prompts of one kind" if self.is_of_topic else ""
        return (
            f"judge {self.judge}: {self.n_left_out:,} of {self.n_grades:,} grades of {self.model} left out: it gave "
            f"{self.mean:.2f} on average{where}, while the other grades say {self.expected:.2f} ({abs(self.z):.1f} "
            "standard errors)"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain JSON types."""
        return asdict(self)


def leave_out_contradicted(
    outcomes: Outcomes, embedding: npt.NDArray[np.float32], *, seed: int
) -> tuple[Outcomes, tuple[Finding, ...]]:
    """Return the outcomes without the grades that other judges contradict, and findings about these grades.

    Parameters
    ----------
    outcomes : of n prompts
    embedding : shape (n, dimension)
    seed : int
        Seed of the kinds of prompts, and of the choice of grades that are kept of a judge who counts in part.
    """
    if outcomes.judge is None:
        return outcomes, ()
    kinds = kinds_of(embedding, seed=seed)
    drawn = percentiles([f"{prompt_id}:grade" for prompt_id in outcomes.prompt_ids], seed=seed) / 100
    gone = np.zeros(outcomes.quality.shape, dtype=bool)
    findings: list[Finding] = []
    for column, model in enumerate(outcomes.models):
        rows = np.flatnonzero(~np.isnan(outcomes.quality[:, column]))
        grades = Grades.of(outcomes.quality[rows, column], outcomes.judge[rows, column], kinds[rows])
        weight, found = screen(grades)
        gone[rows, column] = drawn[rows] >= weight
        findings += [_finding(each, grades, gone[rows, column], model, outcomes.judge_names) for each in found]
    # The grade's tokens, cost and latency are removed too, because its sender may have made them up.
    kept: dict[str, Any] = {name: np.where(gone, np.nan, getattr(outcomes, name)) for name in MATRIX_COLUMNS}
    return replace(outcomes, **kept), tuple(findings)


@dataclass(frozen=True, slots=True)
class Grades:
    """The grades of one model.

    Attributes
    ----------
    quality : float64 array, shape (n,)
    judge : int array, shape (n,)
        -1 for grades without a judge.
    kind : int array, shape (n,)
    """

    quality: FloatArray
    judge: IntArray
    kind: IntArray

    @classmethod
    def of(cls, quality: npt.ArrayLike, judge: npt.ArrayLike, kind: npt.ArrayLike) -> "Grades":
        """Make arrays of the right types."""
        return cls(np.asarray(quality, np.float64), np.asarray(judge, np.int64), np.asarray(kind, np.int64))

    def __len__(self) -> int:
        return len(self.quality)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A judge whose grades the others contradict, in all kinds of prompts or in one.

    Attributes
    ----------
    judge : int
    kind : int or None
        None means all kinds.
    rows : indices of its grades
    mean, expected, z : float
        See `Finding`.
    """

    judge: int
    kind: int | None
    rows: npt.NDArray[np.intp]
    mean: float
    expected: float
    z: float


def screen(grades: Grades) -> tuple[FloatArray, list[Contradiction]]:
    """Weigh the grades of one model by how far their judges differ from the others.

    Returns
    -------
    weight : float64 array, shape (n,), from 0 to 1
    contradictions : judges who count in part or not at all
    """
    weight = np.ones(len(grades))
    found: list[Contradiction] = []
    while suspects := _suspects(grades, weight):
        liars = [each for each in suspects if abs(each.z) >= NO_Z]
        if not liars:
            break
        # Judges are first compared over all topics: a liar without its worst topics would look better than it is.
        worst = max(liars, key=lambda each: (each.kind is None, abs(each.z)))
        weight[worst.rows] = 0.0
        found.append(worst)
    for each in suspects:
        weight[each.rows] = np.minimum(weight[each.rows], (NO_Z - abs(each.z)) / (NO_Z - FULL_Z))
    return weight, [*found, *suspects]


def _suspects(grades: Grades, weight: FloatArray) -> list[Contradiction]:
    """Compare each judge with the others, over all kinds of prompts and within each; return those who differ.

    A judge with most of the grades is the reference for the others, and is not left out.
    """
    counted = np.flatnonzero(weight > 0)
    cells = _Cells.of(grades, counted)
    if cells is None:
        return []
    differ = [*cells.by_judge().contradictions(grades, counted), *cells.contradictions(grades, counted)]
    return [each for each in differ if len(each.rows) <= len(grades) / 2]


@dataclass(frozen=True, slots=True)
class _Cells:
    """Sums of judges' grades: one cell for each judge, or for each judge and kind.

    Attributes
    ----------
    judge, kind : int arrays, shape (n_cells,)
        `kind` is -1 if all kinds are added up.
    n, total, expected, variance : float64 arrays, shape (n_cells,)
        Number of grades, their sum, the sum expected from the others' grades, and the variance of the difference.
    """

    judge: IntArray
    kind: IntArray
    n: FloatArray
    total: FloatArray
    expected: FloatArray
    variance: FloatArray

    @classmethod
    def of(cls, grades: Grades, counted: npt.NDArray[np.intp]) -> "_Cells | None":
        """Add up the grades that count; None if there are no judges to compare."""
        quality, judge, kind = grades.quality[counted], grades.judge[counted], grades.kind[counted]
        unnamed = judge < 0
        is_yardstick = unnamed if unnamed.sum() >= MIN_YARDSTICK else np.ones(len(judge), dtype=bool)
        n_kinds = int(grades.kind.max()) + 1 if len(grades) else 0
        named = np.flatnonzero(~unnamed)
        if not len(named) or len(np.unique(judge)) < 2:  # noqa: PLR2004
            return None
        labels, cell = np.unique(judge[named] * n_kinds + kind[named], return_inverse=True)
        of_judge, of_kind = labels // n_kinds, labels % n_kinds
        n, total = _summed(cell, np.ones(len(cell))), _summed(cell, quality[named])
        own = np.where(is_yardstick[named][np.unique(cell, return_index=True)[1]], 1.0, 0.0)
        others_n = np.bincount(kind[is_yardstick], minlength=n_kinds)[of_kind] - own * n
        others_total = np.bincount(kind[is_yardstick], quality[is_yardstick], minlength=n_kinds)[of_kind] - own * total
        level = _level_of_others(quality[is_yardstick], of_judge, own * n, own * total)
        variance = _variance(quality[is_yardstick], kind[is_yardstick])
        # If the others have few grades of a kind, the level counts like this many grades.
        prior = variance / _TOPIC_SPREAD**2
        expected = (others_total + prior * level) / (others_n + prior)
        return cls(of_judge, of_kind, n, total, n * expected, variance * (n + n**2 / (others_n + prior)))

    def by_judge(self) -> "_Cells":
        """Add up the cells of each judge."""
        judges, at = np.unique(self.judge, return_inverse=True)
        sums = (_summed(at, each) for each in (self.n, self.total, self.expected, self.variance))
        return _Cells(judges, np.full(len(judges), -1), *sums)

    def z(self) -> FloatArray:
        """Return by how many standard errors each cell's grades differ from the others', shape (n_cells,).

        Honest judges differ by more than chance, because their users and prompts differ. The median judge shows by how
        much, and a minority of liars hardly moves the median. If there are few judges, the largest of `_SPREADS` is
        assumed.
        """
        difference, base = self.total - self.expected, self.variance + _GRACE

        def scaled(spread: float) -> FloatArray:
            return np.asarray(difference / np.sqrt(base + (spread * self.n) ** 2), dtype=np.float64)

        if len(np.unique(self.judge)) < _FEW_JUDGES:
            return scaled(_SPREADS[-1])
        by_chance = _MEDIAN_Z + _MEDIAN_ERROR / np.sqrt(len(difference))
        wide_enough = (spread for spread in _SPREADS if _median_deviation(scaled(spread)) <= by_chance)
        return scaled(next(wide_enough, _SPREADS[-1]))

    def contradictions(self, grades: Grades, counted: npt.NDArray[np.intp]) -> list[Contradiction]:
        """Return the cells that differ from the others by more than `FULL_Z`."""
        z, found = self.z(), []
        for cell in np.flatnonzero(np.abs(z) > FULL_Z).tolist():
            judge, kind = int(self.judge[cell]), int(self.kind[cell])
            mine = grades.judge[counted] == judge
            if kind >= 0:
                mine &= grades.kind[counted] == kind
            n = self.n[cell]
            found.append(
                Contradiction(
                    judge,
                    None if kind < 0 else kind,
                    counted[mine],
                    float(self.total[cell] / n),
                    float(self.expected[cell] / n),
                    float(z[cell]),
                )
            )
        return found


def _median_deviation(values: FloatArray) -> float:
    """Return the median distance from the median, because one large liar shifts all others in the same direction."""
    return float(np.median(np.abs(values - np.median(values))))


def _summed(cell: IntArray, values: FloatArray) -> FloatArray:
    return np.asarray(np.bincount(cell, values), dtype=np.float64)


def _level_of_others(quality: FloatArray, judge: IntArray, own_n: FloatArray, own_total: FloatArray) -> FloatArray:
    """Return the mean of the reference grades without the judge's own, shape (n_cells,)."""
    _, at = np.unique(judge, return_inverse=True)
    n = len(quality) - np.bincount(at, own_n)[at]
    total = quality.sum() - np.bincount(at, own_total)[at]
    return np.asarray((total + 0.5) / (n + 1), dtype=np.float64)


def _variance(quality: FloatArray, kind: IntArray) -> float:
    """Return the variance of grades within a kind."""
    n = np.bincount(kind)
    mean = np.bincount(kind, quality) / np.maximum(n, 1)
    return max(float(((quality - mean[kind]) ** 2).mean()), _LEAST_VARIANCE)


def write_quarantine(artifact: Path, findings: Sequence[Finding]) -> None:
    """Write the findings beside a router, as ``<artifact>.quarantine.json``; without findings there is no file."""
    path = artifact.with_name(f"{artifact.name}.quarantine.json")
    if not findings:
        path.unlink(missing_ok=True)
        return
    content = [finding.as_dict() | {"reason": str(finding)} for finding in findings]
    path.write_text(json.dumps({"left_out": content}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _finding(
    found: Contradiction, grades: Grades, gone: npt.NDArray[np.bool_], model: str, names: Sequence[str]
) -> Finding:
    return Finding(
        judge=names[found.judge],
        model=model,
        n_grades=int((grades.judge == found.judge).sum()),
        n_left_out=int(gone[found.rows].sum()),
        mean=found.mean,
        expected=found.expected,
        z=found.z,
        is_of_topic=found.kind is not None,
    )
