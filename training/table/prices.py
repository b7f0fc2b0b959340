"""Look up prices that a catalog lacks in the `genai-prices` package, a public price list that works offline."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from router_model.catalog import Catalog, ModelCard, missing_price_message
from router_model.errors import CatalogError
from router_model.training.table.bills import billed_card
from router_model.training.table.outcomes import Outcomes

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

_PROBE_TIME = datetime(2026, 11, 2, 15, tzinfo=UTC)
"""The time of every look-up, fixed so that prices that depend on the hour or have changed are always the same.

Its day is the `price_date` of what is looked up. Set it anew with each release.
"""

_PROBE_TOKENS = 1000
"""Prices are read from a call of this size, because some lists charge more for very long calls."""


def complete_catalog(catalog: Catalog | None, models: Iterable[str], *, bills: Outcomes | None = None) -> Catalog:
    """Return cards for exactly `models`, from the catalog if it has them, else looked up, else from billed costs.

    A context window that a card of the catalog lacks is looked up, too.

    Parameters
    ----------
    catalog : prices that win over all others
    models : ids
    bills : outcomes whose billed costs give the prices that are found nowhere else

    Raises
    ------
    CatalogError
        If no price can be found for a model. The message names all such models and says how to give a price.
    """
    given = {} if catalog is None else dict(catalog.cards)
    cards: dict[str, ModelCard] = {}
    missing: list[str] = []
    for model in models:
        card = (
            _with_window(given.get(model)) or look_up(model) or (None if bills is None else billed_card(model, bills))
        )
        if card is None:
            missing.append(model)
        else:
            cards[model] = card
    if missing:
        raise CatalogError(missing_price_message(missing))
    return Catalog(cards)


def _with_window(card: ModelCard | None) -> ModelCard | None:
    """Return a card with its model's context window, if it lacks that and the list knows it."""
    if card is None or card.context_window is not None:
        return card
    found = look_up(card.served_model)
    return card if found is None else replace(card, context_window=found.context_window)


def look_up(model: str) -> ModelCard | None:
    """Find a model's list price, or return None.

    An id ``vendor/model`` is looked up at the vendor first, then as an id of an aggregator.

    >>> look_up("openai/gpt-4o").usd_per_mtok_output
    Decimal('10')
    >>> look_up("no-such-model") is None
    True
    """
    vendor, _, name = model.rpartition("/")
    attempts = [(name, vendor), (model, "openrouter"), (name, None)] if vendor else [(model, None)]
    for reference, provider in attempts:
        found = _calculate(reference, provider)
        if found is not None:
            return _card(model, found)
    return None


def _calculate(reference: str, provider: str | None) -> "PriceCalculation | None":
    from genai_prices import Usage, calc_price  # noqa: PLC0415  (0.3 s to import, needed only here)

    try:
        return calc_price(
            Usage(input_tokens=_PROBE_TOKENS, output_tokens=_PROBE_TOKENS),
            reference,
            provider_id=provider,
            genai_request_timestamp=_PROBE_TIME,
        )
    except LookupError:
        return None


def _card(model: str, found: "PriceCalculation") -> ModelCard:
    from genai_prices import __version__  # noqa: PLC0415

    per_mtok = Decimal(1_000_000) / _PROBE_TOKENS
    usd_per_mtok_input = _plain(found.input_price * per_mtok)
    return ModelCard(
        model=model,
        usd_per_mtok_input=usd_per_mtok_input,
        usd_per_mtok_output=_plain(found.output_price * per_mtok),
        usd_per_mtok_cached_input=_listed(found, "cache_read_mtok"),
        usd_per_mtok_cache_write=_cache_write(found, usd_per_mtok_input),
        usd_per_mtok_reasoning=_listed(found, "output_reasoning_mtok"),
        usd_per_request=_listed(found, "requests_kcount", per=1000),
        context_window=found.model.context_window,
        provider=found.provider.id,
        price_source=f"genai-prices {__version__} ({found.provider.id}/{found.model.id})",
        price_date=_PROBE_TIME.date(),
    )


def _listed(found: "PriceCalculation", name: str, *, per: int = 1) -> Decimal | None:
    """Return one price of a list for calls of ordinary length, or None if the list lacks it."""
    price = getattr(found.model_price, name, None)
    price = getattr(price, "base", price)  # tiers, which are dearer for very long calls
    return _plain(price / per) if isinstance(price, Decimal) else None


def _cache_write(found: "PriceCalculation", usd_per_mtok_input: Decimal) -> Decimal | None:
    """Return the price of input written to the cache, or None if the listed price cannot be right.

    A price below that of plain input is a surcharge for storage (Google's) or an error. It is better to bill such input
    as plain input.
    """
    price = _listed(found, "cache_write_mtok")
    return None if price is None or price < usd_per_mtok_input else price


def _plain(price: Decimal) -> Decimal:
    """Drop trailing zeros without an exponent.

    >>> _plain(Decimal("10.000")), _plain(Decimal("0.0500"))
    (Decimal('10'), Decimal('0.05'))
    """
    return Decimal(format(price.normalize(), "f"))
