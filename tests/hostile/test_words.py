"""A provider's key is judged by statuses and codes: what an error's message repeats of a caller judges nothing."""

import json

import pytest

from router_model.serving.formats.anthropic.failures import read_failure as of_anthropic
from router_model.serving.formats.gemini.failures import failure_of as of_gemini
from router_model.serving.formats.openai.failures import failure_of as of_openai
from router_model.serving.providers.failures import FailureKind

READERS = {"openai": of_openai, "anthropic": of_anthropic, "gemini": of_gemini}
WORDS = [
    "invalid api key",
    "Incorrect API key provided: sk-***",
    "API key not valid. Please pass a valid API key.",
    "your account has been suspended",
    "insufficient balance, enable billing",
    "Your credit balance is too low",
    "monthly spending limit reached",
]
FRAMES = [
    "{}",
    "tool_choice: {}",
    "messages[0].name: got '{}'; expected a name",
    'model "{}" is not known',
    "user={} is bad",
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("frame", FRAMES)
def test_no_message_judges_a_key(reader, frame):
    for status in (400, 403, 404, 409, 413, 422, 429, 500, 503):
        for words in WORDS:
            error = {"message": frame.format(words), "type": "invalid_request_error", "status": "INVALID_ARGUMENT"}
            failure = READERS[reader](status, {}, json.dumps({"error": error}).encode())
            assert failure.kind is not FailureKind.KEY, (status, words)


@pytest.mark.parametrize(
    ("reader", "status", "error"),
    [
        ("openai", 401, {"message": "no"}),
        ("openai", 400, {"message": "no", "code": "invalid_api_key"}),
        ("openai", 403, {"message": "no", "type": "billing_not_active"}),
        ("openai", 400, {"message": "no", "code": 400, "details": [{"reason": "API_KEY_INVALID"}]}),
        ("anthropic", 401, {"message": "no", "type": "authentication_error"}),
        ("anthropic", 400, {"message": "no", "type": "billing_error"}),
        ("gemini", 400, {"code": 400, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}),
        ("gemini", 403, {"code": 403, "status": "PERMISSION_DENIED", "details": [{"reason": "CONSUMER_SUSPENDED"}]}),
        ("gemini", 401, {"code": 401, "status": "UNAUTHENTICATED"}),
    ],
)
def test_statuses_and_codes_do(reader, status, error):
    content = json.dumps({"type": "error", "error": error}).encode()
    assert READERS[reader](status, {}, content).kind is FailureKind.KEY
