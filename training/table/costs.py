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
    """Compute output tokens from billed costs if only the costs are known.

    ``output = (cost - fee - input x price) / output price``, never below 0. If the table has no input tokens, our own
    count is used. If the bill had cached input, the result is too small, because the table does not say how much.

    Parameters
    ----------
    n_input_tokens : shape (n,)
        Number of our word pieces in each prompt.
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
    """Return the cost of each call in USD, shape (n, m): the billed cost, else tokens at list prices, else NaN.

    A bill includes caches, reasoning and discounts. A table's token counts do not show these, so all tokens have the
    price of plain ones.
    """
    return np.where(np.isnan(outcomes.cost_usd), listed_costs(outcomes, catalog), outcomes.cost_usd)


def listed_costs(outcomes: Outcomes, catalog: Catalog) -> FloatArray:
    """Return tokens at list prices plus the fee of a request, in USD, shape (n, m); NaN if tokens are unknown."""
    per_input, per_output = token_prices(catalog, outcomes.models)
    fee = prices_usd(catalog, outcomes.models, "usd_per_request")
    return outcomes.input_tokens * per_input + outcomes.output_tokens * per_output + fee


def mean_cost_usd(costs: FloatArray) -> float:
    """Return the mean of costs, summed exactly (`math.fsum`) so that it does not depend on their order.

    >>> mean_cost_usd(np.array([0.1] * 10))
    0.1
    """
    return math.fsum(costs.tolist()) / len(costs)


def tokens_per_piece(outcomes: Outcomes, n_input_tokens: FloatArray) -> FloatArray:
    """Return each model's input tokens for one of our word pieces, shape (m,).

    A model without known input tokens gets the mean ratio of the others; if all lack them, 1.
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
    """Return the ratio of billed to listed cost for those models where they differ more than twofold.

    Only rows with costs and both token counts are compared. A large ratio shows a wrong price or a wrong unit.
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
