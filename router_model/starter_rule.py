"""How a starter decides: whether it routes, at which value of quality, and which model answers everything if not.

Choosing by difficulty pays only if the levels are right: on public tables that the anchors had not seen, wrong levels
cost more than difficulty brought (docs/decisions/0050). `least_gain` says from the levels' own errors what routing may
lose against the best mixes of single models, which nobody knows before there are outcomes.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from router_model.announced.level import Level
from router_model.frontier_heights import Ends, hull_height
from router_model.policy import best_by_value

Float64Array = npt.NDArray[np.float64]

MOST_LOSS: Final = 0.003
"""AIQ that routing may lose against the single models' hull, at the lower end of the 90 % interval."""

MAX_QUALITY_LOSS: Final = 0.01
"""Expected quality that the default rule may lose against the best model, as in training."""

_VALUES: Final = 200  # values of quality that are tried
_DRAWS: Final = 1_000  # of the levels
_TAIL: Final = 0.05  # of draws that may lose more, as below the levels' 90 % intervals


def least_gain(quality: Float64Array, cost: Float64Array, levels: Sequence[Level]) -> float:
    """Return what choosing by quality is worth against the single models' hull, at the lower end of its 90 % interval.

    True levels are drawn from what is known of them. In each draw, the AIQ of the sweep over the value of quality
    (`router_model.frontier_heights.hull_height`) is compared with that of the hull of single models. A model is as good
    on all prompts in this, so difficulty brings nothing, and the gain is 0 at most. On some
    tables that was so.

    Parameters
    ----------
    quality : shape (n_prompts, n_models), by which models are chosen
    cost : shape (n_models,), in USD
    levels : of the models

    Examples
    --------
    Three models, the dearer the better, and that is sure. Every mix of them is on the hull:

    >>> levels = [Level(odds, 0.01) for odds in (0.0, 1.0, 2.0)]
    >>> quality = expit(np.array([[level.log_odds for level in levels]]))
    >>> abs(round(least_gain(quality, np.array([1.0, 2.0, 4.0]), levels), 9))
    0.0

    Nothing is sure. The one in the middle is never chosen, but may be the best:

    >>> levels = [Level(odds, 0.5) for odds in (0.0, 0.4, 2.0)]
    >>> quality = expit(np.array([[level.log_odds for level in levels]]))
    >>> least_gain(quality, np.array([1.0, 2.0, 3.0]), levels) < -0.05
    True
    """
    shares = np.unique([_shares(_chosen(quality, cost, value), len(cost)) for value in _values(cost)], axis=0)
    odds, errors = np.array([(level.log_odds, level.error) for level in levels]).T
    drawn = expit(odds + errors * np.random.default_rng(0).standard_normal((_DRAWS, len(odds))))
    costs = np.broadcast_to(cost, drawn.shape)
    ends = Ends.of(costs, drawn)
    mixes = np.broadcast_to(shares @ cost, (_DRAWS, len(shares)))
    gains = hull_height(mixes, drawn @ shares.T, ends) - hull_height(costs, drawn, ends)
    return float(np.quantile(gains, _TAIL))


def value_of_quality(quality: Float64Array, cost: Float64Array) -> float:
    """Return the least value of quality, in USD, at which little quality is expected to be lost.

    Parameters
    ----------
    quality : shape (n_prompts, n_models)
    cost : shape (n_models,)

    Examples
    --------
    The dear model is better by 0.1 and costs 1 cent more. Below 10 cents the cheap one would be chosen:

    >>> round(value_of_quality(np.array([[0.8, 0.9]]), np.array([0.0, 0.01])), 2)
    0.1
    """
    best = quality.mean(axis=0).max()
    values = _values(cost)
    for value in values:
        chosen = _chosen(quality, cost, value)
        if np.take_along_axis(quality, chosen[:, None], axis=1).mean() >= best - MAX_QUALITY_LOSS:
            return value
    return values[-1]


def one_for_all(quality: Float64Array, cost: Float64Array, quality_value_usd: float | None) -> int:
    """Return the column of the model that answers everything where the starter does not route.

    It is the best at the value of quality. Without a value it is the cheapest that loses at most `MAX_QUALITY_LOSS`.

    Parameters
    ----------
    quality, cost : shape (n_models,)

    Examples
    --------
    The second of three loses 0.005. A mix of the others would be as good for less, so no value leads to it:

    >>> quality, cost = np.array([0.5, 0.895, 0.9]), np.array([0.01, 0.099, 0.1])
    >>> one_for_all(quality, cost, None), one_for_all(quality, cost, 0.226), one_for_all(quality, cost, 0.22)
    (1, 2, 0)
    """
    if quality_value_usd is None:
        is_enough = quality >= quality.max() - MAX_QUALITY_LOSS
        return int(np.lexsort((-quality, np.where(is_enough, cost, np.inf)))[0])
    return int(np.lexsort((cost, cost - quality_value_usd * quality))[0])


def _values(cost: Float64Array) -> list[float]:
    """Return values of quality that lead from the cheapest model to the best."""
    paid = cost[cost > 0]
    if not len(paid):
        return [1.0]  # all are free, so any value leads to the best
    return [float(value) for value in np.geomspace(paid.min(), 1e4 * paid.max(), _VALUES)]


def _chosen(quality: Float64Array, cost: Float64Array, value: float) -> npt.NDArray[np.intp]:
    everyone = np.ones(quality.shape, dtype=bool)
    return best_by_value(quality, np.broadcast_to(cost, quality.shape), everyone, success_value_usd=value)


def _shares(chosen: npt.NDArray[np.intp], n_models: int) -> Float64Array:
    """Return how often each model is chosen, shape (n_models,)."""
    return np.bincount(chosen, minlength=n_models) / len(chosen)
