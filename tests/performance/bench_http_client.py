"""What a call of a provider costs in processor time, by HTTP client: why the service has aiohttp.

Usage: python tests/performance/bench_http_client.py [--requests 1000]

A mock on another core answers two calls: a JSON answer of 560 bytes, and a stream of 100 events, a millisecond apart.
Each client calls with 1 and with 32 calls under way; printed is this process' processor time a call, the lowest of
several rounds. ``floor`` is no client: it writes bytes and parses what comes with httptools, and checks nothing.
"""

import argparse
import asyncio
import gc
import multiprocessing
import os
import time
from contextlib import suppress

import aiohttp
import httptools
import httpx2
import uvloop

from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.transport import AiohttpTransport

BODY = b'{"model":"m","messages":[{"role":"user","content":"' + b"word " * 100 + b'"}]}'
HEADERS = {
    "content-type": "application/json",
    "authorization": "Bearer sk-" + "0" * 40,
    "user-agent": "router-model",
    "accept-encoding": "gzip, deflate",
}
LIMIT, ROUNDS, N_EVENTS, EVENT_EVERY_S = 200, 5, 100, 0.001

ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1790000000,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"' + b"word " * 60 + b'"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":10,"completion_tokens":60,"total_tokens":70}}'
)
EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1790000000,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
)
HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Mon, 23 Nov 2026 02:38:49 GMT\r\nserver: mock\r\nx-request-id: req_123456789\r\n"
    b"x-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\nopenai-processing-ms: 120\r\n"
)


class Mock(asyncio.Protocol):
    """Answers ``/json`` at once and anything else with a stream."""

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data) -> None:
        self.parser.feed_data(data)

    def on_url(self, url) -> None:
        self.url = url

    def on_message_complete(self) -> None:
        if self.url == b"/json":
            head = HEAD + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)
            self.transport.write(head + ANSWER)
        else:
            self.task = asyncio.get_running_loop().create_task(self.stream())

    async def stream(self) -> None:
        self.transport.write(HEAD + b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(N_EVENTS):
            self.transport.write(b"%x\r\n%s\r\n" % (len(EVENT), EVENT))
            await asyncio.sleep(EVENT_EVERY_S)
        self.transport.write(b"0\r\n\r\n")


class HttpxClient:
    def __init__(self, url) -> None:
        self.url = url
        limits = httpx2.Limits(max_connections=LIMIT)
        self.client = httpx2.AsyncClient(timeout=None, limits=limits, trust_env=False)

    async def call(self, path) -> int:
        async with self.client.stream("POST", self.url + path, headers=HEADERS, content=BODY) as response:
            return sum([len(piece) async for piece in response.aiter_raw()])

    async def close(self) -> None:
        await self.client.aclose()


class HttpxTransport:
    def __init__(self, url) -> None:
        self.url = url
        self.transport = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=LIMIT), trust_env=False)

    async def call(self, path) -> int:
        request = httpx2.Request("POST", self.url + path, headers=HEADERS, content=BODY)
        response = await self.transport.handle_async_request(request)
        try:
            return sum([len(piece) async for piece in response.stream])
        finally:
            await response.stream.aclose()

    async def close(self) -> None:
        await self.transport.aclose()


class PlainAiohttp:
    def __init__(self, url) -> None:
        self.url = url
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=LIMIT),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def call(self, path) -> int:
        async with self.session.post(self.url + path, headers=HEADERS, data=BODY, allow_redirects=False) as response:
            return sum([len(piece) async for piece in response.content.iter_any()])

    async def close(self) -> None:
        await self.session.close()


class Ours:
    def __init__(self, url) -> None:
        self.url = url
        self.transport = AiohttpTransport()

    async def call(self, path) -> int:
        response = await self.transport.send(HttpRequest(self.url + path, HEADERS, BODY))
        try:
            return sum([len(piece) async for piece in response.chunks()])
        finally:
            await response.close()

    async def close(self) -> None:
        await self.transport.close()


class Exchange(asyncio.Protocol):
    """One connection of `Floor`."""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def ask(self, data) -> None:
        self.parser, self.pieces, self.whole, self.waiter = httptools.HttpResponseParser(self), [], False, None
        self.transport.write(data)

    def data_received(self, data) -> None:
        self.parser.feed_data(data)
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def on_body(self, piece) -> None:
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.whole = True

    async def read(self) -> bytes:
        while not self.pieces and not self.whole:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        read = b"".join(self.pieces)
        self.pieces.clear()
        return read


class Floor:
    def __init__(self, url) -> None:
        self.address = url.removeprefix("http://").split(":")
        self.idle = []

    async def call(self, path) -> int:
        if self.idle:
            exchange = self.idle.pop()
        else:
            _, exchange = await asyncio.get_running_loop().create_connection(Exchange, *self.address)
        lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        head = f"POST {path} HTTP/1.1\r\nhost: {self.address[0]}\r\n{lines}content-length: {len(BODY)}\r\n\r\n"
        exchange.ask(head.encode() + BODY)
        n_bytes = 0
        while piece := await exchange.read():
            n_bytes += len(piece)
        self.idle.append(exchange)
        return n_bytes

    async def close(self) -> None:
        for exchange in self.idle:
            exchange.transport.close()


CLIENTS = {
    "httpx2.AsyncClient": HttpxClient,
    "httpx2.AsyncHTTPTransport": HttpxTransport,
    "aiohttp": PlainAiohttp,
    "ours (aiohttp)": Ours,
    "floor (httptools)": Floor,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000, help="JSON calls a round; streams are a tenth of them")
    n = parser.parse_args().requests
    cores = sorted(os.sched_getaffinity(0))
    ready = multiprocessing.Queue()
    mock = multiprocessing.Process(target=serve, args=(ready, cores[-1]), daemon=True)
    mock.start()
    os.sched_setaffinity(0, cores[:1])
    url = f"http://127.0.0.1:{ready.get(timeout=10)}"
    print("ms of processor time a call | JSON, 1 at once | JSON, 32 at once | 100 events, 32 at once")
    try:
        for name, client in CLIENTS.items():
            figures = [
                uvloop.run(measure(client, url, path, n_calls, at_once))
                for path, n_calls, at_once in (("/json", n // 4, 1), ("/json", n, 32), ("/stream", n // 10, 32))
            ]
            print(f"{name:27} | {figures[0]:15.3f} | {figures[1]:16.3f} | {figures[2]:23.3f}", flush=True)
    finally:
        mock.terminate()
        mock.join()


def serve(ready, core) -> None:
    os.sched_setaffinity(0, {core})

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", 0)
        ready.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    with suppress(asyncio.CancelledError):
        uvloop.run(run())


async def measure(client_class, url, path, n_calls, at_once) -> float:
    """Return the milliseconds of processor time a call, the lowest of the rounds."""
    client = client_class(url)
    expected = len(ANSWER) if path == "/json" else N_EVENTS * len(EVENT)

    async def worker(n) -> None:
        for _ in range(n):
            assert await client.call(path) == expected

    await asyncio.gather(*(worker(3) for _ in range(at_once)))
    lowest = float("inf")
    for _ in range(ROUNDS):
        gc.collect()
        began = time.process_time()
        await asyncio.gather(*(worker(max(n_calls // at_once, 1)) for _ in range(at_once)))
        lowest = min(lowest, (time.process_time() - began) / (max(n_calls // at_once, 1) * at_once))
    await client.close()
    return lowest * 1000


if __name__ == "__main__":
    main()
