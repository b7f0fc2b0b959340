from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai_streams import USAGE, chat, target_at

from router_model.serving.formats.format import Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Kind
from router_model.serving.providers.usage import Usage

ADAPTER = adapter_for(Surface.CHAT, Kind.OPENAI)


def completion(message=None, finish_reason="stop", **fields):
    choice = {"index": 0, "message": message or {"role": "assistant", "content": "Hi"}, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "small-2026-01-01",
        "choices": [choice],
        "usage": USAGE,
        **fields,
    }


def answered(body, *, content_type="application/json; charset=utf-8", target=None, extras=None):
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return ADAPTER.answer(target or target_at(), content_type, content, extras or {})


def test_an_answer_carries_our_model_its_cost_and_the_extras():
    """1000 x 2e-6 + 20 x 1e-5 = 0.0022 USD."""
    body, facts = answered(completion(system_fingerprint="fp_1"), extras={"openrouter_metadata": {"attempt": 1}})
    assert body["model"] == "acme/small"
    assert body["usage"]["cost"] == pytest.approx(0.0022)
    assert body["system_fingerprint"] == "fp_1"
    assert body["openrouter_metadata"] == {"attempt": 1}
    assert ChatCompletion.model_validate(body).choices[0].message.content == "Hi"
    assert (facts.response_id, facts.response_model, facts.finish_reason) == ("chatcmpl-1", "small-2026-01-01", "stop")
    assert facts.usage == Usage(1000, 20)
    assert facts.cost_usd == pytest.approx(0.0022)
    assert facts.has_content
    assert facts.is_complete


def test_a_bill_goes_before_list_prices_and_is_all_there_is_without_them():
    body, facts = answered(completion(usage=USAGE | {"cost": 0.5}), target=target_at(card=None))
    assert facts.cost_usd == body["usage"]["cost"] == 0.5


def test_without_a_price_the_cost_is_null():
    body, facts = answered(completion(), target=target_at(card=None))
    assert body["usage"]["cost"] is None
    assert facts.estimated == ()


@pytest.mark.parametrize(
    ("message", "finish_reason"),
    [
        ({"content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f"}}]}, "tool_calls"),
        ({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, "function_call"),
        ({"content": None, "refusal": "No."}, "stop"),
        ({"content": "", "reasoning_content": "Hm"}, "stop"),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]}, "stop"),
        ({"content": None, "audio": {"id": "a"}}, "stop"),
    ],
)
def test_an_answer_need_not_be_text(message, finish_reason):
    assert answered(completion({"role": "assistant", **message}, finish_reason))[1].has_content


@pytest.mark.parametrize("finish_reason", ["length", "content_filter", "tool_calls"])
def test_nothing_said_for_a_reason_is_an_answer(finish_reason):
    facts = answered(completion({"role": "assistant", "content": ""}, finish_reason))[1]
    assert not facts.has_content
    assert facts.finish_reason == finish_reason


def test_of_several_choices_one_that_says_something_is_enough():
    choices = [
        {"index": 0, "message": {"content": ""}, "finish_reason": "stop"},
        {"index": 1, "message": {"content": "Hi"}, "finish_reason": "stop"},
    ]
    assert answered(completion(choices=choices))[1].has_content


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (completion({"role": "assistant", "content": ""}), "answer is empty: no content, no tool call, .*'stop'"),
        (completion({"role": "assistant", "content": None}, None), "answer is empty"),
        (completion({"role": "assistant", "content": ""}, ["stop"]), "answer is empty"),
        (completion(choices=[]), "has no choices; expected one at least"),
        (completion(choices="many"), "has no choices"),
        (completion(choices=[1]), "has no message"),
        (completion(choices=[{"finish_reason": "stop"}]), "has no message"),
        ({}, "has no choices"),
        ([completion()], "JSON of type list"),
        (b"", r"not valid JSON \(0 bytes\)"),
        (b"<html>502</html>", "not valid JSON"),
    ],
)
def test_what_is_no_answer_is_malformed(body, message):
    with pytest.raises(UpstreamFailure, match=message) as raised:
        answered(body)
    assert raised.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "text/plain", "text/event-stream"])
def test_a_wrong_content_type_is_malformed_and_the_page_not_shown(content_type):
    with pytest.raises(UpstreamFailure, match="expected application/json") as raised:
        answered(b"<html>Please sign in</html>", content_type=content_type)
    assert raised.value.kind is FailureKind.MALFORMED
    assert "sign in" not in raised.value.message


@pytest.mark.parametrize("content_type", ["", "application/json", "Application/JSON", "application/problem+json"])
def test_json_is_what_says_it_is_or_says_nothing(content_type):
    assert answered(completion(), content_type=content_type)[1].has_content


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ({"error": {"message": "slow down", "type": "rate_limit_error"}}, FailureKind.RATE_LIMITED, 429),
        ({"error": {"message": "down", "code": 502}}, FailureKind.SERVER, 502),
        ({"error": {"message": "credits", "code": 402}}, FailureKind.KEY, 402),
        ({"error": {"message": "oops"}}, FailureKind.SERVER, 502),
        ({"error": {"message": "bad", "type": "invalid_request_error"}}, FailureKind.BAD_REQUEST, 400),
        ({"error": "prompt is too long"}, FailureKind.TOO_LONG, 413),
        ({"object": "error", "message": "unknown model", "code": 404}, FailureKind.MODEL_GONE, 404),
        ({"detail": "Not authenticated"}, FailureKind.SERVER, 502),
        (completion(choices=[{"message": {}, "error": {"message": "no", "code": 429}}]), FailureKind.RATE_LIMITED, 429),
        (completion({"content": "Hal"}, "error"), FailureKind.SERVER, 502),
    ],
)
def test_an_error_inside_a_200_is_of_its_own_kind(body, kind, status):
    with pytest.raises(UpstreamFailure, match=".") as raised:
        answered(body)
    assert (raised.value.kind, raised.value.status) == (kind, status)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 600) | st.sampled_from(["", "stop", "error", "x"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "delta", "content", "finish_reason", "index", "usage", "error", "x_groq", "code"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.booleans())
def test_any_json_is_an_answer_or_an_upstream_failure(body, stream):
    with suppress(UpstreamFailure):
        if stream:
            read = ADAPTER.stream(chat(), target_at())
            read.feed(b"data: " + orjson.dumps(body) + b"\n\n")
            read.end({})
        else:
            answered(body)
