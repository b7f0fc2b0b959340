"""The spend curve: the expected mean cost of a request for each value of a success, where a budget pacer starts."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from router_model.errors import RequestError
from router_model.policy import best_by_value
from router_model.summary import Summarised, Summary
from router_model.wording import usd

Float64Array = npt.NDArray[np.float64]

_N_VALUES = 120
_TINY = 1e-12  # USD; the least cost, because free models have no logarithm


@dataclass(frozen=True, slots=True, repr=False)
class SpendCurve(Summarised):
    """Mean expected cost of a request, by success value.

    Attributes
    ----------
    success_values_usd : ascending, all above 0
    mean_cost_usd : strictly ascending, one for each value
    """

    success_values_usd: tuple[float, ...]
    mean_cost_usd: tuple[float, ...]
    _log_values: Float64Array = field(init=False, repr=False, compare=False)
    _log_costs: Float64Array = field(init=False, repr=False, compare=False)

    def summary(self) -> Summary:
        """Return the ends of the curve."""
        values, costs = self.success_values_usd, self.mean_cost_usd
        return Summary(
            f"SpendCurve of {len(values):,} values: a request costs {usd(costs[0])} where a success is worth "
            f"{usd(values[0])}, and {usd(costs[-1])} where it is worth {usd(values[-1])}"
        )

    def __post_init__(self) -> None:
        values, costs = self.success_values_usd, self.mean_cost_usd
        ascend = all(np.all(np.diff(column) > 0) for column in (values, costs))
        finite = np.isfinite([*values, *costs]).all()
        if not (values and len(values) == len(costs) and ascend and finite and values[0] > 0 and costs[0] >= 0):
            raise RequestError(
                f"a spend curve of {len(values)} values and {len(costs)} costs; expected as many of both, finite and "
                "ascending, values above 0 (make one with SpendCurve.measure)"
            )
        # logarithms are computed once, because a pacer interpolates twice for each request
        object.__setattr__(self, "_log_values", np.log(values))
        object.__setattr__(self, "_log_costs", np.log(np.maximum(costs, _TINY)))

    @classmethod
    def measure(cls, p_success: Float64Array, cost_usd: Float64Array) -> "SpendCurve":
        """Sweep the success value over predictions, from the cheapest model to the likeliest.

        Parameters
        ----------
        p_success, cost_usd : shape (n_prompts, n_models)
            Predictions for typical prompts; out of fold if these are training prompts.

        Examples
        --------
        One model is free and one costs 1 USD. A success worth 2 USD pays for it on the first prompt, and one worth 10
        USD on both. The next higher value of the grid stands for each:

        >>> curve = SpendCurve.measure(np.array([[0.4, 0.9], [0.4, 0.5]]), np.array([[0.0, 1.0], [0.0, 1.0]]))
        >>> curve.mean_cost_usd, [round(v) for v in curve.success_values_usd[1:]]
        ((0.0, 0.5, 1.0), [3, 13])
        """
        mean = cost_usd.mean(axis=0)
        low, high = max(float(mean.min()), 1e-9) / 100, max(float(mean.max()), 1e-9) * 1e5
        values = [float(f"{value:.4g}") for value in np.geomspace(low, high, _N_VALUES)]
        eligible, rows = np.ones(cost_usd.shape, dtype=bool), np.arange(len(cost_usd))
        costs = [
            cost_usd[rows, best_by_value(p_success, cost_usd, eligible, success_value_usd=value)].mean()
            for value in values
        ]
        rounded = np.maximum.accumulate([float(f"{cost:.5g}") for cost in costs])
        distinct, first = np.unique(rounded, return_index=True)
        return cls(tuple(values[index] for index in first), tuple(distinct.tolist()))

    def value_at(self, cost_usd: float) -> float:
        """Return the success value at which a request has this mean cost; outside the curve, its nearest end."""
        return math.exp(np.interp(_log(cost_usd), self._log_costs, self._log_values))

    def cost_at(self, success_value_usd: float) -> float:
        """Return the mean cost of a request at a success value, in USD."""
        return math.exp(np.interp(_log(success_value_usd), self._log_values, self._log_costs))

    def as_dict(self) -> dict[str, Any]:
        """Return the curve as plain JSON types."""
        return {
            "success_values_usd": list(self.success_values_usd),
            "mean_cost_usd": list(self.mean_cost_usd),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "SpendCurve":
        """Read what `as_dict` wrote."""
        return cls(tuple(content["success_values_usd"]), tuple(content["mean_cost_usd"]))


def _log(amount: float) -> float:
    return math.log(max(amount, _TINY))
