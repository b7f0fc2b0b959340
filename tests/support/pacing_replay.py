"""What a budget would have bought on a table of outcomes: a pacer on a stream, and the best fixed rule in hindsight."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.decision import Decision, Reason
from router_model.errors import TrainingError
from router_model.pacing.pacing import BudgetPacer
from router_model.plan import Plan
from router_model.policy import best_by_value
from router_model.prediction_table import PredictionTable

Float64Array = npt.NDArray[np.float64]

_N_VALUES = 1000


@dataclass(frozen=True, slots=True)
class Spent:
    """Mean realised cost in USD and mean quality of a stream of requests."""

    cost_usd: float
    quality: float


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests whose outcomes are known for every model.

    Attributes
    ----------
    table : PredictionTable
    cost_usd, quality : float64 arrays, shape (n_prompts, n_models)
        Realised.
    """

    table: PredictionTable
    cost_usd: Float64Array
    quality: Float64Array

    def decisions(self) -> list[Decision]:
        """Return a decision a prompt that leaves the choice to a pacer."""
        return [self._decision(row) for row in range(len(self.quality))]

    def _decision(self, row: int) -> Decision:
        table = self.table
        plan = Plan.of_row(table, row, np.arange(len(table.models)))
        return Decision(plan[0].model, Reason.BEST_TRADEOFF, plan, (), table.quality_bar, None, 0.0, 1.0, "")

    def best_static(self, limit_usd_per_request: float) -> Spent:
        """Return what the best single success value under the limit would have brought, chosen in hindsight.

        Raises
        ------
        TrainingError
            If even the cheapest choices cost more than the limit.
        """
        p, expected = self.table.p_success, self.table.expected_cost_usd
        rows, eligible = np.arange(len(p)), np.ones(p.shape, dtype=bool)
        mean = expected.mean(axis=0)
        found = []
        for value in [0.0, *np.geomspace(mean.min() / 100, mean.max() * 1e4, _N_VALUES)]:
            chosen = best_by_value(p, expected, eligible, success_value_usd=float(value))
            found.append(Spent(float(self.cost_usd[rows, chosen].mean()), float(self.quality[rows, chosen].mean())))
        within = [spent for spent in found if spent.cost_usd <= limit_usd_per_request]
        if not within:
            raise TrainingError(
                f"a limit of {limit_usd_per_request:.3g} USD per request; the cheapest choices cost "
                f"{found[0].cost_usd:.3g}; raise the limit"
            )
        return max(within, key=lambda spent: spent.quality)


def replay(
    pacer: BudgetPacer,
    stream: Stream,
    decisions: Sequence[Decision],
    order: npt.NDArray[np.intp],
    *,
    delay: int = 0,
) -> Spent:
    """Send the prompts of a stream through a pacer, one at a time.

    Parameters
    ----------
    decisions : of `Stream.decisions`, made once for many orders
    order : rows of the stream
    delay : requests that are decided before the realised cost of one comes in
    """
    columns = {model: column for column, model in enumerate(stream.table.models)}
    waiting: deque[tuple[int, float]] = deque()
    cost = quality = 0.0
    for row in order.tolist():
        paced = pacer.pace(decisions[row])
        column = columns[paced.decision.model]
        billed = float(stream.cost_usd[row, column])
        cost, quality = cost + billed, quality + float(stream.quality[row, column])
        waiting.append((paced.ticket, billed))
        if len(waiting) > delay:
            pacer.settle(*waiting.popleft())
    return Spent(cost / len(order), quality / len(order))
