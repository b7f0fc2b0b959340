"""Call one candidate once: read the whole answer, or a stream up to its first token.

Providers are asked for streams where the caller wants a whole answer, too
(`router_model.serving.forwarding.whole_answers`): so the deadlines to the first token and between two pieces hold for
both, and what a call used is known where it fails.
"""

from collections.abc import AsyncIterator, Awaitable
from typing import Final, TypeVar

from router_model.serving.formats.adapter import AnswerStream
from router_model.serving.forwarding.attempts import Attempt
from router_model.serving.forwarding.deadlines import clock, within
from router_model.serving.forwarding.patience import Wait
from router_model.serving.forwarding.reading import read_on, read_start, read_whole
from router_model.serving.forwarding.reply import Reply
from router_model.serving.forwarding.streams import HeldBack, LiveStream, WholeStream
from router_model.serving.providers.failures import UpstreamFailure
from router_model.serving.providers.http import Transport
from router_model.serving.providers.plausible import OUTPUT

T = TypeVar("T")

_ERROR_S: Final = 5.0
_MAX_ERROR_BYTES: Final = 1024 * 1024
_JSON: Final = "application/json"
_NO_STREAM: Final = (_JSON, "text/html")


async def call(attempt: Attempt, transport: Transport) -> Reply:
    """Return a candidate's answer.

    The attempt is over, unless the reply is a stream under way: then that ends it.

    Raises
    ------
    UpstreamFailure
        If there is none. The caller of this function ends the attempt.
    """
    if not attempt.is_streamed:
        content = await _in_time(attempt, attempt.waits.whole, _fetch(attempt, transport), "whole answer")
        attempt.waits.whole.took(clock() - attempt.started)
        return await _whole(attempt, content, _content_type(attempt))
    if attempt.forward_request.call.stream:
        return await _stream(attempt, transport)
    return await _whole_by_stream(attempt, transport)


async def _stream(attempt: Attempt, transport: Transport) -> Reply:
    answer = attempt.adapter.stream(attempt.forward_request.call, attempt.target, attempt.request.sent)
    sent, is_over = await _start(attempt, transport, answer)
    if not attempt.forward_request.buffer and not is_over:
        attempt.cannot_be_taken_back()
        reply = _reply(attempt, LiveStream(attempt, answer, sent))
        reply.n_attempts += 1
        return reply
    if not is_over:
        sent = await _rest(attempt, answer, sent)
    sent += answer.end(attempt.extras())
    if answer.is_whole:
        attempt.first_token()
    await attempt.succeed()
    return _reply(attempt, WholeStream(sent))


async def _whole_by_stream(attempt: Attempt, transport: Transport) -> Reply:
    """Return a whole answer that comes as a stream, or as a whole all the same, as some providers do."""
    answer = attempt.adapter.assembly(attempt.target)
    _, is_over = await _start(attempt, transport, answer)
    if not is_over:
        await _rest(attempt, answer, [])
    reply = await _whole(attempt, b"".join(answer.end({})), _JSON)
    attempt.is_better_plain = answer.is_whole or OUTPUT in attempt.facts.estimated
    return reply


async def _whole(attempt: Attempt, content: bytes, content_type: str) -> Reply:
    """Return the reply with a whole answer of the provider's, and end the attempt."""
    n_bytes_written = attempt.facts.n_bytes_written
    body, attempt.facts = attempt.adapter.answer(
        attempt.target,
        content_type,
        content,
        attempt.extras(),
        call=attempt.forward_request.call,
        sent=attempt.request.sent,
    )
    attempt.facts.n_bytes_written = max(n_bytes_written, attempt.facts.n_bytes_written)
    await attempt.succeed()
    reply = _reply(attempt)
    reply.body = body
    return reply


def _reply(attempt: Attempt, stream: LiveStream | WholeStream | None = None) -> Reply:
    return Reply(
        attempt.target,
        attempt.finished,
        attempt.facts,
        stream=stream,
        n_attempts=len(attempt.finished),
        changes=attempt.request.changes,
    )


async def _in_time(attempt: Attempt, wait: Wait, doing: Awaitable[T], what: str) -> T:
    """Return the awaited result; tell `wait` if its time ran out, but not if the order's time did."""
    try:
        return await within(min(wait.seconds, attempt.left_s), doing, what)
    except UpstreamFailure:
        if clock() - attempt.started >= wait.seconds:
            wait.ran_out()
        raise


async def _start(attempt: Attempt, transport: Transport, answer: AnswerStream) -> tuple[list[bytes], bool]:
    """Return what the first token is sent as, and whether the body is at its end already.

    A head that announces no stream shows that the provider is at work on a whole answer, which has no first token.
    """
    attempt.facts = answer.facts
    opening = _open_stream(attempt, transport, answer)
    start = await _in_time(attempt, attempt.waits.first, opening, "first token")
    if start is None:
        start = await within(attempt.left_s, _read_start(attempt, answer), "whole answer")
    if answer.facts.has_content:
        attempt.first_token()
    return start


async def _open_stream(attempt: Attempt, transport: Transport, answer: AnswerStream) -> tuple[list[bytes], bool] | None:
    """Return the start of a stream; None if the head says that none comes."""
    await _send(attempt, transport)
    return None if _content_type(attempt).startswith(_NO_STREAM) else await _read_start(attempt, answer)


async def _read_start(attempt: Attempt, answer: AnswerStream) -> tuple[list[bytes], bool]:
    return await read_start(_body(attempt), answer, attempt.rules.max_answer_bytes)


async def _rest(attempt: Attempt, answer: AnswerStream, sent: list[bytes]) -> list[bytes]:
    """Read a stream that can still be taken back to the end of its body; return all that is to be sent."""
    held, most = HeldBack(sent), attempt.rules.max_answer_bytes
    await read_on(_body(attempt), answer, held, idle=attempt.waits.idle, until=attempt.until, max_bytes=most)
    return held.sent


async def _fetch(attempt: Attempt, transport: Transport) -> bytes:
    await _send(attempt, transport)
    return await read_whole(_body(attempt), attempt.rules.max_answer_bytes)


async def _send(attempt: Attempt, transport: Transport) -> None:
    """Send the request; return once the head of a success is here."""
    response = attempt.response = await transport.send(attempt.request)
    attempt.chunks = response.chunks()
    if not 200 <= response.status < 300:  # noqa: PLR2004  (HTTP's successes)
        content = await _error_body(attempt.chunks)
        raise attempt.adapter.failure(response.status, response.headers, content)


async def _error_body(chunks: AsyncIterator[bytes]) -> bytes:
    """Return the body of an error; without one if it does not come, as the status says enough."""
    try:
        return await within(_ERROR_S, read_whole(chunks, _MAX_ERROR_BYTES), "body of the error")
    except UpstreamFailure:
        return b""


def _body(attempt: Attempt) -> AsyncIterator[bytes]:
    if attempt.chunks is None:  # pragma: no cover  (it was sent)
        raise RuntimeError("the attempt was not sent")
    return attempt.chunks


def _content_type(attempt: Attempt) -> str:
    headers = {} if attempt.response is None else attempt.response.headers
    return headers.get("content-type", "").strip().lower()
