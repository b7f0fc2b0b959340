"""The interface of tracing for the request path; this implementation makes no spans.

It calls `Tracing.call` once a request, then `TracedCall.attempt` for every attempt (it is an
observer of attempts) and `TracedCall.end` when the answer, a stream's last piece included, has been sent. Here they do
nothing; `router_model.serving.monitoring.otel_tracing`, which needs the extra ``otel``, is imported only where spans go
somewhere.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Self

from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.formats.format import Surface

TRACE_HEADERS: Final = frozenset({b"traceparent", b"tracestate"})


class TracedCall:
    """One call of a caller's, from its arrival to the end of its answer.

    As a context manager it ends with the block, which suits answers that are not streams.

    Attributes
    ----------
    headers : mapping
        ``traceparent`` and ``tracestate`` for the provider: of our span, or as the caller sent them.
    """

    __slots__ = ("headers",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    def decided(self, *, decision_id: str | None = None, session_id: str | None = None) -> None:
        """Record the call's decision and its conversation."""

    def attempt(self, record: AttemptRecord) -> None:
        """Note an attempt that is over; an observer of attempts."""

    def end(self, error_type: str | None = None) -> None:
        """Record the end of the call; a second call does nothing.

        Parameters
        ----------
        error_type : str or None
            Code of the error that the caller got; None if the last attempt says how it went.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self.end(None if error is None else getattr(error, "code", None) or type(error).__name__)


class Tracing:
    """Makes no spans."""

    def call(
        self, surface: Surface, model: str, headers: Iterable[tuple[bytes, bytes]], *, stream: bool = False
    ) -> TracedCall:
        """Note that a call has come.

        Parameters
        ----------
        surface : Surface
        model : as the caller asked for it, e.g. ``auto``
        headers : of the request, as ASGI has them; ``traceparent`` names the caller's span
        stream : whether the answer comes in pieces
        """
        del surface, model, stream
        return TracedCall(trace_headers(headers))

    def close(self) -> None:
        """Send the remaining spans; may wait for the network, so it must not run on the event loop."""


OFF: Final = Tracing()


def trace_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers that say which trace a request is part of.

    >>> trace_headers([(b"host", b"localhost"), (b"traceparent", b"00-0af7-b7ad-01")])
    {'traceparent': '00-0af7-b7ad-01'}
    """
    # Every byte is a character of Latin-1, so no header of a caller's can raise here.
    return {name.decode(): value.decode("latin-1") for name, value in headers if name in TRACE_HEADERS}
