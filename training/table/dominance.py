"""Find dominated models: another model is at least as good and no dearer, and better in one of the two."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """The mean results of a model over all its logged training prompts.

    Attributes
    ----------
    model : str
    n_outcomes : int
        Number of graded answers.
    quality : float
        Mean quality over them.
    cost_usd : float
        Mean cost of a call; NaN if no cost is known.
    dominated_by : str or None
        The cheapest model that is at least as good and no dearer, and better in one of the two.
    """

    model: str
    n_outcomes: int
    quality: float
    cost_usd: float
    dominated_by: str | None


def model_records(models: tuple[str, ...], quality: Float64Array, cost_usd: Float64Array) -> tuple[ModelRecord, ...]:
    """Average each model's known outcomes, best quality first.

    Parameters
    ----------
    quality, cost_usd : shape (n_prompts, n_models)
        NaN if unknown; every model has at least one known quality.
    """
    mean_quality, mean_cost = _known_mean(quality), _known_mean(cost_usd)
    order = np.lexsort((mean_cost, -mean_quality))
    return tuple(
        ModelRecord(
            model=models[m],
            n_outcomes=int((~np.isnan(quality[:, m])).sum()),
            quality=float(mean_quality[m]),
            cost_usd=float(mean_cost[m]),
            dominated_by=_dominator(models, mean_quality, mean_cost, m),
        )
        for m in order.tolist()
    )


def _dominator(models: tuple[str, ...], quality: Float64Array, cost: Float64Array, model: int) -> str | None:
    no_worse = (quality >= quality[model]) & (cost <= cost[model])
    better = (quality > quality[model]) | (cost < cost[model])
    found = np.flatnonzero(no_worse & better)
    return models[int(found[np.argmin(cost[found])])] if len(found) else None


def _known_mean(values: Float64Array) -> Float64Array:
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
