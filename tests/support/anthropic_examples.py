"""Anthropic's Messages as they come: targets, events of a stream, and the official client over bytes of ours."""

import json
from decimal import Decimal

import httpx2

from router_model.catalog import ModelCard
from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.sse import EventParser
from router_model.serving.providers.provider import Kind, Provider, Target

ANTHROPIC = Provider("anthropic", Kind.ANTHROPIC, "https://api.anthropic.com/v1")
OPENAI = Provider("openai", Kind.OPENAI, "https://api.openai.com/v1")
CARD = ModelCard(
    "anthropic/claude",
    usd_per_mtok_input=Decimal(3),
    usd_per_mtok_output=Decimal(15),
    usd_per_mtok_cached_input=Decimal("0.3"),
    usd_per_mtok_cache_write=Decimal("3.75"),
)
CLAUDE = Target("anthropic/claude", ANTHROPIC, "claude-sonnet-5-5", CARD)
GPT = Target("openai/gpt", OPENAI, "gpt-5.5")
MESSAGES = Call(Surface.MESSAGES, {}, stream=True)
CHAT = Call(Surface.CHAT, {}, stream=True)

MESSAGE_START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 600,
            "cache_creation_input_tokens": 40,
            "output_tokens": 1,
        },
    },
}
STREAM = (
    MESSAGE_START,
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Let me see."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "I will "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "look."}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"city": '}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '"Oslo"}'}},
    {"type": "content_block_stop", "index": 2},
    {
        "type": "content_block_start",
        "index": 3,
        "content_block": {"type": "tool_use", "id": "toolu_2", "name": "clock", "input": {}},
    },
    {"type": "content_block_stop", "index": 3},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 90, "output_tokens_details": {"thinking_tokens": 20}},
    },
    {"type": "message_stop"},
)
"""Thinks, says something and calls two tools, the second without arguments."""


def events_as_bytes(events):
    """Return events as Anthropic sends them."""
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)


def chunks_as_bytes(chunks):
    """Return chunks as OpenAI sends them."""
    return b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"


def chunk(delta, finish=None, **more):
    """Return a chunk of OpenAI's."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    about = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5.5"}
    return {**about, "choices": [choice], **more}


def parsed(sent):
    """Return the events of what is sent, as (name, JSON or text)."""
    return [
        (event.name, json.loads(event.data) if event.data.startswith(b"{") else event.data.decode())
        for event in EventParser().feed(b"".join(sent))
    ]


def through(adapter, call, target, data, extras=None):
    """Return what an adapter makes of a whole stream, and its facts."""
    stream = adapter.stream(call, target)
    sent = stream.feed(data)
    return sent + stream.end(extras or {}), stream.facts


def final_message(sent):
    """Return what the official client makes of a stream."""
    from anthropic import Anthropic

    with Anthropic(api_key="k", max_retries=0, http_client=_answering(b"".join(sent))) as client:
        question = [{"role": "user", "content": "?"}]
        with client.messages.stream(model="m", max_tokens=9, messages=question) as stream:
            return stream.get_final_message()


def final_completion(sent):
    """Return what the official client makes of a stream."""
    from openai import OpenAI

    with OpenAI(api_key="k", max_retries=0, http_client=_answering(b"".join(sent))) as client:
        question = [{"role": "user", "content": "?"}]
        with client.chat.completions.stream(model="m", messages=question) as stream:
            return stream.get_final_completion()


def _answering(content):
    respond = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=content)
    )
    return httpx2.Client(transport=respond)
