"""Streams for the caller: one that runs and may fail or be left, and one that was held back until it was whole.

A stream under way is read in a separate task, ahead of the caller and bounded by what the caller takes: so a comment
can be sent while the provider is silent, and a caller that stops reading does not keep a connection for longer than the
call's time.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from router_model.serving.common.error_location import error_location
from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.formats.adapter import AnswerStream
from router_model.serving.forwarding.attempts import CLIENT_GONE, SHUTDOWN, Attempt
from router_model.serving.forwarding.reading import UnreadError, read_on
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

KEEP_ALIVE: Final = b": keep-alive\n\n"

_logger = logging.getLogger(__name__)
_throttle: Final = LogThrottle()


def unreadable(exc: Exception, whose: str) -> UpstreamFailure:
    """Return the failure of an answer that reading did not expect, and log where; its message may quote the answer."""
    if times := _throttle.due((whose, type(exc))):
        _logger.error("%s: an answer could not be read: %s (%d times)", whose, error_location(exc), times)
    return UpstreamFailure(FailureKind.MALFORMED, f"the provider's answer could not be read ({type(exc).__name__})")


class HeldBack:
    """Collects a stream that is held back; a `router_model.serving.forwarding.reading.Sink`."""

    is_full = False

    def __init__(self, sent: Sequence[bytes]) -> None:
        self.sent = list(sent)

    def put(self, sent: list[bytes]) -> None:
        """Take events."""
        self.sent += sent

    async def room(self) -> None:
        """Return: it is never full."""


class WholeStream:
    """A stream that is there as a whole."""

    def __init__(self, sent: Sequence[bytes]) -> None:
        self._rest = b"".join(sent)

    def __aiter__(self) -> "WholeStream":
        return self

    async def __anext__(self) -> bytes:
        if not self._rest:
            raise StopAsyncIteration
        sent, self._rest = self._rest, b""
        return sent

    def cut(self, failure: UpstreamFailure) -> None:
        """Do nothing: all of it is here."""

    async def aclose(self) -> None:
        """End it."""
        self._rest = b""


class _Pipe:
    """Between the task that reads and the caller; a `router_model.serving.forwarding.reading.Sink`."""

    __slots__ = ("_max_ahead", "_ready", "_room", "_size", "_waiter", "cut", "has_ended", "is_left", "is_reading")

    def __init__(self, sent: list[bytes], max_ahead: int) -> None:
        self._ready = sent
        self._size = sum(map(len, sent))
        self._max_ahead = max_ahead
        self._waiter: asyncio.Future[bool] | None = None
        self._room: asyncio.Future[None] | None = None
        self.is_reading = False  # the task may be cancelled only then; before and after that it ends by itself
        self.is_left = False
        self.cut: UpstreamFailure | None = None  # by us, while the caller still reads
        self.has_ended = False

    @property
    def is_full(self) -> bool:
        return self._size >= self._max_ahead

    def put(self, sent: list[bytes]) -> None:
        self._ready += sent
        self._size += sum(map(len, sent))
        self.wake(has_news=True)

    async def room(self) -> None:
        self._room = asyncio.get_running_loop().create_future()
        await self._room

    def take(self) -> bytes:
        """Return all that is ready; nothing: empty."""
        sent = b"".join(self._ready)
        self._ready.clear()
        self._size = 0
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        return sent

    async def news(self, patience_s: float) -> bool:
        """Wait for something to take, or the end; return whether it came in time."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(patience_s, self.wake)
        try:
            return await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def wake(self, *, has_news: bool = False) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(has_news)

    def end(self) -> None:
        self.has_ended = True
        self.wake(has_news=True)


class LiveStream:
    """A stream under way whose first token is here.

    Parameters
    ----------
    attempt : Attempt
        Ends when the stream does, or when it is closed.
    answer : AnswerStream
    sent : what to send first
    """

    def __init__(self, attempt: Attempt, answer: AnswerStream, sent: list[bytes]) -> None:
        self._keep_alive_s = attempt.rules.keep_alive_s
        self._pipe = _Pipe(sent, attempt.rules.max_ahead_bytes)
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(_pump(attempt, answer, self._pipe))

    def __aiter__(self) -> "LiveStream":
        return self

    async def __anext__(self) -> bytes:
        pipe = self._pipe
        while not pipe.is_left:
            if sent := pipe.take():
                return sent
            if pipe.has_ended:
                break
            try:
                has_news = await pipe.news(self._keep_alive_s)
            except asyncio.CancelledError:
                await self.aclose()
                raise
            if not has_news:
                return KEEP_ALIVE  # proxies on the way close streams that are silent for long
        raise StopAsyncIteration

    def cut(self, failure: UpstreamFailure) -> None:
        """End the provider's call at once; the caller gets the failure as the surface's error event, and the end."""
        if not self._pipe.is_left:
            self._pipe.cut = failure
            _stop_reading(self._pipe, self._task)

    async def aclose(self) -> None:
        """End the provider's call at once, and return when it is closed and recorded."""
        _leave(self._pipe, self._task)
        if not self._task.done():
            await asyncio.wait({self._task})

    def __del__(self) -> None:
        # A server that forgets to close what it iterates must not cost a connection.
        if not self._task.done() and not self._loop.is_closed():
            # The garbage collector may run in any thread.
            self._loop.call_soon_threadsafe(_leave, self._pipe, self._task)


def _leave(pipe: _Pipe, task: "asyncio.Task[None]") -> None:
    pipe.is_left = True
    _stop_reading(pipe, task)


def _stop_reading(pipe: _Pipe, task: "asyncio.Task[None]") -> None:
    if pipe.is_reading:
        pipe.is_reading = False
        task.cancel()


async def _pump(attempt: Attempt, answer: AnswerStream, pipe: _Pipe) -> None:
    """Read to the end, and end the attempt."""
    error_type: str | None = CLIENT_GONE
    try:
        if not pipe.is_left and pipe.cut is None:
            pipe.is_reading = True
            failure = attempt.failure = await _read(attempt, answer, pipe)
            error_type = None if failure is None else failure.error_type
    except UnreadError:
        pipe.put(answer.fail(UpstreamFailure(FailureKind.TIMEOUT, "the caller did not take the answer in time")))
    except asyncio.CancelledError:
        # Neither the caller nor the service ended the stream, so the loop is ending.
        if not pipe.is_left and pipe.cut is None:
            raise
    finally:
        if pipe.cut is not None and error_type == CLIENT_GONE:
            error_type = SHUTDOWN
            pipe.put(answer.fail(pipe.cut))
        pipe.is_reading = False
        try:
            await attempt.end(error_type)
        finally:
            pipe.end()  # even if recording fails, or the caller would wait for ever


async def _read(attempt: Attempt, answer: AnswerStream, pipe: _Pipe) -> UpstreamFailure | None:
    """Put a stream into the pipe, its end or else its failure included, which is returned."""
    try:
        chunks = attempt.chunks
        if chunks is not None:
            idle, unread_s = attempt.waits.idle, attempt.rules.unread_s
            await read_on(chunks, answer, pipe, idle=idle, until=attempt.until, unread_s=unread_s)
        pipe.put(answer.end(attempt.extras()))
    except UnreadError:
        raise
    except UpstreamFailure as exc:
        failure = exc
    except Exception as exc:  # noqa: BLE001  (logged; the caller gets a clean end)
        failure = unreadable(exc, attempt.target.name)
    else:
        return None
    pipe.put(answer.fail(failure))
    return failure
