"""Derive the price of a model that no catalog and no list knows from what a table says its answers cost.

If the table has tokens, the price is the one at which they give the bills. If it has billed costs alone, as tables of
RouterBench do, no price can be known. Then an answer's length is measured by its cost: a mean answer counts as
`DEFAULT_OUTPUT_TOKENS` output tokens, the price is what makes them cost the mean bill, and input is free. Costs are
then learned like output tokens (on the log scale, with the mean restored), and expected costs are in USD as billed.
"""

from decimal import Decimal

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from router_model.catalog import FROM_BILLS_ALONE, ModelCard
from router_model.training.table.outcomes import Outcomes
from router_model.training.table.targets import DEFAULT_OUTPUT_TOKENS

FloatArray = npt.NDArray[np.float64]

FROM_TOKENS = "billed costs and tokens of the table"

_MIN_BILLS = 20
"""Fewer bills with tokens do not tell the price of input from that of output."""


def billed_card(model: str, outcomes: Outcomes) -> ModelCard | None:
    """Return a card with the price that explains a model's bills, or None if the table bills none of its answers."""
    if model not in outcomes.models:
        return None
    column = outcomes.models.index(model)
    cost, read, written = (
        values[:, column] for values in (outcomes.cost_usd, outcomes.input_tokens, outcomes.output_tokens)
    )
    billed = np.isfinite(cost)
    if not billed.any():
        return None
    counted = billed & np.isfinite(read) & np.isfinite(written)
    if counted.sum() >= _MIN_BILLS:
        per_input, per_output = _prices(cost[counted], read[counted], written[counted])
        return _card(model, per_input, per_output, FROM_TOKENS)
    return _card(model, 0.0, float(cost[billed].mean()) / DEFAULT_OUTPUT_TOKENS, FROM_BILLS_ALONE)


def _prices(cost: FloatArray, read: FloatArray, written: FloatArray) -> tuple[float, float]:
    """Return USD per input and per output token, 0 or more, with the least squared error over the bills."""
    scale = np.array([max(values.mean(), 1.0) for values in (read, written)])
    found, _ = nnls(np.column_stack([read, written]) / scale / (cost.mean() or 1.0), cost / (cost.mean() or 1.0))
    per_input, per_output = found / scale
    return float(per_input), float(per_output)


def _card(model: str, per_input: float, per_output: float, source: str) -> ModelCard:
    per_mtok_input, per_mtok_output = (Decimal(f"{1e6 * price:.6f}").normalize() for price in (per_input, per_output))
    return ModelCard(
        model=model,
        usd_per_mtok_input=Decimal(format(per_mtok_input, "f")),
        usd_per_mtok_output=Decimal(format(per_mtok_output, "f")),
        price_source=source,
    )
