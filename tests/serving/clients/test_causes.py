"""Every cause that clients act upon, from every provider, as each vendor's SDK is told it."""

import json

import anthropic
import httpx
import openai
import pytest
from client_service import MODELS
from google.genai import errors as google_errors

from router_model.serving.common.causes import SAID, Shape
from router_model.serving.common.service_errors import Cause
from router_model.serving.forwarding.upstream_errors import Failed, upstream_error
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Kind, Provider, Target

HI = [{"role": "user", "content": "Hi"}]


def of_openai(status, message, **fields):
    return status, {"error": {"message": message, "type": "invalid_request_error", "param": None} | fields}


def of_anthropic(status, type_, message):
    return status, {"type": "error", "error": {"type": type_, "message": message}}


def of_google(code, status, message):
    return code, {"error": {"code": code, "message": message, "status": status}}


UPSTREAM = {
    Cause.TOO_LONG: {
        "openai": of_openai(
            400,
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130001 tokens.",
            code="context_length_exceeded",
        ),
        "anthropic": of_anthropic(400, "invalid_request_error", "prompt is too long: 130001 tokens > 128000 maximum"),
        "gemini": of_google(
            400,
            "INVALID_ARGUMENT",
            "The input token count (130001) exceeds the maximum number of tokens allowed (128000).",
        ),
    },
    Cause.CONTENT: {
        "openai": of_openai(400, "blocked by our content management policy", code="content_filter"),
        "anthropic": of_anthropic(400, "invalid_request_error", "Output blocked by content filtering policy"),
        "gemini": of_google(400, "INVALID_ARGUMENT", "The prompt was blocked by our safety filter"),
    },
    Cause.QUOTA: {
        "openai": of_openai(
            429, "You exceeded your current quota", type="insufficient_quota", code="insufficient_quota"
        ),
        "anthropic": of_anthropic(402, "billing_error", "Your credit balance is too low"),
        "gemini": of_google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"),
    },
    Cause.OVERLOADED: {
        "openai": of_openai(
            503, "The engine is currently overloaded", type="server_error", code="server_is_overloaded"
        ),
        "anthropic": of_anthropic(529, "overloaded_error", "Overloaded"),
        "gemini": of_google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    },
    Cause.UNKNOWN_MODEL: {
        "openai": of_openai(404, "The model `x` does not exist", code="model_not_found"),
        "anthropic": of_anthropic(404, "not_found_error", "model: x"),
        "gemini": of_google(404, "NOT_FOUND", "models/x is not found for API version v1beta"),
    },
}
TYPED = {
    (Cause.TOO_LONG, "chat"): (openai.BadRequestError, 400, "is 128000 tokens. However, your messages resulted in 13"),
    (Cause.TOO_LONG, "claude"): (anthropic.BadRequestError, 400, "prompt is too long: 130001 tokens > 128000 maximum"),
    (Cause.TOO_LONG, "google"): (google_errors.ClientError, 400, "token count (130001) exceeds the maximum"),
    (Cause.CONTENT, "chat"): (openai.BadRequestError, 400, ""),
    (Cause.CONTENT, "claude"): (anthropic.BadRequestError, 400, "blocked by content filtering policy"),
    (Cause.CONTENT, "google"): (google_errors.ClientError, 400, "The prompt was blocked"),
    (Cause.QUOTA, "chat"): (openai.RateLimitError, 429, "quota"),
    (Cause.QUOTA, "claude"): (anthropic.RateLimitError, 429, "quota"),
    (Cause.QUOTA, "google"): (google_errors.ClientError, 429, "You exceeded your current quota"),
    (Cause.OVERLOADED, "chat"): (openai.InternalServerError, 503, "overloaded"),
    (Cause.OVERLOADED, "claude"): (anthropic.OverloadedError, 529, "Overloaded"),
    (Cause.OVERLOADED, "google"): (google_errors.ServerError, 503, "The model is overloaded"),
    (Cause.UNKNOWN_MODEL, "chat"): (openai.NotFoundError, 404, ""),
    (Cause.UNKNOWN_MODEL, "claude"): (anthropic.NotFoundError, 404, "model: "),
    (Cause.UNKNOWN_MODEL, "google"): (google_errors.ClientError, 404, ""),
}  # fmt: skip
TYPED |= {(cause, "responses"): told for (cause, name), told in TYPED.items() if name == "chat"}
CODES = {
    Cause.TOO_LONG: "context_length_exceeded",
    Cause.CONTENT: "content_filter",
    Cause.QUOTA: "insufficient_quota",
    Cause.OVERLOADED: "server_is_overloaded",
    Cause.UNKNOWN_MODEL: "model_not_found",
}
TYPES = {Cause.QUOTA: "rate_limit_error", Cause.OVERLOADED: "overloaded_error", Cause.UNKNOWN_MODEL: "not_found_error"}
STATUSES = {Cause.QUOTA: "RESOURCE_EXHAUSTED", Cause.OVERLOADED: "UNAVAILABLE", Cause.UNKNOWN_MODEL: "NOT_FOUND"}


def ask(name, sdk, model, *, stream=False):
    """Return an answer, or the list of a stream's events."""
    if name == "google":
        call = sdk.models.generate_content_stream if stream else sdk.models.generate_content
        answer = call(model=model, contents="Hi")
    elif name == "responses":
        answer = sdk.responses.create(model=model, input="Hi", stream=stream)
    elif name == "claude":
        answer = sdk.messages.create(model=model, max_tokens=9, messages=HI, stream=stream)
    else:
        answer = sdk.chat.completions.create(model=model, messages=HI, stream=stream)
    return list(answer) if stream else answer


def check_details(name, cause, kind, error, *, late=False):
    # Google says the same of a minute's quota and of the account's, so this may be a rate limit.
    is_open = cause is Cause.QUOTA and kind == "gemini"
    if name in ("chat", "responses"):
        assert error.code == ("rate_limit_exceeded" if is_open else CODES[cause]), error.body
    if name == "claude":
        type_ = TYPES.get(cause, "invalid_request_error")
        # Anthropic's streams end so where a limit is reached.
        assert error.body["error"]["type"] == ("overloaded_error" if is_open and late else type_)
    if name == "google":
        assert error.status == STATUSES.get(cause, "INVALID_ARGUMENT")


OWN = {"chat": "openai", "responses": "openai", "claude": "anthropic", "google": "gemini"}
CELLS = [
    pytest.param(*cell, kind, marks=() if kind == OWN[cell[1]] else pytest.mark.slow)
    for cell in TYPED
    for kind in MODELS
]


@pytest.mark.parametrize(("cause", "name", "kind"), CELLS)
def test_a_cause_is_told_in_the_words_of_the_surface(request, upstream, cause, name, kind):
    """Whole, and streamed: before a stream has begun, it is the same error."""
    sdk = request.getfixturevalue(name)
    error, status, words = TYPED[cause, name]
    upstream.script[kind] = UPSTREAM[cause][kind]
    for stream in (False, True):
        with pytest.raises(error) as caught:
            ask(name, sdk, f"{kind}/{cause.value}-{name}-{stream}", stream=stream)
        said = caught.value
        assert (said.code if name == "google" else said.status_code) == status
        assert words in said.message
        check_details(name, cause, kind, said)


CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [], "usage": {}}
DELTA = {"type": "text_delta", "text": "hel"}
BEGUN = {
    "openai": [CHUNK | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "hel"}}]}],
    "anthropic": [
        {"type": "message_start", "message": MESSAGE},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": DELTA},
    ],
    "gemini": [{"candidates": [{"content": {"role": "model", "parts": [{"text": "hel"}]}, "index": 0}]}],
}
"""Streams that have begun."""


def breaking(kind, cause):
    """Return the pieces of a stream that breaks after its first word."""
    lines = [b"data: " + json.dumps(one).encode() + b"\n\n" for one in (*BEGUN[kind], UPSTREAM[cause][kind][1])]
    return [b"".join(lines[:-1]), lines[-1]]


@pytest.mark.parametrize(("cause", "name", "kind"), CELLS)
def test_a_cause_is_told_within_a_stream_too(request, upstream, cause, name, kind):
    """Clients act upon the same code and words there; only the status is gone, as it was sent before."""
    sdk = request.getfixturevalue(name)
    upstream.script[kind] = 200, breaking(kind, cause)
    with pytest.raises((openai.APIError, anthropic.APIError, google_errors.APIError)) as caught:
        ask(name, sdk, f"{kind}/late-{cause.value}-{name}", stream=True)
    check_details(name, cause, kind, caught.value, late=True)
    if name == "claude" and cause is Cause.TOO_LONG:
        assert "prompt is too long" in caught.value.message


def test_a_response_that_fails_says_so_to_clients_that_read_no_error_events(url, upstream):
    """Codex reads the code of ``response.failed``; what was said so far is not lost."""
    upstream.script["openai"] = 200, breaking("openai", Cause.TOO_LONG)
    body = {"model": "openai/failed", "input": "Hi", "stream": True}
    sent = httpx.post(f"{url}/v1/responses", json=body).text
    said = [json.loads(line.removeprefix("data: ")) for line in sent.splitlines() if line.startswith("data: ")]
    assert [one["delta"] for one in said if one["type"] == "response.output_text.delta"] == ["hel"]
    assert [one["type"] for one in said[-2:]] == ["error", "response.failed"]
    assert said[-1]["response"]["error"]["code"] == "context_length_exceeded"
    assert said[-1]["response"]["status"] == "failed"


@pytest.mark.parametrize("name", OWN)
def test_a_model_that_nobody_knows(request, name):
    error, _, words = TYPED[Cause.UNKNOWN_MODEL, name]
    with pytest.raises(error) as caught:
        ask(name, request.getfixturevalue(name), "gpt-y")
    assert words in caught.value.message
    assert "the nearest is 'gpt-x'" in caught.value.message
    check_details(name, Cause.UNKNOWN_MODEL, "", caught.value)


def test_the_table_has_every_cell():
    assert {(cause, shape) for cause, said in SAID.items() for shape in said} == {(c, s) for c in Cause for s in Shape}


@pytest.mark.parametrize(
    ("words", "tokens"),
    [
        ("the request exceeds the available context size (4096 tokens), try increasing it", (4097, 4096)),
        ("This model's maximum prompt length is 131072 but the request contains 200000 tokens.", (200000, 131072)),
        ("maximum context length is 4,096 tokens. However, you requested 5,000 tokens (4,900 in", (5000, 4096)),
        ("gpt-4-0613: Prompt tokens limit exceeded: 9000 > 8192", None),
        ("too long for claude-3-5-20250514", None),
    ],
)
def test_lengths_are_read_from_a_providers_words(words, tokens):
    target = Target("m", Provider("p", Kind.OPENAI, "http://x"), "m")
    assert upstream_error(Failed(target, UpstreamFailure(FailureKind.TOO_LONG, words, status=413))).tokens == tokens


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/models", "/nothing"])
def test_every_answer_has_an_id(url, path):
    """OpenAI's SDK reads the one header, Anthropic's the other; its errors have the id in their bodies, too."""
    answer = httpx.post(url + path, json={"model": "gpt-y"})
    assert answer.headers["x-request-id"] == answer.headers["request-id"] != ""
    if path == "/v1/messages":
        assert answer.json()["request_id"] == answer.headers["request-id"]
