"""Calling one candidate once: the whole answer, or a stream up to its first token."""

from collections.abc import AsyncIterator, Mapping
from typing import Final

from serving.formats.adapter import AnswerStream
from serving.forwarding.attempts import Attempt
from serving.forwarding.deadlines import within
from serving.forwarding.reading import read_on, read_start, read_whole
from serving.forwarding.reply import Reply
from serving.forwarding.streams import HeldBack, LiveStream, WholeStream
from serving.providers.failures import FailureKind, UpstreamFailure
from serving.providers.http import HttpResponse, Transport

_ERROR_S: Final = 5.0
_MAX_ERROR_BYTES: Final = 1024 * 1024
_NO_STREAM: Final = ("application/json", "text/html")


async def call(attempt: Attempt, transport: Transport) -> Reply:
    """Return a candidate's answer.

    The attempt is over, unless the reply is a stream under way: then that ends it.

    Raises
    ------
    UpstreamFailure
        If there is none. Whoever called ends the attempt.
    """
    if not attempt.order.call.stream:
        return await _whole(attempt, transport)
    first_s = attempt.target.provider.deadlines.first_token_s
    seconds = min(first_s, attempt.left_s)
    answer, sent, is_over = await within(seconds, _open_stream(attempt, transport), "first token")
    if attempt.order.buffer and not is_over:
        held = HeldBack(sent, attempt.rules.max_answer_bytes)
        idle_s = attempt.target.provider.deadlines.idle_s
        await read_on(_body(attempt), answer, held, idle_s=idle_s, until=attempt.until)
        sent, is_over = held.sent, True
    if not is_over:
        stream = LiveStream(attempt, answer, sent)
        return Reply(attempt.target, attempt.over, attempt.facts, stream=stream, n_attempts=len(attempt.over) + 1)
    sent += answer.end(attempt.extras())
    await attempt.end(None)
    return _reply(attempt, WholeStream(sent))


async def _whole(attempt: Attempt, transport: Transport) -> Reply:
    content_type, content = await within(attempt.left_s, _fetch(attempt, transport), "whole answer")
    body, attempt.facts = attempt.adapter.answer(
        attempt.target,
        content_type,
        content,
        attempt.extras(),
        call=attempt.order.call,
        sent=attempt.request.content,
    )
    await attempt.end(None)
    reply = _reply(attempt)
    reply.body = body
    return reply


def _reply(attempt: Attempt, stream: WholeStream | None = None) -> Reply:
    return Reply(attempt.target, attempt.over, attempt.facts, stream=stream, n_attempts=len(attempt.over))


async def _fetch(attempt: Attempt, transport: Transport) -> tuple[str, bytes]:
    response = await _send(attempt, transport)
    content = await read_whole(_body(attempt), attempt.rules.max_answer_bytes)
    return _content_type(response.headers), content


async def _open_stream(attempt: Attempt, transport: Transport) -> tuple[AnswerStream, list[bytes], bool]:
    """Return the stream, what its first token is sent as, and whether its body is at its end already."""
    response = await _send(attempt, transport)
    chunks, most = _body(attempt), attempt.rules.max_answer_bytes
    content_type = _content_type(response.headers)
    if content_type.startswith(_NO_STREAM):  # an error with status 200, or a page
        content = await read_whole(chunks, most)
        attempt.adapter.answer(attempt.target, content_type, content, {})
        raise UpstreamFailure(FailureKind.MALFORMED, "the provider was asked for a stream and sent a whole answer")
    answer = attempt.adapter.stream(attempt.order.call, attempt.target, attempt.request.content)
    attempt.facts = answer.facts
    sent, is_over = await read_start(chunks, answer, most)
    if answer.facts.has_content:
        attempt.first_token()
    return answer, sent, is_over


async def _send(attempt: Attempt, transport: Transport) -> HttpResponse:
    """Send the request; return the response if it is a success."""
    response = attempt.response = await transport.send(attempt.request)
    attempt.chunks = response.chunks()
    if not 200 <= response.status < 300:  # noqa: PLR2004  (HTTP's successes)
        content = await _error_body(attempt.chunks)
        raise attempt.adapter.failure(response.status, response.headers, content)
    return response


async def _error_body(chunks: AsyncIterator[bytes]) -> bytes:
    """Return the body of an error; without one where it does not come, as the status says enough."""
    try:
        return await within(_ERROR_S, read_whole(chunks, _MAX_ERROR_BYTES), "body of the error")
    except UpstreamFailure:
        return b""


def _body(attempt: Attempt) -> AsyncIterator[bytes]:
    if attempt.chunks is None:  # pragma: no cover  (it was sent)
        raise RuntimeError("the attempt was not sent")
    return attempt.chunks


def _content_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").strip().lower()
