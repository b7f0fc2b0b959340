"""Expected cost of a call at list prices: input tokens, predicted output tokens and fees.

Amounts are floats, because one decision may compare thousands of them. `router_model.catalog.ModelCard.cost_usd` is
the exact cost of one call. Two simplifications: all predicted output is billed at the output price, because the share
of reasoning tokens is not predicted; and tokens written to a cache are billed like tokens read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.catalog import Catalog

Float64Array = npt.NDArray[np.float64]

_USD_PER_TOKEN = 1e-6  # prices are per million tokens


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """The prices of m models, read from their cards once; float64 arrays of shape (m,).

    Attributes
    ----------
    usd_per_input_token, usd_per_cached_token, usd_per_output_token
    usd_per_request, usd_per_image
        0 if a card has no fee.
    """

    usd_per_input_token: Float64Array
    usd_per_cached_token: Float64Array
    usd_per_output_token: Float64Array
    usd_per_request: Float64Array
    usd_per_image: Float64Array

    @classmethod
    def of(cls, catalog: Catalog, models: Sequence[str]) -> "Prices":
        """Read the prices of `models`, in their order."""
        per_cached = prices_usd(catalog, models, "usd_per_mtok_cached_input", default="usd_per_mtok_input")
        return cls(
            usd_per_input_token=prices_usd(catalog, models, "usd_per_mtok_input") * _USD_PER_TOKEN,
            usd_per_cached_token=per_cached * _USD_PER_TOKEN,
            usd_per_output_token=prices_usd(catalog, models, "usd_per_mtok_output") * _USD_PER_TOKEN,
            usd_per_request=prices_usd(catalog, models, "usd_per_request"),
            usd_per_image=prices_usd(catalog, models, "usd_per_image"),
        )

    def expected_cost_usd(
        self,
        *,
        n_input_tokens: Float64Array,
        tokens_per_piece: Float64Array,
        output_tokens: npt.NDArray[np.floating],
        cached_input_tokens: npt.NDArray[np.floating] | None = None,
        n_images: Float64Array | None = None,
    ) -> Float64Array:
        """Return the expected cost of one call in USD, shape (n_prompts, n_models).

        Parameters
        ----------
        n_input_tokens : shape (n_prompts,)
            Number of our word pieces in each prompt.
        tokens_per_piece : shape (n_models,)
            How many of the model's own input tokens correspond to one of our word pieces, learned from logs.
        output_tokens : shape (n_prompts, n_models)
            Expected output tokens.
        cached_input_tokens : shape (n_prompts,) or (n_prompts, n_models), optional
            The model's own tokens that it would read from a warm cache, at most its input. A session's cache is warm
            for the models that the session has used, so the others have 0. Default: none.
        n_images : shape (n_prompts,), optional
            Images in each prompt. Default: none.

        Examples
        --------
        100 input tokens at 2 USD and 50 output tokens at 10 USD a million, 0.0002 + 0.0005 USD; with 80 of the input
        tokens in a warm cache at 0.5 USD a million, 0.00004 + 0.00004 + 0.0005 USD:

        >>> from decimal import Decimal
        >>> from router_model.catalog import ModelCard
        >>> card = ModelCard("m", Decimal(2), Decimal(10), usd_per_mtok_cached_input=Decimal("0.5"))
        >>> prices = Prices.of(Catalog({"m": card}), ["m"])
        >>> known = {"n_input_tokens": np.array([100.0]), "tokens_per_piece": np.ones(1),
        ...          "output_tokens": np.array([[50.0]])}
        >>> prices.expected_cost_usd(**known).round(6).tolist()
        [[0.0007]]
        >>> prices.expected_cost_usd(**known, cached_input_tokens=np.array([80.0])).round(6).tolist()
        [[0.00058]]
        """
        cost = n_input_tokens[:, None] * (tokens_per_piece * self.usd_per_input_token)
        cost += output_tokens * self.usd_per_output_token
        cost += self.usd_per_request
        if n_images is not None:
            cost += n_images[:, None] * self.usd_per_image
        if cached_input_tokens is not None:
            warm = cached_input_tokens[:, None] if cached_input_tokens.ndim == 1 else cached_input_tokens
            saved = self.usd_per_input_token - self.usd_per_cached_token
            cost -= np.minimum(warm, n_input_tokens[:, None] * tokens_per_piece) * saved
        return np.asarray(cost)


def prices_usd(catalog: Catalog, models: Sequence[str], name: str, *, default: str | None = None) -> Float64Array:
    """Return one price of every model's card, shape (n_models,), in its own unit.

    If a card lacks this price, its price named `default` is used, or else 0.
    """
    prices = [getattr(catalog[model], name) for model in models]
    if default is not None:
        others = [getattr(catalog[model], default) for model in models]
        prices = [other if price is None else price for price, other in zip(prices, others, strict=True)]
    return np.array([float(price or 0) for price in prices])
