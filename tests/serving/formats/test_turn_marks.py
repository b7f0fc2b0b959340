"""An answer's mark is the same when it is streamed, when it comes whole, and when its client sends it back."""

import orjson
import pytest
from openai_streams import sse, target_at

from router_model.serving.common.turn_marks import marks_of
from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.provider import Kind
from router_model.serving.proxy.chat_bodies import chat_body

SAID = "I looked at  the parser,\nand its tokens are read twice wherever a comment ends."
CALL_ID = "call_8f0a2b1c44d04e5f"
FUNCTION = {"name": "look", "arguments": '{"at": 1}'}
CALLS = [{"index": 0, "id": CALL_ID, "type": "function", "function": FUNCTION}]
MARKS = {"text": "text:" + "".join(SAID.split()), "call": f"call:{CALL_ID}"}
USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
QUESTIONS = {
    Surface.CHAT: {"messages": [{"role": "user", "content": "Hi"}]},
    Surface.MESSAGES: {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9},
    Surface.RESPONSES: {"input": [{"role": "user", "content": "Hi"}]},
    Surface.GENERATE: {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
}


def chunks(what):
    deltas = [{"role": "assistant", "content": SAID[:7]}, {"content": SAID[7:30]}, {"content": SAID[30:]}]
    deltas += [{"tool_calls": CALLS}] if what == "call" else []
    events = [{**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    reason = "tool_calls" if what == "call" else "stop"
    events.append({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": USAGE})
    return b"".join(sse(event, done=False) for event in events) + b"data: [DONE]\n\n"


def whole(what):
    message = {"role": "assistant", "content": SAID} | ({"tool_calls": CALLS} if what == "call" else {})
    return orjson.dumps(
        {**HEAD, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE}
    )


def sent_back(surface, answer):
    """Return the next request: the question, and the answer as the client got it."""
    body = QUESTIONS[surface]
    if surface is Surface.CHAT:
        return {"messages": [*body["messages"], answer["choices"][0]["message"]]}
    if surface is Surface.MESSAGES:
        return {**body, "messages": [*body["messages"], {"role": "assistant", "content": answer["content"]}]}
    if surface is Surface.RESPONSES:
        return {"input": [*body["input"], *answer["output"]]}
    return {"contents": [*body["contents"], answer["candidates"][0]["content"]]}


@pytest.mark.parametrize("what", MARKS)
@pytest.mark.parametrize("surface", QUESTIONS)
def test_an_answer_is_recognised_when_it_comes_back(surface, what):
    adapter, target = adapter_for(surface, Kind.OPENAI), target_at("http://local")
    answer, facts = adapter.answer(target, "application/json", whole(what), {})
    stream = adapter.stream(Call(surface, QUESTIONS[surface], stream=True), target)
    for piece in (chunks(what)[:100], chunks(what)[100:]):
        stream.feed(piece)
    stream.end({})
    assert facts.mark == stream.facts.mark == MARKS[what]
    assert marks_of(chat_body(surface, sent_back(surface, answer))["messages"])[:1] == [MARKS[what]]


def test_what_many_conversations_say_marks_none():
    """Short texts and counted ids are passed over, and the answer before them marks the conversation."""
    counted = {"id": "functions.read_file:0", "function": FUNCTION}
    turns = [
        {"role": "assistant", "content": SAID},
        {"role": "assistant", "content": None, "tool_calls": [counted]},
        {"role": "assistant", "content": None, "tool_calls": [{**counted, "id": "call_12_0"}]},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": SAID + " Why?"},
        {"role": "assistant", "content": {"text": 7}, "tool_calls": [None, {"id": 3}]},
    ]
    assert marks_of(turns) == [MARKS["text"]]
    assert marks_of(turns[1:]) == []
