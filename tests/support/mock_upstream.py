"""A provider that costs next to nothing: OpenAI's chat answers, whole or streamed, from bytes that are made once.

    python mock_upstream.py PORT

An answer has 30 tokens, a stream `N_CHUNKS` events with text. The events come back to back, or `PACE_S` apart where the
prompt has `PACED` in it, which every gateway passes on. The model that is asked for is the one that answers.
"""

import asyncio
import json
import re
import sys
from functools import lru_cache
from typing import NamedTuple

import httptools
import uvloop

N_CHUNKS, PACE_S, PACED = 50, 0.002, "[paced]"
FIRST = b"w00 "
"""The first token of a stream, by which it is known."""
TEXT = "".join(f"w{number:02d} " for number in range(N_CHUNKS))
WORDS = "The fourth option is right, as the pressure at the lower end is the same for both columns of water, whatever "
_MODEL = re.compile(rb'"model":\s*"([^"]*)"')
_STREAM = re.compile(rb'"stream":\s*true')
_USAGE = re.compile(rb'"include_usage":\s*true')
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%b\r\n"


class Answers(NamedTuple):
    """What a model answers: a whole answer, and the pieces of a stream, without and with usage at its end."""

    whole: bytes
    stream: tuple[bytes, ...]
    stream_with_usage: tuple[bytes, ...]


@lru_cache(maxsize=256)
def answers(model: bytes) -> Answers:
    common = {"id": "chatcmpl-mock", "created": 1_790_000_000, "model": model.decode()}
    usage = {"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130}
    message = {"role": "assistant", "content": WORDS.strip()}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    whole = json.dumps({**common, "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
    head = _HEAD % (b"application/json", b"content-length: %d\r\n" % len(whole))
    events = [_event(common, {"role": "assistant", "content": f"w{number:02d} "}) for number in range(N_CHUNKS)]
    finish, done = _event(common, {}, "stop"), b"data: [DONE]\n\n"
    counted = b"data: " + json.dumps({**common, **_CHUNK, "choices": [], "usage": usage}).encode() + b"\n\n"
    return Answers(head + whole, _pieces(events, finish + done), _pieces(events, finish + counted + done))


_CHUNK = {"object": "chat.completion.chunk"}


def _event(common: dict[str, object], delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({**common, **_CHUNK, "choices": [choice]}).encode() + b"\n\n"


def _pieces(events: list[bytes], end: bytes) -> tuple[bytes, ...]:
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in (*events[:-1], events[-1] + end)]
    chunks[0] = _HEAD % (b"text/event-stream", b"transfer-encoding: chunked\r\n") + chunks[0]
    chunks[-1] += b"0\r\n\r\n"
    return tuple(chunks)


class Mock(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        self._body.clear()
        model = _MODEL.search(body)
        made = answers(model[1] if model else b"none")
        if not _STREAM.search(body):
            self._transport.write(made.whole)
            return
        pieces = made.stream_with_usage if _USAGE.search(body) else made.stream
        if PACED.encode() in body:
            self._pace(pieces, 0, asyncio.get_running_loop().time())
        else:
            self._transport.writelines(pieces)

    def _pace(self, pieces: tuple[bytes, ...], number: int, started: float) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(pieces[number])
        if (later := number + 1) < len(pieces):
            loop = asyncio.get_running_loop()
            loop.call_at(started + later * PACE_S, self._pace, pieces, later, started)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
