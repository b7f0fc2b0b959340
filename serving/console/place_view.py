"""The folder of published routers behind a service: what it names, and the changes that an operator makes to it.

Each change is the library's own (`router_model.saved.place`), and the service's own reload follows. A change is made
only if the place still names what the operator saw, so that two people do not undo each other's work.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from router_model.errors import ArtifactError
from router_model.saved.place import Challenger, Place
from router_model.serving.common.service_errors import InvalidRequestError, ReloadRefusedError
from router_model.serving.common.settings import Settings

T = TypeVar("T")

_HISTORY_SHOWN: Final = 20
_NO_PLACE: Final = (
    "this service does not serve a folder of published routers, so nothing can be promoted or rolled back here; "
    "'router-model promote ARTIFACT --to FOLDER' makes one, and 'router-model serve FOLDER' serves it"
)


class Action(StrEnum):
    """What an operator does."""

    PROMOTE = "promote"
    """Let the challenger be the champion."""
    ROLL_BACK = "rollback"
    """Return to the former champion."""
    STOP = "stop"
    """Stop the challenger."""


@dataclass(frozen=True, slots=True)
class PlaceView:
    """A place.

    Attributes
    ----------
    folder : str
        '' if the service does not serve a place.
    current, previous : names of routers, or None
    challenger : Challenger or None
    error : why something of it cannot be read, or ''
    history : the last entries, the newest first
    """

    folder: str = ""
    current: str | None = None
    previous: str | None = None
    challenger: Challenger | None = None
    error: str = ""
    history: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def seen(self) -> str:
        """What the place names, as one line: a change is refused if it has become another."""
        challenger = None if self.challenger is None else self.challenger.as_line()
        return f"{self.current} {self.previous} {challenger}"

    @property
    def actions(self) -> tuple[Action, ...]:
        """What can be done now."""
        possible = {
            Action.PROMOTE: self.challenger is not None and self.challenger.router != self.current,
            Action.ROLL_BACK: self.previous is not None,
            Action.STOP: self.challenger is not None,
        }
        return tuple(action for action, can in possible.items() if can)

    def target(self, action: Action) -> str:
        """Return the router that an action is about."""
        named = self.previous if action is Action.ROLL_BACK else self.challenger and self.challenger.router
        return named or ""


async def place_view(settings: Settings) -> PlaceView:
    """Return the place that a service serves; files are read in a thread."""
    return await asyncio.to_thread(_read, settings)


def _read(settings: Settings) -> PlaceView:
    place = None if settings.artifact is None else Place.at(settings.artifact)
    if place is None:
        return PlaceView()
    errors: list[str] = []

    def tried(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except ArtifactError as exc:
            errors.append(str(exc))
            return None

    current, previous = tried(lambda: place.current), tried(lambda: place.previous)
    return PlaceView(
        folder=str(place.folder),
        current=None if current is None else current.name,
        previous=None if previous is None else previous.name,
        challenger=tried(lambda: place.challenger),
        error="; ".join(errors),
        history=place.history()[: -_HISTORY_SHOWN - 1 : -1],
    )


async def place_as_seen(settings: Settings, action: Action, seen: str) -> PlaceView:
    """Return the place for a change that an operator confirmed.

    Parameters
    ----------
    seen : `PlaceView.seen` of the page that the operator confirmed

    Raises
    ------
    InvalidRequestError
        If there is no place.
    ReloadRefusedError
        If it names something else by now.
    """
    now = await place_view(settings)
    if not now.folder:
        raise InvalidRequestError(_NO_PLACE)
    if now.seen != seen or action not in now.actions:
        raise ReloadRefusedError("the published routers have changed since this page was shown; look at it again")
    return now


async def change(place: PlaceView, action: Action, reason: str) -> None:
    """Roll back, or stop the challenger; a promotion passes the gate (`router_model.serving.console.gate`).

    Parameters
    ----------
    reason : for the history

    Raises
    ------
    ReloadRefusedError
        If the place could not be changed.
    """
    folder = Place(Path(place.folder))
    try:
        if action is Action.ROLL_BACK:
            await asyncio.to_thread(folder.rollback, reason)
        elif action is Action.STOP:
            await asyncio.to_thread(folder.stop_challenge, reason, only=place.challenger)
    except ArtifactError as exc:
        raise ReloadRefusedError(str(exc)) from exc
