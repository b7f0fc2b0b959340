# ruff: noqa: E501  (one line a case: the table is read by its rows)
"""Answers of servers that nearly speak OpenAI's format: every surface's caller gets what a by-the-book answer gives.

What leaves us is read with the official SDKs' own models and accumulators, never with our code.
"""

import json

import orjson
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai_streams import USAGE, chunk, sse, target_at, text, usage_chunk
from pydantic import TypeAdapter

from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Kind

SURFACES = (Surface.CHAT, Surface.MESSAGES, Surface.GENERATE)
CLAUDE_EVENT = TypeAdapter(RawMessageStreamEvent)
ENDS = {
    "stop": {Surface.CHAT: "stop", Surface.MESSAGES: "end_turn", Surface.GENERATE: "STOP"},
    "tool_calls": {Surface.CHAT: "tool_calls", Surface.MESSAGES: "tool_use", Surface.GENERATE: "STOP"},
    "length": {Surface.CHAT: "length", Surface.MESSAGES: "max_tokens", Surface.GENERATE: "MAX_TOKENS"},
    "content_filter": {Surface.CHAT: "content_filter", Surface.MESSAGES: "refusal", Surface.GENERATE: "SAFETY"},
}
BODIES = {
    Surface.CHAT: {"messages": [{"role": "user", "content": "Hi"}]},
    Surface.MESSAGES: {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
    Surface.GENERATE: {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
}
BERLIN, PARIS = ("look", {"at": "Berlin"}), ("look", {"at": "Paris"})
TEXT = ("Hello", "", [], "stop")
CALL = ("", "", [BERLIN], "tool_calls")
CALLS = ("", "", [BERLIN, PARIS], "tool_calls")


def written(surface, content, n_bytes=None):
    """Return what the caller of a stream gets: text, reasoning, tool calls and the reason to stop."""
    stream = adapter_for(surface, Kind.OPENAI).stream(Call(surface, BODIES[surface], stream=True), target_at())
    step, sent = n_bytes or len(content), []
    for start in range(0, len(content), step):
        sent += stream.feed(content[start : start + step])
    sent += stream.end({})
    assert stream.facts.is_complete
    blocks = [
        block.rpartition(b"data: ")[2] for block in b"".join(sent).replace(b"\r\n", b"\n").split(b"\n\n") if block
    ]
    return STREAMS_READ[surface]([orjson.loads(one) for one in blocks if one != b"[DONE]"])


def answered(surface, answer):
    """Return what the caller of a whole answer gets."""
    adapter = adapter_for(surface, Kind.OPENAI)
    body, _ = adapter.answer(target_at(), "application/json", orjson.dumps(answer), {})
    return WHOLE_READ[surface](body)


def read_chunks(chunks):
    state = ChatCompletionStreamState()
    for one in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(one, strict=True))
    assert len({(one["id"], one["created"]) for one in chunks if one["id"]}) == 1
    return read_completion(state.current_completion_snapshot.to_dict())


def read_completion(body):
    (choice,) = ChatCompletion.model_validate(body, strict=True).choices
    message = choice.message
    calls = message.tool_calls or []
    assert all(call.id for call in calls)
    assert len({call.id for call in calls}) == len(calls)
    reasoning = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or ""
    said = [(call.function.name, json.loads(call.function.arguments)) for call in calls]
    return message.content or "", reasoning, said, choice.finish_reason


def read_events(events):
    message, pieces = None, {}
    for one in events:
        message = accumulate_event(event=CLAUDE_EVENT.validate_python(one), current_snapshot=message, json_bufs=pieces)
    open_ = [one["index"] for one in events if one["type"] == "content_block_start"]
    assert sorted(open_) == sorted(one["index"] for one in events if one["type"] == "content_block_stop")
    assert open_ == list(range(len(open_)))
    return read_message(message.to_dict())


def read_message(body):
    message = Message.model_validate(body)
    calls = [block for block in message.content if block.type == "tool_use"]
    assert all(call.id for call in calls)
    assert len({call.id for call in calls}) == len(calls)
    said = "".join(block.text for block in message.content if block.type == "text")
    thought = "".join(block.thinking for block in message.content if block.type == "thinking")
    return said, thought, [(call.name, call.input) for call in calls], message.stop_reason


def read_responses(responses):
    parts, reason = [], None
    for one in responses:
        one.pop("usageMetadata", None)  # has fields of ours, which the SDK takes and its strict model does not
        for candidate in GenerateContentResponse.model_validate(one).candidates or ():
            parts += (candidate.content and candidate.content.parts) or ()
            reason = candidate.finish_reason or reason
    said = "".join(part.text for part in parts if part.text and not part.thought)
    thought = "".join(part.text for part in parts if part.text and part.thought)
    calls = [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]
    return said, thought, calls, reason.value


STREAMS_READ = {Surface.CHAT: read_chunks, Surface.MESSAGES: read_events, Surface.GENERATE: read_responses}
WHOLE_READ = {
    Surface.CHAT: read_completion,
    Surface.MESSAGES: read_message,
    Surface.GENERATE: lambda body: read_responses([body]),
}


def piece(arguments=None, **fields):
    """Return a piece of a tool call; a `name` is the function's."""
    function = {"name": fields.pop("name")} if "name" in fields else {}
    if arguments is not None:
        function["arguments"] = arguments
    return fields | {"function": function}


def whole(city, **fields):
    return piece(json.dumps({"at": city}), name="look", **fields)


def calling(*deltas, finish="tool_calls"):
    """Return a stream; each delta is the list of its pieces."""
    return sse(*(chunk({"tool_calls": one}) for one in deltas), chunk({}, finish), usage_chunk(USAGE))


def saying(*deltas, finish="stop"):
    return sse(*map(chunk, deltas), chunk({}, finish), usage_chunk(USAGE))


def without(*names, chunks=None):
    chunks = chunks or [text("Hel"), text("lo"), chunk({}, "stop"), usage_chunk(USAGE)]
    return sse(*({name: value for name, value in one.items() if name not in names} for one in chunks))


def with_(**fields):
    return sse(*(one | fields for one in (text("Hel"), text("lo"), chunk({}, "stop"), usage_chunk(USAGE))))


def choices(*given, **fields):
    return sse(*(chunk() | fields | {"choices": one} for one in given), usage_chunk(USAGE))


def framed(content, *, end=b"\n\n", before=b"data: ", head=b""):
    return head + content.replace(b"data: ", before).replace(b"\n\n", end)


def completion(message, finish="stop", **fields):
    heading = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE}
    return heading | {"choices": [{"index": 0, "message": message, "finish_reason": finish}]} | fields


def called(*calls, finish="tool_calls"):
    return completion({"role": "assistant", "content": None, "tool_calls": [*calls]}, finish)


HELLO = saying({"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"})
A, B = '{"at": ', '"Berlin"}'
STREAMS = {
    # by the book
    "text": (TEXT, HELLO),
    "call": (CALL, calling([piece("", index=0, id="a", type="function", name="look")], [piece(A, index=0)], [piece(B, index=0)])),
    "calls": (CALLS, calling([whole("Berlin", index=0, id="a", type="function")], [whole("Paris", index=1, id="b", type="function")])),
    "calls in turn": (CALLS, calling([piece("", index=0, id="a", name="look"), piece("", index=1, id="b", name="look")], [piece(A, index=0)], [piece(A, index=1)], [piece(B, index=0), piece('"Paris"}', index=1)])),
    # the index of a call
    "no index, in one chunk": (CALLS, calling([whole("Berlin", id="a"), whole("Paris", id="b")])),
    "no index, a chunk each": (CALLS, calling([whole("Berlin", id="a")], [whole("Paris", id="b")])),
    "no index, in pieces": (CALLS, calling([piece("", id="a", name="look")], [piece(A)], [piece(B)], [piece("", id="b", name="look")], [piece(A)], [piece('"Paris"}')])),
    "no index, in turn by id": (CALLS, calling([piece('{"at"', id="a", name="look")], [piece('{"at"', id="b", name="look")], [piece(": " + B, id="a")], [piece(': "Paris"}', id="b")])),
    "no index and no id": (CALLS, calling([whole("Berlin")], [whole("Paris")])),
    "index null": (CALLS, calling([whole("Berlin", index=None, id="a")], [whole("Paris", index=None, id="b")])),
    "index 0 for all": (CALLS, calling([whole("Berlin", index=0, id="a")], [whole("Paris", index=0, id="b")])),
    "index 0 for all in one chunk": (CALLS, calling([whole("Berlin", index=0, id="a"), whole("Paris", index=0, id="b")])),
    "index 0 for all, no id": (CALLS, calling([whole("Berlin", index=0)], [whole("Paris", index=0)])),
    "index 0 for all, in pieces": (CALLS, calling([piece(A, index=0, id="a", name="look")], [piece(B, index=0)], [piece(A, index=0, id="b", name="look")], [piece('"Paris"}', index=0)])),
    "index as text": (CALLS, calling([whole("Berlin", index="0", id="a")], [whole("Paris", index="1", id="b")])),
    "index from 1": (CALLS, calling([whole("Berlin", index=1, id="a")], [whole("Paris", index=2, id="b")])),
    "index of the piece": (CALL, calling([piece(A, index=0, id="a", name="look")], [piece(B, index=1, id="a")])),
    # the id of a call
    "id empty": (CALLS, calling([whole("Berlin", index=0, id="")], [whole("Paris", index=1, id="")])),
    "id empty, in one chunk": (CALLS, calling([whole("Berlin", id=""), whole("Paris", id="")])),
    "id of two calls": (CALLS, calling([whole("Berlin", index=0, id="look")], [whole("Paris", index=1, id="look")])),
    "id again": (CALL, calling([piece(A, index=0, id="a", name="look")], [piece(B, index=0, id="a")])),
    "id new with each piece": (CALL, calling([piece(A, index=0, id="a", name="look")], [piece(B, index=0, id="b")])),
    "id a number": (CALLS, calling([whole("Berlin", index=0, id=1)], [whole("Paris", index=0, id=2)])),
    # name and arguments
    "name again": (CALL, calling([piece(A, index=0, id="a", name="look")], [piece(B, index=0, name="look")])),
    "name empty or null later": (CALL, calling([piece(A, index=0, id="a", name="look")], [piece('"Ber', index=0, name="")], [piece('lin"}', index=0, name=None)])),
    "name in a later piece": (CALL, calling([{"index": 0, "id": "a", "type": "function"}], [piece("", index=0, name="look")], [piece(A + B, index=0)])),
    "name beside the function": (CALL, calling([{"id": "a", "name": "look", "arguments": A + B}])),
    "arguments an object": (CALLS, calling([piece({"at": "Berlin"}, index=0, id="a", name="look")], [piece({"at": "Paris"}, index=1, id="b", name="look")])),
    "arguments an empty object first": (CALL, calling([piece({}, index=0, id="a", name="look")], [piece(A + B, index=0)])),
    "arguments as parameters": (CALL, calling([{"index": 0, "id": "a", "function": {"name": "look", "parameters": {"at": "Berlin"}}}])),
    "arguments null": (("", "", [("now", {})], "tool_calls"), calling([{"id": "a", "function": {"name": "now", "arguments": None}}])),
    "arguments missing": (("", "", [("now", {})], "tool_calls"), calling([{"id": "a", "function": {"name": "now"}}])),
    "arguments empty": (("", "", [("now", {}), BERLIN], "tool_calls"), calling([piece("", index=0, id="a", name="now")], [whole("Berlin", index=1, id="b")])),
    "arguments empty, index 0": (("", "", [("now", {}), ("then", {})], "tool_calls"), calling([piece("{}", index=0, id="a", name="now")], [piece("{}", index=0, id="b", name="then")])),
    "arguments of a text in a text": (CALL, calling([piece(json.dumps(A + B), index=0, id="a", name="look")])),
    "calls one object": (CALL, calling(whole("Berlin", id="a"))),
    "calls null and empty": (TEXT, saying({"content": "Hel", "tool_calls": None}, {"content": "lo", "tool_calls": []})),
    "calls with a null": (CALL, calling([None, whole("Berlin", id="a")])),
    "calls again at the end": (CALL, calling([whole("Berlin", index=0, id="a")], [whole("Berlin", index=0, id="a")])),
    "function_call": (CALL, saying({"function_call": {"name": "look", "arguments": ""}}, {"function_call": {"arguments": A}}, {"function_call": {"arguments": B}}, finish="function_call")),
    "function_call null": (TEXT, saying({"content": "Hello", "function_call": None})),
    "call in the last chunk": (CALL, sse(chunk({"tool_calls": [whole("Berlin", index=0, id="a")]}, "stop"), usage_chunk(USAGE))),
    "text and a call": (("Hello", "", [BERLIN], "tool_calls"), saying({"content": "Hello"}, {"tool_calls": [whole("Berlin", id="a")]})),
    # why it ended
    **{f"finish {one!r} after a call": (CALL, calling([whole("Berlin", index=0, id="a")], finish=one)) for one in ("stop", "STOP", "function_call", "tool_call", "tool_use", "end_turn", "TOOL_CALLS", "eos")},
    **{f"finish {one!r}": (TEXT, saying({"content": "Hello"}, finish=one)) for one in ("STOP", "eos", "eos_token", "end_turn", "stop_sequence", "COMPLETE", "FINISH_REASON_STOP", "tool_calls", "unheard_of", {"type": "stop"})},
    **{f"finish {one!r}": (("Hello", "", [], "length"), saying({"content": "Hello"}, finish=one)) for one in ("max_tokens", "MAX_TOKENS", "length_limit", "model_length", "max_new_tokens", "model_context_window_exceeded", "LENGTH", "max_output_tokens", "token_limit_reached", {"type": "length", "length": 9})},
    **{f"finish {one!r}": (("Hello", "", [], "content_filter"), saying({"content": "Hello"}, finish=one)) for one in ("SAFETY", "safety", "sensitive", "content_filter: RECITATION", "refusal", "PROHIBITED_CONTENT", "content_blocked")},
    "finish missing, usage and [DONE]": (TEXT, sse(text("Hello"), usage_chunk(USAGE))),
    "finish missing after a call": (CALL, calling([whole("Berlin", index=0, id="a")], finish=None)),
    "finish missing, usage and no [DONE]": (TEXT, sse(text("Hello"), usage_chunk(USAGE), done=False)),
    "finish missing, usage in the last delta": (TEXT, sse(text("Hello"), chunk({}, usage=USAGE))),
    "finish with each chunk": (TEXT, sse(text("Hel"), chunk({"content": "l"}, "stop"), chunk({"content": "o"}, "stop"), usage_chunk(USAGE))),
    "finish before the call": (CALL, sse(chunk({}, "stop"), chunk({"tool_calls": [whole("Berlin", id="a")]}), chunk({}, "stop"), usage_chunk(USAGE))),
    "finish a word for none": (TEXT, sse(chunk({"content": "Hel"}, "null"), chunk({"content": "lo"}, "none"), chunk({}, "stop"), usage_chunk(USAGE))),
    "finish false": (TEXT, sse(chunk({"content": "Hello"}, False), chunk({}, "stop"), usage_chunk(USAGE))),
    # content
    "content in parts": (TEXT, saying({"content": [{"type": "text", "text": "Hel"}]}, {"content": [{"type": "text", "text": "l"}, "o"]})),
    "content with thinking": (("Hello", "hm", [], "stop"), saying({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, {"content": "Hello"})),
    "content an object": (TEXT, saying({"content": {"type": "text", "text": "Hello"}})),
    "content null": (TEXT, saying({"role": "assistant", "content": None}, {"content": "Hello"}, {"content": None})),
    "reasoning null": (TEXT, saying({"content": "Hello", "reasoning_content": None, "reasoning": None, "refusal": None})),
    # deltas and choices
    "role with each": (TEXT, saying({"role": "assistant", "content": "Hel"}, {"role": "assistant", "content": "lo"})),
    "role odd": (TEXT, saying({"role": "model", "content": "Hel"}, {"role": "", "content": "lo"}, {"role": None})),
    "message in place of delta": (TEXT, choices([{"message": {"content": "Hel"}}], [{"message": {"content": "lo"}, "finish_reason": "stop"}])),
    "message beside delta": (TEXT, choices([{"delta": {"content": "Hello"}, "message": {"content": "Hello"}}], [{"delta": {}, "finish_reason": "stop"}])),
    "message of all at the end": (TEXT, sse(text("Hel"), text("lo"), chunk() | {"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}]}, usage_chunk(USAGE))),
    "messages that grow": (TEXT, choices([{"message": {"content": "Hel"}}], [{"message": {"content": "Hello"}, "finish_reason": "stop"}])),
    "text in place of delta": (TEXT, choices([{"text": "Hel"}], [{"text": "lo", "finish_reason": "stop"}], object="text_completion")),
    "one event with a whole answer": (CALL, sse({"object": "chat.completion", "choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [whole("Berlin", id="a")]}, "finish_reason": "stop"}], "usage": USAGE})),
    "a whole answer in place of a stream": (CALL, json.dumps(called(whole("Berlin", id="a"))).encode()),
    "delta null": (TEXT, choices([{"index": 0, "delta": {"content": "Hello"}}], [{"index": 0, "delta": None, "finish_reason": "stop"}])),
    "choices missing or null": (TEXT, sse({"id": "c"}, {"choices": None, "id": "c"}, text("Hello"), chunk({}, "stop"), {"usage": USAGE})),
    "choices one object": (TEXT, choices({"delta": {"content": "Hello"}, "finish_reason": "stop"})),
    "choice index as text": (TEXT, choices([{"index": "0", "delta": {"content": "Hello"}}], [{"index": "0", "delta": {}, "finish_reason": "stop"}])),
    "choice index missing": (TEXT, choices([{"delta": {"content": "Hello"}}], [{"delta": {}, "finish_reason": "stop"}])),
    "choice index 1 alone": (TEXT, choices([{"index": 1, "delta": {"content": "Hello"}}], [{"index": 1, "delta": {}, "finish_reason": "stop"}])),
    "choice null": (TEXT, choices([None, {"index": 0, "delta": {"content": "Hello"}}], [{"index": 0, "delta": {}, "finish_reason": "stop"}])),
    # the heading
    **{f"no {one}": (TEXT, without(one)) for one in ("id", "object", "created", "model")},
    "no heading": (TEXT, without("id", "object", "created", "model")),
    **{f"created {one!r}": (TEXT, with_(created=one)) for one in ("1790000000", 1790000000.5, 1790000000123, "2026-09-21T10:00:00Z", None, -1)},
    **{f"id {one!r}": (TEXT, with_(id=one)) for one in ("", None, 7)},
    **{f"object {one!r}": (TEXT, with_(object=one)) for one in ("", None, "chat.completion", "text_completion")},
    **{f"model {one!r}": (TEXT, with_(model=one)) for one in ("", None, 3)},
    "id new with each chunk": (TEXT, sse(text("Hel", id="a"), text("lo", id="b"), chunk({}, "stop", id="c"), usage_chunk(USAGE) | {"id": "d"})),
    "filter results first": (TEXT, sse({"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}, text("Hello"), chunk({}, "stop"), usage_chunk(USAGE))),
    "null fields": (TEXT, with_(system_fingerprint=None, service_tier=None)),
    "logprobs odd": (TEXT, choices([{"index": 0, "delta": {"content": "Hello"}, "logprobs": []}], [{"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": {}}])),
    # the lines
    "carriage returns": (TEXT, framed(HELLO, end=b"\r\n\r\n")),
    "old Mac's lines": (TEXT, framed(HELLO, end=b"\r\r")),
    "no space": (TEXT, framed(HELLO, before=b"data:")),
    "more space": (TEXT, framed(HELLO, before=b"data:   ")),
    "names": (TEXT, framed(HELLO, before=b"event: message\nid: 3\nretry: 9\ndata: ")),
    "comments": (TEXT, framed(HELLO, before=b": PROCESSING\n\n:\n\ndata: ", head=b": ok\n\n")),
    "byte order mark": (TEXT, b"\xef\xbb\xbf" + HELLO),
    "null": (TEXT, sse(b"null", text("Hello"), b"null", b"{}", b"", chunk({}, "stop"), usage_chunk(USAGE))),
    "pings": (TEXT, b'event: ping\ndata: {"type": "ping"}\n\n' + HELLO),
    "no blank line at the end": (TEXT, sse(text("Hello"), usage_chunk(USAGE)).removesuffix(b"\n\n")),
    "[DONE] in quotes": (TEXT, sse(text("Hello"), usage_chunk(USAGE), b'"[DONE]"', done=False)),
    "single lines": (TEXT, framed(HELLO, end=b"\n")),
}  # fmt: skip


@pytest.mark.parametrize(("said", "content"), STREAMS.values(), ids=STREAMS)
def test_a_stream_reaches_the_caller_by_the_book(said, content):
    *what, end = said
    for surface in SURFACES:
        assert written(surface, content) == (*what, ENDS[end][surface]), surface


@pytest.mark.parametrize("name", ["calls in turn", "no index, in pieces", "carriage returns", "byte order mark"])
def test_the_cutting_of_the_bytes_changes_nothing(name):
    said, content = STREAMS[name]
    assert written(Surface.CHAT, content, n_bytes=1) == said


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(
    "content",
    [
        sse(chunk({"role": "assistant"}), text("Hello"), done=False),
        sse(chunk({"tool_calls": [piece(A, index=0, id="a", name="look")]}), usage_chunk(USAGE)),
        sse(chunk({"tool_calls": [piece(A, index=0, id="a", name="look")]})),
        sse(chunk({"role": "assistant"}), text("Hel"), text("lo")),
        sse(usage_chunk(USAGE), text("Hello"), done=False),
    ],
    ids=[
        "no end at all",
        "within a call, with usage",
        "within a call, with [DONE]",
        "[DONE] alone",
        "usage before the text",
    ],
)
def test_a_stream_that_is_cut_stays_so(surface, content):
    with pytest.raises(UpstreamFailure, match="ended before its answer did") as raised:
        written(surface, content)
    assert raised.value.kind is FailureKind.TRUNCATED


@pytest.mark.parametrize(
    "finish", ["error", "abort", "insufficient_system_resource", "function_call_filter: MALFORMED_FUNCTION_CALL"]
)
def test_a_finish_that_says_a_failure_is_one(finish):
    with pytest.raises(UpstreamFailure, match="ended with an error"):
        written(Surface.CHAT, saying({"content": "Hello"}, finish=finish))


ANSWERS = {
    "text": (TEXT, completion({"role": "assistant", "content": "Hello"})),
    "calls": (CALLS, called(whole("Berlin", id="a", type="function"), whole("Paris", id="b", type="function"))),
    "finish stop": (CALL, called(whole("Berlin", id="a"), finish="stop")),
    "finish null": (CALL, called(whole("Berlin", id="a"), finish=None)),
    "finish null after text": (TEXT, completion({"content": "Hello"}, None)),
    "finish an object": (("Hello", "", [], "length"), completion({"content": "Hello"}, {"type": "length"})),
    "finish another's": (("Hello", "", [], "length"), completion({"content": "Hello"}, "MAX_TOKENS")),
    "ids empty": (CALLS, called(whole("Berlin", id=""), whole("Paris", id=""))),
    "ids the same": (CALLS, called(whole("Berlin", id="look"), whole("Paris", id="look"))),
    "arguments an object": (CALL, called(piece({"at": "Berlin"}, id="a", name="look"))),
    "arguments as parameters": (CALL, called({"id": "a", "name": "look", "parameters": {"at": "Berlin"}})),
    "arguments null": (("", "", [("now", {})], "tool_calls"), called({"function": {"name": "now", "arguments": None}})),
    "arguments empty": (("", "", [("now", {})], "tool_calls"), called(piece("", name="now"))),
    "function_call": (CALL, completion({"function_call": whole("Berlin")["function"]}, "function_call")),
    "content in parts": (TEXT, completion({"content": [{"type": "text", "text": "Hel"}, "lo"]})),
    "content an object": (TEXT, completion({"content": {"text": "Hello"}})),
    "text in place of message": (TEXT, completion(None, choices=[{"text": "Hello", "finish_reason": "stop"}])),
    "delta in place of message": (TEXT, completion(None, choices=[{"delta": {"content": "Hello"}}])),
    "no heading": (TEXT, {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}),
    "created in milliseconds": (TEXT, completion({"content": "Hello"}, created="1790000000123")),
    "logprobs a list": (TEXT, completion(None, choices=[{"message": {"content": "Hello"}, "logprobs": []}])),
}


@pytest.mark.parametrize(("said", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_a_whole_answer_reaches_the_caller_by_the_book(said, answer):
    *what, end = said
    for surface in SURFACES:
        assert answered(surface, answer) == (*what, ENDS[end][surface]), surface
