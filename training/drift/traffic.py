"""Tell whether the prompts of today are of another kind than those of before.

A classifier two-sample test (Lopez-Paz and Oquab 2017) looks at the embeddings: a linear classifier learns on one half
of the prompts to tell old from new; if it can tell those of the other half, the two differ. The population stability
index looks at one number at a time, such as the length of prompts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

_RIDGE = 0.1
"""Part of the mean variance that is added to each direction's, as a few hundred prompts span few of the directions."""
_N_BINS = 10


@dataclass(frozen=True, slots=True)
class Shift:
    """The result of a two-sample test.

    Attributes
    ----------
    effect : float
        AUC of the classifier on held-out prompts, minus 1/2: 0 if nothing tells them apart, 1/2 if everything does.
    p_value : float
        Of no difference, by permutation; 1 / (n_permutations + 1) at least.
    n_before, n_after : int
    """

    effect: float
    p_value: float
    n_before: int
    n_after: int


def two_sample_test(before: FloatArray, after: FloatArray, *, n_permutations: int = 999, seed: int = 0) -> Shift:
    """Test whether two samples of vectors come from one distribution.

    The rows must be independent: give one prompt of each conversation.

    Parameters
    ----------
    before, after : shape (n_before, dimension) and (n_after, dimension); 4 rows or more each

    Raises
    ------
    ValueError
        If a sample has fewer than 4 rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> same = two_sample_test(rng.normal(size=(400, 8)), rng.normal(size=(400, 8)))
    >>> moved = two_sample_test(rng.normal(size=(400, 8)), rng.normal(size=(400, 8)) + 0.5)
    >>> abs(same.effect) < 0.1, moved.effect > 0.2, moved.p_value
    (True, True, 0.001)
    """
    if min(len(before), len(after)) < 4:  # noqa: PLR2004  two to learn from and two to test
        raise ValueError(f"got {len(before)} and {len(after)} vectors; expected 4 or more of each")
    rng = np.random.default_rng(seed)
    learn_before, test_before = _halves(before, rng)
    learn_after, test_after = _halves(after, rng)
    direction = _discriminant(learn_before, learn_after)
    scores = np.concatenate([test_before @ direction, test_after @ direction])
    is_after = np.repeat([False, True], [len(test_before), len(test_after)])
    ranks = _mid_ranks(scores)
    effect = _auc(ranks, is_after) - 0.5
    by_chance = [_auc(ranks, rng.permutation(is_after)) - 0.5 for _ in range(n_permutations)]
    p_value = (1 + sum(other >= effect for other in by_chance)) / (n_permutations + 1)
    return Shift(float(effect), float(p_value), len(before), len(after))


def stability_index(before: FloatArray, after: FloatArray) -> float:
    """Return the population stability index of one number, over tenths of the values before.

    It is ``sum (q - p) ln(q / p)`` over the bins. The shares p before and q after are counted with half a value
    more in each bin, so that an empty bin is not infinitely far away. Below 0.1 counts as stable, above 0.25 as a
    shift.

    Examples
    --------
    >>> stability_index(np.arange(1000.0), np.arange(1000.0))
    0.0
    >>> stability_index(np.arange(1000.0), np.arange(1000.0) + 300) > 0.25
    True
    """
    tenths = np.linspace(0, 1, _N_BINS + 1)[1:-1]
    edges = np.unique(np.quantile(before, tenths, method="inverted_cdf"))

    def shares(values: FloatArray) -> npt.NDArray[np.float64]:
        counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) + 0.5
        return np.asarray(counts / counts.sum())

    p, q = shares(before), shares(after)
    return float(((q - p) * np.log(q / p)).sum())


def _halves(rows: FloatArray, rng: np.random.Generator) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    order = rng.permutation(len(rows))
    middle = len(rows) // 2
    return rows[order[:middle]].astype(np.float64), rows[order[middle:]].astype(np.float64)


def _discriminant(before: FloatArray, after: FloatArray) -> npt.NDArray[np.float64]:
    """Return Fisher's linear discriminant with a ridge."""
    centred = np.concatenate([before - before.mean(axis=0), after - after.mean(axis=0)])
    within = centred.T @ centred / len(centred)
    ridge = _RIDGE * np.trace(within) / len(within) + np.finfo(np.float64).tiny
    return np.asarray(np.linalg.solve(within + ridge * np.eye(len(within)), after.mean(axis=0) - before.mean(axis=0)))


def _mid_ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def _auc(ranks: npt.NDArray[np.float64], is_after: npt.NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve (the statistic of Mann and Whitney over its largest value)."""
    n = int(is_after.sum())
    return float((ranks[is_after].sum() - n * (n + 1) / 2) / (n * (len(ranks) - n)))
