"""Compute costs and token counts that an outcome table leaves out from the columns that it has."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from router_model.catalog import Catalog
from router_model.cost import prices_usd
from router_model.training.table.outcomes import Outcomes

FloatArray = npt.NDArray[np.float64]


def fill_tokens(outcomes: Outcomes, catalog: Catalog, n_input_tokens: FloatArray) -> Outcomes:
    """Work out output tokens from billed costs where only those are known.

    ``output = (cost - fee - input x price) / output price``, never below 0; the input tokens are ours where the
    table has none. Where a bill had cached input, this is too little, as the table does not say how much.

    Parameters
    ----------
    n_input_tokens : shape (n,)
        Our word pieces of each prompt.
    """
    per_input, per_output = token_prices(catalog, outcomes.models)
    fee = prices_usd(catalog, outcomes.models, "usd_per_request")
    given = ~np.isnan(outcomes.input_tokens)
    input_tokens = np.where(given, outcomes.input_tokens, n_input_tokens[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        implied = np.maximum(outcomes.cost_usd - fee - input_tokens * per_input, 0) / per_output
    implied = np.where(np.isfinite(implied), implied, np.nan)
    known = ~np.isnan(outcomes.output_tokens)
    output_tokens = np.where(known, outcomes.output_tokens, implied)
    return replace(outcomes, output_tokens=output_tokens)


def realised_costs(outcomes: Outcomes, catalog: Catalog) -> FloatArray:
    """Return what each call cost in USD, shape (n, m): as billed, else tokens at list prices, else NaN.

    A bill knows of caches, reasoning and discounts; a table's tokens do not, so all are at the price of plain ones.
    """
    return np.where(np.isnan(outcomes.cost_usd), listed_costs(outcomes, catalog), outcomes.cost_usd)


def listed_costs(outcomes: Outcomes, catalog: Catalog) -> FloatArray:
    """Return tokens at list prices plus the fee of a request, in USD, shape (n, m); NaN where tokens are unknown."""
    per_input, per_output = token_prices(catalog, outcomes.models)
    fee = prices_usd(catalog, outcomes.models, "usd_per_request")
    return outcomes.input_tokens * per_input + outcomes.output_tokens * per_output + fee


def mean_cost_usd(costs: FloatArray) -> float:
    """Return the mean of costs, added up exactly (`math.fsum`) so that it does not depend on their order.

    >>> mean_cost_usd(np.array([0.1] * 10))
    0.1
    """
    return math.fsum(costs.tolist()) / len(costs)


def tokens_per_piece(outcomes: Outcomes, n_input_tokens: FloatArray) -> FloatArray:
    """Return each model's input tokens for one of our word pieces, shape (m,).

    A model without known input tokens gets the others' mean ratio, and 1 where none has any.
    """
    known = ~np.isnan(outcomes.input_tokens)
    counted = np.where(known, outcomes.input_tokens, 0).sum(axis=0)
    pieces = np.where(known, n_input_tokens[:, None], 0).sum(axis=0)
    overall = counted.sum() / pieces.sum() if pieces.sum() > 0 else 1.0
    return np.where(pieces > 0, counted / np.maximum(pieces, 1), overall)


def token_prices(catalog: Catalog, models: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
    """Return USD per input and per output token, each of shape (m,)."""
    per_input = prices_usd(catalog, models, "usd_per_mtok_input") / 1e6
    per_output = prices_usd(catalog, models, "usd_per_mtok_output") / 1e6
    return per_input, per_output


def price_mismatches(outcomes: Outcomes, catalog: Catalog) -> dict[str, float]:
    """Return billed over listed cost of models where they differ more than twofold.

    Only rows with costs and both token counts are compared; a wrong price or a wrong unit shows here.
    """
    listed = listed_costs(outcomes, catalog)
    known = ~np.isnan(listed) & ~np.isnan(outcomes.cost_usd)
    billed = np.where(known, outcomes.cost_usd, 0).sum(axis=0)
    expected = np.where(known, listed, 0).sum(axis=0)
    ratios = {
        model: float(billed[column] / expected[column])
        for column, model in enumerate(outcomes.models)
        if expected[column] > 0
    }
    return {model: ratio for model, ratio in ratios.items() if not 0.5 <= ratio <= 2}  # noqa: PLR2004 twofold
