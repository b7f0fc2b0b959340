"""The HTTP client: aiohttp, behind `router_model.serving.providers.http` (why: `docs/decisions/0012-http-client.md`).

aiohttp verifies certificates, frames exactly, decompresses, skips 1xx answers, keeps connections for a while and never
gives one back whose answer was not read to its end. Added here: failures in our words, an end that does not wait for
the other side, and a second try where a kept connection turns out to be dead.
"""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from router_model.serving.common.extra import needing_serve
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.http import HttpRequest

with needing_serve("the HTTP client"):
    import aiohttp
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError
    from yarl import URL

KEEP_ALIVE_S: Final = 30.0
"""How long an unused connection is kept."""
STALE_WITHIN_S: Final = 1.0
"""A kept connection that breaks so soon, before any answer, was dead when it was taken."""
_MAX_HEADER_BYTES: Final = 16_384  # of one header
_MAX_HEADERS: Final = 200
_LONG_BODY_BYTES: Final = 1_000_000
_FAREWELL_S: Final = 1.0
_HEADERS: Final = {"user-agent": "router-model", "accept-encoding": "gzip, deflate"}
_NOT_SENT: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "cookie", "expect", "host", "keep-alive"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Headers that are between us and a provider, whatever a caller's said."""
_BROKEN: Final = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError)
"""OSError: TimeoutError, too; ValueError: of what cannot be sent."""


@dataclass(frozen=True, slots=True)
class Connecting:
    """The settings of making connections.

    Attributes
    ----------
    max_connections : int
    connect_s : seconds to connect, or to get a free connection
    proxy_url : an HTTP proxy; None if there is none, whatever the environment says
    """

    max_connections: int = 200
    connect_s: float = 5.0
    proxy_url: str | None = None


class _Line:
    """One connection, as long as it lives.

    Where aiohttp (3.14) meets a chunk without a size within an answer, it closes the connection and leaves whoever
    reads the answer waiting; here they are told.
    """

    def __init__(self, transport: asyncio.Transport | None, lost: asyncio.Future[None]) -> None:
        self.transport = transport
        self.body: aiohttp.StreamReader | None = None
        lost.add_done_callback(self._tell)

    def _tell(self, lost: asyncio.Future[None]) -> None:
        lost.exception()  # reading the exception here keeps asyncio from logging it as never retrieved
        if self.body is not None and not self.body.is_eof() and self.body.exception() is None:
            self.body.set_exception(aiohttp.ClientPayloadError("the connection was lost"))


@dataclass(slots=True)
class _Taken:
    """The connection that a call took from the pool."""

    line: _Line | None = None
    was_kept: bool = False


_taken: ContextVar[_Taken] = ContextVar("taken")


class _TellingPayload(aiohttp.Payload):
    """A body that tells once all of it was handed to the socket."""

    def __init__(self, value: Any, on_sent: Callable[[], object] | None) -> None:
        super().__init__(value)
        self._on_sent = on_sent

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await super().write_with_length(writer, content_length)
        if self._on_sent is not None:
            self._on_sent()


class _Body(_TellingPayload, aiohttp.BytesPayload):
    pass


class _LongBody(_TellingPayload, aiohttp.BytesIOPayload):
    """Is sent in pieces."""


class _ResponseHandler(ResponseHandler):
    """Aiohttp's, without the parser's call for nothing that it makes (3.14) after each piece of a body that is read."""

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002  (aiohttp's own)
        """Go on reading, unless that was never stopped."""
        if self._reading_paused:
            super().resume_reading(resume_parser)


class _Connector(aiohttp.TCPConnector):
    """Says which connection a call took, and whether it was used before."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Aiohttp's own attribute: without it the handler is aiohttp's, which only costs time (a test looks).
        self._factory: Any = partial(_ResponseHandler, loop=self._loop)
        self._lines: dict[Any, _Line] = {}

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  (aiohttp's own)
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        line = self._lines.get(protocol)
        taken = _taken.get()
        taken.was_kept = line is not None
        if line is None and protocol is not None and protocol.closed is not None:
            line = self._lines[protocol] = _Line(protocol.transport, protocol.closed)
            # A line holds its transport, which holds the protocol. Without this callback none of the three would be
            # freed.
            protocol.closed.add_done_callback(partial(self._forget, protocol))
        taken.line = line
        return connection

    def _forget(self, protocol: Any, _: asyncio.Future[None]) -> None:
        self._lines.pop(protocol, None)


class AiohttpResponse:
    """A response; see `router_model.serving.providers.http.HttpResponse`."""

    def __init__(self, response: aiohttp.ClientResponse, host: str, on_close: Callable[[], Awaitable[None]]) -> None:
        self._response = response
        self._host = host
        self._on_close = on_close
        self._closed = False
        self.status: int = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, decompressed."""
        content = self._response.content
        try:
            while data := await content.readany():
                yield data
        except (*_BROKEN, RuntimeError) as exc:  # RuntimeError: of reading on after the end of the transport
            if isinstance(exc.__cause__, ContentEncodingError):
                raise UpstreamFailure(
                    FailureKind.MALFORMED, f"{self._host}: the answer cannot be decompressed", status=self.status
                ) from exc
            raise UpstreamFailure(
                FailureKind.CONNECTION,
                f"{self._host}: the connection broke in the middle of the answer",
                status=self.status,
            ) from exc

    async def close(self) -> None:
        """Give the connection back, or end it at once if the body was not read to its end."""
        if self._closed:
            return
        self._closed = True
        connection = self._response.connection  # None after the whole body, when the connection is back in the pool
        if connection is not None and connection.transport is not None:
            connection.transport.abort()  # a normal close would first flush data and wait for the end of TLS
        self._response.close()
        await self._on_close()


class AiohttpTransport:
    """Sends requests over kept connections; see `router_model.serving.providers.http.Transport`.

    Connections are opened in the event loop of the first request. Call `close` in the end.
    """

    def __init__(self, connecting: Connecting | None = None) -> None:
        self._connecting = connecting or Connecting()
        self._session: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None
        self._n_open = 0
        self._retired = False
        self._closed = False

    @property
    def n_open(self) -> int:
        """Calls that wait for an answer, and responses that are not closed."""
        return self._n_open

    async def send(self, request: HttpRequest) -> AiohttpResponse:
        """Return the response once its headers are here."""
        if self._closed:
            raise UpstreamFailure(FailureKind.CONNECTION, f"{_host(request)}: the service is shutting down")
        self._n_open += 1
        try:
            return await self._send(request)
        except BaseException:
            await self._release()
            raise

    async def close(self) -> None:
        """End all connections, those of calls that are under way, too."""
        self._closed = True
        await self._end_connections()

    async def retire(self) -> None:
        """End the connections once no call is under way; later requests get new ones, which end as soon."""
        self._retired = True
        if not self._n_open:
            await self._end_connections()

    async def _release(self) -> None:
        self._n_open -= 1
        if self._retired and not self._n_open:
            await self._end_connections()

    async def _end_connections(self) -> None:
        sessions = [session for session in (self._session, self._fresh) if session is not None]
        self._session = self._fresh = None
        for session in sessions:
            with suppress(TimeoutError):  # the other side may never read the rest of the data
                async with asyncio.timeout(_FAREWELL_S):
                    await session.close()

    async def _send(self, request: HttpRequest) -> AiohttpResponse:
        if self._session is None:
            self._session = self._open(keepalive_timeout=KEEP_ALIVE_S)
        taken = _Taken()
        sent_s = asyncio.get_running_loop().time()
        try:
            return await self._exchange(self._session, request, taken)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as exc:
            # Only a kept connection that broke at once, without any answer, may have been dead before. In all other
            # cases.
            # the provider may have read the request, and a second one would be billed, too.
            late = asyncio.get_running_loop().time() - sent_s > STALE_WITHIN_S
            if late or not taken.was_kept or not _is_unanswered(exc):
                _fail(exc, request, self._connecting)
        except _BROKEN as exc:
            _fail(exc, request, self._connecting)
        return await self._send_again(request)

    async def _send_again(self, request: HttpRequest) -> AiohttpResponse:
        """Send over a new connection: others in the pool may be as dead as the first was."""
        if self._fresh is None:
            self._fresh = self._open(force_close=True)
        try:
            return await self._exchange(self._fresh, request, _Taken())
        except _BROKEN as exc:
            _fail(exc, request, self._connecting)

    async def _exchange(self, session: aiohttp.ClientSession, request: HttpRequest, taken: _Taken) -> AiohttpResponse:
        _taken.set(taken)  # the connector has no parameter for it
        try:
            response = await session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=_headers(request.headers),
                data=_body(request),
                allow_redirects=False,  # a redirect could send the key to another host
            )
        except BaseException:
            if taken.line is not None and taken.line.transport is not None:
                # Aiohttp closes it only after everything has been sent, which may take for ever.
                taken.line.transport.abort()
            raise
        if taken.line is not None:
            taken.line.body = response.content
        return AiohttpResponse(response, _host(request), self._release)

    def _open(self, **options: Any) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=_Connector(limit=self._connecting.max_connections, **options),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connecting.connect_s),
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),  # cookies from one caller's call must not go out with another's
            trust_env=False,  # only the providers file sets proxies, and .netrc must not replace keys
            proxy=self._connecting.proxy_url,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            max_headers=_MAX_HEADERS,
        )


def _headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    if _NOT_SENT.isdisjoint(headers):
        return headers
    return {name: value for name, value in headers.items() if name not in _NOT_SENT}


def _body(request: HttpRequest) -> aiohttp.Payload | None:
    content = request.content
    if len(content) > _LONG_BODY_BYTES:
        return _LongBody(io.BytesIO(content), request.on_sent)
    return _Body(content, request.on_sent) if content else None


def _is_unanswered(exc: Exception) -> bool:
    """Whether a connection broke before any byte of an answer; none that could not be made."""
    if isinstance(exc, aiohttp.ServerDisconnectedError):
        return exc.args == ("Server disconnected",)  # else: the beginning of an answer
    return not isinstance(exc, aiohttp.ClientConnectorError)


def _fail(exc: Exception, request: HttpRequest, connecting: Connecting) -> NoReturn:
    """Raise in our words what went wrong before the headers were here; nothing of the request is in them."""
    host = _host(request)
    if isinstance(exc, TimeoutError):
        raise UpstreamFailure(
            FailureKind.TIMEOUT,
            f"{host}: no connection within {connecting.connect_s:g} s (at most {connecting.max_connections} are open)",
        ) from exc
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        raise UpstreamFailure(FailureKind.CONNECTION, f"{host}: its certificate is not trusted") from exc
    if isinstance(exc, aiohttp.ClientConnectorError):
        # The error's own words are Python's, with the address once more.
        number = exc.os_error.errno or 0
        why = os.strerror(number) if number > 0 else exc.os_error.strerror or type(exc.os_error).__name__
        raise UpstreamFailure(FailureKind.CONNECTION, f"{host}: the connection failed ({why})") from exc
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        raise UpstreamFailure(FailureKind.CONNECTION, f"{host}: the proxy answered {exc.status}") from None
    if isinstance(exc, aiohttp.ClientResponseError | HttpProcessingError):
        raise UpstreamFailure(
            FailureKind.MALFORMED,
            f"{host}: the answer is not HTTP, its headers are too large, or its content-encoding is unknown",
        ) from exc.__cause__  # `exc` itself has the request in it, with its key
    if isinstance(exc, ValueError):
        raise UpstreamFailure(FailureKind.BAD_REQUEST, f"{host}: a header or the URL cannot be sent") from None
    raise UpstreamFailure(FailureKind.CONNECTION, f"{host}: the connection broke before an answer") from exc


def _host(request: HttpRequest) -> str:
    return urlsplit(request.url).netloc
