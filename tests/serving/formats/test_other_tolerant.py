"""Anthropic's and Gemini's formats as servers have them that nearly speak them."""

import json

import pytest
from anthropic_examples import CHAT, CLAUDE, MESSAGES

from router_model.serving.formats.anthropic.messages_format import AnthropicFormat
from router_model.serving.formats.format import Event, Surface
from router_model.serving.formats.gemini.generate_format import GeminiFormat
from router_model.serving.formats.gemini.usage import read_usage as gemini_usage
from router_model.serving.formats.registry import adapter_for
from router_model.serving.formats.sse import EventParser
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Kind
from router_model.serving.providers.sent import Sent
from router_model.serving.providers.usage import Usage

TOOL = {"type": "tool_use", "id": "t1", "name": "f", "input": {"c": 1}}
START = {"type": "message_start", "message": {"id": "m1", "usage": {"input_tokens": 0, "output_tokens": 0}}}
COUNTS = {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 9, "output_tokens": 5}}
STOP = {"type": "message_stop"}


def begun(block, index=0):
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(piece, index=0):
    return {"type": "content_block_delta", "index": index, "delta": piece}


def passed(*events, surface=Surface.MESSAGES):
    """Return the events that the caller gets, and the facts."""
    stream = adapter_for(surface, Kind.ANTHROPIC).stream(MESSAGES if surface is Surface.MESSAGES else CHAT, CLAUDE)
    sent = stream.feed(b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events)) + stream.end({})
    data = [event.data for event in EventParser().feed(b"".join(sent))]
    return [json.loads(one) for one in data if one != b"[DONE]"], stream.facts


def test_the_input_of_a_tool_comes_in_a_delta():
    events, facts = passed(START, begun(TOOL), {"type": "content_block_stop", "index": 0}, COUNTS, STOP)
    assert [one["type"] for one in events[1:4]] == ["content_block_start", "content_block_delta", "content_block_stop"]
    assert events[1]["content_block"]["input"] == {}
    assert json.loads(events[2]["delta"]["partial_json"]) == {"c": 1}
    assert events[-2]["delta"]["stop_reason"] == facts.finish_reason == "tool_use"
    assert facts.n_bytes_written == len("f" + '{"c":1}')


def test_an_input_that_comes_in_pieces_as_well_comes_once():
    events, _ = passed(START, begun(TOOL), delta({"type": "input_json_delta", "partial_json": '{"c":1}'}), COUNTS, STOP)
    pieces = [one["delta"]["partial_json"] for one in events if one["type"] == "content_block_delta"]
    assert pieces == ['{"c":1}']


def test_what_a_stream_leaves_out_is_written():
    """No beginning, neither of the message nor of the block, no index, no end of the block, no reason."""
    piece = {"type": "content_block_delta", "delta": {"text": "Hi"}}
    events, _ = passed(piece, COUNTS, STOP)
    assert [one["type"] for one in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[2]["delta"] == {"type": "text_delta", "text": "Hi"}
    assert events[4]["delta"]["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    "end", [STOP, COUNTS | {"delta": {"stop_reason": "tool_calls"}}, COUNTS | {"stop_reason": "stop"}]
)
def test_chat_gets_its_reason_and_the_whole_arguments(end):
    events, _ = passed(START, begun(TOOL), COUNTS, end, surface=Surface.CHAT)
    calls = [call for one in events for choice in one["choices"] for call in choice["delta"].get("tool_calls", [])]
    assert "".join(call["function"]["arguments"] for call in calls) == '{"c":1}'
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 9, "output_tokens": 5}),
        ({"input_tokens": 9, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 5}),
        ({"input_tokens": "9", "output_tokens": None}, {"output_tokens": "5"}),
        ({"input_tokens": 9}, {"input_tokens": None, "output_tokens": 5.0}),
    ],
)
def test_counts_may_stand_at_either_end_of_a_stream(first, last):
    start = {"type": "message_start", "message": {"id": "m1", "usage": first}}
    events, facts = passed(start, delta({"text": "Hi"}), {"type": "message_delta", "delta": {}, "usage": last}, STOP)
    assert (facts.usage, facts.estimated) == (Usage(9, 5), ())
    assert (events[-2]["usage"]["input_tokens"], events[-2]["usage"]["output_tokens"]) == (9, 5)


def test_an_hour_in_the_cache_costs_twice_the_input():
    """A million tokens: 6 USD for an hour, where five minutes are 3.75 and plain input is 3."""
    usage = {
        "input_tokens": 0,
        "output_tokens": 1,
        "cache_creation_input_tokens": 1_000_000,
        "cache_creation": {"ephemeral_1h_input_tokens": 1_000_000, "ephemeral_5m_input_tokens": 0},
    }
    answer = {"type": "message", "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn", "usage": usage}
    adapter = adapter_for(Surface.MESSAGES, Kind.ANTHROPIC)
    _, facts = adapter.answer(CLAUDE, "", json.dumps(answer).encode(), {}, sent=Sent(b'{"messages":[]}'))
    assert facts.cost_usd == pytest.approx(6.000015)


def test_a_whole_message_is_made_by_the_book():
    answer = {"content": [{**TOOL, "input": '{"c":1}', "id": None}], "stop_reason": "end_turn"}
    message, facts = AnthropicFormat().read_answer("", json.dumps(answer).encode())
    (block,) = message["content"]
    assert (block["input"], block["id"][:6], facts.finish_reason) == ({"c": 1}, "toolu_", "tool_use")


# --- Gemini


def read(*datas):
    reader = GeminiFormat().reader()
    said = [reader.read(Event(one if isinstance(one, bytes) else json.dumps(one).encode())) for one in datas]
    return said, reader.facts


def response(part, **fields):
    return {"candidates": [{"content": {"parts": [part]}, **fields}]}


@pytest.mark.parametrize(
    ("reason", "known"), [("stop", "STOP"), (1, "STOP"), (2, "MAX_TOKENS"), ("length", "MAX_TOKENS"), (99, "OTHER")]
)
def test_reasons_of_relays_are_googles(reason, known):
    assert read(response({"text": "Hi"}, finish_reason=reason))[1].finish_reason == known


@pytest.mark.parametrize("args", [{"c": 1}, '{"c": 1}'])
def test_arguments_are_an_object(args):
    (said,), facts = read(response({"function_call": {"name": "f", "args": args}}, finishReason="STOP"))
    assert said["candidates"][0]["content"]["parts"] == [{"functionCall": {"name": "f", "args": {"c": 1}}}]
    assert facts.n_bytes_written == len("f" + '{"c":1}')


def test_done_after_the_usage_ends_what_has_not_said_why():
    said, facts = read(response({"text": "Hi"}), {"usageMetadata": {"promptTokenCount": 9}}, b"[DONE]")
    assert said[-1]["candidates"] == [{"index": 0, "finishReason": "STOP"}]
    assert (facts.is_complete, facts.finish_reason) == (True, "STOP")
    assert not read(response({"text": "Hi"}), b"[DONE]")[1].is_complete


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"promptTokenCount": 10, "candidatesTokenCount": 20, "totalTokenCount": 530}, Usage(10, 520, 0, 0, 500)),
        ({"promptTokenCount": "10", "candidatesTokenCount": "20", "totalTokenCount": "30"}, Usage(10, 20)),
        ({"promptTokenCount": 21, "thoughtsTokenCount": 60, "totalTokenCount": 81}, Usage(21, 60, 0, 0, 60)),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 12, "candidatesTokenCount": 1}, Usage(9, 1, 9)),
        ({"promptTokenCount": -9, "candidatesTokenCount": True}, Usage(0, 0)),
    ],
)
def test_counts_of_gemini(counts, usage):
    assert gemini_usage(counts) == usage


def test_a_stream_of_gemini_that_is_cut_is_a_failure():
    stream = adapter_for(Surface.GENERATE, Kind.GEMINI).stream(MESSAGES, CLAUDE)
    stream.feed(b"data: " + json.dumps(response({"text": "Hi"})).encode() + b"\n\n")
    with pytest.raises(UpstreamFailure, match="ended before") as raised:
        stream.end({})
    assert raised.value.kind is FailureKind.TRUNCATED
