"""Limit what uvicorn's HTTP parser leaves unlimited, and tell a request that its client has left.

The limits are here because no application can refuse these things later.

Uvicorn (0.54, with httptools) waits for ever for the end of a head and collects headers without a limit. It takes
trailers, which come behind a chunked body, for headers of the request: they would authenticate, and fill memory. It
does work for each chunk however small it is, and makes a request of each head however many are sent ahead. This class
(``uvicorn --http router_model.serving.http_edge.http_protocol:HeadLimitedProtocol``) closes connections that do so, and
drops trailers. A reverse proxy in front does the same.

ASGI tells a disconnect to who awaits ``receive``, which takes a task for each request. `Client` in the scope tells it
by a call, which costs next to nothing.
"""

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_CHUNK_FRAMING_BYTES: Final = 16
"""A chunk's size in hexadecimal, and two line ends."""


CLIENT: Final = "router_client"
"""In the scope of a request: its `Client`, where this protocol reads it."""


class Client:
    """Who is at the other end of a connection; calls back once they have left.

    Parameters
    ----------
    listen : goes on reading what the client sends, because its end is seen only so
    """

    __slots__ = ("_has_left", "_listen", "_waiting")

    def __init__(self, listen: Callable[[], object]) -> None:
        self._listen = listen
        self._waiting: dict[Callable[[], object], asyncio.Handle | None] = {}
        self._has_left = False

    def call_when_gone(self, callback: Callable[[], object]) -> None:
        """Call once when the client leaves; soon, if it has."""
        if self._has_left:
            self._waiting[callback] = asyncio.get_running_loop().call_soon(callback)
        else:
            self._waiting[callback] = None
            self._listen()

    def forget(self, callback: Callable[[], object]) -> None:
        """Do not call any more."""
        handle = self._waiting.pop(callback, None)
        if handle is not None:
            handle.cancel()

    def listen(self) -> None:
        """Go on reading what the client sends, if anybody waits for its end."""
        if self._waiting:
            self._listen()

    def leave(self) -> None:
        """Call all who wait."""
        self._has_left = True
        waiting, self._waiting = self._waiting, {}
        for callback in waiting:
            callback()


class _FramingError(Exception):
    """Raise in a callback of the parser: it stops, and the protocol hangs up."""


class HeadLimitedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with limits for what surrounds a body.

    Complete heads are measured by `router_model.serving.http_edge.guard`, with its own, smaller limit.

    Attributes
    ----------
    head_deadline_s : float
        Until a head is complete.
    max_head_bytes : int
        Of a head that is not complete; and, apart from that, of a body's trailers and chunk extensions.
    max_pipelined : int
        Requests that may wait for the one before them to be answered.
    free_chunks, min_chunk_bytes : int
        So many chunks may be of any size; of more the mean has to be so long.
    """

    head_deadline_s: ClassVar[float] = 10.0
    max_head_bytes: ClassVar[int] = 262_144
    max_pipelined: ClassVar[int] = 16
    free_chunks: ClassVar[int] = 4096
    min_chunk_bytes: ClassVar[int] = 16

    _head_timer: asyncio.TimerHandle | None = None
    _in_head: bool = True
    _in_body: bool = False
    _n_head_bytes: int = 0
    _n_messages: int = 0
    _n_chunks: int = 0
    _n_body_bytes: int = 0
    _n_framing_bytes: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first head."""
        self._pieces: list[bytes] = []
        super().connection_made(transport)
        self._client = Client(self.flow.resume_reading)
        self._start_timer()  # a client that never sends a head would hold the connection for ever

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting, and tell the requests that are under way."""
        self._stop_timer()
        super().connection_lost(exc)
        self._client.leave()

    def data_received(self, data: bytes) -> None:
        """Parse what came; where the server still waits for a head after it, count it and set the deadline."""
        in_body, message, n_body_bytes = self._in_body, self._n_messages, self._n_body_bytes
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._hand_body_over()
        if in_body and self._in_body and message == self._n_messages:
            self._count_framing(len(data) - (self._n_body_bytes - n_body_bytes))
        busy = self.cycle is not None and not self.cycle.response_complete
        if (busy and not self._in_head) or self.transport.is_closing():
            return
        if not self._in_body:  # the rest of a body that was answered already may be long
            self._n_head_bytes += len(data)
        if self._n_head_bytes > self.max_head_bytes:
            self.send_400_response("The headers are too large.")
        elif self._head_timer is None:
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed; hang up where that would be read as a part of another request's answer."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and (self.pipeline or self._in_head or self.cycle.response_started):
            self.transport.close()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._in_head = True
        self._n_messages += 1
        self._n_chunks = self._n_body_bytes = self._n_framing_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; drop a trailer, which nothing here reads (RFC 9110 section 6.5.1)."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the head is complete."""
        self._in_head, self._in_body = False, True
        self._n_head_bytes = 0
        self._stop_timer()
        # Pipelined requests take memory before any limit of the application can refuse them.
        if len(self.pipeline) >= self.max_pipelined:
            raise _FramingError
        self.scope[CLIENT] = self._client  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        self._client.listen()  # uvicorn stops at a request that was sent ahead, and would not see the client leave

    def on_chunk_header(self) -> None:
        """Count a chunk."""
        self._n_chunks += 1
        # Tiny chunks cost the parser much time for few bytes, so a body may not consist of them alone.
        if self._n_chunks > self.free_chunks and self._n_body_bytes < self._n_chunks * self.min_chunk_bytes:
            raise _FramingError

    def on_body(self, body: bytes) -> None:
        """Keep a piece of a body until all that came with it is parsed: adding each to the others is quadratic."""
        self._n_body_bytes += len(body)
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        self._in_body = False
        self._hand_body_over()
        super().on_message_complete()

    def _hand_body_over(self) -> None:
        if self._pieces:
            body = b"".join(self._pieces)
            self._pieces.clear()
            super().on_body(body)

    def _count_framing(self, n_bytes: int) -> None:
        """Count what came between the pieces of a chunked body: sizes, extensions and trailers."""
        self._n_framing_bytes += n_bytes
        if self._n_framing_bytes > self.max_head_bytes + self._n_chunks * _CHUNK_FRAMING_BYTES:
            self.send_400_response("The trailers or chunk extensions are too large.")

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.head_deadline_s, self._close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()
