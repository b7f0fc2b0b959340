"""Expected cost of a call: input tokens and predicted output tokens at list prices."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from router_model.catalog import Catalog

Float64Array = npt.NDArray[np.float64]

_USD_PER_TOKEN = 1e-6  # prices are per million tokens


def expected_cost_usd(
    catalog: Catalog,
    models: Sequence[str],
    *,
    n_input_tokens: Float64Array,
    tokens_per_piece: Float64Array,
    output_tokens: npt.NDArray[np.floating],
) -> Float64Array:
    """Return the expected cost of one call in USD, shape (n_prompts, n_models).

    Parameters
    ----------
    n_input_tokens : shape (n_prompts,)
        Our word pieces of each prompt.
    tokens_per_piece : shape (n_models,)
        The model's own input tokens for one of our word pieces, learned from logs.
    output_tokens : shape (n_prompts, n_models)
        Expected output tokens.

    Examples
    --------
    100 input tokens at 2 USD and 50 output tokens at 10 USD a million, 0.0002 + 0.0005 USD:

    >>> from decimal import Decimal
    >>> from router_model.catalog import ModelCard
    >>> catalog = Catalog({"m": ModelCard("m", Decimal(2), Decimal(10))})
    >>> expected_cost_usd(catalog, ["m"], n_input_tokens=np.array([100.0]),
    ...                   tokens_per_piece=np.ones(1), output_tokens=np.array([[50.0]])).round(6).tolist()
    [[0.0007]]
    """
    per_input = np.array([float(catalog[model].usd_per_mtok_input) for model in models]) * _USD_PER_TOKEN
    per_output = np.array([float(catalog[model].usd_per_mtok_output) for model in models]) * _USD_PER_TOKEN
    return np.asarray(n_input_tokens[:, None] * (tokens_per_piece * per_input) + output_tokens * per_output)
