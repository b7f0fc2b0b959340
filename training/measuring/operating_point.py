"""Choose the operating point: the value of quality that a router uses if a request does not give a goal.

The rule is the cheapest that is not worse than the best single model, and this must be shown by the data: each value,
from the dearest down, is tested for non-inferiority with a margin (the accepted loss of mean quality), one-sided, and
the first failure ends the sequence. A sequence of tests in an order that was fixed before needs no correction for their
number (Maurer, Hothorn & Lehmacher 1995). Where not even the dearest value passes, the best single model is always
called. So a router gets more careful with fewer prompts, and not bolder (docs/decisions/0021).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from router_model.policy import OperatingPoint, best_by_value

Float64Array = npt.NDArray[np.float64]

MAX_QUALITY_LOSS = 0.01
"""The default of the mean quality that routing may lose against the best single model."""

CONFIDENCE = 0.95
"""Of each test."""

_N_VALUES = 200
_ENOUGH = 30  # outcomes of a model, for the normal interval of its mean


def choose_operating_point(
    expected_quality: Float64Array,
    cost_usd: Float64Array,
    quality: Float64Array,
    propensity: Float64Array,
    models: Sequence[str],
    *,
    together: Sequence[object],
    bar: float,
    max_quality_loss: float = MAX_QUALITY_LOSS,
) -> OperatingPoint:
    """Return the cheapest setting that is shown not to be worse than the best single model.

    Parameters
    ----------
    expected_quality, cost_usd : shape (n_prompts, n_models)
        Out-of-fold predictions.
    quality, propensity : shape (n_prompts, n_models); NaN where unknown
        For outcomes that are missing, `dr_outcomes` stand.
    models : ids
    together : of length n_prompts
        Prompts with equal entries are not independent, as turns of one conversation.
    bar : the quality bar of the operating point
    max_quality_loss : the margin, a difference of mean quality
    """
    rows, eligible = np.arange(len(quality)), np.ones(quality.shape, dtype=bool)
    groups: Any = np.unique(np.asarray(together), return_inverse=True)[1]  # numbers sort faster than names
    n_graded = np.count_nonzero(~np.isnan(quality), axis=0)
    logged, weight = np.any(np.isfinite(propensity), axis=1), _inverse_propensity(quality, propensity)
    quality = dr_outcomes(quality, propensity, expected_quality)
    may_be_best = np.broadcast_to(_enough(n_graded), quality.shape)
    best = best_single_model(quality, n_graded, groups, prompt_shares(may_be_best, logged, weight))
    passed = None
    means: dict[float, float] = {}
    for value in reversed(success_values(cost_usd)):
        chosen = best_by_value(expected_quality, cost_usd, eligible, success_value_usd=value)
        difference = quality[rows, chosen] - quality[:, best]
        reads = np.zeros(quality.shape, dtype=bool)
        reads[rows, chosen] = reads[:, best] = True
        share = prompt_shares(reads & (chosen != best)[:, None], logged, weight)
        means[value] = float(share @ difference)
        if means[value] - margin_of_error(difference, groups, share) < -max_quality_loss - 1e-12:
            break
        passed = value
    if passed is not None:
        return OperatingPoint(bar, passed)
    return OperatingPoint(bar, max(means, key=means.__getitem__), always_model=models[best])


def best_single_model(
    quality: Float64Array,
    n_graded: npt.NDArray[np.int_],
    together: Sequence[object],
    share: Float64Array | None = None,
) -> int:
    """Return the column of the model with the highest mean quality; of equal ones, the first.

    In a partial log the means are estimates, and the highest of several estimates is too high. There models are
    compared by the lower ends of their intervals, and a handful of answers is not enough to be the best. `share` says
    how much each prompt counts.
    """
    if n_graded.min() == len(quality):
        return int(np.argmax(quality.mean(axis=0)))
    mean = np.average(quality, axis=0, weights=share)
    error = np.array([margin_of_error(column, together, share) for column in quality.T])
    return int(np.argmax(np.where(_enough(n_graded), mean - error, -np.inf)))


def _enough(n_graded: npt.NDArray[np.int_]) -> npt.NDArray[np.bool_]:
    """Return which models have been graded often enough to be the best one."""
    return np.asarray(n_graded >= min(_ENOUGH, n_graded.max()))


def prompt_shares(reads: npt.NDArray[np.bool_], logged: npt.NDArray[np.bool_], weight: Float64Array) -> Float64Array:
    """Return how much each prompt counts in a mean over pairs of prompts and models, shape (n_prompts,), sum 1.

    Full evaluations and the prompts of a log are two samples. A doubly robust outcome has a variance of about 1 /
    propensity, so a mean in which all prompts count the same says less than the full evaluations alone, if a model was
    rarely explored. Each sample counts by what it says: by the inverse of its mean's variance. That follows from
    propensities and not from outcomes, so it does not bias the mean.

    Parameters
    ----------
    reads : bool array, shape (n_prompts, n_models)
        The pairs that the mean is over.
    logged : bool array, shape (n_prompts,)
        Prompts with propensities.
    weight : shape (n_prompts, n_models)
        1 / propensity of known pairs; 0 of unknown ones.
    """
    share = np.full(len(reads), 1 / len(reads))
    samples = [logged, ~logged]
    if not reads.any() or not all(sample.any() for sample in samples):
        return share
    variances = [_mean_weights(reads[sample], weight[sample]) for sample in samples]
    precision = [
        sample.sum() / (reads.mean(axis=0) @ variance) for sample, variance in zip(samples, variances, strict=True)
    ]
    for sample, part in zip(samples, precision, strict=True):
        share[sample] = part / sum(precision) / sample.sum()
    return share


def _mean_weights(reads: npt.NDArray[np.bool_], weight: Float64Array) -> Float64Array:
    """Return the mean of 1 / propensity over the prompts that read each model, shape (n_models,).

    It is estimated from the known pairs, and is at least the number of prompts for each known pair: where a model is
    hardly known, its few pairs do not say how rare they are.
    """
    n, known = reads.sum(axis=0), np.where(reads, weight, 0.0)
    least = np.maximum(n / (np.count_nonzero(known, axis=0) + 1), 1.0)
    return np.asarray(np.maximum((known**2).sum(axis=0) / np.maximum(n, 1), least))


def dr_outcomes(quality: Float64Array, propensity: Float64Array, predicted: Float64Array) -> Float64Array:
    """Return doubly robust outcomes, shape (n_prompts, n_models); a complete table comes back as it is.

    The estimate of a pair is ``predicted + known / propensity * (quality - predicted)``. Its mean over prompts is
    unbiased if either the propensities are right, or the predictions are (Robins, Rotnitzky & Zhao 1994; Dudik,
    Langford & Li 2011). A single one may lie far outside 0 to 1: only means over many prompts say something. Weights
    are not clipped, because clipping biases the mean.

    Parameters
    ----------
    quality : shape (n_prompts, n_models)
        NaN where it is unknown.
    propensity : shape (n_prompts, n_models)
        The probability with which a known pair was logged; NaN where nobody wrote it down. For a prompt without any, it
        is taken as the share of such prompts for which the model's outcome is known.
    predicted : shape (n_prompts, n_models)
        By a predictor that did not learn from the prompt.

    Examples
    --------
    The second model was asked on one prompt of two. Its success there counts twice, less what was predicted:

    >>> nan = float("nan")
    >>> dr_outcomes(np.array([[1.0, 1.0], [0.0, nan]]), np.full((2, 2), nan), np.full((2, 2), 0.75)).tolist()
    [[1.0, 1.25], [0.0, 0.75]]
    """
    weight = _inverse_propensity(quality, propensity)
    return np.asarray(predicted + weight * (np.where(np.isfinite(quality), quality, predicted) - predicted))


def _inverse_propensity(quality: Float64Array, propensity: Float64Array) -> Float64Array:
    """Return 1 / propensity of known pairs, and 0 of unknown ones."""
    known, written = np.isfinite(quality), np.isfinite(propensity)
    unwritten = ~np.any(written, axis=1, keepdims=True)
    share = np.count_nonzero(known & unwritten, axis=0) / max(np.count_nonzero(unwritten), 1)
    chance = np.where(written, propensity, np.where(unwritten, share, 1.0))
    return np.divide(1.0, chance, out=np.zeros_like(chance), where=known)


def margin_of_error(values: Float64Array, together: Sequence[object], share: Float64Array | None = None) -> float:
    """Return the distance from a mean to the end of its one-sided interval, with one cluster for each group."""
    error, n = clustered_error(values, together, share)
    return float(stats.t.ppf(CONFIDENCE, n - 1) * error) if np.isfinite(error) else np.inf


def clustered_error(
    values: Float64Array, together: Sequence[object] | npt.NDArray[np.intp], share: Float64Array | None = None
) -> tuple[float, int]:
    """Return the standard error of a mean, and the number of clusters: one for each group.

    `share` says how much each value counts in the mean, with sum 1; by default all count the same.

    Examples
    --------
    Ten copies of each of two prompts say as much as two prompts:

    >>> ten_times_two = np.repeat([0.0, 1.0], 10)
    >>> once, twice = clustered_error(np.array([0.0, 1.0]), [0, 1]), clustered_error(ten_times_two, [0] * 10 + [1] * 10)
    >>> round(once[0], 2), round(twice[0], 2), twice[1]
    (0.5, 0.5, 2)
    """
    share = np.full(len(values), 1 / len(values)) if share is None else share
    _, labels = np.unique(np.asarray(together), return_inverse=True)
    sums = np.bincount(labels, weights=share * (values - share @ values))
    n = len(sums)
    if n < 2:  # noqa: PLR2004  (a variance needs two)
        return np.inf, n
    return float(np.sqrt(n / (n - 1) * (sums**2).sum())), n


def success_values(cost_usd: Float64Array) -> list[float]:
    """Return values of a success that span everything from the cheapest model to the likeliest, ascending.

    Rounded to three digits, so that what is stored is what was tried.
    """
    mean_cost = cost_usd.mean(axis=0)
    low = max(float(mean_cost.min()), 1e-9) / 100
    high = max(float(mean_cost.max()), 1e-9) * 1e5
    return [0.0, *(float(f"{value:.3g}") for value in np.geomspace(low, high, _N_VALUES))]
