"""A server on loopback that says byte for byte what a test tells it to: what an HTTP library would never send."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Play = Callable[["Connection"], Awaitable[None]]


@dataclass
class Connection:
    """One connection of a client.

    Attributes
    ----------
    number : from 0, in the order they came
    left : set once the client has gone
    """

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def request(self) -> tuple[str, bytes]:
        """Read a request whole; return its head, as text, and its body. ("", b"") where the client left instead."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            return head, await self.reader.readexactly(int(fields.get("content-length", 0)))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
            return "", b""

    async def say(self, data: bytes) -> None:
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def wait_until_left(self) -> None:
        """Read what comes until the client is gone."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass
        self.left.set()

    def reset(self) -> None:
        self.writer.transport.abort()


@dataclass
class RawServer:
    """What runs.

    Attributes
    ----------
    url : e.g. ``http://127.0.0.1:5000``
    connections : all that came
    visited : set once one has come
    """

    url: str
    connections: list[Connection]
    visited: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def raw_server(play: Play, **options: object) -> AsyncIterator[RawServer]:
    """Play for each connection that comes; it is ended where `play` returns. Options: of ``asyncio.start_server``."""
    server = RawServer("", [])
    tasks: list[asyncio.Task[None]] = []

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(len(server.connections), reader, writer)
        server.connections.append(connection)
        server.visited.set()
        tasks.append(asyncio.current_task())
        try:
            with suppress(asyncio.CancelledError):  # the test is over
                await play(connection)
        finally:
            writer.close()

    listening = await asyncio.start_server(met, "127.0.0.1", 0, **options)
    scheme = "https" if options.get("ssl") else "http"
    server.url = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(body: bytes = b"{}", *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer with its length."""
    head = (f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers)
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def chunked(*pieces: bytes, headers: str = "") -> bytes:
    """Return an answer in chunks, with its end."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{headers}\r\n".encode() + body + b"0\r\n\r\n"
