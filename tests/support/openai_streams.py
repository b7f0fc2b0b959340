"""Calls, targets and streams in OpenAI's format, as tests of formats need them."""

from decimal import Decimal

import orjson

from router_model.catalog import ModelCard
from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.provider import Kind, Provider, Target

CARD = ModelCard(
    "acme/small",
    Decimal(2),
    Decimal(10),
    usd_per_mtok_cached_input=Decimal("0.5"),
)
"""A token read costs 2e-6 USD, from the cache 0.5e-6, a token written 1e-5."""


def target_at(base_url="https://api.acme.test/v1", *, kind=Kind.OPENAI, card=CARD, **settings):
    provider = Provider("acme", kind, base_url, **settings)
    return Target("acme/small", provider, "small-2026-01-01", card)


def chat(*, stream=True, **settings):
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}
    return Call(Surface.CHAT, body | settings.pop("body", {}), stream=stream, **settings)


def chunk(delta=None, finish_reason=None, *, index=0, **fields):
    choice = {"index": index, "delta": {} if delta is None else delta, "logprobs": None, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "small-2026-01-01",
        "choices": [choice],
        **fields,
    }


def text(content, **fields):
    return chunk({"content": content}, **fields)


def usage_chunk(usage):
    return chunk(usage=usage) | {"choices": []}


USAGE = {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020}
HELLO = (
    chunk({"role": "assistant", "content": ""}),
    text("Hel"),
    text("lo"),
    chunk({}, "stop"),
    usage_chunk(USAGE),
)
"""An answer of three deltas; 1000 x 2e-6 + 20 x 1e-5 = 0.0022 USD."""


def sse(*events, done=True):
    """Return the bytes of a stream; an event that is bytes is its data as it is."""
    data = [event if isinstance(event, bytes) else orjson.dumps(event) for event in events]
    return b"".join(b"data: " + one + b"\n\n" for one in (*data, *([b"[DONE]"] if done else [])))


def sent_json(sent):
    """Return the JSON of events as they are sent; ``[DONE]`` as text."""
    blocks = b"".join(sent).split(b"\n\n")
    assert blocks.pop() == b""
    data = [block.removeprefix(b"data: ") for block in blocks]
    return ["[DONE]" if one == b"[DONE]" else orjson.loads(one) for one in data]


def played(content, *, call=None, target=None, extras=None, n_bytes=None):
    """Play a stream through the adapter; return what the caller gets, and the facts."""
    stream = adapter_for(Surface.CHAT, Kind.OPENAI).stream(call or chat(), target or target_at())
    sent = []
    for start in range(0, len(content), n_bytes or len(content)):
        sent += stream.feed(content[start : start + (n_bytes or len(content))])
    sent += stream.end(extras or {})
    return sent_json(sent), stream.facts
