"""Read bodies: a whole one up to a size, or a stream for as long as it keeps sending."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Final, Protocol

from router_model.serving.formats.adapter import AnswerStream
from router_model.serving.forwarding.deadlines import too_late
from router_model.serving.forwarding.patience import Wait
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

TAIL_S: Final = 5.0
"""How long to wait for the usage of a complete answer, and for the end of its stream."""
_MOMENT_S: Final = 0.05


class UnreadError(Exception):
    """Raised if a caller does not take what it is sent, so that the provider is not kept waiting any longer."""


class Sink(Protocol):
    """Takes the bytes to send."""

    @property
    def is_full(self) -> bool:
        """Whether to wait before more is read."""

    def put(self, sent: list[bytes]) -> None:
        """Take events."""

    async def room(self) -> None:
        """Return once it is not full."""


async def read_whole(chunks: AsyncIterator[bytes], max_bytes: int) -> bytes:
    """Return a body.

    Raises
    ------
    UpstreamFailure
        With `FailureKind.MALFORMED` if it is longer than `max_bytes`.
    """
    parts, size = [], 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise _too_long(max_bytes)
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def read_start(chunks: AsyncIterator[bytes], answer: AnswerStream, max_bytes: int) -> tuple[list[bytes], bool]:
    """Read a stream up to its first token; return what it is sent as, and whether the body is at its end already."""
    sent: list[bytes] = []
    async for data in chunks:
        sent += answer.feed(data)
        if answer.facts.has_content:
            return sent, False
        if answer.n_bytes > max_bytes:
            raise _too_long(max_bytes)
    return sent, True


async def read_on(
    chunks: AsyncIterator[bytes],
    answer: AnswerStream,
    sink: Sink,
    *,
    idle: Wait,
    until: float,
    unread_s: float = math.inf,
    max_bytes: float = math.inf,
) -> None:
    """Read a stream to the end of its body; one that is complete needs no clean end.

    Parameters
    ----------
    idle : Wait
        The longest time without an event that says something; comments and pings do not.
    until : float
        The loop's time at which it is cut.
    unread_s : float
        How long the caller may take nothing while the sink is full.
    max_bytes : float
        Of the provider's stream, where all of it is kept.

    Raises
    ------
    UnreadError
        If the caller does not take the bytes; that says nothing about the provider.
    UpstreamFailure
        As `chunks` and `answer` raise it, and `FailureKind.TIMEOUT`.
    """
    facts, silence = answer.facts, _Silence(answer, idle.seconds, until)
    try:
        async with asyncio.timeout_at(silence.ends_at) as deadline:
            async for data in chunks:
                sent = answer.feed(data)
                silence.look()
                if answer.n_bytes > max_bytes:
                    raise _too_long(max_bytes)
                if sent:
                    sink.put(sent)
                    if sink.is_full:
                        deadline.reschedule(None)
                        await _room(sink, min(until, silence.now() + unread_s))
                        silence.begin()  # the caller was slow, and that must not count as the provider's silence
                _move(deadline, silence.ends_at)
        idle.took(silence.longest_s)
    except TimeoutError as exc:
        if not facts.is_complete:
            raise silence.failure(idle) from exc
    except UpstreamFailure as failure:
        if not (facts.is_complete and failure.kind is FailureKind.CONNECTION):
            raise


async def _room(sink: Sink, until: float) -> None:
    try:
        async with asyncio.timeout_at(until):
            await sink.room()
    except TimeoutError as exc:
        raise UnreadError from exc


def _move(deadline: asyncio.Timeout, when: float) -> None:
    """Move a deadline, unless it is the same but for a moment: that costs a timer, for every token."""
    before = deadline.when()
    if before is None or not 0 <= when - before < _MOMENT_S:
        deadline.reschedule(when)


def _too_long(max_bytes: float) -> UpstreamFailure:
    return UpstreamFailure(FailureKind.MALFORMED, f"the provider's answer is longer than {max_bytes} bytes")


class _Silence:
    """Times how long a stream says nothing."""

    __slots__ = ("_answer", "_idle_s", "_n_said", "_since", "_until", "longest_s", "now")

    def __init__(self, answer: AnswerStream, idle_s: float, until: float) -> None:
        self._answer = answer
        self._idle_s = idle_s
        self._until = until
        self.now = asyncio.get_running_loop().time
        self._n_said = answer.n_events
        self.longest_s = 0.0
        self.begin()

    @property
    def ends_at(self) -> float:
        """When it has lasted too long."""
        idle_s = min(self._idle_s, TAIL_S) if self._answer.facts.is_complete else self._idle_s
        return min(self._since + idle_s, self._until)

    def begin(self) -> None:
        """Begin now."""
        self._since = self.now()

    def look(self) -> None:
        """Look whether it is over, as the stream has said something, and begin again."""
        if self._answer.n_events > self._n_said:
            self._n_said = self._answer.n_events
            self.longest_s = max(self.longest_s, self.now() - self._since)
            self.begin()

    def failure(self, idle: Wait) -> UpstreamFailure:
        """Return the failure of a stream that was cut."""
        if self.now() >= self._until:
            return UpstreamFailure(FailureKind.TIMEOUT, "the stream had not ended when the call's time was up")
        idle.ran_out()
        return too_late("further token", self._idle_s)
