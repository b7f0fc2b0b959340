r"""Each model's mean quality, from a judge's grades of all answers and people's labels of a few.

A judge grades every answer and may be wrong; labels are right and few. Prediction-powered inference (Angelopoulos,
Bates, Fannjiang, Jordan & Zrnic, *Science*, 2023) uses both: the mean of the labels, moved by what the judge says of
the answers without labels. With n labelled answers of quality y and grade f, and N answers without a label,

.. math:: \hat\theta = \overline{(y - \lambda f)}_{n} + \lambda \, \overline{f}_{N}.

The result is right on average for every judge, if the labelled answers are a fair sample. :math:`\lambda` makes it
narrow (PPI++, Angelopoulos, Duchi & Zrnic, arXiv 2311.01453):
:math:`\lambda = cov(y, f) / ((1 + n/N) \, var(f))`, here cut to between 0 and 1. A judge that says nothing about the
labels gets 0, and only the labels count.

Intervals come from what each prompt adds to an estimate (its influence), summed over the prompts of a group. So the
difference of two models on the same prompts is paired. Two corrections are ours, for few labels: Student's t with two
degrees of freedom less than groups, and a little more variance: labels of twenty groups that all agree do not show that
the twenty-first does, so the interval then reaches about 3/20 (the rule of three).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from router_model.training.measuring.verdict import Estimate

Float64Array = npt.NDArray[np.float64]
Groups = npt.NDArray[np.intp]

_ADDED: Final = 2.25  # (3 / 1.96)^2: alone, it makes an interval of 3 / groups on both sides

MIN_LABELS: Final = 10
"""With fewer labels of a model, no interval is given: it would be a guess about a guess."""


@dataclass(frozen=True, slots=True)
class Influence:
    """An estimate, with what each group of prompts adds to it.

    Attributes
    ----------
    value : float
    of_group : float64 array, shape (n_groups,)
        The variance of the estimate is the sum of their squares.
    n : int
        Groups that it rests on.
    added : float
        Variance beside that of the groups.
    """

    value: float
    of_group: Float64Array
    n: int
    added: float = 0.0

    def minus(self, other: "Influence") -> "Influence":
        """Return the difference of two estimates on the same prompts."""
        return Influence(
            self.value - other.value,
            self.of_group - other.of_group,
            min(self.n, other.n),
            max(self.added, other.added),
        )

    def interval(self, alpha: float = 0.05) -> Estimate:
        """Return the estimate with its interval, which holds the truth with probability 1 - alpha."""
        freedom = max(self.n - 2, 1)
        variance = float((self.of_group**2).sum()) * self.n / freedom + self.added
        half = float(student.ppf(1 - alpha / 2, freedom)) * variance**0.5
        return Estimate(self.value, self.value - half, self.value + half)


def unseen_variance(n_groups: int) -> float:
    """Return what groups that all agree cannot show of the variance of a mean; see the rule of three above."""
    return _ADDED / n_groups**2 if n_groups else 0.0


def mean_of(values: Float64Array, groups: Groups, n_groups: int, *, added: bool = False) -> Influence:
    """Return the mean of the values that are known.

    Parameters
    ----------
    values : shape (n_prompts,); NaN if unknown
    groups : shape (n_prompts,)
    n_groups : int
    added : whether the variance has what equal values cannot show

    Examples
    --------
    Of 0, 1, 1 and 0 each adds (value - 1/2) / 4:

    >>> found = mean_of(np.array([0.0, 1, 1, 0]), np.arange(4), 4)
    >>> found.value, found.of_group.tolist()
    (0.5, [-0.125, 0.125, 0.125, -0.125])
    """
    known = ~np.isnan(values)
    n = int(known.sum())
    mean = float(values[known].mean()) if n else np.nan
    deviation = (values[known] - mean) / max(n, 1)
    of_group = np.asarray(np.bincount(groups[known], deviation, minlength=n_groups), dtype=np.float64)
    n_known = len(np.unique(groups[known]))
    return Influence(mean, of_group, n_known, unseen_variance(n_known) if added else 0.0)


def corrected_mean(
    judged: Float64Array, labels: Float64Array, groups: Groups, n_groups: int, *, tuning: float | None = None
) -> tuple[Influence, float]:
    r"""Return one model's mean quality by prediction-powered inference, and its :math:`\lambda`.

    Parameters
    ----------
    judged : the judge's grades, shape (n_prompts,); NaN if unknown
    labels : grades of people, shape (n_prompts,); NaN if unknown
        At least two on answers that the judge graded, too.
    groups : number of each prompt's group, shape (n_prompts,)
    n_groups : int
    tuning : :math:`\lambda`; None means the best one

    Examples
    --------
    The judge says 1, 0, 1, 1, 0, 1 and people 1, 0, 0 of the first three. With lambda 1, the mean is that of the other
    three grades, 2/3, plus that of the differences 0, 0 and -1:

    >>> grades, labels = np.array([1.0, 0, 1, 1, 0, 1]), np.array([1.0, 0, 0, np.nan, np.nan, np.nan])
    >>> found, _ = corrected_mean(grades, labels, np.arange(6), 6, tuning=1.0)
    >>> round(found.value, 4)
    0.3333

    The best lambda: cov(y, f) = 1/6 among the three, var(f) = 4/15 among the six, so 1/6 / (2 * 4/15) = 0.3125.

    >>> round(corrected_mean(grades, labels, np.arange(6), 6)[1], 4)
    0.3125
    """
    is_labelled = ~np.isnan(judged) & ~np.isnan(labels)
    is_other = ~np.isnan(judged) & np.isnan(labels)
    if tuning is None:
        tuning = _best_tuning(judged[is_labelled], labels[is_labelled], judged[is_other])
    rest = np.where(is_labelled, labels - tuning * judged, np.nan)
    corrected = mean_of(rest, groups, n_groups, added=True)
    if not is_other.any():
        return corrected, tuning
    others = mean_of(np.where(is_other, tuning * judged, np.nan), groups, n_groups)
    both = corrected.of_group + others.of_group
    return Influence(corrected.value + others.value, both, corrected.n, corrected.added), tuning


def _best_tuning(judged: Float64Array, labels: Float64Array, others: Float64Array) -> float:
    spread = float(np.var(np.concatenate([judged, others]), ddof=1))
    if not spread or not len(others):
        return 0.0
    together = float(np.cov(labels, judged)[0, 1])
    return float(np.clip(together / ((1 + len(labels) / len(others)) * spread), 0.0, 1.0))
