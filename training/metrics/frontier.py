"""Metrics of the cost-quality frontier that a router's configurations reach.

A *configuration* of a router is one setting of its knob, with the mean cost and mean quality that it would have had on
n prompts. The *frontier* is the best quality that configurations reach at each cost. Definitions follow RouterBench (Hu
et al. 2024; AIQ), LLMRouterBench (Li et al. 2026; PerfGain, CostSave, ParetoDist) and RouterArena (Lu et al. 2025; the
arena score).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model import frontier_heights as heights

Float64Array = npt.NDArray[np.float64]

_ARENA_USD_PER_1000 = (0.0044, 200.0)
_ARENA_BETA = 0.1


@dataclass(frozen=True, slots=True, repr=False)
class Points:
    """Configurations of one router.

    Attributes
    ----------
    cost_usd, quality : float64 arrays, shape (n_configurations,)
        Means over prompts.
    """

    cost_usd: Float64Array
    quality: Float64Array

    def __repr__(self) -> str:
        return f"<Points of {len(self.cost_usd):,} configurations>"


@dataclass(frozen=True, slots=True)
class Singles:
    """The single models, each used for all prompts; routers are compared with them.

    Attributes
    ----------
    cost_usd, quality : float64 arrays, shape (n_models,)
    """

    cost_usd: Float64Array
    quality: Float64Array

    @property
    def cheapest(self) -> int:
        """Index of the model with the least mean cost; of equals, the better."""
        return int(heights.cheapest(self.cost_usd[None], self.quality[None])[0])

    @property
    def best(self) -> int:
        """Index of the model with the highest mean quality; of equals, the cheaper."""
        return int(heights.best(self.cost_usd[None], self.quality[None])[0])


def undominated(points: Points) -> Points:
    """Keep the configurations that are better than every cheaper one, in order of cost.

    Examples
    --------
    >>> undominated(Points(np.array([3.0, 1.0, 2.0]), np.array([0.9, 0.6, 0.5]))).cost_usd.tolist()
    [1.0, 3.0]
    """
    order = np.lexsort((-points.quality, points.cost_usd))
    cost, quality = points.cost_usd[order], points.quality[order]
    highest_before = np.concatenate([[-np.inf], np.maximum.accumulate(quality)[:-1]])
    kept = quality > highest_before
    return Points(cost[kept], quality[kept])


def aiq(points: Points, singles: Singles) -> float:
    """Return the average height of the frontier's concave hull over linear cost (RouterBench's AIQ).

    ``1 / (high - low) x integral of hull(c) dc``, from the cost of the cheapest single model to the cost of the best
    one. The hull is that of the configurations and the cheapest single model, non-decreasing and extended flat. If the
    cheapest model is also the best, there is no range, and the hull's height at this cost is returned.
    """
    return float(heights.hull_height(*_arrays(points), _ends(singles))[0])


def aiq_log(points: Points, singles: Singles) -> float:
    """Return the average height of the step frontier over the logarithm of cost, over `aiq`'s range.

    It counts the cheap end as much as the dear one, which matters if prices differ by factors of ten. If the cheapest
    model is free, the logarithm does not exist, and the height at the best single model's cost is returned.
    """
    return float(heights.step_height(*_arrays(points), _ends(singles))[0])


def perf_gain(points: Points, singles: Singles) -> float | None:
    """Return the best quality of a configuration divided by the best single model's, minus 1; None if that is 0.

    LLMRouterBench's PerfGain: ``max quality / quality of the best single - 1``.
    """
    return _or_none(heights.gain(points.quality[None], _ends(singles)))


def cost_save(points: Points, singles: Singles, *, share: float = 1.0) -> float | None:
    """Return the share of the best single model's cost saved at `share` of its quality; None if not reached or free.

    LLMRouterBench's CostSave: ``1 - (least cost with quality >= share x best single's) / best single's cost``;
    negative if the quality is reached at a higher cost.
    """
    return _or_none(heights.saving(*_arrays(points), _ends(singles), share=share))


def pareto_distance(points: Points, others: Sequence[Points]) -> float:
    """Return the mean distance of a router's configurations to the joint frontier (LLMRouterBench's ParetoDist).

    The joint frontier consists of the undominated configurations of this router and the others. Cost and quality are
    min-max scaled over all configurations. The distance of a configuration is the Euclidean distance to the nearest
    point of the frontier. So 0 means that no other router is better anywhere.
    """
    together = [points, *others]
    cost = np.concatenate([each.cost_usd for each in together])
    quality = np.concatenate([each.quality for each in together])
    joint = undominated(Points(cost, quality))
    cost_gap = (points.cost_usd[:, None] - joint.cost_usd) / (np.ptp(cost) or 1)
    quality_gap = (points.quality[:, None] - joint.quality) / (np.ptp(quality) or 1)
    return float(np.hypot(cost_gap, quality_gap).min(axis=1).mean())


def arena_score(accuracy: float, cost_usd: float) -> float:
    """Return RouterArena's score of one configuration, from accuracy and logarithmic cost; accuracy counts more.

    ``C = (log2 200 - log2 c) / (log2 200 - log2 0.0044)`` with c the USD per 1,000 prompts, clamped to that range,
    and ``S = 1.1 A C / (0.1 A + C)``.

    Parameters
    ----------
    accuracy : between 0 and 1
    cost_usd : mean of a prompt

    Examples
    --------
    Nothing is cheaper than 0.0044 USD per 1,000 prompts:

    >>> round(arena_score(0.8, 0.0), 4)
    0.8148
    """
    low, high = _ARENA_USD_PER_1000
    usd_per_1000 = float(np.clip(1000 * cost_usd, low, high))
    cheapness = float(np.log2(high / usd_per_1000) / np.log2(high / low))
    weight = _ARENA_BETA * accuracy + cheapness
    return (1 + _ARENA_BETA) * accuracy * cheapness / weight if weight > 0 else 0.0


def _arrays(points: Points) -> tuple[Float64Array, Float64Array]:
    return points.cost_usd[None], points.quality[None]


def _ends(singles: Singles) -> heights.Ends:
    return heights.Ends.of(singles.cost_usd[None], singles.quality[None])


def _or_none(values: Float64Array) -> float | None:
    return None if np.isnan(values[0]) else float(values[0])
