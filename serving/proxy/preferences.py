"""Read OpenRouter's ``provider`` object: which providers of a model may be called, and in which order.

Names are ours (the tables of ``providers.toml``), in any case. OpenRouter as a provider keeps the rules for the
providers behind it itself: it gets the object, and only its own name leaves it out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final

from router_model.catalog import ModelCard
from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.providers.provider import Kind, Provider, Target
from router_model.serving.proxy.envelope import ProviderOptions, Sort
from router_model.serving.proxy.speeds import Speeds

_PRICES: Final = {
    "prompt": "usd_per_mtok_input",
    "completion": "usd_per_mtok_output",
    "request": "usd_per_request",
}


@dataclass(frozen=True, slots=True)
class Preferences:
    """A request's wishes about providers.

    Attributes
    ----------
    order, only, ignore : names in lower case
    allow_fallbacks : bool
        False: one candidate is called, and no other.
    require_parameters, deny_collection : bool
    sort : ``price``, ``throughput``, ``latency`` or None
    max_price : caps by field of `ModelCard`: USD per million tokens, and per request
    only_responses : InvalidRequestError or None
        Of a body that only providers that speak Responses can answer: the error of all others.
    """

    order: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    require_parameters: bool = False
    deny_collection: bool = False
    only: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    sort: str | None = None
    max_price: tuple[tuple[str, Decimal], ...] = ()
    only_responses: InvalidRequestError | None = None

    @classmethod
    def of(cls, options: ProviderOptions | None) -> "Preferences":
        """Read the options of a request."""
        if options is None:
            return NONE
        prices = {} if options.max_price is None else {name: getattr(options.max_price, name) for name in _PRICES}
        return cls(
            order=tuple(name.lower() for name in options.order or ()),
            allow_fallbacks=options.allow_fallbacks is not False,
            require_parameters=options.require_parameters is True,
            deny_collection=options.data_collection == "deny",
            only=frozenset(name.lower() for name in options.only or ()),
            ignore=frozenset(name.lower() for name in options.ignore or ()),
            sort=options.sort.by if isinstance(options.sort, Sort) else options.sort,
            max_price=tuple((_PRICES[name], Decimal(str(cap))) for name, cap in prices.items() if cap is not None),
        )

    @property
    def filters(self) -> bool:
        """Whether any provider could be left out."""
        return bool(self.only or self.ignore or self.deny_collection or self.only_responses is not None)

    def admits(self, provider: Provider) -> bool:
        """Tell whether a provider may be called."""
        name = provider.name.lower()
        if name in self.ignore or (self.only_responses is not None and provider.kind is not Kind.RESPONSES):
            return False
        if provider.is_openrouter:
            return True
        if self.only and name not in self.only:
            return False
        return not (self.deny_collection and provider.collects_data)

    def affords(self, card: ModelCard | None) -> bool:
        """Tell whether a model is within ``max_price``; a model without a known price is not."""
        if not self.max_price:
            return True
        return card is not None and all((getattr(card, name) or 0) <= cap for name, cap in self.max_price)

    def fits(self, card: ModelCard | None, body: Mapping[str, Any]) -> bool:
        """Tell whether a model takes what a body asks for, as far as ``require_parameters`` wants to know."""
        if not self.require_parameters or card is None:
            return True
        form = body.get("response_format")
        wants_json = isinstance(form, Mapping) and str(form.get("type")).startswith("json")
        return not ((body.get("tools") and card.tools is False) or (wants_json and card.structured_output is False))

    def arranged(self, targets: Sequence[Target], speeds: Speeds) -> Sequence[Target]:
        """Return the providers of one model that may be called, best first; ties keep the order of the file."""
        if self is NONE:
            return targets
        found = [target for target in targets if self.admits(target.provider)]
        if self.sort is not None:
            found.sort(key=partial(_KEYS[self.sort], speeds))
        if self.order:
            found.sort(key=self._rank)
        return found

    def _rank(self, target: Target) -> int:
        name = target.provider.name.lower()
        return self.order.index(name) if name in self.order else len(self.order)


def _price(target: Target) -> float:
    """Return what a thousand tokens in and out cost, the dearer the later; unknown comes last."""
    card = target.card
    return float("inf") if card is None else float(card.usd_per_mtok_input + card.usd_per_mtok_output)


_KEYS: Final[Mapping[str, Callable[[Speeds, Target], float]]] = {
    "price": lambda _, target: _price(target),
    "throughput": lambda speeds, target: -speeds.tokens_per_s(target),
    "latency": lambda speeds, target: speeds.first_s(target),
}
NONE: Final = Preferences()
"""A request that says nothing of providers."""
