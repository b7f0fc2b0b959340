"""The greatest possible cost of a call, which is reserved from budgets before the call is sent."""

from decimal import Decimal
from typing import Final

from router_model.catalog import ModelCard
from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.providers.provider import Target

OUTPUT_TOKENS: Final = 4096
"""The tokens that a model may write if neither the request nor the catalog sets a limit."""
LARGEST_OUTPUT_TOKENS: Final = 131_072
"""The most that any model writes whose limit and window the catalog does not know; the largest in use write 128,000."""
MOST_BYTES_A_TOKEN: Final = 128
"""The longest tokens in use (o200k: runs of spaces)."""
TOKENS_AN_IMAGE: Final = 2000
"""Input tokens an image counts as; providers count between 85 and about 1,600 for one of common size."""


def worst_case_usd(
    card: ModelCard,
    n_input_tokens: int,
    max_output_tokens: int | None = None,
    n_images: int = 0,
    *,
    n_answers: int = 1,
    caches_1h: bool = False,
) -> Decimal:
    """Return what a call may cost at most, in USD.

    Every token is billed at the dearest price it can have: input may be written to the cache, output may be reasoning.

    Parameters
    ----------
    card : ModelCard
    n_input_tokens : int
        Not less than the provider counts: the UTF-8 bytes of the text are such a bound, as no token is shorter.
    max_output_tokens : int or None
        Of the request. It counts as far as the model can write: the card's limit, else its window without the
        input, else `LARGEST_OUTPUT_TOKENS`. None: the card's limit, or else `OUTPUT_TOKENS`.
    n_images : int
    n_answers : int
        The request's ``n``.
    caches_1h : bool
        Whether the request asks that its input is kept in the provider's cache for an hour.

    Examples
    --------
    >>> card = ModelCard("m", Decimal(3), Decimal(15), usd_per_mtok_cache_write=Decimal("3.75"), max_output_tokens=8000)
    >>> worst_case_usd(card, 2000)  # 2,000 x 3.75 + 8,000 x 15 a million
    Decimal('0.1275')
    >>> worst_case_usd(card, 2000, 100)
    Decimal('0.009')
    """
    read = max(_known(card.usd_per_mtok_input, card.usd_per_mtok_cached_input, card.usd_per_mtok_cache_write))
    if caches_1h:
        read = max(read, card.usd_per_mtok_1h_write)
    written = max(_known(card.usd_per_mtok_output, card.usd_per_mtok_reasoning))
    n_read = n_input_tokens + n_images * TOKENS_AN_IMAGE
    n_written = n_answers * _most_output(card, max_output_tokens, n_input_tokens)
    tokens_usd = (n_read * read + n_written * written) / 1_000_000
    return tokens_usd + sum(_known(card.usd_per_request)) + n_images * sum(_known(card.usd_per_image))


def priced(target: Target) -> ModelCard:
    """Return the prices of a candidate.

    Raises
    ------
    InvalidRequestError
        If they are not known.
    """
    if target.card is None:
        raise InvalidRequestError(
            f"model {target.model!r} has no price in the catalog, so the cost of the call cannot be bounded; with a "
            "budget, only models with a price can be called: ask for another, or have its price added",
            param="model",
        )
    return target.card


def _most_output(card: ModelCard, asked: int | None, n_input_tokens: int) -> int:
    """Return the most tokens of one answer: what is asked for, as far as the model can write it."""
    most = card.max_output_tokens or LARGEST_OUTPUT_TOKENS
    if card.context_window is not None:
        room = max(card.context_window - n_input_tokens // MOST_BYTES_A_TOKEN, 1)
        most = min(card.max_output_tokens or room, room)
    return min(most, card.max_output_tokens or OUTPUT_TOKENS if asked is None else asked)


def _known(*prices: Decimal | None) -> list[Decimal]:
    return [price for price in prices if price is not None]
