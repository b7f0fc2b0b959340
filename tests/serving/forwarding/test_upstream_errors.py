import json

import pytest

from router_model.serving.common.service_errors import error_body
from router_model.serving.forwarding.upstream_errors import Failed, unavailable, upstream_error
from router_model.serving.providers.failures import FailureKind, Refusal, UpstreamFailure
from router_model.serving.providers.provider import Kind, Provider, Target

TARGET = Target("m", Provider("p", Kind.OPENAI, "http://x"), "m")


def made(kind, **fields):
    return upstream_error(Failed(TARGET, UpstreamFailure(kind, "their words", **fields)))


@pytest.mark.parametrize(
    ("kind", "theirs", "ours", "code"),
    [
        (FailureKind.BAD_REQUEST, 400, 400, "invalid_request"),
        (FailureKind.BAD_REQUEST, 422, 422, "invalid_request"),
        (FailureKind.BAD_REQUEST, 415, 400, "invalid_request"),
        (FailureKind.TOO_LONG, 400, 400, "context_length_exceeded"),
        (FailureKind.TOO_LONG, 413, 400, "context_length_exceeded"),
        (FailureKind.MODEL_GONE, 400, 404, "model_not_found"),
        (FailureKind.RATE_LIMITED, 529, 503, "server_is_overloaded"),
        (FailureKind.RATE_LIMITED, 429, 429, "rate_limit_exceeded"),
        (FailureKind.KEY, 401, 502, "upstream_error"),
        (FailureKind.SERVER, 500, 502, "upstream_error"),
        (FailureKind.CONNECTION, None, 502, "upstream_error"),
        (FailureKind.MALFORMED, 200, 502, "upstream_error"),
        (FailureKind.TRUNCATED, 200, 502, "upstream_error"),
        (FailureKind.TIMEOUT, None, 504, "upstream_timeout"),
        (FailureKind.REFUSED, 403, 400, "request_refused"),
        (FailureKind.REFUSED, 422, 422, "request_refused"),
    ],
)
def test_a_status_tells_the_caller_what_to_do(kind, theirs, ours, code):
    error = made(kind, status=theirs)
    assert (error.status, error.code) == (ours, code)


@pytest.mark.parametrize(
    ("names", "code", "error_type"),
    [
        (("content",), "content_filter", "refused:content"),
        (("tools",), "unsupported_parameter", "refused:tools"),
        ((), "unsupported_parameter", "refused"),
    ],
)
def test_a_refusal_says_what_was_refused(names, code, error_type):
    error = made(FailureKind.REFUSED, status=403, param="tools", refusal=Refusal(names))
    assert (error.status, error.type, error.code, error.param) == (400, "invalid_request_error", code, "tools")
    assert (error.message, error.metadata["error_type"]) == ("their words", error_type)


def test_metadata_has_the_provider_s_words_and_the_other_failures():
    first = Failed(TARGET, UpstreamFailure(FailureKind.SERVER, "boom", status=500, code="overloaded"))
    error = upstream_error(first, [Failed(TARGET, UpstreamFailure(FailureKind.TIMEOUT, "slow"))])
    said = json.loads(error_body(error))["error"]
    assert said["message"] == "p:m did not answer: boom (2 attempts failed)"
    assert said["metadata"] == {
        "provider": "p",
        "model": "m",
        "error_type": "server",
        "provider_code": "overloaded",
        "status": 500,
        "previous_errors": [
            {
                "provider": "p",
                "model": "m",
                "error_type": "timeout",
                "provider_code": None,
                "status": None,
                "message": "slow",
            }
        ],
    }


def test_retry_after_is_passed_on_in_whole_seconds():
    assert made(FailureKind.RATE_LIMITED, status=429, retry_after_s=1.2).headers == {"retry-after": "2"}
    assert made(FailureKind.RATE_LIMITED, status=429, retry_after_s=2e9).headers == {"retry-after": "300"}
    assert made(FailureKind.BUSY, retry_after_s=1.0).status == 429
    assert made(FailureKind.SERVER, status=500).headers == {}


def test_an_error_names_a_few_of_many_candidates():
    targets = [Target(f"m{n}", TARGET.provider, "m") for n in range(13)]
    assert unavailable(targets).message.startswith("p:m0, p:m1, p:m2 and 10 more: paused after failures")
