import json
from itertools import pairwise

import pytest
from anthropic.types import RawMessageStreamEvent
from anthropic_examples import CLAUDE, MESSAGES, STREAM, events_as_bytes, final_message, parsed, through
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from router_model.serving.formats.adapter import Adapter
from router_model.serving.formats.anthropic.messages_format import AnthropicFormat
from router_model.serving.formats.format import Event
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.usage import Usage

SAME = Adapter(AnthropicFormat(), AnthropicFormat())
EVENTS = TypeAdapter(RawMessageStreamEvent)


def test_stream_of_the_same_format_is_the_same_but_for_model_and_cost():
    """Usage: 650 in (600 read, 40 written), 90 out; (10 x 3 + 600 x 0.3 + 40 x 3.75 + 90 x 15) / 1e6 = 0.00171."""
    sent, facts = through(SAME, MESSAGES, CLAUDE, events_as_bytes(STREAM), {"openrouter_metadata": {"attempt": 2}})

    written = parsed(sent)
    wanted = [event for event in STREAM if event["type"] != "ping"]
    assert [name for name, _ in written] == [event["type"] for event in wanted]
    assert written[0][1]["message"] == {**wanted[0]["message"], "model": "anthropic/claude"}
    assert [event for _, event in written[1:-2]] == wanted[1:-2]
    last = written[-2][1]
    assert last["usage"]["cost"] == pytest.approx(0.00171)
    assert last["openrouter_metadata"] == {"attempt": 2}
    assert facts.usage == Usage(650, 90, cached_input_tokens=600, cache_write_tokens=40, reasoning_tokens=20)
    assert (facts.finish_reason, facts.response_id) == ("tool_use", "msg_1")
    for _, event in written:
        EVENTS.validate_python(event, strict=True)


def test_official_client_reads_what_we_write():
    sent, _ = through(SAME, MESSAGES, CLAUDE, events_as_bytes(STREAM))

    message = final_message(sent)

    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message.content[2].input == {"city": "Oslo"}
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (
        10,
        600,
        90,
    )
    assert message.model == "anthropic/claude"


@given(st.lists(st.integers(0, len(events_as_bytes(STREAM))), max_size=6))
def test_any_cutting_of_the_bytes_gives_the_same_stream(cuts):
    data = events_as_bytes(STREAM)
    stream, places = SAME.stream(MESSAGES, CLAUDE), [0, *sorted(cuts), len(data)]

    sent = [one for a, b in pairwise(places) for one in stream.feed(data[a:b])] + stream.end({})

    assert sent == through(SAME, MESSAGES, CLAUDE, data)[0]


def test_content_is_there_with_the_first_piece_that_says_something():
    reader = AnthropicFormat().reader()
    seen = []
    for event in STREAM:
        reader.read(Event(json.dumps(event).encode()))
        seen.append(reader.facts.has_content)

    assert seen.index(True) == 3  # thinking_delta: after the starts of message and block, and a ping
    assert reader.facts.is_complete


def test_a_tool_call_is_content_when_it_starts():
    reader = AnthropicFormat().reader()

    reader.read(Event(json.dumps(STREAM[10]).encode()))

    assert reader.facts.has_content


def test_bytes_written_are_counted_until_the_provider_counts_tokens():
    r"""``Żó`` has 4 bytes, ``{"a":`` 5; the signature of a thought is not written for anybody."""
    reader = AnthropicFormat().reader()
    for delta in (
        {"type": "text_delta", "text": "Żó"},
        {"type": "input_json_delta", "partial_json": '{"a":'},
        {"type": "signature_delta", "signature": "abc"},
        None,
    ):
        reader.read(Event(json.dumps({"type": "content_block_delta", "index": 0, "delta": delta}).encode()))
    assert reader.facts.n_bytes_written == 9


def test_stream_that_stops_before_its_end_is_truncated():
    stream = SAME.stream(MESSAGES, CLAUDE)
    stream.feed(events_as_bytes(STREAM[:9]))

    with pytest.raises(UpstreamFailure, match="ended before its answer did") as caught:
        stream.end({})

    assert caught.value.kind is FailureKind.TRUNCATED


def test_stream_without_message_stop_is_whole_where_it_said_why_it_stopped():
    sent, _ = through(SAME, MESSAGES, CLAUDE, events_as_bytes(STREAM[:-1]))

    assert parsed(sent)[-1] == ("message_stop", {"type": "message_stop"})


def test_counts_are_totals_and_not_added():
    """Two message_delta events: 40, then 90 tokens so far are 90; the reason is the first's."""
    first = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 40}}
    second = {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 90}}

    sent, facts = through(SAME, MESSAGES, CLAUDE, events_as_bytes([*STREAM[:10], first, second, STREAM[-1]]))

    last = parsed(sent)[-2][1]
    assert (facts.usage.output_tokens, last["usage"]["output_tokens"]) == (90, 90)
    assert last["delta"]["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("event", "match", "kind"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', "Overloaded", "rate_limited"),
        (b'{"type":"error","error":{"type":"api_error","message":"Oh"}}', "Oh", "server"),
        (b'{"type":"error","error":{"type":"invalid_request_error","message":"bad"}}', "bad", "bad_request"),
        (b'{"type":"error"}', "has no message", "server"),
        (b'{"error":{"message":"odd"}}', "odd", "server"),
        (b'{"type": ', "not valid JSON", "malformed"),
        (b'["a"]', "JSON of type list", "malformed"),
        (b"{}", "no 'type'", "malformed"),
    ],
)
def test_errors_in_a_stream(event, match, kind):
    with pytest.raises(UpstreamFailure, match=match) as caught:
        AnthropicFormat().reader().read(Event(event, "error"))

    assert caught.value.kind.value == kind


def test_error_in_the_middle_is_an_event_that_the_official_client_raises():
    from anthropic import APIStatusError

    stream = SAME.stream(MESSAGES, CLAUDE)
    sent = stream.feed(events_as_bytes(STREAM[:9])) + stream.fail(UpstreamFailure(FailureKind.TRUNCATED, "it was cut"))

    assert parsed(sent)[-1] == (
        "error",
        {"type": "error", "error": {"type": "api_error", "message": "it was cut"}},
    )
    with pytest.raises(APIStatusError, match="it was cut"):
        final_message(sent)
