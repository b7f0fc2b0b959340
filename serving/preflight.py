"""Check the settings before a service starts, and describe what it will do."""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from router_model.catalog import Catalog, ModelCard
from router_model.errors import RouterModelError
from router_model.features import FeatureError, load_encoder
from router_model.features.logged import KEY_VARIABLE, LogKeys
from router_model.install_line import install_line
from router_model.router import Router
from router_model.serving.access.authentication import Access
from router_model.serving.access.start import check_access
from router_model.serving.common.extra import has_console
from router_model.serving.common.masking import masked_url
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import PromptStorage, Settings
from router_model.serving.decision_log.opening import NONE, PARQUET, open_log, open_store
from router_model.serving.decision_log.store import StoreError
from router_model.serving.engine.artifact_source import ArtifactSource
from router_model.serving.engine.following import LevelFollower
from router_model.serving.engine.recording import log_keys, prompt_storage
from router_model.serving.http_edge.trusted_hosts import TrustedHosts
from router_model.serving.providers.config import load_aliases, load_providers, with_default_plan
from router_model.serving.providers.provider import STAR, Provider
from router_model.serving.proxy.naming import check_alias
from router_model.serving.proxy.stored_responses import check_storing
from router_model.starter import start

_SHOWN = 6  # models named
_REACHED_WITHIN_S = 3.0
_CONSOLE = "http://{address}/console"
_NOTHING_DECIDES = "nothing (no ARTIFACT, no --default-plan): name a model in each call; 'auto' does not work"


def about(settings: Settings) -> list[str]:
    """Check the settings by opening what they name, and say what it is; ``{address}`` stands for where it listens.

    Raises
    ------
    SettingsError, ArtifactError, CatalogError, EncoderError
        If the service cannot start like this.
    """
    logging.disable(logging.WARNING)  # the workers say it, too
    try:
        keyring = check_access(settings)
        Access.of(settings, keyring).close()  # opens the file of budgets, if there are any
        TrustedHosts.of(settings)
        open_log(settings)
        check_storing(settings)
        keys = log_keys(next(iter(settings.by_router.values())))
        asyncio.run(_check_tables(settings.log))
        LevelFollower.of(settings, clock=time.time)
        routers = tuple(settings.by_router)
        providers = () if settings.providers is None else load_providers(settings.providers)
        aliases = () if settings.providers is None else load_aliases(settings.providers)
        for alias in aliases:
            check_alias(alias, routers=routers)
        settings = with_default_plan(settings, providers)
        found = _look_at_routers(settings)
        if not found.is_missing:  # what a router that is missing knows is not known
            check_default_plan(settings.default_plan, found.known, providers)
            for alias in aliases:
                check_alias(alias, lambda model: model in found.models or _is_served(model, providers), routers)
    finally:
        logging.disable(logging.NOTSET)
    header = "" if keyring is None else " -H 'Authorization: Bearer KEY'"
    call, model = ("chat/completions", '"model": "auto", ') if providers else ("route", "")
    body = f'{{{model}"messages": [{{"role": "user", "content": "Hi"}}]}}'
    return [
        *found.lines,
        f"logging: {masked_url(settings.log)}{_prompts_in_words(settings, keys)}",
        "callers: everybody on this machine (--insecure)" if keyring is None else f"callers: keys of {settings.keys}",
        f"forwarding: {_forwarding_in_words(_served(settings.default_plan, found.known) | found.models, providers)}",
        f"console: {_CONSOLE if has_console() else _no_console()}",
        f"try: curl http://{{address}}/v1/{call}{header} --json '{body}'",
    ]


def check_default_plan(plan: Sequence[str], known: Collection[str], providers: Sequence[Provider]) -> None:
    """Check that somebody has each model of a default plan; without cards and providers, nobody can tell.

    Parameters
    ----------
    plan : ids
    known : ids of the models that the routers and their catalogs have cards of
    providers : of the calls; empty for a service that only decides

    Raises
    ------
    SettingsError
        If nobody has one of them: the service would find it out only when deciding fails.
    """
    lost = [model for model in plan if model not in known and not _is_served(model, providers)]
    if lost and (known or providers):
        named = [model for one in providers for model in one.models if STAR not in model]
        raise SettingsError(
            f"--default-plan: nobody has {_some(lost)}: no provider serves it, and no router or catalog has a card of "
            f"it; known are {_some(sorted({*known, *named})) or 'none by their names'}"
        )


def _no_console() -> str:
    return f"none, because its extra is not installed: {install_line('console')}"


def _prompts_in_words(settings: Settings, keys: LogKeys | None) -> str:
    """Say what is kept of prompts, and whether a later training can learn from it."""
    if settings.log == NONE:
        return "; nothing is kept, so nothing can be learned from"
    storage = prompt_storage(settings)
    if storage is PromptStorage.FULL:
        answers = "; and the answers of /v1/responses, for their callers" if settings.store_responses else ""
        return f"; of prompts their texts: 'router-model train' can learn from them{answers}"
    if keys is not None:
        return (
            f"; of prompts their features, sealed with the key {keys.key_id}: 'router-model train' can learn from them "
            f"with {KEY_VARIABLE}={settings.log_key}"
        )
    kept = "their hashes" if storage is PromptStorage.HASH else "nothing"
    return (
        f"; of prompts {kept}: nothing can be learned from them (--log-prompts features keeps what training needs, "
        "sealed and without text)"
    )


async def _check_tables(log: str) -> None:
    """Open a log in a database, where it can be reached soon: its tables may be of a newer version.

    Raises
    ------
    SettingsError
        If they are, or the log's file cannot be used.
    """
    if log == NONE or log.startswith(PARQUET):
        return
    store = open_store(log)
    try:
        async with asyncio.timeout(_REACHED_WITHIN_S):
            await store.open()
    except (StoreError, TimeoutError):
        pass  # away: records go to the spool until it is there
    finally:
        await store.close()


def _forwarding_in_words(models: Mapping[str, str], providers: Sequence[Provider]) -> str:
    """Say who is called, and which of the router's models (with the ids that are served) none of them serves."""
    if not providers:
        return "to nobody (no providers)"
    names = ", ".join(one.name for one in providers)
    missing = [model for model, served in models.items() if not _is_served(served, providers)]
    if not missing:
        return names
    if len(missing) == len(models):
        return (
            f"{names}; none of them serves a model of the router, so 'auto' will fail: add these models to a provider"
        )
    return f"{names}; 'auto' never chooses what none of them serves: {_some(missing)}"


@dataclass(frozen=True, slots=True)
class _Found:
    """What the routers of the settings are.

    Attributes
    ----------
    lines : what is said of them, one each
    models : ids of their candidates -> ids that are served
    known : cards of these models and of others, by id
    is_missing : whether the artifact of one could not be loaded
    """

    lines: Sequence[str]
    models: dict[str, str] = field(default_factory=dict)
    known: Mapping[str, ModelCard] = field(default_factory=dict)
    is_missing: bool = False


def _look_at_routers(settings: Settings) -> _Found:
    """Load each router once, as the workers will.

    Raises
    ------
    RouterModelError, FeatureError
        If none of them can be loaded, and there is no default plan.
    """
    own = settings.by_router
    if len(own) == 1:
        found = _look_at_router(next(iter(own.values())))
        return replace(found, lines=[f"deciding: {found.lines[0]}"])
    all_, refused = _Found([]), []
    for name, one in own.items():
        asked = f"'auto' and 'auto:{name}'" if name == next(iter(own)) else f"'auto:{name}'"
        try:
            found = _look_at_router(one)
        except (RouterModelError, FeatureError) as exc:
            found = _Found([f"nothing yet, the service tries again and again: {exc}"], is_missing=True)
            refused.append(exc)
        all_ = _Found(
            [*all_.lines, f"deciding {asked}: {found.lines[0]}"],
            found.models | all_.models,
            {**found.known, **all_.known},
            all_.is_missing or found.is_missing,
        )
    if len(refused) == len(own):
        raise refused[0]
    return all_


def _look_at_router(settings: Settings) -> _Found:
    if settings.starts and settings.catalog is not None:
        catalog = Catalog.load(settings.catalog)
        started = start(catalog)
        said = f"a starter from {settings.catalog} (no ARTIFACT), which {started.why}"
        return _Found([said], _served(list(started.levels), catalog.cards), catalog.cards)
    if settings.artifact is None:
        plan = settings.default_plan
        cards = {} if settings.catalog is None else Catalog.load(settings.catalog).cards
        said = f"nothing (no ARTIFACT); 'auto' is {_some(plan)}" if plan else _NOTHING_DECIDES
        return _Found([said], _served(plan, cards), cards)
    try:
        encoder = None if settings.encoder is None else load_encoder(settings.encoder)
        router = Router.load(
            ArtifactSource(settings.artifact, settings.catalog).look().folder, catalog=settings.catalog, encoder=encoder
        )
    except (RouterModelError, FeatureError) as exc:
        # With a default plan the service starts all the same, and looks for a better artifact every few seconds.
        if not settings.default_plan:
            raise
        said = f"nothing yet, default plan {', '.join(settings.default_plan)}: {exc}"
        return _Found([said], _served(settings.default_plan, {}), is_missing=True)
    models, cards = router.models, router.catalog.cards
    said = f"{_some(models)} ({router.artifact.content_hash[:19]}, {settings.artifact})"
    return _Found([said], _served(models, cards), cards)


def _is_served(model: str, providers: Sequence[Provider]) -> bool:
    return any(one.upstream_model(model) is not None for one in providers)


def _served(models: Sequence[str], cards: Mapping[str, ModelCard]) -> dict[str, str]:
    return {model: cards[model].served_model if model in cards else model for model in models}


def _some(models: Collection[str]) -> str:
    """Name the first models, and count the others."""
    more = f" and {len(models) - _SHOWN} more" * (len(models) > _SHOWN)
    return f"{', '.join(list(models)[:_SHOWN])}{more}"
