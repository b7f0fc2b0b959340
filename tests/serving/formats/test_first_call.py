"""One tool call an answer, from providers of Google's format, which cannot be told so."""

import orjson
import pytest
from openai_streams import target_at

from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.provider import Kind

FUNCTION = {"name": "look", "parameters": {"type": "object"}}
BODIES = {
    Surface.CHAT: {
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": FUNCTION}],
    },
    Surface.RESPONSES: {"input": "Hi", "tools": [{"type": "function", **FUNCTION}]},
    Surface.MESSAGES: {
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
    },
}
ONE = {
    Surface.CHAT: {"parallel_tool_calls": False},
    Surface.RESPONSES: {"parallel_tool_calls": False},
    Surface.MESSAGES: {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
}
USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 20, "totalTokenCount": 30}


def called(place, signature=None):
    part = {"functionCall": {"name": "look", "args": {"at": place}}}
    return part | ({"thoughtSignature": signature} if signature else {})


def said(*parts, index=0, **ending):
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": index, **ending}]}


EVENTS = [
    said({"text": "A moment."}),
    said(called("north", "c2ln"), called("south")),
    said(called("west")),
    said(finishReason="STOP") | {"usageMetadata": USAGE},
]
WHOLE = said({"text": "A moment."}, called("north", "c2ln"), called("south"), called("west"), finishReason="STOP")


def answered(surface, body, *, stream, n=1):
    """Return the answer as the caller gets it, as text, and what it is told of its request."""
    adapter, target = adapter_for(surface, Kind.GEMINI), target_at(kind=Kind.GEMINI)
    call = Call(surface, body, stream=stream)
    request = adapter.request(call, target, "k-1")
    assert b"arallel" not in request.content
    if stream:
        read = adapter.stream(call, target)
        sent = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in EVENTS)
        return b"".join(read.feed(sent) + read.end({})).decode(), request.changes
    whole = {"candidates": [{**WHOLE["candidates"][0], "index": index} for index in range(n)], "usageMetadata": USAGE}
    answer, facts = adapter.answer(target, "application/json", orjson.dumps(whole), {}, call=call)
    assert facts.usage.output_tokens == 20
    return orjson.dumps(answer).decode(), request.changes


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("surface", BODIES)
def test_the_first_call_stays_where_one_was_asked_for(surface, stream):
    """Google signs the first call, so its signature stays, too."""
    answer, changes = answered(surface, BODIES[surface] | ONE[surface], stream=stream)
    assert changes == ("parallel_tool_calls=first",)
    assert "A moment." in answer
    assert "north" in answer
    assert "south" not in answer
    assert "west" not in answer

    answer, changes = answered(surface, BODIES[surface], stream=stream)
    assert changes == ()
    assert all(word in answer for word in ("A moment.", "north", "south", "west"))


def test_each_of_several_choices_keeps_its_first_call():
    body = BODIES[Surface.CHAT] | ONE[Surface.CHAT] | {"n": 2}
    answer, _ = answered(Surface.CHAT, body, stream=False, n=2)
    assert [len(one["message"]["tool_calls"]) for one in orjson.loads(answer)["choices"]] == [1, 1]


def test_without_tools_nothing_is_told():
    body = {"messages": [{"role": "user", "content": "Hi"}], "parallel_tool_calls": False}
    assert answered(Surface.CHAT, body, stream=False)[1] == ()


@pytest.mark.parametrize("kind", [Kind.ANTHROPIC, Kind.RESPONSES, Kind.OPENAI])
def test_other_formats_say_it_themselves(kind):
    call = Call(Surface.CHAT, BODIES[Surface.CHAT] | ONE[Surface.CHAT])
    request = adapter_for(Surface.CHAT, kind).request(call, target_at(kind=kind), "k-1")
    assert b"parallel_tool" in request.content  # Anthropic: disable_parallel_tool_use
    assert request.changes == ()
