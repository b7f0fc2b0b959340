"""Compute the saving when a provider still has the conversation in its prompt cache (a *warm* cache).

A provider that has just read a conversation reads it again at a lower price. So the model that answered the last turn
of a session is cheaper for the next turn than for a new conversation. The caller says which caches are warm; this
module computes the saving. Two simplifications: all tokens that the provider read are still cached, and no tokens that
the model wrote are cached.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from router_model.cost import Prices
from router_model.prediction_table import PredictionTable

Float64Array = npt.NDArray[np.float64]

WarmCache: TypeAlias = Mapping[str, float]
"""Model -> our word pieces of the prompt that its provider has in a warm cache. Unknown models are ignored."""


def saving_usd(
    prices: Prices,
    models: Sequence[str],
    warm_caches: Sequence[WarmCache | None],
    *,
    n_input_tokens: Float64Array,
    tokens_per_piece: Float64Array,
) -> Float64Array:
    """Return the saving of one call by warm caches, in USD, shape (n_prompts, n_models).

    ``min(warm pieces, pieces) x tokens per piece x (input price - cached price)``. `expected_cost_usd` is lower by the
    same amount with these tokens as ``cached_input_tokens``. The saving is 0 if the catalog has no cached price, and
    negative if reading a cache is dearer.

    Parameters
    ----------
    warm_caches : n_prompts mappings, or None for a prompt without warm caches
    n_input_tokens : shape (n_prompts,)
        Number of our word pieces in each prompt.
    tokens_per_piece : shape (n_models,)
        How many of the model's own input tokens correspond to one of our word pieces.

    Examples
    --------
    800 of 1,000 pieces are warm, at 1.5 tokens per piece: 1,200 tokens cost 0.2 instead of 2 USD a million.

    >>> from decimal import Decimal
    >>> from router_model.catalog import Catalog, ModelCard
    >>> card = ModelCard("m", Decimal(2), Decimal(8), usd_per_mtok_cached_input=Decimal("0.2"))
    >>> saving_usd(Prices.of(Catalog({"m": card}), ["m"]), ["m"], [{"m": 800.0}], n_input_tokens=np.array([1000.0]),
    ...            tokens_per_piece=np.array([1.5])).round(6).tolist()
    [[0.00216]]
    """
    warm = np.zeros((len(warm_caches), len(models)))
    for row, cache in enumerate(warm_caches):
        for model, pieces in (cache or {}).items():
            if model in models:
                warm[row, models.index(model)] = pieces
    cheaper = prices.usd_per_input_token - prices.usd_per_cached_token
    return np.asarray(np.minimum(warm, n_input_tokens[:, None]) * tokens_per_piece * cheaper)


def with_warm_caches(table: PredictionTable, saved_usd: Float64Array) -> PredictionTable:
    """Return the table with costs lowered by the savings of warm caches; a cost is never below 0."""
    return replace(table, expected_cost_usd=np.maximum(table.expected_cost_usd - saved_usd, 0.0))
