"""*Catalog*: the models that a service can choose or call; prices and their age, limits, capabilities, health."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final

from starlette.responses import Response

from router_model.candidates import CAPABILITIES, graded_models
from router_model.catalog import OLD_PRICE_DAYS, ModelCard
from router_model.router import Router
from router_model.serving.console.visit import Page, Visit
from router_model.serving.providers.health import HealthState, Trouble
from router_model.serving.providers.provider import Target
from router_model.serving.proxy.proxy import Proxy

PAGE: Final = 50
"""Models on a page."""


class Standing(StrEnum):
    """What the router knows of a model."""

    GRADED = "graded"
    """It has outcomes of it."""
    ANNOUNCED = "announced"
    """Nobody graded it; published scores, a sibling or an accuracy give its level."""
    NO_OUTCOMES = "no outcomes"
    """It has a price, and nothing tells how well it answers: it is never chosen."""
    NOT_CANDIDATE = "not a candidate"
    """Only providers name it: it is called by name, and never chosen."""


class Health(StrEnum):
    """Whether a model can be called now."""

    READY = "ready"
    FAILING = "its last call failed"
    """It is called as before: one failure is no reason to pause it."""
    PROBED = "being tried again"
    PAUSED = "paused"
    NOT_CALLED = "not called yet"
    NO_PROVIDER = "no provider"


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One model.

    Attributes
    ----------
    model : str
    card : ModelCard or None
        None: nothing is known of it, but that a provider serves it.
    standing : Standing
    providers : names of those that serve it
    health : Health or None
        None where nothing is forwarded.
    troubles : its last failure at each provider that failed since this worker began
    price_days : age of its prices in days, or None
    """

    model: str
    card: ModelCard | None
    standing: Standing
    providers: Sequence[str]
    health: Health | None
    troubles: Sequence[Trouble]
    price_days: int | None

    @property
    def is_old(self) -> bool:
        """Whether its prices are so old that they should be looked up again."""
        return self.price_days is not None and self.price_days >= OLD_PRICE_DAYS

    @property
    def capabilities(self) -> Mapping[str, Sequence[str]]:
        """The capabilities by whether the model has them: ``yes``, ``no`` or ``unknown``."""
        found: dict[str, list[str]] = {answer: [] for answer in ("yes", "no", "unknown")}
        for name in CAPABILITIES:
            has = None if self.card is None else getattr(self.card, name)
            found["unknown" if has is None else "yes" if has else "no"].append(name.replace("_", " "))
        return {answer: names for answer, names in found.items() if names}


@dataclass(frozen=True, slots=True)
class CatalogPage:
    """A page of the models that match.

    Attributes
    ----------
    rows : at most `PAGE`
    number, n_pages : of this page, from 1 on
    n_found, n_all : models that match, and all
    n_paused : of all, how many no provider answers for now
    """

    rows: Sequence[CatalogRow]
    number: int
    n_pages: int
    n_found: int
    n_all: int
    n_paused: int


def catalog_page(
    router: Router | None,
    proxy: Proxy | None,
    *,
    today: date,
    search: str = "",
    standing: str = "",
    number: int = 1,
) -> CatalogPage:
    """Return a page of models: the router's, then those that providers name beside them.

    Parameters
    ----------
    search : part of a model's id or of a provider's name, in any case
    standing : a `Standing`; '': any
    number : the nearest page is shown where there is none of this number
    """
    rows = _rows(router, proxy, today)
    wanted = search.strip().casefold()
    found = [
        row
        for row in rows
        if (not standing or row.standing == standing)
        and (not wanted or any(wanted in text.casefold() for text in (row.model, *row.providers)))
    ]
    n_pages = max(-(-len(found) // PAGE), 1)
    number = min(max(number, 1), n_pages)
    return CatalogPage(
        rows=found[(number - 1) * PAGE : number * PAGE],
        number=number,
        n_pages=n_pages,
        n_found=len(found),
        n_all=len(rows),
        n_paused=sum(row.health is Health.PAUSED for row in rows),
    )


def _rows(router: Router | None, proxy: Proxy | None, today: date) -> list[CatalogRow]:
    cards: dict[str, ModelCard | None] = {} if router is None else dict(router.catalog.cards)
    standings = _standings(router)
    if router is not None:
        cards |= {model: router.artifact.catalog[model] for model in standings if model not in cards}
    if proxy is not None:
        cards |= {model: card for model, card in proxy.candidates.served_models.items() if model not in cards}
    health = _Healths.now(proxy)
    return [
        _row(model, card, standings.get(model, Standing.NOT_CANDIDATE), health, today) for model, card in cards.items()
    ]


def _standings(router: Router | None) -> dict[str, Standing]:
    if router is None:
        return {}
    graded = frozenset(graded_models(router.artifact))
    known = {model: Standing.GRADED if model in graded else Standing.ANNOUNCED for model in router.models}
    return known | {one.model: Standing.NO_OUTCOMES for one in router.without_outcomes}


@dataclass(frozen=True, slots=True)
class _Healths:
    """The health of models by that of their providers.

    Attributes
    ----------
    proxy : Proxy or None
    states : by provider and model, of those that were called; under None of a provider none of whose keys works
    troubles : by provider and model
    """

    proxy: Proxy | None
    states: Mapping[tuple[str, str | None], HealthState]
    troubles: Mapping[tuple[str, str], Trouble]

    @classmethod
    def now(cls, proxy: Proxy | None) -> "_Healths":
        if proxy is None:
            return cls(None, {}, {})
        keys: dict[str, list[HealthState]] = {}
        for (provider, _, model), state in proxy.key_states().items():
            if model is None:
                keys.setdefault(provider, []).append(state)
        states: dict[tuple[str, str | None], HealthState] = {}
        states.update(proxy.breaker_states().items())
        states.update(((name, None), HealthState.OPEN) for name, of in keys.items() if set(of) == {HealthState.OPEN})
        return cls(proxy, states, proxy.troubles())

    def targets(self, model: str) -> Sequence[Target]:
        return () if self.proxy is None else self.proxy.providers.targets(model)

    def of(self, targets: Sequence[Target]) -> Health | None:
        """Return the health of a model: it answers as long as one of its providers does."""
        if self.proxy is None:
            return None
        if not targets:
            return Health.NO_PROVIDER
        states = [self._state(target) for target in targets]
        closed = [target for target, state in zip(targets, states, strict=True) if state is HealthState.CLOSED]
        if closed:
            troubles = [self._trouble(target) for target in closed]
            return Health.FAILING if all(one is not None and one.is_last for one in troubles) else Health.READY
        if None in states:
            return Health.NOT_CALLED
        return Health.PROBED if HealthState.HALF_OPEN in states else Health.PAUSED

    def troubles_of(self, targets: Sequence[Target]) -> list[Trouble]:
        return [trouble for target in targets if (trouble := self._trouble(target)) is not None]

    def _trouble(self, target: Target) -> Trouble | None:
        return self.troubles.get((target.provider.name, target.served_model))

    def _state(self, target: Target) -> HealthState | None:
        provider = target.provider.name
        return self.states.get((provider, None)) or self.states.get((provider, target.served_model))


def _row(model: str, card: ModelCard | None, standing: Standing, health: "_Healths", today: date) -> CatalogRow:
    targets = health.targets(model)
    priced = None if card is None else card.price_date
    return CatalogRow(
        model=model,
        card=card,
        standing=standing,
        providers=list(dict.fromkeys(target.provider.name for target in targets)),
        health=health.of(targets),
        troubles=health.troubles_of(targets),
        price_days=None if priced is None else max((today - priced).days, 0),
    )


# --- the page ---------------------------------------------------------------------------------------------

_LONGEST_SEARCH: Final = 200
_MOST_DIGITS: Final = 6


async def show(visit: Visit) -> Response:
    """Show a page of the models that match."""
    search, standing, number = visit.query("q")[:_LONGEST_SEARCH], visit.query("standing"), visit.query("page")
    found = catalog_page(
        visit.engine.router,
        visit.parts.proxy,
        today=datetime.now(UTC).date(),
        search=search,
        standing=standing if standing in list(Standing) else "",
        number=int(number) if number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS else 1,
    )
    template = "catalog_rows.html" if visit.is_partial else "catalog.html"
    return visit.render(
        template,
        found=found,
        search=search,
        standing=standing,
        standings=list(Standing),
        has_router=visit.engine.router is not None,
        has_proxy=visit.parts.proxy is not None,
    )


PAGES: Final = (Page("/catalog", show, "Catalog"),)
