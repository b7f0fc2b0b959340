import json
from dataclasses import replace

import pytest
from anthropic.types import Message
from anthropic.types.shared import ErrorResponse
from anthropic_examples import ANTHROPIC, CLAUDE, MESSAGES

from router_model.serving.common.service_errors import (
    FailedError,
    InvalidRequestError,
    NotReadyError,
    RateLimitedError,
    UnauthenticatedError,
)
from router_model.serving.formats.anthropic.error_body import anthropic_error_body
from router_model.serving.formats.anthropic.messages_format import AnthropicFormat
from router_model.serving.formats.format import Call, Facts, Surface
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Target
from router_model.serving.providers.usage import Usage

FORMAT = AnthropicFormat()
BODY = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 600,
        "cache_creation_input_tokens": 40,
        "output_tokens": 7,
        "service_tier": "standard",
    },
}


def test_request_has_key_version_model_and_no_stream():
    request = FORMAT.request({**BODY, "stream": False}, Call(Surface.CHAT, {}), CLAUDE, "sk-ant-1")

    assert request.url == "https://api.anthropic.com/v1/messages"
    assert request.headers["x-api-key"] == "sk-ant-1"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert json.loads(request.content) == {**BODY, "model": "claude-sonnet-5-5"}
    assert "sk-ant-1" not in repr(request)


def test_request_streams_and_needs_no_key():
    request = FORMAT.request(dict(BODY), Call(Surface.CHAT, {}, stream=True), CLAUDE, None)

    assert json.loads(request.content)["stream"] is True
    assert request.headers["accept"] == "text/event-stream"
    assert "x-api-key" not in request.headers


def test_beta_features_go_along_for_callers_of_the_same_format_alone():
    headers = {"anthropic-beta": "context-1m-2025-08-07", "x-other": "1"}

    same = FORMAT.request(dict(BODY), Call(Surface.MESSAGES, {}, headers=headers), CLAUDE, None)
    other = FORMAT.request(dict(BODY), Call(Surface.CHAT, {}, headers=headers), CLAUDE, None)

    assert same.headers["anthropic-beta"] == "context-1m-2025-08-07"
    assert "x-other" not in same.headers
    assert "anthropic-beta" not in other.headers


def test_provider_headers_are_sent_and_join_the_callers():
    provider = replace(ANTHROPIC, headers={"Anthropic-Version": "2024-01-01", "anthropic-beta": "a"})
    call = Call(Surface.MESSAGES, {}, headers={"anthropic-beta": "b,c"})

    request = FORMAT.request(dict(BODY), call, replace(CLAUDE, provider=provider), None)

    assert request.headers["anthropic-version"] == "2024-01-01"
    assert request.headers["anthropic-beta"] == "a,b,c"


def test_body_of_the_same_format_is_not_touched():
    """Nothing is put, and what nobody knows goes through."""
    body = {**BODY, "thinking": {"type": "adaptive"}, "temperature": 0.5, "new": {"a": [1]}}

    request = FORMAT.request(dict(body), Call(Surface.MESSAGES, {}), CLAUDE, None)

    assert json.loads(request.content) == {**body, "model": "claude-sonnet-5-5"}


def test_answer_tells_usage_with_cached_tokens_once():
    """10 + 600 + 40 = 650 tokens; 10 x 3 + 600 x 0.3 + 40 x 3.75 + 7 x 15 USD per million = 0.000465."""
    answer, facts = FORMAT.read_answer("application/json", json.dumps(MESSAGE).encode())

    assert answer == MESSAGE
    assert facts.usage == Usage(650, 7, cached_input_tokens=600, cache_write_tokens=40)
    assert facts.usage.list_usd(CLAUDE.card) == pytest.approx(0.000465)
    assert (facts.response_id, facts.response_model) == ("msg_1", "claude-sonnet-5-5")
    assert (facts.finish_reason, facts.has_content, facts.is_complete) == ("end_turn", True, True)


def test_written_answer_has_our_model_and_the_cost():
    answer, facts = FORMAT.read_answer("application/json", json.dumps(MESSAGE).encode())
    facts.cost_usd = 0.000465

    written = FORMAT.write_answer(answer, facts, CLAUDE, {"openrouter_metadata": {"attempt": 1}})

    assert written["model"] == "anthropic/claude"
    assert written["usage"] == {**MESSAGE["usage"], "cost": 0.000465}
    assert written["openrouter_metadata"] == {"attempt": 1}
    Message.model_validate(written, strict=True)


def test_written_answer_without_usage_is_a_message_still():
    written = FORMAT.write_answer({**MESSAGE, "usage": None}, Facts(), CLAUDE, {})

    assert Message.model_validate(written).usage.output_tokens == 0
    assert written["usage"]["cost"] is None


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"<html>no</html>", "not valid JSON"),
        (b"[1]", "JSON of type list"),
        (b"{}", "no list of blocks"),
        (json.dumps({**MESSAGE, "content": {"text": "Hi"}}).encode(), "no list of blocks"),
        (json.dumps({**MESSAGE, "content": []}).encode(), "answer is empty"),
    ],
)
def test_what_is_no_message_is_malformed(content, match):
    with pytest.raises(UpstreamFailure, match=match) as caught:
        FORMAT.read_answer("text/html", content)

    assert caught.value.kind is FailureKind.MALFORMED


def test_message_of_nothing_is_right_where_a_reason_says_so():
    _, facts = FORMAT.read_answer("", json.dumps({**MESSAGE, "content": [], "stop_reason": "max_tokens"}).encode())

    assert not facts.has_content


def test_error_inside_a_200_is_the_error():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

    with pytest.raises(UpstreamFailure, match="Overloaded") as caught:
        FORMAT.read_answer("application/json", json.dumps(error).encode())

    assert caught.value.kind is FailureKind.RATE_LIMITED


@pytest.mark.parametrize(
    ("status", "type_", "message", "kind"),
    [
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", FailureKind.TOO_LONG),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 3",
            FailureKind.TOO_LONG,
        ),
        (400, "invalid_request_error", "Your credit balance is too low to access the API", FailureKind.REFUSED),
        (400, "invalid_request_error", "temperature: must be at most 1", FailureKind.BAD_REQUEST),
        (401, "authentication_error", "invalid x-api-key", FailureKind.KEY),
        (402, "billing_error", "pay", FailureKind.KEY),
        (403, "permission_error", "no", FailureKind.REFUSED),
        (404, "not_found_error", "model: claude-1", FailureKind.MODEL_GONE),
        (413, "request_too_large", "Request exceeds the maximum size", FailureKind.TOO_LONG),
        (422, "new_error", "?", FailureKind.BAD_REQUEST),
        (429, "rate_limit_error", "slow down", FailureKind.RATE_LIMITED),
        (500, "api_error", "Internal server error", FailureKind.SERVER),
        (504, "timeout_error", "too slow", FailureKind.SERVER),
        (529, "overloaded_error", "Overloaded", FailureKind.RATE_LIMITED),
    ],
)
def test_errors_by_kind(status, type_, message, kind):
    content = json.dumps({"type": "error", "error": {"type": type_, "message": message}, "request_id": "r"})

    failure = FORMAT.failure(status, {"retry-after": "7"}, content.encode())

    assert (failure.kind, failure.message, failure.status) == (kind, message, status)
    assert (failure.type, failure.retry_after_s) == (type_, 7.0)


def test_errors_of_others_on_the_way_are_short():
    failure = FORMAT.failure(503, {}, b"<html>" + b"x" * 9000)

    assert failure.kind is FailureKind.SERVER
    assert len(failure.message) < 200


def test_a_key_in_an_error_is_masked():
    content = b'{"type":"error","error":{"type":"authentication_error","message":"bad key sk-ant-api03-abcdefghij12"}}'

    assert "abcdefghij12" not in FORMAT.failure(401, {}, content).message


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        (InvalidRequestError("no"), "invalid_request_error"),
        (UnauthenticatedError("no"), "authentication_error"),
        (RateLimitedError("no"), "rate_limit_error"),
        (NotReadyError("no"), "overloaded_error"),
        (FailedError("no", metadata={"error_id": "err_1"}), "api_error"),
    ],
)
def test_errors_of_ours_in_anthropics_words(error, type_):
    body = json.loads(anthropic_error_body(error, "req_7"))

    assert (body["type"], body["error"]["type"], body["request_id"]) == ("error", type_, "req_7")
    assert body["error"].get("metadata", {}) == error.metadata
    ErrorResponse.model_validate(body, strict=True)


def test_base_url_may_lack_the_version():
    provider = replace(ANTHROPIC, base_url="https://api.deepseek.com/anthropic")

    assert FORMAT.request({}, MESSAGES, Target("m", provider, "m"), None).url == (
        "https://api.deepseek.com/anthropic/v1/messages"
    )
