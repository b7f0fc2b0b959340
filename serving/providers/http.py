"""The HTTP interface for the rest of the service: a request, a response with a body in pieces, and a sender."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from router_model.serving.providers.sent import NOTHING_SENT, Sent


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to a provider.

    Attributes
    ----------
    url : absolute
    headers : names in lower case; the key is among them, so that it is never shown
    content : bytes
    changes : what the caller asked for and is not in the content: a name if it was left out, ``name=value`` where it
        was changed
    method : str
    on_sent : callable or None
        Called once all of the request is on its way: from then on the provider may read it, and charge for it.
    sent : Sent
        What its usage is judged by.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    changes: tuple[str, ...] = ()
    method: str = "POST"
    on_sent: Callable[[], object] | None = field(default=None, repr=False, compare=False)
    sent: Sent = field(default=NOTHING_SENT, repr=False, compare=False)


class HttpResponse(Protocol):
    """A response whose status and headers are here, and whose body is not yet read."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, by names in lower case."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, decompressed; once.

        Raises
        ------
        UpstreamFailure
            With `FailureKind.CONNECTION` if the connection breaks, or ends before the length that was announced.
        """

    async def close(self) -> None:
        """Give the connection back, or end it if the body was not read to its end; a second call does nothing."""


class Transport(Protocol):
    """Sends requests of one provider over connections that are kept. Deadlines beyond connecting are the caller's."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Return the response once its headers are here; cancelling ends the call at once. No redirect is followed.

        Raises
        ------
        UpstreamFailure
            With `FailureKind.CONNECTION` or `TIMEOUT` (connecting, or waiting for a free connection).
        """

    async def close(self) -> None:
        """End all connections."""
