"""A provider on a real socket that speaks four formats, misbehaves as it is told, and keeps what it saw.

Paths are ``/PLAY/KIND/…``: PLAY is the name of a fault (`scripted_faults.FAULTS`) or ``ok``, KIND ``openai``,
``anthropic``, ``gemini`` or ``openai-responses``. ``/next/KIND/…`` plays what a test has put into
`ScriptedUpstream.plays`, and ``ok`` once that is empty. It runs on an event loop of its own, in a thread.
"""

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import scripted_openai
from scripted_answers import hear
from scripted_faults import FAULTS
from scripted_request import Heard

PREFIXES = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "openai-responses": "/v1"}


@dataclass
class Received:
    """One request.

    Attributes
    ----------
    play, kind, path : str
    headers : by names in lower case
    body : dict
    connection : number of its connection
    came_s, gone_s : float
        Monotonic time when it was there, and when the client hung up before the answer had ended.
    is_answered : whether the answer was sent to its end
    """

    play: str
    kind: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: int
    came_s: float
    gone_s: float | None = None
    is_answered: bool = False


class ClientGoneError(Exception):
    """Raised in a play when the client has hung up."""


class Exchange:
    """A request that is being answered: what plays are written with."""

    def __init__(self, writer: asyncio.StreamWriter, gone: asyncio.Event, received: Received) -> None:
        self._writer = writer
        self._gone = gone
        self.received = received
        self.keeps_alive = True
        self.heard: Heard | None = None

    async def send(self, data: bytes) -> None:
        if self._gone.is_set():
            raise ClientGoneError
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError as exc:
            raise ClientGoneError from exc

    async def sleep(self, seconds: float) -> None:
        """Wait; end at once where the client hangs up."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), seconds)
            raise ClientGoneError

    async def head(self, status: int, kind: str, **headers: object) -> None:
        named = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in named.items())]
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def answer(
        self, content: bytes, *, status: int = 200, kind: str = "application/json", **headers: object
    ) -> None:
        """Send a whole answer."""
        await self.head(status, kind, content_length=len(content), **headers)
        await self.send(content)

    async def begin_stream(self, **headers: object) -> None:
        await self.head(200, "text/event-stream", transfer_encoding="chunked", **headers)

    async def chunk(self, content: bytes) -> None:
        await self.send(b"%x\r\n%s\r\n" % (len(content), content))

    async def end_stream(self) -> None:
        await self.send(b"0\r\n\r\n")

    def close(self) -> None:
        """Close the connection after what was sent."""
        self.keeps_alive = False

    def reset(self) -> None:
        """Reset the connection."""
        self.keeps_alive = False
        wire = self._writer.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class _Wire(asyncio.StreamReaderProtocol):
    """Tells at once when the client hangs up."""

    def __init__(self, upstream: "ScriptedUpstream") -> None:
        super().__init__(asyncio.StreamReader(limit=2**26), upstream.serve)
        self.gone = asyncio.Event()
        self._wires = upstream.wires
        self._wires.add(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport = transport

    def eof_received(self) -> bool | None:
        self.gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self._wires.discard(self)
        super().connection_lost(exc)


@dataclass
class ScriptedUpstream:
    """Attributes
    ----------
    plays : what requests to ``/next/…`` get, in turn
    received : all requests, in the order they came
    n_connections : int
        So far.
    wires : connections that are open now
    script : what a request is answered with instead, and the play
    """

    plays: deque[str] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    n_connections: int = 0
    wires: set[_Wire] = field(default_factory=set)
    port: int = 0
    script: Callable[[Heard], tuple[Heard, str]] | None = None

    def url(self, kind: str, play: str = "ok", *, prefix: bool = True) -> str:
        """Return the base URL of a provider; without `prefix` as the SDKs of Anthropic and Google want it."""
        return f"http://127.0.0.1:{self.port}/{play}/{kind}{PREFIXES[kind] if prefix else ''}"

    def of(self, model: str) -> list[Received]:
        """Return the requests for a model."""
        return [one for one in self.received if one.body.get("model") == model or f"/models/{model}:" in one.path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.n_connections += 1
        gone = writer.transport.get_protocol().gone
        try:
            while await self._answer(self.n_connections, reader, writer, gone):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # hung up between two requests
        finally:
            writer.close()

    async def _answer(
        self, connection: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event
    ) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        (_, path, _), *lines = (line.split(" ", 2) for line in head.rstrip().split("\r\n"))
        headers = {line[0].rstrip(":").lower(): " ".join(line[1:]).strip() for line in lines}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        play, kind = path.split("/")[1:3]
        if play == "next":
            play = self.plays.popleft() if self.plays else "ok"
        received = Received(play, kind, path, headers, body, connection, time.monotonic())
        self.received.append(received)
        exchange = Exchange(writer, gone, received)
        try:
            await self._play(exchange, path, body)
            received.is_answered = True
        except ClientGoneError:
            received.gone_s = time.monotonic()
            return False
        return exchange.keeps_alive

    async def _play(self, exchange: Exchange, path: str, body: dict[str, Any]) -> None:
        if path.endswith("/embeddings"):
            await exchange.answer(json.dumps(scripted_openai.embeddings(body)).encode())
            return
        exchange.heard, play = hear(exchange.received.kind, path, body), exchange.received.play
        if self.script is not None:
            exchange.heard, play = self.script(exchange.heard)
        fault = FAULTS[play]
        exchange.heard = replace(exchange.heard, **fault.changes)
        await fault.play(exchange)


@contextlib.contextmanager
def scripted_upstream(port: int = 0) -> Iterator[ScriptedUpstream]:
    """Run one until the end of the block, on a free port unless one is given."""
    upstream, loop, ready = ScriptedUpstream(), asyncio.new_event_loop(), threading.Event()

    async def run(stopped: asyncio.Event) -> None:
        server = await loop.create_server(lambda: _Wire(upstream), "127.0.0.1", port, backlog=1024)
        upstream.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stopped.wait()
        server.close()
        for wire in tuple(upstream.wires):
            wire.transport.abort()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    stopped = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run(stopped)), daemon=True)
    thread.start()
    assert ready.wait(10), "the scripted upstream did not start"
    try:
        yield upstream
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(timeout=10)
        loop.close()
