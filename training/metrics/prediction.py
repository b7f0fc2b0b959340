"""Metrics of predictions of P(success), cost and tokens.

Arrays have shape (n_prompts, n_models). Unknown outcomes are NaN, and all metrics leave them out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
Float64Array = npt.NDArray[np.float64]

_EPSILON = 1e-4
_N_BINS = 15


def weighted_auc(p: FloatArray, success: FloatArray, weights: FloatArray) -> Float64Array:
    """Return one model's area under the ROC curve for many weightings of the prompts, shape (n_weightings,).

    This is the weighted share of (success, failure) pairs in which the success has the higher probability; ties count
    one half (Mann & Whitney 1947). Pairs are sorted once. For each weighting, failures are added up in order of
    probability.

    Parameters
    ----------
    p, success : shape (n_prompts,)
    weights : shape (n_weightings, n_prompts)

    Returns
    -------
    float64 array, shape (n_weightings,)
        NaN if only successes or only failures have weight.
    """
    known = ~np.isnan(success)
    positive, negative = np.flatnonzero(known & (success > 0)), np.flatnonzero(known & (success <= 0))
    negative = negative[p[negative].argsort(kind="stable")]
    below = np.searchsorted(p[negative], p[positive], side="left")
    up_to = np.searchsorted(p[negative], p[positive], side="right")
    passed = np.zeros((len(weights), len(negative) + 1))
    np.cumsum(weights.take(negative, axis=1), axis=1, out=passed[:, 1:])
    mass = weights.take(positive, axis=1)
    twice = np.einsum("rp,rp->r", mass, passed.take(below, axis=1))
    twice += twice if np.array_equal(below, up_to) else np.einsum("rp,rp->r", mass, passed.take(up_to, axis=1))
    pairs = mass.sum(axis=1, dtype=np.float64) * passed[:, -1]
    return np.asarray(np.divide(twice, 2 * pairs, out=np.full(len(weights), np.nan), where=pairs > 0))


def auc_by_model(p: FloatArray, success: FloatArray) -> Float64Array:
    """Return each model's area under the ROC curve, shape (n_models,); NaN for a model that only succeeds or fails."""
    once = np.ones((1, len(p)))
    return np.array([weighted_auc(p[:, model], success[:, model], once)[0] for model in range(p.shape[1])])


def mean_auc(p: FloatArray, success: FloatArray) -> float:
    """Return the mean over models of the area under the ROC curve, of arrays (n, n_models).

    NaN successes are left out. Models that only succeed or only fail have no AUC and are left out. NaN if no model has
    an AUC.
    """
    areas = auc_by_model(p, success)
    defined = areas[~np.isnan(areas)]
    return float(np.mean(defined)) if len(defined) else float("nan")


def log_losses(p: FloatArray, success: FloatArray) -> Float64Array:
    """Return ``-ln p`` of each success and ``-ln(1 - p)`` of each failure, `p` clipped to [1e-4, 1 - 1e-4].

    The result has the shape of both; NaN if the outcome is unknown. Clipping keeps one certain error from dominating a
    mean.
    """
    inside = np.clip(p.astype(np.float64), _EPSILON, 1 - _EPSILON)
    return np.where(np.isnan(success), np.nan, -np.where(success > 0, np.log(inside), np.log1p(-inside)))


def log_loss(p: FloatArray, success: FloatArray) -> float:
    """Return the mean negative log likelihood of known outcomes, `p` clipped to [1e-4, 1 - 1e-4]; NaN without any."""
    return _mean_known(log_losses(p, success))


def log_loss_by_task(p: FloatArray, success: FloatArray, tasks: Sequence[str]) -> dict[str, float]:
    """Return the log loss on the prompts of each task, by name; prompts without a task are left out."""
    losses, labels = log_losses(p, success), np.array(tasks)
    return {str(task): _mean_known(losses[labels == task]) for task in np.unique(labels) if task}


def squared_errors(p: FloatArray, success: FloatArray) -> Float64Array:
    """Return ``(p - success)^2``, in the shape of both; NaN if the outcome is unknown."""
    return np.asarray((p.astype(np.float64) - success) ** 2)


def brier(p: FloatArray, success: FloatArray) -> float:
    """Return the mean squared difference between probability and outcome (Brier 1950); NaN without outcomes."""
    return _mean_known(squared_errors(p, success))


class Reliability(NamedTuple):
    """Predicted against observed success, in bins of (almost) equal numbers of outcomes.

    Attributes
    ----------
    predicted, observed : float64 arrays, shape (n_bins,)
        Means over the outcomes of a bin; `predicted` ascends.
    n : intp array, shape (n_bins,)
        Number of outcomes in a bin.
    """

    predicted: Float64Array
    observed: Float64Array
    n: npt.NDArray[np.intp]


def reliability_curve(p: FloatArray, success: FloatArray, *, n_bins: int = _N_BINS) -> Reliability:
    """Return the reliability curve over bins of equal mass; if there are fewer outcomes than bins, over fewer bins.

    Examples
    --------
    >>> curve = reliability_curve(np.array([0.1, 0.3, 0.8, 1.0]), np.array([0.0, 1.0, 1.0, 1.0]), n_bins=2)
    >>> curve.predicted.round(3).tolist(), curve.observed.tolist(), curve.n.tolist()
    ([0.2, 0.9], [0.5, 1.0], [2, 2])
    """
    probability, outcome = _by_probability(p, success)
    starts, n = _equal_bins(len(probability), n_bins)
    return Reliability(np.add.reduceat(probability, starts) / n, np.add.reduceat(outcome, starts) / n, n)


def calibration_error(p: FloatArray, success: FloatArray, *, n_bins: int = _N_BINS) -> float:
    """Return the expected calibration error over bins of equal mass (Nixon et al. 2019).

    ``sum over bins of n_bin / n x |mean probability - success rate|``.
    """
    curve = reliability_curve(p, success, n_bins=n_bins)
    return float(np.abs(curve.predicted - curve.observed) @ curve.n / curve.n.sum())


def excess_calibration_error(p: FloatArray, success: FloatArray, *, n_simulations: int = 200) -> float:
    """Return the calibration error above what a perfectly calibrated predictor would show on as many outcomes.

    A binned error is never 0 in a finite sample. So labels are simulated from the probabilities themselves, and the
    mean of their calibration errors is subtracted (the bias correction of Ferro & Fricker 2012, by simulation).
    """
    error = calibration_error(p, success)
    probability = p[~np.isnan(success)].astype(np.float64)
    order = np.argsort(probability, kind="stable")
    starts, n = _equal_bins(len(order), _N_BINS)
    expected = np.add.reduceat(probability[order], starts)
    rng = np.random.default_rng(0)
    floor = 0.0
    for _ in range(n_simulations):
        labels = (rng.random(len(order)) < probability)[order]
        simulated = np.add.reduceat(labels, starts, dtype=np.int64)
        floor += float(np.abs(expected - simulated).sum()) / float(n.sum())
    return error - floor / n_simulations


def median_percentage_error(predicted: FloatArray, actual: FloatArray) -> float:
    """Return the median of ``|predicted - actual| / actual``: a typical relative error of a cost or of tokens.

    True values of 0 have no relative error, so they are left out, and so are unknown values (NaN). NaN if none is left.

    Examples
    --------
    >>> median_percentage_error(np.array([1.0, 3.0, 5.0]), np.array([2.0, 2.0, 0.0]))
    0.5
    """
    counted = actual > 0
    if not counted.any():
        return float("nan")
    return float(np.median(np.abs(predicted[counted] - actual[counted]) / actual[counted]))


def _mean_known(values: Float64Array) -> float:
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if len(known) else float("nan")


def _by_probability(p: FloatArray, success: FloatArray) -> tuple[Float64Array, Float64Array]:
    """Return the probabilities of known outcomes, ascending, and the outcomes in the same order.

    Raises
    ------
    ValueError
        If no outcome is known.
    """
    known = ~np.isnan(success)
    if not known.any():
        raise ValueError(f"all {success.size} outcomes are unknown (NaN); calibration needs at least one")
    probability = p[known].astype(np.float64)
    order = np.argsort(probability, kind="stable")
    return probability[order], success[known][order].astype(np.float64)


def _equal_bins(n_outcomes: int, n_bins: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the start of each bin and its number of outcomes; the first bins have one more if necessary."""
    sizes = [len(part) for part in np.array_split(np.arange(n_outcomes), n_bins) if len(part)]
    n = np.array(sizes, dtype=np.intp)
    return np.cumsum(n) - n, n
