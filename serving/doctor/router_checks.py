"""Find out whether the artifact loads and decides, and whether its catalog knows enough of the models."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from router_model.catalog import OLD_PRICE_DAYS, Catalog, ModelCard
from router_model.errors import RouterModelError
from router_model.features import FeatureError, load_encoder
from router_model.router import Router
from router_model.saved.artifact import MANIFEST
from router_model.screening.constraint_checks import UNKNOWN_WINDOW
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings
from router_model.serving.doctor.finding import Finding, Level, some
from router_model.serving.engine.artifact_source import ArtifactSource
from router_model.serving.engine.self_check import check_router
from router_model.serving.preflight import check_default_plan
from router_model.serving.providers.provider import Provider
from router_model.starter import start

_DAY_S = 86_400


def router_findings(settings: Settings, providers: Sequence[Provider]) -> list[Finding]:
    """Examine each router; findings of several begin with their names."""
    own = settings.by_router
    found: list[Finding] = []
    known: dict[str, ModelCard] = {}
    for name, one in own.items():
        about = _findings(one, providers, known)
        found += about if len(own) == 1 else [replace(each, check=f"router {name}: {each.check}") for each in about]
    return [*found, *_default_plan(settings.default_plan, known, providers)]


def _default_plan(
    plan: Sequence[str], known: Mapping[str, ModelCard], providers: Sequence[Provider]
) -> Iterator[Finding]:
    """Say whether somebody has the models that answer when deciding fails."""
    check = "default plan"
    try:
        check_default_plan(plan, known, providers)
    except SettingsError as exc:
        yield Finding(
            check, Level.ERROR, str(exc), "correct --default-plan, or write a card of the model into --catalog"
        )
        return
    if plan and not (known or providers):
        yield Finding(check, Level.UNKNOWN, f"nobody here knows whether there is {some(plan)}")
    elif plan and providers:
        cards = [known.get(model) or ModelCard(model, Decimal(0), Decimal(0)) for model in plan]
        yield replace(_served(cards, providers), check=check)


def _findings(settings: Settings, providers: Sequence[Provider], known: dict[str, ModelCard]) -> list[Finding]:
    """Examine what decides; without an artifact, the catalog alone. All cards go into `known`."""
    found: list[Finding] = []
    cards: list[ModelCard] = []
    if settings.artifact is not None:
        router = _router(settings, found)
        cards = [] if router is None else [router.catalog[model] for model in router.models]
        known |= {} if router is None else router.catalog.cards
    elif settings.starts and settings.catalog is not None:
        try:
            catalog = Catalog.load(settings.catalog)
            found.append(
                Finding("artifact", Level.UNKNOWN, f"none is named; a starter decides, which {start(catalog).why}")
            )
            cards = list(catalog.cards.values())
        except RouterModelError as exc:
            found.append(Finding("catalog", Level.ERROR, str(exc), "correct the file that --catalog names"))
    else:
        plan = some(settings.default_plan) if settings.default_plan else "what the providers name"
        found.append(Finding("artifact", Level.UNKNOWN, f"none is named; 'auto' is {plan}"))
        if settings.catalog is not None:
            try:
                cards = list(Catalog.load(settings.catalog).cards.values())
            except RouterModelError as exc:
                found.append(Finding("catalog", Level.ERROR, str(exc), "correct the file that --catalog names"))
    known |= {card.model: card for card in cards}
    if cards:
        found += _catalog(cards, datetime.now(UTC).date())
    if providers and cards:
        found.append(_served(cards, providers))
    return found


def _router(settings: Settings, found: list[Finding]) -> Router | None:
    assert settings.artifact is not None  # noqa: S101  (for the type checker)
    try:
        folder = ArtifactSource(settings.artifact, settings.catalog).look().folder
        began = time.process_time()
        encoder = None if settings.encoder is None else load_encoder(settings.encoder)
        router = Router.load(folder, catalog=settings.catalog, encoder=encoder)
        check_router(router)
        took_s = time.process_time() - began
    except (RouterModelError, FeatureError, ImportError) as exc:
        falls_back = bool(settings.default_plan)
        do = "restore the folder from a backup, or publish another router ('router-model promote')"
        if falls_back:
            do += f"; until then every 'auto' goes to {settings.default_plan[0]}"
        found.append(Finding("artifact", Level.ERROR, str(exc), do))
        return None
    days = (time.time() - (folder / MANIFEST).stat().st_mtime) / _DAY_S
    said = (
        f"{router.artifact.content_hash[:19]} decides between {len(router.models)} models; written {days:.0f} days ago"
    )
    found.append(Finding("artifact", Level.GOOD, f"{said}; loaded in {took_s:.1f} s of processor time"))
    return router


def _catalog(cards: Sequence[ModelCard], today: date) -> Iterator[Finding]:
    """Say whose prices are old or of unknown age, and whose window is unknown."""
    undated = [card.model for card in cards if card.price_date is None]
    old = [card.model for card in cards if card.price_date and (today - card.price_date).days >= OLD_PRICE_DAYS]
    again = "look the prices up, and write them with today's 'price_date' into a catalog for --catalog"
    if old:
        yield Finding("prices", Level.WARNING, f"older than {OLD_PRICE_DAYS} days: {some(old)}", again)
    if undated:
        yield Finding("prices", Level.WARNING, f"nobody knows how old they are: {some(undated)}", again)
    if not old and not undated:
        yield Finding("prices", Level.GOOD, f"of {len(cards)} models, none older than {OLD_PRICE_DAYS} days")
    unknown = [card.model for card in cards if card.context_window is None]
    do = "write 'context_window' (tokens) into the catalog"
    if len(unknown) == len(cards):
        said = f"unknown of all {len(cards)} models, so none is left out for a prompt that is too long for it"
        yield Finding("context windows", Level.WARNING, said, do)
    elif unknown:
        said = f"unknown: {some(unknown)}; a prompt of more than {UNKNOWN_WINDOW:,} tokens goes there only where no "
        yield Finding("context windows", Level.WARNING, f"{said}other model is left", do)
    else:
        yield Finding("context windows", Level.GOOD, f"known of all {len(cards)} models")


def _served(cards: Sequence[ModelCard], providers: Sequence[Provider]) -> Finding:
    missing = [
        card.model for card in cards if not any(one.upstream_model(card.served_model) is not None for one in providers)
    ]
    if not missing:
        return Finding("models", Level.GOOD, f"each of {len(cards)} has a provider")
    if len(missing) == len(cards):
        return Finding("models", Level.ERROR, "no provider serves any of them, so 'auto' fails", _ADD)
    return Finding("models", Level.WARNING, f"nobody serves {some(missing)}, so 'auto' never chooses them", _ADD)


_ADD = "add the models to 'models' of a provider (docs/providers.md)"
