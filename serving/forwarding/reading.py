"""Reading bodies: all of one within a size, or a stream on and on while it says something."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Protocol

from serving.formats.adapter import AnswerStream
from serving.forwarding.deadlines import too_late
from serving.providers.failures import FailureKind, UpstreamFailure

TAIL_S: Final = 5.0
"""How long the usage of an answer that is complete is waited for, and the end of its stream."""
_MOMENT_S: Final = 0.05


class Sink(Protocol):
    """Takes what is to be sent."""

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
            raise UpstreamFailure(FailureKind.MALFORMED, f"the provider's answer is longer than {max_bytes} bytes")
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def read_start(chunks: AsyncIterator[bytes], answer: AnswerStream, max_bytes: int) -> tuple[list[bytes], bool]:
    """Read a stream up to its first token; return what it is sent as, and whether the body is at its end already."""
    sent: list[bytes] = []
    size = 0
    async for data in chunks:
        sent += answer.feed(data)
        if answer.facts.has_content:
            return sent, False
        size += len(data)
        if size > max_bytes:
            raise UpstreamFailure(FailureKind.MALFORMED, f"the provider's stream has no token in its {max_bytes} bytes")
    return sent, True


async def read_on(
    chunks: AsyncIterator[bytes], answer: AnswerStream, sink: Sink, *, idle_s: float, until: float
) -> None:
    """Read a stream to the end of its body; one that is complete needs no clean end.

    Parameters
    ----------
    idle_s : float
        The longest time without an event that says something; comments and pings do not.
    until : float
        The loop's time at which it is cut.

    Raises
    ------
    UpstreamFailure
        As `chunks` and `answer` raise it, and `FailureKind.TIMEOUT`.
    """
    now = asyncio.get_running_loop().time
    facts = answer.facts

    def next_deadline() -> float:
        return min(now() + (min(idle_s, TAIL_S) if facts.is_complete else idle_s), until)

    try:
        async with asyncio.timeout_at(next_deadline()) as deadline:
            async for data in chunks:
                was_complete = facts.is_complete
                sent = answer.feed(data)
                if sent:
                    sink.put(sent)
                    if sink.is_full:
                        deadline.reschedule(until)
                        await sink.room()
                if sent or facts.is_complete is not was_complete:
                    _move(deadline, next_deadline())
    except TimeoutError as exc:
        if not facts.is_complete:
            raise _timeout(idle_s, is_cut=now() >= until) from exc
    except UpstreamFailure as failure:
        if not (facts.is_complete and failure.kind is FailureKind.CONNECTION):
            raise


def _move(deadline: asyncio.Timeout, when: float) -> None:
    """Move a deadline, unless it is the same but for a moment: that costs a timer, for every token."""
    before = deadline.when()
    if before is None or not 0 <= when - before < _MOMENT_S:
        deadline.reschedule(when)


def _timeout(idle_s: float, *, is_cut: bool) -> UpstreamFailure:
    if is_cut:
        return UpstreamFailure(FailureKind.TIMEOUT, "the stream was not at its end when the call's time was up")
    return too_late("further token", idle_s)
