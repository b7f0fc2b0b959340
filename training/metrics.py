"""Metrics of predictions and of routers.

A *configuration* of a router is one setting of its knob, with the mean cost and mean quality it would have had
on n prompts. A *frontier* is what its configurations reach. Definitions follow RouterBench (AIQ) and
LLMRouterBench (PerfGain, CostSave); all are of `Points` and hand-worked in the tests.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

FloatArray = npt.NDArray[np.floating]
Float64Array = npt.NDArray[np.float64]

_EPSILON = 1e-4


@dataclass(frozen=True, slots=True)
class Points:
    """Configurations of one router.

    Attributes
    ----------
    cost_usd, quality : float64 arrays, shape (n_configurations,)
        Means over prompts.
    """

    cost_usd: Float64Array
    quality: Float64Array


@dataclass(frozen=True, slots=True)
class Singles:
    """Every model used for everything: what routers are compared with.

    Attributes
    ----------
    cost_usd, quality : float64 arrays, shape (n_models,)
    """

    cost_usd: Float64Array
    quality: Float64Array

    @property
    def cheapest(self) -> int:
        """Index of the model with the least mean cost; of equals, the better."""
        return int(np.lexsort((-self.quality, self.cost_usd))[0])

    @property
    def best(self) -> int:
        """Index of the model with the highest mean quality; of equals, the cheaper."""
        return int(np.lexsort((self.cost_usd, -self.quality))[0])


def aiq(points: Points, singles: Singles) -> float:
    """Return the average height of the frontier's concave hull over linear cost (RouterBench's AIQ).

    The hull of the configurations and the cheapest single model, non-decreasing and extended flat, averaged
    from the cheapest single model's cost to the best one's. Where those are the same model there is no range,
    and the hull's height at that cost is returned.
    """
    low, high = singles.cost_usd[singles.cheapest], singles.cost_usd[singles.best]
    cost, quality = _with_cheapest(points, singles)
    cost, quality = _concave_hull(*_steps(cost, quality))
    if high <= low:
        return float(np.interp(low, cost, quality))
    at = np.unique(np.concatenate([[low, high], cost[(cost > low) & (cost < high)]]))
    return float(np.trapezoid(np.interp(at, cost, quality), at) / (high - low))


def aiq_log(points: Points, singles: Singles) -> float:
    """Return the average height of the step frontier over the logarithm of cost, over `aiq`'s range."""
    low, high = singles.cost_usd[singles.cheapest], singles.cost_usd[singles.best]
    cost, quality = _steps(*_with_cheapest(points, singles))
    if high <= low or low <= 0:
        return float(quality[np.searchsorted(cost, high, side="right") - 1])
    edges = np.concatenate([[low], cost[(cost > low) & (cost < high)], [high]])
    height = quality[np.maximum(np.searchsorted(cost, edges[:-1], side="right") - 1, 0)]
    return float(np.diff(np.log(edges)) @ height / np.log(high / low))


def perf_gain(points: Points, singles: Singles) -> float | None:
    """Return the best quality of any configuration over the best single model's, minus 1; None if that is 0."""
    best = singles.quality[singles.best]
    return float(points.quality.max() / best - 1) if best > 0 else None


def cost_save(points: Points, singles: Singles, *, share: float = 1.0) -> float | None:
    """Return the share of the best single model's cost saved at `share` of its quality; None if not reached or free."""
    reached = points.quality >= share * singles.quality[singles.best] - 1e-12
    if not reached.any() or singles.cost_usd[singles.best] <= 0:
        return None
    return float(1 - points.cost_usd[reached].min() / singles.cost_usd[singles.best])


def mean_auc(p: FloatArray, success: FloatArray) -> float:
    """Return the mean over models of the area under the ROC curve, of arrays (n, n_models).

    NaN successes are left out; models that only ever succeed or fail have no AUC and are left out. NaN where
    no model has one.
    """
    areas = [_auc(p[:, model], success[:, model]) for model in range(p.shape[1])]
    defined = [area for area in areas if not np.isnan(area)]
    return float(np.mean(defined)) if defined else float("nan")


def log_loss(p: FloatArray, success: FloatArray) -> float:
    """Return the mean negative log likelihood of known outcomes, `p` clipped to [1e-4, 1 - 1e-4]."""
    known = ~np.isnan(success)
    inside = np.clip(p[known].astype(np.float64), _EPSILON, 1 - _EPSILON)
    return float(-np.mean(np.where(success[known] > 0, np.log(inside), np.log1p(-inside))))


def brier(p: FloatArray, success: FloatArray) -> float:
    """Return the mean squared difference between probability and outcome, over known outcomes."""
    known = ~np.isnan(success)
    return float(np.mean((p[known].astype(np.float64) - success[known]) ** 2))


def calibration_error(p: FloatArray, success: FloatArray, *, n_bins: int = 15) -> float:
    """Return the expected calibration error over bins of equal mass (Nixon et al. 2019)."""
    known = ~np.isnan(success)
    order = np.argsort(p[known], kind="stable")
    probability, outcome = p[known][order].astype(np.float64), success[known][order]
    bins = [part for part in np.array_split(np.arange(len(order)), n_bins) if len(part)]
    gaps = [len(part) * abs(probability[part].mean() - outcome[part].mean()) for part in bins]
    return float(np.sum(gaps) / len(order))


def excess_calibration_error(
    p: FloatArray, success: FloatArray, *, n_bins: int = 15, n_simulations: int = 200, seed: int = 0
) -> float:
    """Return the calibration error above what a perfectly calibrated predictor would show on as many outcomes.

    A binned error is never 0 in a finite sample. So labels are simulated from the probabilities themselves, and
    the mean of their calibration errors is taken off (the bias correction of Ferro & Fricker 2012, by simulation).
    """
    known = ~np.isnan(success)
    probability = p[known].astype(np.float64)
    simulated = np.random.default_rng(seed).random((n_simulations, len(probability))) < probability
    floor = np.mean([calibration_error(probability, labels, n_bins=n_bins) for labels in simulated.astype(np.float64)])
    return calibration_error(p, success, n_bins=n_bins) - float(floor)


def _auc(p: FloatArray, success: FloatArray) -> float:
    known = ~np.isnan(success)
    positive = success[known] > 0
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    rank_sum = float(rankdata(p[known])[positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def _with_cheapest(points: Points, singles: Singles) -> tuple[Float64Array, Float64Array]:
    index = singles.cheapest
    return (
        np.append(points.cost_usd, singles.cost_usd[index]),
        np.append(points.quality, singles.quality[index]),
    )


def _steps(cost: Float64Array, quality: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Keep the configurations that no cheaper one equals, in order of cost."""
    order = np.lexsort((-quality, cost))
    cost, quality = cost[order], quality[order]
    highest_before = np.concatenate([[-np.inf], np.maximum.accumulate(quality)[:-1]])
    kept = quality > highest_before
    return cost[kept], quality[kept]


def _concave_hull(cost: Float64Array, quality: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return the corners of the upper hull of points that ascend in both."""
    hull: list[int] = []
    for i in range(len(cost)):
        while len(hull) >= 2 and _below(cost, quality, hull[-2], hull[-1], i):  # noqa: PLR2004
            hull.pop()
        hull.append(i)
    return cost[hull], quality[hull]


def _below(cost: Float64Array, quality: Float64Array, left: int, middle: int, right: int) -> bool:
    rise = (quality[middle] - quality[left]) * (cost[right] - cost[left])
    return bool(rise <= (quality[right] - quality[left]) * (cost[middle] - cost[left]))
