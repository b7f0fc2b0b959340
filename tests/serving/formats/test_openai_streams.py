from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk
from openai_streams import HELLO, USAGE, chat, chunk, played, sent_json, sse, target_at, text, usage_chunk

from router_model.serving.formats.format import Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Kind
from router_model.serving.providers.usage import Usage

COST_USD = pytest.approx(0.0022)


def opened(*, call=None):
    return adapter_for(Surface.CHAT, Kind.OPENAI).stream(call or chat(), target_at())


def said(events, index=0):
    choices = [choice for event in events if event != "[DONE]" for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices if choice["index"] == index)


def finishes(events):
    choices = [choice for event in events if event != "[DONE]" for choice in event["choices"]]
    return [(choice["index"], choice["finish_reason"]) for choice in choices if choice["finish_reason"]]


def test_usage_with_its_cost_is_on_the_chunk_that_finishes():
    """1000 x 2e-6 + 20 x 1e-5 = 0.0022 USD; no chunk has an empty list of choices."""
    events, facts = played(sse(*HELLO))
    *chunks, last, done = events
    assert done == "[DONE]"
    assert said(events) == "Hello"
    assert [one["choices"][0]["delta"] for one in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
    ]
    assert last["choices"] == HELLO[3]["choices"]
    assert last["usage"]["cost"] == COST_USD
    assert last["usage"]["prompt_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}
    assert {one["model"] for one in (*chunks, last)} == {"acme/small"}
    assert (facts.response_id, facts.response_model, facts.finish_reason) == ("chatcmpl-1", "small-2026-01-01", "stop")
    assert (facts.usage, facts.cost_usd) == (Usage(1000, 20), COST_USD)
    for one in (*chunks, last):
        ChatCompletionChunk.model_validate(one)


def test_who_asks_for_usage_gets_it_on_a_chunk_of_its_own():
    events, _ = played(sse(*HELLO), call=chat(wants_usage=True), extras={"openrouter_metadata": {"attempt": 1}})
    finish, last, done = events[-3:]
    assert done == "[DONE]"
    assert finish == HELLO[3] | {"model": "acme/small", "provider": finish["provider"]}
    assert last["choices"] == []
    assert last["usage"]["cost"] == COST_USD
    assert last["openrouter_metadata"] == {"attempt": 1}
    ChatCompletionChunk.model_validate(last)


@pytest.mark.parametrize("wants_usage", [None, True])
def test_usage_that_did_not_come_is_estimated_and_the_extras_still_come(wants_usage):
    """Five bytes are two tokens; of the request nothing is known here."""
    events, facts = played(sse(*HELLO[:4]), call=chat(wants_usage=wants_usage), extras={"x": 1})
    assert facts.usage == Usage(0, 2)
    assert events[-2]["usage"]["estimated"] == ["output_tokens", "cost"]
    assert events[-2]["x"] == 1
    assert finishes(events) == [(0, "stop")]


def test_who_refuses_usage_gets_none():
    """What the provider says is counted all the same."""
    events, facts = played(sse(*HELLO), call=chat(wants_usage=False), extras={"x": 1})
    assert [one for one in events if "usage" in one] == []
    assert (events[-2]["x"], events[-1], facts.cost_usd) == (1, "[DONE]", COST_USD)


def test_nothing_of_the_end_is_sent_before_the_end():
    stream = opened()
    sent = sent_json(stream.feed(sse(*HELLO)))
    assert finishes(sent) == []
    assert "[DONE]" not in sent
    assert len(sent) == 3


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"reasoning_content": "x"},
        {"reasoning": "x"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "x"}]},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]},
        {"function_call": {"name": "f", "arguments": ""}},
        {"refusal": "x"},
        {"audio": {"id": "a"}},
    ],
)
def test_the_first_token_may_be_of_any_kind(delta):
    stream = opened()
    stream.feed(sse(HELLO[0], done=False))
    assert not stream.facts.has_content
    stream.feed(sse(chunk(delta), done=False))
    assert stream.facts.has_content


def test_unknown_fields_and_events_reach_the_caller():
    filtered = {"id": "", "object": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    delta = {"content": "Hi", "annotations": [1]}
    events, _ = played(sse(filtered, chunk(delta, obfuscation="abc", service_tier="default"), *HELLO[3:]))
    assert events[0]["prompt_filter_results"] == filtered["prompt_filter_results"]
    assert events[0]["choices"] == []
    assert events[1]["choices"][0]["delta"] == {"role": "assistant"} | delta
    assert (events[1]["obfuscation"], events[1]["service_tier"]) == ("abc", "default")


def test_what_stands_beside_the_usage_comes_with_it():
    events, _ = played(sse(*HELLO[:4], usage_chunk(USAGE | {"queue_time": 0.5}) | {"citations": ["u"]}))
    assert events[-2]["citations"] == ["u"]
    assert events[-2]["usage"]["queue_time"] == 0.5
    assert finishes(events[-2:]) == [(0, "stop")]


def test_usage_on_every_chunk_is_sent_once_and_the_last_counts():
    """So does xAI: 1, 2 and 3 tokens so far; 10 x 2e-6 + 3 x 1e-5 = 5e-5 USD."""
    content = sse(
        *(text(str(n), usage={"prompt_tokens": 10, "completion_tokens": n}) for n in (1, 2)),
        chunk({}, "stop", usage={"prompt_tokens": 10, "completion_tokens": 3}),
    )
    events, facts = played(content)
    assert [one.get("usage") is not None for one in events[:-1]] == [False, False, True]
    assert facts.usage == Usage(10, 3)
    assert events[-2]["usage"]["cost"] == pytest.approx(5e-5)


def test_usage_that_is_null_is_left_out():
    """OpenRouter's SDKs take no null."""
    events, _ = played(sse(*(one | {"usage": None} for one in HELLO[:4]), HELLO[4]))
    assert [("usage" in event) for event in events[:-1]] == [False, False, False, True]


def test_usage_under_x_groq_counts():
    events, facts = played(sse(*HELLO[:3], chunk({}, "stop", x_groq={"id": "req_1", "usage": USAGE})))
    assert facts.usage == Usage(1000, 20)
    assert events[-2]["usage"]["cost"] == COST_USD


def test_the_last_words_may_come_with_the_finish():
    """They are sent at once; what is held back is the reason alone."""
    stream = opened()
    sent = stream.feed(sse(text("Hel"), chunk({"content": "lo"}, "stop"), usage_chunk(USAGE)))
    assert said(sent_json(sent)) == "Hello"
    last, done = sent_json(stream.end({}))
    assert last["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
    assert done == "[DONE]"


def test_each_of_several_choices_finishes_once():
    content = sse(
        text("a", index=0),
        text("b", index=1),
        chunk({}, "stop", index=1),
        text("A", index=0),
        chunk({}, "length", index=0),
        usage_chunk(USAGE),
    )
    events, facts = played(content)
    assert (said(events, 0), said(events, 1)) == ("aA", "b")
    assert finishes(events) == [(1, "stop"), (0, "length")]
    assert [one["usage"]["cost"] for one in events[:-1] if one.get("usage")] == [COST_USD]
    assert facts.is_complete


def test_several_choices_in_one_chunk_keep_their_order():
    both = text("a") | {"choices": [*text("a")["choices"], *text("b", index=1)["choices"]]}
    mixed = text("A") | {"choices": [*chunk({"content": "A"}, "stop")["choices"], *text("B", index=1)["choices"]]}
    events, _ = played(sse(both, mixed, text("C", index=1), chunk({}, "stop", index=1), usage_chunk(USAGE)))
    assert (said(events, 0), said(events, 1)) == ("aA", "bBC")
    assert finishes(events) == [(0, "stop"), (1, "stop")]


def test_a_choice_that_never_finished_is_cut_off():
    with pytest.raises(UpstreamFailure, match="ended before its answer did") as raised:
        played(sse(text("a", index=0), text("b", index=1), chunk({}, "stop", index=0), done=False))
    assert raised.value.kind is FailureKind.TRUNCATED


def test_a_repeated_end_is_sent_and_counted_once():
    events, facts = played(sse(*HELLO[:4], HELLO[3], HELLO[4], HELLO[4]))
    assert finishes(events) == [(0, "stop")]
    assert [one["usage"]["cost"] for one in events[:-1] if one.get("usage")] == [COST_USD]
    assert events.count("[DONE]") == 1
    assert facts.usage == Usage(1000, 20)


def test_repeated_words_are_the_providers_own():
    events, _ = played(sse(*HELLO[:2], *HELLO[1:]))
    assert said(events) == "HelHello"


def test_empty_finish_reasons_are_none():
    """Some servers send "" with every chunk."""
    events, facts = played(sse(chunk({"content": "Hi"}, ""), chunk({}, "stop")))
    assert facts.finish_reason == "stop"
    assert finishes(events) == [(0, "stop")]


def test_nothing_after_done_is_read():
    events, _ = played(sse(*HELLO) + sse(text("more")) + b"data: {broken\n\n")
    assert said(events) == "Hello"
    assert events.count("[DONE]") == 1


def test_a_missing_done_is_no_failure():
    assert played(sse(*HELLO, done=False)) == played(sse(*HELLO))


@pytest.mark.parametrize(("n_events", "done"), [(1, True), (1, False), (2, False), (3, False)])
def test_a_stream_without_a_finish_is_truncated(n_events, done):
    with pytest.raises(UpstreamFailure, match="ended before its answer did") as raised:
        played(sse(*HELLO[:n_events], done=done))
    assert raised.value.kind is FailureKind.TRUNCATED


def test_an_empty_answer_is_malformed():
    with pytest.raises(UpstreamFailure, match="contained no answer") as raised:
        played(sse(HELLO[0], *HELLO[3:]))
    assert raised.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize("finish_reason", ["length", "content_filter", "tool_calls"])
def test_nothing_said_for_a_reason_is_an_answer(finish_reason):
    events, facts = played(sse(HELLO[0], chunk({}, finish_reason)))
    assert finishes(events) == [(0, finish_reason)]
    assert not facts.has_content


@pytest.mark.parametrize(
    ("data", "kind", "status", "message"),
    [
        ({"error": {"message": "overloaded", "code": 503}}, FailureKind.SERVER, 503, "overloaded"),
        ({"error": {"message": "quota", "type": "insufficient_quota"}}, FailureKind.KEY, 401, "quota"),
        (
            chunk({"content": ""}, "error", error={"code": "server_error", "message": "went away"}),
            FailureKind.SERVER,
            502,
            "went away",
        ),
        (chunk({}, "error"), FailureKind.SERVER, 502, "an error that has no message"),
        ({"object": "error", "message": "no such model", "code": 404}, FailureKind.MODEL_GONE, 404, "no such"),
        (b"{broken", FailureKind.MALFORMED, None, r"event of the stream is not valid JSON \(7 bytes\)"),
        (b"Internal Server Error", FailureKind.MALFORMED, None, "not valid JSON"),
        (b"[1]", FailureKind.MALFORMED, None, "JSON of type list"),
        ({"choices": "many"}, FailureKind.MALFORMED, None, "'choices' of the provider's stream is not a list"),
        ({"choices": [1]}, FailureKind.MALFORMED, None, "has no delta"),
        ({"choices": [{"delta": "text"}]}, FailureKind.MALFORMED, None, "has no delta"),
    ],
)
def test_an_error_in_the_stream_is_a_failure(data, kind, status, message):
    stream = opened()
    stream.feed(sse(*HELLO[:2], done=False))
    with pytest.raises(UpstreamFailure, match=message) as raised:
        stream.feed(sse(data, done=False))
    assert (raised.value.kind, raised.value.status) == (kind, status)


def test_an_event_named_error_is_one():
    with pytest.raises(UpstreamFailure, match="that has no message"):
        opened().feed(b'event: error\ndata: {"choices": []}\n\n')


@pytest.mark.parametrize("data", [b"", b" ", b" [DONE]", b"[DONE] "])
def test_an_event_without_data_says_nothing(data):
    assert opened().feed(b"data:" + data + b"\n\n") == []


def broken_off(call):
    stream = opened(call=call)
    stream.feed(sse(*HELLO[:4], done=False))
    last, done = sent_json(stream.fail(UpstreamFailure(FailureKind.TRUNCATED, "it ended", code="c")))
    assert done == "[DONE]"
    return last


def test_a_failure_in_the_middle_is_an_event_of_its_own():
    """Without ``choices``: the Vercel AI SDK takes whatever has them for a chunk."""
    error = {
        "message": "it ended",
        "type": "server_error",
        "param": None,
        "code": "truncated",
        "metadata": {"error_type": "truncated", "provider_code": "c"},
    }
    assert broken_off(chat()) == {"error": error}


def test_openrouters_sdks_get_the_failure_in_a_last_chunk():
    last = broken_off(replace(chat(), for_openrouter=True))
    assert last["error"] == {"code": 502, "message": "it ended"}
    assert last["choices"] == [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
    assert (last["id"], last["created"], last["model"]) == ("chatcmpl-1", 1_790_000_000, "acme/small")


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b'{"error": {"message": "no such key", "code": 401}}', FailureKind.KEY, "no such key"),
        (b' {"detail": "Unknown model"}\n', FailureKind.MODEL_GONE, "Unknown model"),
        (b"<html><body>Sign in</body></html>", FailureKind.MALFORMED, "answered with 'text/html'"),
        (b"", FailureKind.TRUNCATED, "ended before"),
        (b": keep-alive\n\n", FailureKind.TRUNCATED, "ended before"),
    ],
)
@pytest.mark.parametrize("n_bytes", [1, 1000])
def test_a_body_without_events_is_what_it_says(body, kind, message, n_bytes):
    with pytest.raises(UpstreamFailure, match=message) as raised:
        played(body or b"\n", n_bytes=n_bytes)
    assert raised.value.kind is kind


@given(st.integers(1, 400))
def test_any_cutting_gives_the_caller_the_same(n_bytes):
    content = b": wait\n\n" + sse(*HELLO)
    assert played(content, n_bytes=n_bytes) == played(content)


def test_tool_calls_pass_through_as_they_are():
    deltas = [
        {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]},
    ]
    events, facts = played(sse(*map(chunk, deltas), chunk({}, "tool_calls"), usage_chunk(USAGE)))
    assert [one["choices"][0]["delta"] for one in events[:3]] == [{"role": "assistant"} | deltas[0], *deltas[1:]]
    assert facts.finish_reason == "tool_calls"


def test_reasons_of_a_choice_that_goes_on_after_them_wait_for_the_end():
    """A pause of some seconds after a reason ends a stream, and must not end this one."""
    stream = opened()
    for word in ("Hel", "lo"):
        stream.feed(sse(chunk({"content": word}, "stop"), done=False))
    assert not stream.facts.is_complete
    stream.feed(b"data: [DONE]\n\n")
    assert stream.facts.is_complete
    assert stream.end({})
