"""Read values off cost-quality frontiers, for many bootstrap resamples at once.

A plain evaluation is a single resample. Arrays of configurations have shape (n_resamples, n_configurations) and hold
their mean costs and mean qualities. A value that does not exist (the best model is free, or a quality is not reached)
is NaN. `router_model.training.metrics.frontier` has the public metrics with their names and sources.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

_TOLERANCE = 1e-12


class Ends(NamedTuple):
    """The cheapest and the best single model of every resample.

    Attributes
    ----------
    low, high : float64 arrays, shape (n_resamples,)
        Mean costs of the two, which are the ends of the range over which heights are averaged.
    cheapest_quality, best_quality : float64 arrays, shape (n_resamples,)
    """

    low: Float64Array
    high: Float64Array
    cheapest_quality: Float64Array
    best_quality: Float64Array

    @classmethod
    def of(cls, cost: Float64Array, quality: Float64Array) -> "Ends":
        """Find both models among the single models, given as arrays of shape (n_resamples, n_models)."""
        rows = np.arange(len(cost))
        low, high = cheapest(cost, quality), best(cost, quality)
        return cls(cost[rows, low], cost[rows, high], quality[rows, low], quality[rows, high])


def cheapest(cost: Float64Array, quality: Float64Array) -> Rows:
    """Return the column with the least cost in each row; of equals, the better."""
    return np.asarray(np.lexsort((-quality, cost), axis=-1)[:, 0])


def best(cost: Float64Array, quality: Float64Array) -> Rows:
    """Return the column with the highest quality in each row; of equals, the cheaper."""
    return np.asarray(np.lexsort((cost, -quality), axis=-1)[:, 0])


def hull_height(cost: Float64Array, quality: Float64Array, ends: Ends) -> Float64Array:
    """Return the mean height of the non-decreasing concave hull over linear cost, shape (n_resamples,).

    The hull is walked corner by corner from the cheapest point, always up the steepest slope (gift wrapping, Jarvis
    1973), in all resamples at once. From the last corner on it is flat. If the range of costs has no width, the height
    at that cost is returned.
    """
    cost, quality = _with_cheapest(cost, quality, ends)
    rows = np.arange(len(cost))
    x = cost.min(axis=1)
    y = np.where(cost == x[:, None], quality, -np.inf).max(axis=1)
    area, at_low = np.zeros((2, len(cost)))
    while True:
        ahead = (cost > x[:, None]) & (quality > y[:, None]) & (x < ends.high)[:, None]
        if not ahead.any():
            break
        slopes = np.full(cost.shape, -1.0)
        np.divide(quality - y[:, None], cost - x[:, None], out=slopes, where=ahead)
        corner = slopes.argmax(axis=1)
        slope = np.maximum(slopes[rows, corner], 0)
        stop = np.where(slope > 0, cost[rows, corner], x)
        left, right = np.clip(x, ends.low, ends.high), np.clip(stop, ends.low, ends.high)
        area += (right - left) * (y + slope * ((left + right) / 2 - x))
        at_low = np.where(x <= ends.low, y + slope * (np.minimum(ends.low, stop) - x), at_low)
        y = np.where(slope > 0, quality[rows, corner], y)
        x = stop
    area += (ends.high - np.clip(x, ends.low, ends.high)) * y
    at_low = np.where(x <= ends.low, y, at_low)
    width = ends.high - ends.low
    return np.asarray(np.divide(area, width, out=at_low, where=width > 0))


def step_height(cost: Float64Array, quality: Float64Array, ends: Ends) -> Float64Array:
    """Return the mean height of the step frontier over the logarithm of cost, shape (n_resamples,).

    At each cost, the frontier has the best quality of all points that cost at most that. If the range of costs has no
    width or starts at 0, the height at its upper end is returned.
    """
    cost, quality = _with_cheapest(cost, quality, ends)
    order = cost.argsort(axis=1)
    cost, quality = (np.take_along_axis(array, order, axis=1) for array in (cost, quality))
    height = np.maximum.accumulate(quality, axis=1)
    proper = (ends.low > 0) & (ends.high > ends.low)
    low, high = np.where(proper, ends.low, 1)[:, None], np.where(proper, ends.high, 1)[:, None]
    edges = np.log(np.append(np.clip(cost, low, high), high, axis=1))
    area = (np.diff(edges, axis=1) * height).sum(axis=1)
    at_high = np.where(cost <= ends.high[:, None], quality, -np.inf).max(axis=1)
    return np.asarray(np.divide(area, np.log(high / low)[:, 0], out=at_high, where=proper))


def gain(quality: Float64Array, ends: Ends) -> Float64Array:
    """Return the best quality divided by the best single model's, minus 1, shape (n_resamples,); NaN if that is 0."""
    return _ratio(quality.max(axis=1), ends.best_quality) - 1


def saving(cost: Float64Array, quality: Float64Array, ends: Ends, *, share: float) -> Float64Array:
    """Return the share of the best single model's cost saved at `share` of its quality, shape (n_resamples,).

    NaN if that quality is not reached, or if the best single model is free.
    """
    reached = quality >= (share * ends.best_quality - _TOLERANCE)[:, None]
    least = np.where(reached, cost, np.inf).min(axis=1)
    return 1 - _ratio(np.where(np.isfinite(least), least, np.nan), ends.high)


def _ratio(values: Float64Array, reference: Float64Array) -> Float64Array:
    return np.asarray(np.divide(values, reference, out=np.full(len(values), np.nan), where=reference > 0))


def _with_cheapest(cost: Float64Array, quality: Float64Array, ends: Ends) -> tuple[Float64Array, Float64Array]:
    return np.column_stack([cost, ends.low]), np.column_stack([quality, ends.cheapest_quality])
