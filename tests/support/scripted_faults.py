"""What the scripted upstream can play: healthy answers, and every way of failing that a provider was seen to have."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from off_spec import ANSWERS, STREAMS
from scripted_answers import error, event, event_objects, events, whole

LONG_S: Final = 120.0
"""How long a play is silent; deadlines are shorter."""
LATE_S: Final = 20.0
GOOD_KEY: Final = "sk-scripted-9876543210"
HUGE: Final = 8_000_000
N_BEFORE_FIRST_TOKEN: Final = {"openai": 1, "anthropic": 3, "gemini": 0, "openai-responses": 4}
HTML: Final = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"

Play = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """Attributes
    ----------
    play : what is done with an `Exchange`
    harmless : whether the answer is whole and right all the same
    late : whether a stream's first token has gone out before it
    streams_only : whether a whole answer is as it should be
    silent : whether it is found out by waiting only, so that deadlines are to be short
    callers : whether it is the caller's to mend, so that no other provider is tried
    changes : of what was heard, before it is answered
    """

    play: Play
    harmless: bool = False
    late: bool = False
    streams_only: bool = False
    silent: bool = False
    callers: bool = False
    changes: dict[str, Any] = field(default_factory=dict)


def _content(exchange: Any) -> bytes:
    return json.dumps(whole(exchange.heard)).encode()


def _until_first_token(exchange: Any) -> bytes:
    """Return the events up to the first token and the one after it."""
    return b"".join(events(exchange.heard)[: N_BEFORE_FIRST_TOKEN[exchange.heard.kind] + 2])


async def ok(exchange: Any) -> None:
    if not exchange.heard.stream:
        await exchange.answer(_content(exchange))
        return
    await exchange.begin_stream()
    for one in events(exchange.heard):
        await exchange.chunk(one)
    await exchange.end_stream()


def stream_of(change: Callable[[list[bytes]], list[bytes]]) -> Play:
    """Return a play of a stream whose pieces are changed; a whole answer is as it should be."""

    async def play(exchange: Any) -> None:
        if not exchange.heard.stream:
            await ok(exchange)
            return
        await exchange.begin_stream()
        for piece in change(events(exchange.heard)):
            await exchange.chunk(piece)
        await exchange.end_stream()

    return play


async def off_spec(exchange: Any) -> None:
    """Answer off the book; which of the variants of `off_spec` it is, the model's id says."""
    kind, variant = exchange.heard.kind, exchange.heard.model.partition(".")[0]
    if not exchange.heard.stream:
        change = ANSWERS[kind].get(variant, dict)
        await exchange.answer(json.dumps(change(whole(exchange.heard))).encode())
        return
    change_stream = STREAMS[kind].get(variant, next(iter(STREAMS[kind].values())))
    await exchange.begin_stream()
    for piece in change_stream(event_objects(exchange.heard)):
        await exchange.chunk(piece)
    await exchange.end_stream()


async def whole_for_stream(exchange: Any) -> None:
    """Send a whole answer whatever was asked for."""
    await exchange.answer(json.dumps(whole(exchange.heard), indent=2).encode())


async def stream_called_json(exchange: Any) -> None:
    """Send a stream under the content type of a whole answer."""
    if exchange.heard.stream:
        await exchange.answer(b"".join(events(exchange.heard)))
    else:
        await ok(exchange)


def slowly(pause_s: float) -> Play:
    """Return a play of a stream with a pause after each event; a whole answer comes after as many pauses."""

    async def play(exchange: Any) -> None:
        if not exchange.heard.stream:
            await exchange.sleep(pause_s * len(events(exchange.heard)))
            await ok(exchange)
            return
        await exchange.begin_stream()
        for one in events(exchange.heard):
            await exchange.chunk(one)
            await exchange.sleep(pause_s)
        await exchange.end_stream()

    return play


def refuses(status: int, **headers: object) -> Play:
    async def play(exchange: Any) -> None:
        content = json.dumps(error(exchange.heard.kind, status, f"scripted refusal {status}")).encode()
        await exchange.answer(content, status=status, **headers)

    return play


def refuses_in_words(status: int, message: str) -> Play:
    async def play(exchange: Any) -> None:
        await exchange.answer(json.dumps(error(exchange.heard.kind, status, message)).encode(), status=status)

    return play


async def no_store(exchange: Any) -> None:
    """Refuse a parameter that changes nothing in the answer."""
    refusing = refuses_in_words(400, "Unknown parameter: 'store'.")
    await (refusing if b'"store"' in json.dumps(exchange.received.body).encode() else ok)(exchange)


def key_of(exchange: Any) -> str:
    """Return the key that came with a request, in whichever header it did."""
    headers = exchange.received.headers
    key = headers.get("authorization") or headers.get("x-api-key") or headers.get("x-goog-api-key") or ""
    return key.removeprefix("Bearer ")


async def one_key(exchange: Any) -> None:
    """Refuse every key but one."""
    await (ok if key_of(exchange) == GOOD_KEY else tells_key)(exchange)


async def tells_key(exchange: Any) -> None:
    """Refuse a key, and repeat it, as some providers do."""
    key = key_of(exchange)
    content = json.dumps(error(exchange.heard.kind, 401, f"Incorrect API key provided: {key}")).encode()
    await exchange.answer(content, status=401)


def says(content: bytes, kind: str, status: int = 200) -> Play:
    async def play(exchange: Any) -> None:
        await exchange.answer(content, status=status, kind=kind)

    return play


async def reset_early(exchange: Any) -> None:
    exchange.reset()


async def close_early(exchange: Any) -> None:
    exchange.close()


async def silence(exchange: Any) -> None:
    await exchange.sleep(LONG_S)


async def late_first_token(exchange: Any) -> None:
    if exchange.heard.stream:
        await exchange.begin_stream()
        for _ in range(round(LATE_S * 20)):
            await exchange.chunk(b": keep-alive\n\n")  # which says nothing: it must not keep a deadline away
            await exchange.sleep(0.05)
    await exchange.sleep(LATE_S)


async def slow_loris(exchange: Any) -> None:
    content = _until_first_token(exchange) if exchange.heard.stream else _content(exchange)
    await exchange.head(200, "text/event-stream" if exchange.heard.stream else "application/json", content_length=10**6)
    for byte in content:
        await exchange.send(bytes([byte]))
        await exchange.sleep(0.2)


async def slow_head(exchange: Any) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"x: " * 1000:
        await exchange.send(bytes([byte]))
        await exchange.sleep(0.2)


async def stall(exchange: Any) -> None:
    await _half(exchange)
    await exchange.sleep(LONG_S)


async def reset_middle(exchange: Any) -> None:
    await _half(exchange)
    await asyncio.sleep(0.05)  # or the reset overtakes what was sent
    exchange.reset()


async def cut_chunked(exchange: Any) -> None:
    """End the connection without the last chunk."""
    if exchange.heard.stream:
        await _half(exchange)
    else:
        await exchange.head(200, "application/json", transfer_encoding="chunked")
        await exchange.chunk(_content(exchange)[:-20])
    exchange.close()


async def long_length(exchange: Any) -> None:
    """Announce more than is sent."""
    content = _until_first_token(exchange) if exchange.heard.stream else _content(exchange)
    kind = "text/event-stream" if exchange.heard.stream else "application/json"
    await exchange.head(200, kind, content_length=len(content) + 1000)
    await exchange.send(content)
    exchange.close()


async def _half(exchange: Any) -> None:
    if exchange.heard.stream:
        await exchange.begin_stream()
        await exchange.chunk(_until_first_token(exchange))
    else:
        content = _content(exchange)
        await exchange.head(200, "application/json", content_length=len(content))
        await exchange.send(content[: len(content) // 2])


async def cut_stream(exchange: Any) -> None:
    """End a stream cleanly before its answer has ended; of a whole answer, half is sent as if it were all."""
    if exchange.heard.stream:
        await _half(exchange)
        await exchange.end_stream()
    else:
        content = _content(exchange)
        await exchange.answer(content[: len(content) // 2])


async def malformed(exchange: Any) -> None:
    await _broken_event(exchange, b"")


async def malformed_middle(exchange: Any) -> None:
    await _broken_event(exchange, _until_first_token(exchange))


async def _broken_event(exchange: Any, before: bytes) -> None:
    if not exchange.heard.stream:
        await exchange.answer(b'{"choices": [{"message"')
        return
    await _begin(exchange, before)
    await exchange.chunk(b'event: message\ndata: {"type": "content_block_delta", "choices": [{"de\n\n')
    await exchange.end_stream()


async def _begin(exchange: Any, before: bytes) -> None:
    """Begin a stream; what is sent later is not read together with it."""
    await exchange.begin_stream()
    if before:
        await exchange.chunk(before)
        await exchange.sleep(0.3)


async def error_in_200(exchange: Any) -> None:
    await exchange.answer(json.dumps(error(exchange.heard.kind, 500, "scripted error in a 200")).encode())


async def error_event(exchange: Any) -> None:
    await _error_event(exchange, b"")


async def error_event_middle(exchange: Any) -> None:
    await _error_event(exchange, _until_first_token(exchange))


async def _error_event(exchange: Any, before: bytes) -> None:
    if not exchange.heard.stream:
        await error_in_200(exchange)
        return
    await _begin(exchange, before)
    name = "error" if exchange.heard.kind == "anthropic" else ""
    await exchange.chunk(event(error(exchange.heard.kind, 529, "scripted error in a stream"), name))
    await exchange.end_stream()


async def wrong_type(exchange: Any) -> None:
    await exchange.answer(b"Answer: forty-two\n", kind="text/plain")


async def redirect(exchange: Any) -> None:
    await exchange.answer(b"", status=307, location="http://127.0.0.1:9/elsewhere")


async def informational(exchange: Any) -> None:
    await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n")
    await ok(exchange)


async def gzipped(exchange: Any) -> None:
    if exchange.heard.stream:
        await exchange.begin_stream(content_encoding="gzip")
        content = gzip.compress(b"".join(events(exchange.heard)))
        for start in range(0, len(content), 100):
            await exchange.chunk(content[start : start + 100])
        await exchange.end_stream()
    else:
        await exchange.answer(gzip.compress(_content(exchange)), content_encoding="gzip")


def _shredded(pieces: list[bytes]) -> list[bytes]:
    """Cut a stream anywhere: into pieces of seven bytes."""
    content = b"".join(pieces)
    return [content[start : start + 7] for start in range(0, len(content), 7)]


def _commented(pieces: list[bytes]) -> list[bytes]:
    return [b": keep-alive\n\n" + piece.replace(b"\n", b"\r\n") for piece in pieces]


def _without_done(pieces: list[bytes]) -> list[bytes]:
    return [piece for piece in pieces if piece != b"data: [DONE]\n\n"]


def _chunk_twice(pieces: list[bytes]) -> list[bytes]:
    """Repeat one in the middle, which has content: a provider's own words, which are passed on."""
    middle = len(pieces) // 2
    return [*pieces[:middle], pieces[middle], *pieces[middle:]]


def _ended_twice(pieces: list[bytes]) -> list[bytes]:
    """Repeat what comes after the content: OpenAI's finish and usage chunks, Anthropic's end."""
    n_ends = 1 if b"[DONE]" not in pieces[-1] else 2
    return [*pieces[:-1], *pieces[-n_ends:-1], pieces[-1]]


FAULTS: Final = {
    "one_key": Fault(one_key),
    "ok": Fault(ok, harmless=True),
    "paced": Fault(slowly(0.02), harmless=True),
    "slow": Fault(slowly(0.2), harmless=True),
    "gzip": Fault(gzipped, harmless=True),
    "huge": Fault(ok, harmless=True, changes={"padding": HUGE}),
    "informational": Fault(informational, harmless=True),
    "shredded": Fault(stream_of(_shredded), harmless=True, streams_only=True),
    "commented": Fault(stream_of(_commented), harmless=True, streams_only=True),
    "no_done": Fault(stream_of(_without_done), harmless=True, streams_only=True),
    "duplicate_chunk": Fault(stream_of(_chunk_twice), harmless=True, streams_only=True),
    "duplicate_end": Fault(stream_of(_ended_twice), harmless=True, streams_only=True),
    "off_spec": Fault(off_spec, harmless=True),
    "whole_for_stream": Fault(whole_for_stream, harmless=True, streams_only=True),
    "stream_called_json": Fault(stream_called_json, harmless=True, streams_only=True),
    "reset_early": Fault(reset_early),
    "close_early": Fault(close_early),
    "silence": Fault(silence, silent=True),
    "late_first_token": Fault(late_first_token, silent=True),
    "slow_head": Fault(slow_head, silent=True),
    "slow_loris": Fault(slow_loris, silent=True),
    "error_in_200": Fault(error_in_200),
    "error_event": Fault(error_event),
    "html_200": Fault(says(HTML, "text/html")),
    "html_502": Fault(says(HTML, "text/html", 502)),
    "wrong_type": Fault(wrong_type),
    "empty_body": Fault(says(b"", "application/json")),
    "json_list": Fault(says(b"[]", "application/json")),
    "malformed": Fault(malformed),
    "empty_answer": Fault(ok, changes={"silent": True}),
    "redirect": Fault(redirect),
    "stall": Fault(stall, late=True, silent=True),
    "reset_middle": Fault(reset_middle, late=True),
    "cut_stream": Fault(cut_stream, late=True),
    "cut_chunked": Fault(cut_chunked, late=True),
    "long_length": Fault(long_length, late=True),
    "malformed_middle": Fault(malformed_middle, late=True),
    "error_event_middle": Fault(error_event_middle, late=True),
    "no_store": Fault(no_store, harmless=True),
    "no_tools": Fault(refuses_in_words(400, "this model does not support tools")),
    "blocked": Fault(refuses_in_words(400, "The prompt was blocked by our content filtering policy")),
    "status_400": Fault(refuses(400), callers=True),
    "status_401": Fault(refuses(401)),
    "tells_key": Fault(tells_key),
    "status_402": Fault(refuses(402)),
    "status_403": Fault(refuses(403)),
    "status_404": Fault(refuses(404)),
    "status_413": Fault(refuses(413)),
    "status_422": Fault(refuses(422), callers=True),
    "status_429": Fault(refuses(429, retry_after=1)),
    "status_429_long": Fault(refuses(429, retry_after=3600)),
    "status_500": Fault(refuses(500)),
    "status_502": Fault(refuses(502)),
    "status_503": Fault(refuses(503)),
    "status_529": Fault(refuses(529)),
}
