"""A load generator over HTTP/1.1: keep-alive connections so light that they measure the server, not themselves.

Two loads. `open_loop` sends at a fixed rate whatever the answers do, and counts every latency from the moment a request
was due, so that a server that stalls cannot hide the requests it kept from being sent (coordinated omission; Tene
2015). `closed_loop` keeps a number of requests under way, which shows how many a second the server can take.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

HEADER_END = b"\r\n\r\n"
LAST_CHUNK = b"\r\n0\r\n\r\n"
_SPIN_S = 0.0012  # timers are up to a millisecond late; the end is waited for awake, on a core of our own

Request = Callable[[int], bytes]
"""Number of a request -> what is sent."""


@dataclass
class Load:
    """What came of a load.

    Attributes
    ----------
    seconds : float
        From the first request to the last answer.
    latency_s : one each answer
        Open loop: from when the request was due; closed loop: from when it was sent.
    late_s : one each request of an open loop
        How much after it was due a request was sent, for whatever reason.
    statuses : HTTP status -> answers; 0 where the connection broke
    degraded : answers that say that a default plan answered
    first_s : one each answer, where a mark is looked for
        From when the request was sent until the mark was there: the time to the first token.
    answers : the answers themselves, where they are kept
    """

    seconds: float = 0.0
    latency_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    degraded: int = 0
    first_s: list[float] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    @property
    def n_answers(self) -> int:
        return sum(count for status, count in self.statuses.items() if status)

    @property
    def n_ok(self) -> int:
        return self.statuses.get(200, 0)

    @property
    def n_errors(self) -> int:
        return sum(self.statuses.values()) - self.n_ok

    @property
    def per_second(self) -> float:
        return self.n_answers / self.seconds

    def latency_ms(self, percent: float) -> float:
        return float(np.percentile(self.latency_s, percent)) * 1000

    def count(self, status: int, answer: bytes, latency_s: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.degraded += b"x-router-degraded: true" in answer
        self.latency_s.append(latency_s)


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request under way; opens itself again where it was closed.

    Parameters
    ----------
    host, port : of the server
    mark : bytes, optional
        What is looked for in an answer; `marked` is the time when it was there.
    """

    def __init__(self, host: str, port: int, *, mark: bytes | None = None) -> None:
        self._address = (host, port)
        self._mark = mark
        self.marked: float | None = None
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._received = bytearray()
        self._length = -1
        self._is_chunked = False

    async def request(self, payload: bytes) -> tuple[int, bytes]:
        """Send a request; return status and the whole answer, status 0 where the connection broke."""
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            try:
                await loop.create_connection(lambda: self, *self._address)
            except OSError:
                return 0, b""
        self._answer = loop.create_future()
        self.marked = None
        self._transport.write(payload)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received.clear()
        self._length = -1

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._mark is not None and self.marked is None and self._mark in self._received:
            self.marked = time.perf_counter()
        if self._length < 0:
            end = self._received.find(HEADER_END)
            if end < 0:
                return
            head = bytes(self._received[:end])
            self._is_chunked = is_chunked(head)
            self._length = end + len(HEADER_END) + content_length(head)
        if self._received.endswith(LAST_CHUNK) if self._is_chunked else len(self._received) >= self._length:
            self._finish(int(self._received[9:12]), bytes(self._received))
            self._received.clear()
            self._length = -1

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._finish(0, b"")

    def _finish(self, status: int, answer: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, answer))


def content_length(head: bytes) -> int:
    """Return the length of the body that a head announces; 0 where it says none.

    >>> content_length(b"HTTP/1.1 200 OK\\r\\nContent-Length: 12\\r\\nx: y")
    12
    """
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def is_chunked(head: bytes) -> bool:
    """Tell whether the body that a head announces comes in chunks, as a stream does.

    >>> is_chunked(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\nx: y")
    True
    """
    return b"\r\ntransfer-encoding: chunked" in head.lower()


def post(
    path: str, body: bytes, *, host: str, key: str | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Return a POST request with a JSON body."""
    more = {"authorization": f"Bearer {key}"} if key else {}
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**more, **(headers or {})}.items())
    head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\n{lines}content-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def open_loop(
    address: tuple[str, int], request: Request, *, due_s: Sequence[float], n_connections: int = 64
) -> Load:
    """Send requests when they are due, in seconds from the start; one that finds no free connection waits for one."""
    load, under_way = Load(), set()
    pool = _Pool(address, n_connections)
    started = time.perf_counter() + 0.01

    async def one(number: int, due: float) -> None:
        connection = await pool.take()
        load.late_s.append(time.perf_counter() - due)
        status, answer = await connection.request(request(number))
        load.count(status, answer, time.perf_counter() - due)
        pool.give_back(connection)

    for number, after in enumerate(due_s):
        await _sleep_until(started + after)
        task = asyncio.create_task(one(number, started + after))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    while under_way:
        await asyncio.wait(under_way)
    load.seconds = time.perf_counter() - started
    pool.close()
    return load


async def closed_loop(
    address: tuple[str, int],
    request: Request,
    *,
    concurrency: int,
    seconds: float | None = None,
    n_requests: int | None = None,
    on_answer: Callable[[int], None] | None = None,
    mark: bytes | None = None,
    keep: bool = False,
) -> Load:
    """Keep `concurrency` requests under way until `seconds` are over or `n_requests` are sent.

    `on_answer` is told the number of answers so far; with a `mark` it is timed when that was in an answer (streams that
    never have it are not in `first_s`); with `keep` the answers are kept.
    """
    load = Load()
    started = time.perf_counter()
    sent = 0

    def more() -> bool:
        return (n_requests is None or sent < n_requests) and (
            seconds is None or time.perf_counter() - started < seconds
        )

    async def client() -> None:
        nonlocal sent
        connection = Connection(*address, mark=mark)
        while more():
            number, sent = sent, sent + 1
            before = time.perf_counter()
            status, answer = await connection.request(request(number))
            load.count(status, answer, time.perf_counter() - before)
            if connection.marked is not None:
                load.first_s.append(connection.marked - before)
            if keep:
                load.answers.append(answer)
            if on_answer is not None:
                on_answer(len(load.latency_s))
        connection.close()

    await asyncio.gather(*(client() for _ in range(concurrency)))
    load.seconds = time.perf_counter() - started
    return load


def evenly(rate: float, seconds: float) -> np.ndarray:
    """Return the times of requests at a steady rate, in seconds."""
    return np.arange(round(rate * seconds)) / rate


def at_random(rate: float, seconds: float, *, seed: int = 0) -> np.ndarray:
    """Return the times of as many requests that know nothing of each other (a Poisson process), in seconds."""
    return np.sort(np.random.default_rng(seed).uniform(0, seconds, round(rate * seconds)))


class _Pool:
    """Connections that are free, and those who wait for one."""

    def __init__(self, address: tuple[str, int], n_connections: int) -> None:
        self._free = deque(Connection(*address) for _ in range(n_connections))
        self._all = tuple(self._free)
        self._waiting: deque[asyncio.Future[Connection]] = deque()

    def take(self) -> Awaitable[Connection]:
        future: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        if self._free:
            future.set_result(self._free.pop())  # the one used last: its buffers are warm
        else:
            self._waiting.append(future)
        return future

    def give_back(self, connection: Connection) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(connection)
        else:
            self._free.append(connection)

    def close(self) -> None:
        for connection in self._all:
            connection.close()


async def _sleep_until(due: float) -> None:
    while (left := due - time.perf_counter()) > 0:  # noqa: ASYNC110  (what is waited for is the time)
        await asyncio.sleep(left - _SPIN_S if left > _SPIN_S else 0)
