"""What uvicorn leaves open: a connection that never finishes its request's head.

Before the head is complete no application is called, so nothing in it can refuse. Uvicorn (0.54) waits for ever, and
with httptools it collects headers without a limit. Passing this class (``uvicorn --http
serving.access.http_protocol:HeadLimitedProtocol``) closes such connections; a reverse proxy in front does the same.
"""

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HeadLimitedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with a deadline and a limit for the head of a request.

    Complete heads are measured by `serving.access.guard`, with its own, smaller limit.
    """

    head_deadline_s: ClassVar[float] = 10.0
    max_head_bytes: ClassVar[int] = 262_144

    _head_timer: asyncio.TimerHandle | None = None
    _in_head: bool = True
    _in_body: bool = False
    _n_head_bytes: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first head."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; where the server still waits for a head after it, count it and set the deadline."""
        super().data_received(data)
        busy = self.cycle is not None and not self.cycle.response_complete
        if (busy and not self._in_head) or self.transport.is_closing():
            return
        if not self._in_body:  # the rest of a body that was answered already may be long
            self._n_head_bytes += len(data)
        if self._n_head_bytes > self.max_head_bytes:
            self.send_400_response("The headers are too large.")
        elif self._head_timer is None:
            self._start_timer()

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is complete."""
        self._in_head, self._in_body = False, True
        self._n_head_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        self._in_body = False
        super().on_message_complete()

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
