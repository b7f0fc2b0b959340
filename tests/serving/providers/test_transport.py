"""The HTTP client against servers that say exactly what is at stake."""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
from raw_server import Connection, answer, chunked, raw_server

from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.transport import AiohttpTransport, Connecting, _ResponseHandler

IN_TIME = partial(asyncio.timeout, 10)


@pytest.fixture(autouse=True, params=["asyncio", "uvloop"])
def loop_factory(request):
    """The service runs in uvloop where there is one."""
    return pytest.importorskip("uvloop").new_event_loop if request.param == "uvloop" else asyncio.new_event_loop


def request(url: str, content: bytes = b"{}", **headers: str) -> HttpRequest:
    return HttpRequest(f"{url}/v1/chat", {"content-type": "application/json", **headers}, content)


async def ask(transport: AiohttpTransport, url: str, content: bytes = b"{}") -> tuple[int, bytes]:
    response = await transport.send(request(url, content))
    try:
        return response.status, b"".join([piece async for piece in response.chunks()])
    finally:
        await response.close()


@asynccontextmanager
async def playing(serve: Callable, connecting: Connecting | None = None, **options: object) -> AsyncIterator[tuple]:
    """Open a transport, and a server that does `serve` with each connection."""
    transport = AiohttpTransport(connecting)
    try:
        async with IN_TIME(), raw_server(serve, **options) as server:
            yield transport, server
    finally:
        await transport.close()


def saying(*answers: bytes) -> Callable:
    """Answer every request of a connection with these bytes, in pieces."""

    async def serve(connection: Connection) -> None:
        while (await connection.request())[0]:
            for piece in answers:
                await connection.say(piece)
                await asyncio.sleep(0.005)

    return serve


def once(said: bytes, *, stays: bool = False, heard: list | None = None) -> Callable:
    """Answer one request of a connection, and then close it, unless it `stays`; put the request into `heard`."""

    async def serve(connection: Connection) -> None:
        request = await connection.request()
        if heard is not None:
            heard.append(request)
        await connection.say(said)
        if stays:
            await connection.wait_until_left()

    return serve


async def ask_once(*answers: bytes) -> tuple[int, bytes]:
    async with playing(saying(*answers)) as (transport, server):
        return await ask(transport, server.url)


# what is sent and read


async def test_request_arrives_as_it_is_given():
    heard = []

    async with playing(once(answer(), heard=heard)) as (transport, server):
        response = await transport.send(
            HttpRequest(f"{server.url}/v1/models/a%2Fb:go?alt=sse", {"authorization": "Bearer k"}, b'{"a": 1}')
        )
        await response.close()
    (head, body), *_ = heard
    fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
    assert head.startswith("POST /v1/models/a%2Fb:go?alt=sse HTTP/1.1\r\n")
    assert body == b'{"a": 1}'
    assert fields["authorization"] == "bearer k"
    assert fields["accept-encoding"] == "gzip, deflate"
    assert fields["user-agent"] == "router-model"
    assert "cookie" not in fields


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((answer(b'{"a": 1}'),), b'{"a": 1}'),
        ((answer(b"abcd")[:-2], b"cd"), b"abcd"),
        ((chunked(b"ab", b"c"),), b"abc"),
        (tuple(chunked(b"ab", b"c")[at : at + 1] for at in range(len(chunked(b"ab", b"c")))), b"abc"),
        ((answer(gzip.compress(b"x" * 100_000), "content-encoding: gzip"),), b"x" * 100_000),
        ((answer(zlib.compress(b"deflated"), "content-encoding: deflate"),), b"deflated"),
        ((chunked(gzip.compress(b"both"), headers="content-encoding: gzip\r\n"),), b"both"),
        (
            (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", answer(b"late")),
            b"late",
        ),
    ],
    ids=["length", "length in pieces", "chunked", "byte by byte", "gzip", "deflate", "gzip in chunks", "1xx before"],
)
async def test_body_is_read_whole(answers, expected):
    assert await ask_once(*answers) == (200, expected)


async def test_body_that_was_paused_is_read_to_its_end():
    """Far more than is read ahead: many small chunks, and what is small only as long as it is compressed."""
    many, zipped = [b"x" * 100] * 20_000, gzip.compress(b"y" * 5_000_000)

    answers = (chunked(*many), answer(zipped, "content-encoding: gzip"), chunked(b"a")[:-5])
    async with playing(saying(*answers)) as (transport, server):
        bodies = [(await ask(transport, server.url))[1] for _ in range(2)]
        response = await transport.send(request(server.url))
        assert isinstance(response._response.connection.protocol, _ResponseHandler)
        await response.close()
        assert bodies == [b"".join(many), b"y" * 5_000_000]


async def test_long_body_is_sent_whole():
    async def serve(connection):
        _, body = await connection.request()
        await connection.say(answer(b"%d" % len(body)))

    async with playing(serve) as (transport, server):
        assert await ask(transport, server.url, b"x" * 5_000_000) == (200, b"5000000")


async def test_body_without_length_ends_with_the_connection():
    async with playing(once(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")) as (transport, server):
        assert await ask(transport, server.url) == (200, b"until the end")


async def test_response_has_headers_in_lower_case():
    async with playing(saying(answer(b"", "Retry-After: 7", status="429 Too Many Requests"))) as (transport, server):
        response = await transport.send(request(server.url))
        await response.close()
        await response.close()  # again: nothing
        status, headers = response.status, response.headers
    assert (status, headers["retry-after"]) == (429, "7")


async def test_redirects_are_not_followed_and_cookies_not_kept():
    """A followed redirect would ask a second time; a kept cookie would be in the second request."""
    heard = []

    async def serve(connection):
        while (said := await connection.request())[0]:
            heard.append(said[0])
            await connection.say(
                answer(b"", "location: /elsewhere", "set-cookie: a=b", status="307 Temporary Redirect")
            )

    async with playing(serve) as (transport, server):
        assert [await ask(transport, server.url) for _ in range(2)] == [(307, b""), (307, b"")]
    assert len(heard) == 2
    assert "cookie" not in heard[1].lower()


async def test_environment_names_no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert await ask_once(answer(b"direct")) == (200, b"direct")


async def test_configured_proxy_is_asked():
    heard = []

    async def serve(connection):
        heard.append((await connection.request())[0])
        await connection.say(answer(b"by proxy"))

    async with playing(serve) as (_, server):
        transport = AiohttpTransport(Connecting(proxy_url=server.url))
        assert await ask(transport, "http://models.invalid") == (200, b"by proxy")
        await transport.close()
    assert heard[0].startswith("POST http://models.invalid/v1/chat HTTP/1.1")


@pytest.mark.parametrize(
    "name", ["transfer-encoding", "content-length", "expect", "host", "accept-encoding", "upgrade"]
)
async def test_headers_of_the_connection_are_not_the_callers(name):
    heard = []

    async with playing(once(answer(b"ok"), heard=heard)) as (transport, server):
        response = await transport.send(HttpRequest(server.url, {name: "chunked"}, b"{}"))
        await response.close()
    assert heard[0][1] == b"{}"
    assert "chunked" not in heard[0][0]


async def test_answer_before_the_body_is_sent_is_read_and_its_connection_not_used_again():
    """The rest of the first body would be read as the second request."""

    async def serve(connection):
        await connection.reader.readuntil(b"\r\n\r\n")
        await connection.say(answer(b"too long" if connection.number == 0 else b"ok", status="413 Content Too Large"))
        await connection.wait_until_left()

    async with playing(serve) as (transport, server):
        answers = [await ask(transport, server.url, content) for content in (b"x" * 20_000_000, b"{}")]
        assert (answers, len(server.connections)) == ([(413, b"too long"), (413, b"ok")], 2)


# what breaks


async def test_header_that_would_be_two_is_refused():
    async with playing(saying(answer())) as (transport, server):
        with pytest.raises(UpstreamFailure, match="a header or the URL cannot be sent") as caught:
            await transport.send(HttpRequest(server.url, {"x-a": "1\r\nx-b: 2"}, b"{}"))
    assert caught.value.kind is FailureKind.BAD_REQUEST


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
    ],
    ids=["length too long", "no last chunk", "within a chunk"],
)
async def test_body_that_ends_early_is_a_broken_connection(said):
    async with playing(once(said)) as (transport, server):
        with pytest.raises(UpstreamFailure, match="the connection broke in the middle of the answer") as caught:
            await ask(transport, server.url)
    assert (caught.value.kind, caught.value.status) == (FailureKind.CONNECTION, 200)


async def test_chunk_without_a_size_is_a_broken_connection():
    with pytest.raises(UpstreamFailure, match="the connection broke in the middle of the answer"):
        await ask_once(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", b"zz\r\nhello\r\n")


async def test_pieces_before_a_break_are_given():
    pieces = []

    async def serve(connection):
        await connection.request()
        await connection.say(chunked(b"data: 1\n\n", b"data: 2\n\n")[:-5])
        await asyncio.sleep(0.05)
        connection.reset()

    async with playing(serve) as (transport, server):
        response = await transport.send(request(server.url))
        with pytest.raises(UpstreamFailure, match="broke in the middle of the answer"):  # noqa: PT012
            async for piece in response.chunks():
                pieces.append(piece)  # noqa: PERF401  (what came before the failure counts)
        await response.close()
    assert b"".join(pieces) == b"data: 1\n\ndata: 2\n\n"


async def test_damaged_compression_is_malformed():
    damaged = answer(b"no gzip at all", "content-encoding: gzip")
    with pytest.raises(UpstreamFailure, match="cannot be decompressed") as caught:
        await ask_once(damaged)
    assert caught.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize(
    "said",
    [
        b"220 smtp ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: 1\r\n" % n for n in range(300)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nab",
    ],
    ids=["not HTTP", "long header", "many headers", "two lengths"],
)
async def test_head_that_is_no_answer_is_malformed(said):
    with pytest.raises(UpstreamFailure, match="the answer is not HTTP, its headers are too large") as caught:
        await ask_once(said)
    assert caught.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-le"], ids=["silent", "within the head"])
async def test_connection_that_breaks_before_an_answer_is_said_and_not_asked_again(said):
    async with playing(once(said)) as (transport, server):
        with pytest.raises(UpstreamFailure, match="the connection broke before an answer") as caught:
            await ask(transport, server.url)
        assert (caught.value.kind, len(server.connections)) == (FailureKind.CONNECTION, 1)


async def test_refused_connection_is_said_without_what_was_sent():
    async with playing(saying()) as (transport, _):
        with pytest.raises(
            UpstreamFailure, match=r"127.0.0.1:1: the connection failed \(Connection refused\)"
        ) as caught:
            await ask(transport, "http://127.0.0.1:1")
    assert caught.value.kind is FailureKind.CONNECTION


async def test_unknown_host_is_said():
    async with playing(saying()) as (transport, _):
        with pytest.raises(UpstreamFailure, match="models.invalid: the connection failed"):
            await ask(transport, "http://models.invalid")


async def test_waiting_for_a_free_connection_is_bounded():

    async def ask_length(transport, url):
        response = await transport.send(request(url))
        await response.close()
        return response.status

    endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"
    async with playing(saying(endless), Connecting(1, 0.05)) as (transport, server):
        first = await transport.send(request(server.url))
        with pytest.raises(UpstreamFailure, match=r"no connection within 0.05 s \(at most 1 are open\)") as caught:
            await transport.send(request(server.url))
        await first.close()
        assert (await ask_length(transport, server.url)) == 200
        assert caught.value.kind is FailureKind.TIMEOUT


async def test_handshake_that_never_ends_is_bounded():
    async def silent(connection):
        await connection.wait_until_left()

    async with playing(silent, Connecting(connect_s=0.1)) as (transport, server):
        with pytest.raises(UpstreamFailure, match="no connection within 0.1 s") as caught:
            await ask(transport, server.url.replace("http:", "https:"))
    assert caught.value.kind is FailureKind.TIMEOUT


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nx"])
async def test_key_is_in_no_failure(said):
    """Not in what is printed of it either, with all that caused it."""

    async with playing(once(said)) as (transport, server):
        with pytest.raises(UpstreamFailure, match="127.0.0.1") as caught:
            await transport.send(request(server.url, authorization="Bearer sk-canary"))
    chain, failure = [], caught.value
    while failure is not None:
        chain.append(f"{failure!r} {failure} {vars(failure)}")
        failure = failure.__cause__ or failure.__context__ if not failure.__suppress_context__ else failure.__cause__
    assert "canary" not in " ".join(chain)


async def test_proxy_that_refuses_is_said():
    async with playing(once(answer(b"", status="407 Proxy Authentication Required"))) as (_, server):
        transport = AiohttpTransport(Connecting(proxy_url=server.url))
        with pytest.raises(UpstreamFailure, match="models.invalid: the proxy answered 407") as caught:
            await ask(transport, "https://models.invalid")
        await transport.close()
    assert caught.value.kind is FailureKind.CONNECTION


async def test_untrusted_certificate_is_refused(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    async with playing(saying(answer()), ssl=context) as (transport, server):
        with pytest.raises(UpstreamFailure, match="its certificate is not trusted") as caught:
            await ask(transport, server.url)
    assert caught.value.kind is FailureKind.CONNECTION


async def test_trusted_certificate_is_accepted(certificate, monkeypatch):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    async with playing(saying(answer(b"safe")), ssl=context) as (transport, server):
        assert await ask(transport, server.url) == (
            200,
            b"safe",
        )


# connections


async def test_connection_is_kept():
    async with playing(saying(chunked(b"ab", b"c"))) as (transport, server):
        for _ in range(3):
            assert await ask(transport, server.url) == (200, b"abc")
        assert len(server.connections) == 1


@pytest.mark.parametrize("farewell", ["close", "reset"])
async def test_kept_connection_that_died_is_replaced_once(farewell):
    """The first request is answered; the server ends the connection when the second arrives on it, without a word."""
    heard = []

    async def serve(connection):
        heard.append((connection.number, (await connection.request())[1]))
        await connection.say(answer(b"ok"))
        if connection.number == 0:
            heard.append((connection.number, (await connection.request())[1]))
            if farewell == "reset":
                connection.reset()

    async with playing(serve) as (transport, server):
        assert [await ask(transport, server.url, body) for body in (b"1", b"2")] == [(200, b"ok"), (200, b"ok")]
    assert heard == [(0, b"1"), (0, b"2"), (1, b"2")]


async def test_second_try_is_the_last():
    async def serve(connection):
        await connection.request()
        if connection.number == 0:
            await connection.say(answer(b"ok"))
            await connection.request()

    async with playing(serve) as (transport, server):
        await ask(transport, server.url)
        with pytest.raises(UpstreamFailure, match="broke before an answer"):
            await ask(transport, server.url)
        assert len(server.connections) == 2


async def test_kept_connection_that_breaks_at_work_is_not_asked_again(monkeypatch):
    """After `STALE_WITHIN_S` the provider was at work: asking again would pay twice."""
    monkeypatch.setattr("router_model.serving.providers.transport.STALE_WITHIN_S", 0.02)

    async def serve(connection):
        await connection.request()
        await connection.say(answer(b"ok"))
        await connection.request()
        await asyncio.sleep(0.1)

    async with playing(serve) as (transport, server):
        await ask(transport, server.url)
        with pytest.raises(UpstreamFailure, match="broke before an answer"):
            await ask(transport, server.url)
        assert len(server.connections) == 1


async def test_connection_that_was_closed_while_idle_is_not_used():
    async with playing(once(answer(b"ok"))) as (transport, server):
        for _ in range(2):
            assert (await ask(transport, server.url))[0] == 200
            await asyncio.sleep(0.05)
        assert len(server.connections) == 2


async def test_response_that_is_not_read_to_its_end_ends_its_connection():
    async def first(pieces):
        async for piece in pieces:
            yield piece
            return

    async with playing(once(chunked(b"data: 1\n\n")[:-5], stays=True)) as (transport, server):
        for n in range(2):
            response = await transport.send(request(server.url))
            assert [piece async for piece in first(response.chunks())] == [b"data: 1\n\n"]
            await response.close()
            await server.connections[n].left.wait()
        assert (len(server.connections), transport.n_open) == (2, 0)


async def test_cancelling_ends_the_connection_before_the_headers():

    async def serve(connection):
        await connection.request()
        await connection.wait_until_left()

    async with playing(serve) as (transport, server):
        call = asyncio.create_task(transport.send(request(server.url)))
        await server.visited.wait()
        await asyncio.sleep(0.02)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.connections[0].left.wait()
        assert transport.n_open == 0


async def test_cancelling_ends_the_connection_while_the_body_is_sent():
    """The server does not read, so that of 32 MB most is still to be sent; flushing it would never end."""
    go = asyncio.Event()

    async def serve(connection):
        await go.wait()
        await connection.wait_until_left()

    async with playing(serve) as (transport, server):
        call = asyncio.create_task(transport.send(request(server.url, b"x" * 32_000_000)))
        await server.visited.wait()
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(0.05)
        go.set()
        await server.connections[0].left.wait()


async def test_abandoned_streams_leave_nothing_open():
    async with playing(once(chunked(b"data: 1\n\n")[:-5], stays=True), Connecting(50)) as (transport, server):

        async def abandon():
            response = await transport.send(request(server.url))
            async for _ in response.chunks():
                break
            await response.close()

        for _ in range(20):
            await asyncio.gather(*(abandon() for _ in range(50)))
        await asyncio.gather(*(connection.left.wait() for connection in server.connections))
        assert (len(server.connections), transport.n_open) == (1000, 0)


# the end


async def test_closed_transport_refuses():
    async with playing(saying(answer())) as (transport, server):
        await transport.close()
        with pytest.raises(UpstreamFailure, match="the service is shutting down"):
            await ask(transport, server.url)


async def test_closing_ends_calls_under_way():
    async with playing(saying(chunked(b"a")[:-5])) as (transport, server):
        response = await transport.send(request(server.url))
        await transport.close()
        with pytest.raises(UpstreamFailure, match="broke in the middle of the answer"):
            _ = [piece async for piece in response.chunks()]
        await response.close()
        assert transport.n_open == 0


async def test_retired_transport_serves_on_and_keeps_no_connection():
    async with playing(saying(answer(b"ok"))) as (transport, server):
        await ask(transport, server.url)
        response = await transport.send(request(server.url))
        await transport.retire()
        assert [piece async for piece in response.chunks()] == [b"ok"]
        assert not server.connections[0].left.is_set()
        await response.close()
        assert await ask(transport, server.url) == (200, b"ok")  # whoever still has it may go on
        for connection in server.connections:
            await connection.left.wait()
        assert len(server.connections) == 2
