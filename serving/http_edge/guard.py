"""The guard: a middleware that refuses malformed and oversized requests before anything else reads them.

Pure ASGI, a few microseconds a request. Refused are: a ``Host`` that is not ours, too many or too long headers, framing
that two servers could read differently, control characters in headers, path or query, bodies that are too long or
too slow, and everything that is not HTTP; of a service without keys also what another site's page sends. Whoever is
refused is answered in the error shape of the surface that was asked, and the connection is closed.
"""

import asyncio
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router_model.serving.access.authentication import CREDENTIALS, RESPONSE_HEADERS
from router_model.serving.common.causes import Shape
from router_model.serving.common.ids import UNSECRET
from router_model.serving.common.log_lines import REQUEST
from router_model.serving.common.loopback import is_address, is_loopback
from router_model.serving.common.service_errors import (
    ForbiddenError,
    HeadersTooLargeError,
    InvalidRequestError,
    ServiceError,
    TooLargeError,
    TooSlowError,
)
from router_model.serving.common.settings import Settings
from router_model.serving.http_edge.access_line import AccessLine
from router_model.serving.http_edge.bodies import MAX_BODY
from router_model.serving.http_edge.paths import with_plain_path
from router_model.serving.http_edge.surface_errors import REQUEST_ID, is_forwarded, shape_of, shaped_error
from router_model.serving.http_edge.trusted_hosts import TrustedHosts

LINGER_S: Final = 2.0
"""How long a refused body is still read and thrown away: closing at once resets the connection, and who is still
sending would never read the answer."""

# Without the tab (9), which is allowed within a header's value (RFC 9110 section 5.5).
_CONTROL: Final = bytes(set(range(32)) - {9}) + b"\x7f"
_ENCODED_CONTROL: Final = re.compile(rb"%(?:[01][0-9a-f]|7f)", re.IGNORECASE)
# Enough for 2**63. Python's int() raises at 4,301 digits, which would be answered as a defect of ours.
_MAX_LENGTH_DIGITS: Final = 19
_OUR_SITES: Final = frozenset({b"same-origin", b"none"})
"""``none``: typed into the address bar."""
_SAFE: Final = frozenset({"GET", "HEAD"})


class Guard:
    """Middleware that refuses what no request may be.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
        ``max_body_bytes``, ``max_call_bytes``, ``body_deadline_s``, ``max_header_bytes``, ``max_headers``,
        ``trusted_hosts``, ``host``, ``insecure``, ``cors_origins`` and ``access_log``.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._hosts = TrustedHosts.of(settings)
        self._insecure = settings.insecure
        self._origins = frozenset(origin.encode() for origin in settings.cors_origins)
        self._max_body_bytes = settings.max_body_bytes
        self._max_call_bytes = settings.max_call_bytes
        self._body_deadline_s = settings.body_deadline_s
        self._max_header_bytes = settings.max_header_bytes
        self._max_headers = settings.max_headers
        self._access_log = settings.access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()  # ASGI: the close may only follow the connect event
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            raise ValueError(f"scope type {scope['type']!r}; expected http or lifespan")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = with_plain_path(scope)
        scope[REQUEST_ID] = f"req_{UNSECRET.getrandbits(96):024x}"
        REQUEST.set(scope[REQUEST_ID])
        if not self._access_log:
            await self._answer(scope, receive, send)
            return
        line = AccessLine(scope, send)
        try:
            await self._answer(scope, receive, line.send)
        finally:
            line.write()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        _take_key_of_query(scope)
        # Calls to forward may contain images, so their limit is larger.
        max_bytes = self._max_call_bytes if is_forwarded(scope["path"]) else self._max_body_bytes
        try:
            has_body = self._check(scope, max_bytes)
        except ServiceError as refusal:
            await _answer(refusal, scope, receive, send, drain=True)
            return
        exchange = _Exchange(receive, send, max_bytes, _ids(scope))
        scope[RESPONSE_HEADERS] = exchange.extra_headers
        scope[MAX_BODY] = max_bytes
        if has_body:
            exchange.start_deadline(self._body_deadline_s)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception:
            # If we refused the body, the application's error only repeats that, and the refusal is the answer.
            if exchange.refusal is None or exchange.started:
                raise
        finally:
            exchange.stop_deadline()
        if exchange.refusal is not None and not exchange.started:
            await _answer(exchange.refusal, scope, receive, send, drain=exchange.worth_draining)

    def _check(self, scope: Scope, max_bytes: int) -> bool:
        """Check all but the body; return whether there is one."""
        headers = scope["headers"]
        if len(headers) > self._max_headers:
            raise HeadersTooLargeError(f"the request has {len(headers)} headers; expected at most {self._max_headers}")
        hosts: list[bytes] = []
        lengths: list[bytes] = []
        codings: list[bytes] = []
        values = []
        n_bytes = 0
        for name, value in headers:
            n_bytes += len(name)
            values.append(value)
            if name == b"host":
                hosts.append(value)
            elif name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                codings.append(value)
        # One search in the joined values is faster than one for each header.
        joined = b"".join(values)
        if n_bytes + len(joined) > self._max_header_bytes:
            raise HeadersTooLargeError(
                f"the headers have {n_bytes + len(joined)} bytes; expected at most {self._max_header_bytes}"
            )
        if len(joined.translate(None, _CONTROL)) != len(joined):
            raise InvalidRequestError("a header contains control characters; remove them")
        _check_target(scope)
        self._check_host(hosts, scope)
        if self._insecure:
            _check_loopback(scope)
            if not any(name == b"origin" and value in self._origins for name, value in headers):
                _check_site(scope, hosts[0])
        return _check_framing(lengths, codings, max_bytes)

    def _check_host(self, hosts: list[bytes], scope: Scope) -> None:
        if len(hosts) != 1:
            raise InvalidRequestError(f"the request has {len(hosts)} Host headers; expected one")
        if not self._hosts.trusts(hosts[0], scope.get("server")):
            raise InvalidRequestError(
                "the Host header does not name this service; use a name that it trusts, or ask its operator to add "
                "yours to its trusted hosts"
            )


def _check_framing(lengths: list[bytes], codings: list[bytes], max_bytes: int) -> bool:
    """Refuse what could be read as two different bodies (request smuggling, RFC 9112 §6.3)."""
    if len(lengths) + len(codings) > 1:
        raise InvalidRequestError("the request states the length of its body more than once; expected it once")
    if codings and codings[0].strip().lower() != b"chunked":
        raise InvalidRequestError("the Transfer-Encoding is not 'chunked'; send the body plain, with its length")
    if not lengths:
        return bool(codings)
    if not lengths[0].isdigit() or len(lengths[0]) > _MAX_LENGTH_DIGITS:
        raise InvalidRequestError("the Content-Length is not a number; expected digits")
    if (length := int(lengths[0])) > max_bytes:
        raise _too_large(f"has {length}", max_bytes)
    return length > 0


def _check_loopback(scope: Scope) -> None:
    """Refuse what came in on an address that others reach: another server than ours may listen on any."""
    address = (scope.get("server") or ("", None))[0]
    if is_address(address) and not is_loopback(address):
        raise ForbiddenError(
            "the service runs without keys and answers on loopback only; give it a key file (ROUTER_KEYS), or have the "
            "server listen on 127.0.0.1"
        )


def _check_site(scope: Scope, host: bytes) -> None:
    """Refuse what the page of another site sends, or another program's page on this machine.

    A service without keys does what anybody on this machine asks, and a browser on it asks for whichever page it shows:
    a form or a ``fetch`` without CORS needs no permission to be sent. Our own pages (``/docs``) have our host as their
    origin. Programs send neither of the headers.
    """
    for name, value in scope["headers"]:
        if name == b"origin":
            is_ours = value.lower() in (b"http://" + host.lower(), b"https://" + host.lower())
        elif name == b"sec-fetch-site":
            is_ours = value in _OUR_SITES or (scope["method"] in _SAFE and _navigates(scope["headers"]))
        else:
            continue
        if not is_ours:
            raise ForbiddenError(
                "the request comes from a page of another site, and the service runs without keys; give it a key file "
                "(ROUTER_KEYS) and have the page's server send a key"
            )


def _navigates(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a link to one of our pages was followed."""
    return (b"sec-fetch-mode", b"navigate") in headers


def _check_target(scope: Scope) -> None:
    """Refuse control characters in path or query, plain or percent-encoded: they forge log lines and headers."""
    query = scope["query_string"]
    if not scope["path"].isprintable():
        raise InvalidRequestError("the path contains control characters; remove them")
    if query and (len(query.translate(None, _CONTROL)) != len(query) or _ENCODED_CONTROL.search(query)):
        raise InvalidRequestError("the query contains control characters; remove them")


class _Exchange:
    """One request that was let through: its body is counted and timed while the application reads it."""

    __slots__ = (
        "_complete",
        "_expired",
        "_max_bytes",
        "_n_bytes",
        "_reader",
        "_receive",
        "_send",
        "_timer",
        "extra_headers",
        "refusal",
        "started",
    )

    def __init__(self, receive: Receive, send: Send, max_bytes: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._complete = False
        self._expired = False
        self._reader: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.extra_headers = headers
        self.refusal: ServiceError | None = None
        self.started = False

    def start_deadline(self, deadline_s: float) -> None:
        """Give the body `deadline_s` from now to arrive."""
        self._timer = asyncio.get_running_loop().call_later(deadline_s, self._expire)

    def stop_deadline(self) -> None:
        """Let the rest take its time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def worth_draining(self) -> bool:
        """Whether more of a refused body is on its way."""
        return not self._complete and not self._expired

    def _expire(self) -> None:
        self._expired = True
        if self._reader is not None:
            self._reader.cancel()  # only while it waits for the body; `receive` turns it into a refusal

    async def receive(self) -> Message:
        """Return the next part of the body; raise the refusal if it is one too many or too late."""
        if self._complete:
            return await self._receive()
        if self._expired:
            raise self._refuse(_too_slow())
        message = await self._receive() if self._timer is None else await self._receive_in_time()
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        self._n_bytes += len(message.get("body", b""))
        if self._n_bytes > self._max_bytes:
            raise self._refuse(_too_large("has more", self._max_bytes))
        if self._complete:
            self.stop_deadline()
        return message

    async def _receive_in_time(self) -> Message:
        self._reader = task = asyncio.current_task()
        try:
            return await self._receive()
        except asyncio.CancelledError as exc:
            # Another task may have cancelled this one at the same time; then the cancellation has to go on.
            if self._expired and task is not None and task.uncancel() == 0:
                raise self._refuse(_too_slow()) from exc
            raise
        finally:
            self._reader = None

    def _refuse(self, refusal: ServiceError) -> ServiceError:
        self.refusal = refusal
        self.stop_deadline()
        return refusal

    async def send(self, message: Message) -> None:
        """Pass an answer on, with the extra headers; drop it where the refusal is the answer."""
        if not self.started:
            if self.refusal is not None:
                return
            self.started = True
            if self.extra_headers:
                message = {**message, "headers": [*message.get("headers", ()), *self.extra_headers]}
        await self._send(message)


def _too_large(got: str, limit: int) -> TooLargeError:
    return TooLargeError(f"the body {got} bytes; expected at most {limit}; send less, or have the limit raised")


def _too_slow() -> TooSlowError:
    return TooSlowError("the body did not arrive in time; send it faster or in smaller requests")


async def _answer(error: ServiceError, scope: Scope, receive: Receive, send: Send, *, drain: bool) -> None:
    """Send a refusal and have the connection closed."""
    status, body = shaped_error(scope, error)
    headers = [*_headers(error, len(body)), *_ids(scope)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    # While the rest is read, the answer is not over: at its end the server closes the connection.
    await send({"type": "http.response.body", "body": body, "more_body": drain})
    if drain:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await _discard(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _ids(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the request's id in the headers that OpenAI's and Anthropic's SDKs read."""
    value = scope[REQUEST_ID].encode()
    return [(b"x-request-id", value), (b"request-id", value)]


def _take_key_of_query(scope: Scope) -> None:
    """Take Google's ``?key=`` as its header, if there is none."""
    query = scope["query_string"]
    path = scope["path"]
    if b"key=" not in query or not (shape_of(path) is Shape.GOOGLE or path.startswith("/v1/models")):
        return
    given = parse_qs(query.decode("latin-1")).get("key")
    if given and not any(name in CREDENTIALS for name, _ in scope["headers"]):
        scope["headers"] = [*scope["headers"], (b"x-goog-api-key", given[0].encode("latin-1", "replace"))]


async def _discard(receive: Receive) -> None:
    while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
        pass


def _headers(error: ServiceError, length: int) -> list[tuple[bytes, bytes]]:
    own: Iterable[tuple[str, str]] = error.headers.items()
    return [
        (b"content-type", b"application/json"),
        (b"content-length", str(length).encode()),
        # The rest of the body may still arrive, and must not be read as the next request.
        (b"connection", b"close"),
        *((name.encode(), value.encode()) for name, value in own),
    ]
