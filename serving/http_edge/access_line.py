"""The access log: one line for each request that was answered, with its ids, so that logs can be joined.

The line has the path without its query, which may hold a key; a key in the path itself is masked. Probes and metrics
that were answered well are left out: they come every few seconds, and say nothing.
"""

import logging
import time
from typing import Any, Final
from urllib.parse import quote

from starlette.types import Message, Scope, Send

from router_model.serving.access.authentication import KEY_ID
from router_model.serving.common.log_lines import FIELDS
from router_model.serving.http_edge.log_redaction import redacted
from router_model.serving.http_edge.surface_errors import REQUEST_ID

CLIENT_GONE: Final = 499
"""Status of a request whose caller left before its answer began; nginx's number."""
_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_FAILED: Final = 400
_LONGEST_PATH: Final = 200
_HEADERS: Final = {
    b"x-router-decision-id": "decision_id",
    b"x-router-model": "model",
    b"x-router-provider": "provider",
    b"x-router-attempts": "attempts",
}

_logger = logging.getLogger("router_model.access")


class AccessLine:
    """Follows one answer, and writes its line.

    Parameters
    ----------
    scope : ASGI scope of the request
    send : what the answer is sent by
    """

    __slots__ = ("_began", "_n_bytes", "_said", "_scope", "_send", "_status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._began = time.perf_counter()
        self._status = CLIENT_GONE
        self._n_bytes = 0
        self._said: dict[str, str] = {}

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            for name, value in message.get("headers", ()):
                if name in _HEADERS:
                    self._said[_HEADERS[name]] = value.decode("latin-1")
        else:
            self._n_bytes += len(message.get("body", b""))
        await self._send(message)

    def write(self) -> None:
        """Write the line, when the answer is over."""
        path = self._scope["path"]
        if path in _PROBES and self._status < _FAILED:
            return
        fields: dict[str, Any] = {
            "request_id": self._scope[REQUEST_ID],
            "key_id": self._scope.get(KEY_ID),
            **self._said,
            "bytes": self._n_bytes,
            "duration_s": round(time.perf_counter() - self._began, 6),
        }
        shown = quote(redacted(path)[:_LONGEST_PATH], safe="/*")  # a space would look like the beginning of a field
        _logger.info(
            "%s %s %d", self._scope["method"], shown, self._status,
            extra={FIELDS: {"method": self._scope["method"], "path": shown, "status": self._status} | fields},
        )  # fmt: skip
