"""The result of forwarding a call, as the rest of the service sees it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.formats.format import Call, Facts
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.failures import UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.provider import Target

AttemptObserver: TypeAlias = Callable[[AttemptRecord], None]
"""Receives every attempt at its end: its result, its cost and its duration."""


def any_number(_: Sequence[AttemptRecord], __: Target) -> bool:
    """Pay for any further attempt."""
    return True


def no_extras(_: Sequence[AttemptRecord]) -> dict[str, Any]:
    """Add nothing to an answer."""
    return {}


class EventStream(Protocol):
    """An iterator over what is sent, which can be closed."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def __anext__(self) -> Awaitable[bytes]: ...

    def cut(self, failure: UpstreamFailure) -> None:
        """End it with an error event as soon as its iterator gets to it; a stream that is whole stays so."""

    async def aclose(self) -> None:
        """End the stream; a second call does nothing."""


@dataclass(frozen=True, slots=True)
class ForwardRequest:
    """A call with all that forwarding it needs.

    Attributes
    ----------
    call : Call
    targets : the candidates, best first; providers of one model are neighbours
    decision_id, key_id : str or None
        Of the attempts' records.
    observe : AttemptObserver
    total_s : float
        For all attempts together, a stream's end included.
    buffer : bool
        Hold a stream back until it is whole, so that one that is cut is tried again (``x-router-stream-guard``).
    extras : of the attempts so far, the last one included, make what is added to the answer (``openrouter_metadata``)
    affords : of the attempts so far, and the candidate that would be next, says whether one more can be paid for
    aside : writes a request in another thread, for a call whose body is long; None: here
    """

    call: Call
    targets: Sequence[Target]
    decision_id: str | None
    key_id: str | None
    observe: AttemptObserver
    total_s: float = 600.0
    buffer: bool = False
    extras: Callable[[Sequence[AttemptRecord]], dict[str, Any]] = no_extras
    affords: Callable[[Sequence[AttemptRecord], Target], bool] = any_number
    aside: Callable[[Callable[[], HttpRequest]], Awaitable[HttpRequest]] | None = None


@dataclass(slots=True)
class Reply:
    """An answer: whole, or as a stream whose first token is there.

    Attributes
    ----------
    target : the candidate that answered
    attempts : that are over, in their order; a stream's own joins when it ends
    n_attempts : attempts so far, that of a stream included
    changes : what the caller asked for and the model was not asked: a name, or ``name=value`` if it was changed
    body : Json or None
        The whole answer, as it is sent.
    stream : EventStream or None
        Events, as they are sent. Closing it (``aclose``) ends the call of the provider at once; a failure in its middle
        is an event in it, never an exception.
    facts : Facts
        Of the answer; a stream's fill up while it is read.
    """

    target: Target
    attempts: list[AttemptRecord]
    facts: Facts
    body: Json | None = None
    stream: EventStream | None = None
    n_attempts: int = 1
    changes: tuple[str, ...] = ()
