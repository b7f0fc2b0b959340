"""Ask the routers that a service has what they would do with a prompt, without doing it."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Final

from router_model.errors import ArtifactError
from router_model.router import Router
from router_model.saved.place import Place
from router_model.serving.api.parts import Parts
from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.common.settings import Settings
from router_model.serving.console.plan_views import PlanView, plan_view, short_hash
from router_model.serving.console.prompt_input import PlaygroundPrompt
from router_model.serving.engine.engine import Engine
from router_model.serving.engine.loading import Loader
from router_model.serving.http_edge.error_answers import as_service_error, failed

CHAMPION, CHALLENGER, FORMER = "champion", "challenger", "former"
TITLES: Final = {CHAMPION: "the champion", CHALLENGER: "the challenger", FORMER: "the former champion"}
"""The routers that a service can have, and what people call them."""
_loading_former: Final = Lock()
_former: Final[dict[Path, Router]] = {}
"""The former champion that was looked at last, by its folder, whose content never changes."""


async def preview_plans(
    parts: Parts, sides: Sequence[str], asked: PlaygroundPrompt, *, key_id: str, unavailable: Sequence[str]
) -> list[PlanView]:
    """Return what each of some routers would do; an error of one stands in its place.

    Parameters
    ----------
    sides : of `sides_at_hand`
    key_id, unavailable : as of `PlaygroundPrompt.query`
    """

    async def one(side: str) -> PlanView:
        artifact = ""
        try:
            router = await router_of(parts, side)
            artifact = short_hash(router)
            query = asked.query(known=router.models, key_id=key_id, unavailable=unavailable)
            return plan_view(side, router, await _named(parts, side)[1].preview(router, query))
        except Exception as exc:  # noqa: BLE001  (the page says it; what nobody expected is logged with an id)
            error = as_service_error(exc) or failed(exc, "a preview in the console")
            return PlanView(side, artifact, error=error.message)

    return list(await asyncio.gather(*(one(side) for side in sides)))


def loaded_routers(engine: Engine) -> dict[str, Router]:
    """Return the routers that are loaded, by what they are; empty if none is."""
    champion, contender = engine.router, engine.challenging.contender
    found = {} if champion is None else {CHAMPION: champion}
    return found if contender is None else found | {CHALLENGER: contender.router}


def side_id(parts: Parts, name: str, side: str) -> str:
    """Return what forms call one of `TITLES` of a router; its name is in it where there are several."""
    return side if len(parts.engines) == 1 else f"{name}/{side}"


async def sides_at_hand(parts: Parts) -> Mapping[str, str]:
    """Return the routers that can be asked, with what people call them: those that are loaded, and the former ones."""
    several = len(parts.engines) > 1
    found = {}
    for name, engine in parts.engines.items():
        former = await asyncio.to_thread(_former_folder, parts.settings.by_router[name])
        for side in [*loaded_routers(engine), *([] if former is None else [FORMER])]:
            found[side_id(parts, name, side)] = f"{TITLES[side]} of {name}" if several else TITLES[side]
    return found


async def side_of(parts: Parts, name: str, artifact: str) -> str | None:
    """Return which of a router's `TITLES` has a content hash; None: none of those at hand."""
    for side, router in loaded_routers(parts.engines[name]).items():
        if router.artifact.content_hash == artifact:
            return side
    former = await asyncio.to_thread(_former_folder, parts.settings.by_router[name])
    return FORMER if former is not None and artifact.partition(":")[2].startswith(former.name) else None


async def router_of(parts: Parts, side: str) -> Router:
    """Return a router that can be asked; the former champion is loaded when somebody looks at it.

    Parameters
    ----------
    side : of `sides_at_hand`

    Raises
    ------
    InvalidRequestError
        If the service has none of this name (any more), or it cannot be loaded.
    """
    name, engine, bare = _named(parts, side)
    loaded = loaded_routers(engine)
    if bare in loaded:
        return loaded[bare]
    if bare == FORMER:
        try:
            former = await asyncio.to_thread(_loaded_former, parts.settings.by_router[name], tuple(loaded.values()))
        except ArtifactError as exc:
            raise InvalidRequestError(f"the former champion cannot be loaded: {exc}") from exc
        if former is not None:
            return former
    raise InvalidRequestError(
        f"router: got {side[:32]!r}; this service has: {', '.join(await sides_at_hand(parts)) or 'none'}",
        param="router",
    )


def _named(parts: Parts, side: str) -> tuple[str, Engine, str]:
    """Return the router's name, its engine, and the rest of what `side_id` made; an unknown name is no side."""
    name, _, bare = side.rpartition("/")
    if not name or name not in parts.engines:
        return parts.engines.default_name, parts.engines.default, side
    return name, parts.engines[name], bare


def _former_folder(settings: Settings) -> Path | None:
    """Return the folder of the router that was served before; None without one."""
    place = None if settings.artifact is None else Place.at(settings.artifact)
    try:
        return None if place is None else place.previous
    except ArtifactError:  # a damaged pointer, which the page of the router shows
        return None


def _loaded_former(settings: Settings, beside: Sequence[Router]) -> Router | None:
    folder = _former_folder(settings)
    if folder is None:
        return None
    with _loading_former:  # who looks meanwhile waits, and loads it no second time
        if folder not in _former:
            router = Loader(settings).load(folder, beside=beside)
            _former.clear()
            _former[folder] = router
        return _former[folder]
