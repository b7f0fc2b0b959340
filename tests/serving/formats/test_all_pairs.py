"""Every surface in front of every kind of provider: the same short answer, with a tool call, by way of the registry."""

import orjson
import pytest
from openai_streams import USAGE, chunk, sse, target_at, text, usage_chunk

from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.provider import Kind
from router_model.serving.providers.usage import Usage

for _module in ("anthropic", "gemini", "translations"):
    pytest.importorskip(f"router_model.serving.formats.{_module}", reason="this format is not built yet")

MODEL = "small-2026-01-01"
BODIES = {
    Surface.CHAT: {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_tokens": 9,
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    },
    Surface.RESPONSES: {
        "input": "Hi",
        "instructions": "Be brief.",
        "max_output_tokens": 9,
        "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}}],
    },
    Surface.MESSAGES: {
        "max_tokens": 9,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
    },
    Surface.GENERATE: {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {"maxOutputTokens": 9},
        "tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": {"type": "object"}}]}],
    },
}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
TEXT = {"type": "text", "text": "Hello"}
TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL}
PARTS = [{"text": "Hello"}, {"functionCall": {"name": "look", "args": {"at": 1}}}]
GOOGLE_USAGE = {"promptTokenCount": 1000, "candidatesTokenCount": 20, "totalTokenCount": 1020}


SAID = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
SAID["content"] = [{"type": "output_text", "text": "Hello", "annotations": []}]
CALLED = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": '{"at": 1}'}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "model": MODEL,
    "status": "completed",
    "output": [SAID, CALLED],
    "usage": {"input_tokens": 1000, "output_tokens": 20, "total_tokens": 1020},
}


def responses_stream():
    """The least that servers send: a text in pieces, a call without any, and the whole."""
    where = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    events = [
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**SAID, "content": []}},
        {"type": "response.content_part.added", **where, "part": {**SAID["content"][0], "text": ""}},
        {"type": "response.output_text.delta", **where, "delta": "Hello"},
        {"type": "response.output_item.done", "output_index": 0, "item": SAID},
        {"type": "response.output_item.done", "output_index": 1, "item": CALLED},
        {"type": "response.completed", "response": RESPONSE},
    ]
    return b"".join(sse(one, done=False) for one in events)


def anthropic_stream():
    events = [
        {"type": "message_start", "message": MESSAGE | {"content": [], "usage": {"input_tokens": 1000}}},
        {"type": "content_block_start", "index": 0, "content_block": TEXT | {"text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": TOOL_USE},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"at": 1}'}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 20}},
        {"type": "message_stop"},
    ]
    return b"".join(b"event: " + one["type"].encode() + b"\n" + sse(one, done=False) for one in events)


def google(parts, **fields):
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0} | fields], "responseId": "r"}


STREAMS = {
    Kind.OPENAI: sse(text("Hello"), chunk({"tool_calls": [CALL]}), chunk({}, "tool_calls"), usage_chunk(USAGE)),
    Kind.ANTHROPIC: anthropic_stream(),
    Kind.RESPONSES: responses_stream(),
    Kind.GEMINI: sse(
        google(PARTS[:1]), google(PARTS[1:], finishReason="STOP") | {"usageMetadata": GOOGLE_USAGE}, done=False
    ),
}
ANSWERS = {
    Kind.OPENAI: {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "tool_calls": [CALL]},
                "finish_reason": "tool_calls",
            }
        ],
        "usage": USAGE,
    },
    Kind.RESPONSES: RESPONSE,
    Kind.ANTHROPIC: MESSAGE
    | {
        "content": [TEXT, TOOL_USE | {"input": {"at": 1}}],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1000, "output_tokens": 20},
    },
    Kind.GEMINI: google(PARTS, finishReason="STOP") | {"usageMetadata": GOOGLE_USAGE, "modelVersion": MODEL},
}
ENDS = {
    Surface.CHAT: '"tool_calls"',
    Surface.RESPONSES: '"status":"completed"',
    Surface.MESSAGES: '"tool_use"',
    Surface.GENERATE: '"STOP"',
}


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("surface", BODIES)
@pytest.mark.parametrize("comes", ["whole", "as a stream", "whole in place of a stream"])
def test_every_surface_gets_the_same_answer_from_every_kind(surface, kind, comes):
    """1000 tokens read and 20 written: 1000 x 2e-6 + 20 x 1e-5 = 0.0022 USD."""
    adapter, target = adapter_for(surface, kind), target_at(kind=kind)
    call = Call(surface, BODIES[surface], stream=comes != "whole")
    asked = adapter.request(call, target, "k-1").content.decode()
    assert all(word in asked for word in ("Be brief.", "Hi", "look"))
    if call.stream:
        read = adapter.stream(call, target)
        came = STREAMS[kind] if comes == "as a stream" else orjson.dumps(ANSWERS[kind], option=orjson.OPT_INDENT_2)
        answer = b"".join(read.feed(came) + read.end({"x": 1})).decode()
        facts = read.facts
    else:
        body, facts = adapter.answer(target, "application/json", orjson.dumps(ANSWERS[kind]), {"x": 1})
        answer = orjson.dumps(body).decode()
    assert facts.usage == Usage(1000, 20)
    assert all(word in answer for word in ("Hello", '"look"', "acme/small", '"cost":0.0022', '"x":1', ENDS[surface]))
    assert MODEL not in answer
