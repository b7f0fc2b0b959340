"""Errors that say what one model does not take, and errors that are the caller's."""

import json

import pytest

from router_model.serving.formats.anthropic.failures import failure_in as anthropic_event
from router_model.serving.formats.anthropic.failures import read_failure as anthropic_failure
from router_model.serving.formats.gemini.failures import failure_of as google_failure
from router_model.serving.formats.openai.failures import failure_of as openai_failure
from router_model.serving.providers.failures import FailureKind


def openai(message, status=400, **fields):
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None, **fields}
    return openai_failure(status, {}, json.dumps({"error": error}).encode())


@pytest.mark.parametrize(
    ("message", "names"),
    [
        # OpenAI, Azure
        (
            "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
            ["limit:max_completion_tokens"],
        ),
        ("Unsupported parameter: 'presence_penalty' is not supported with this model.", ["presence_penalty"]),
        (
            "Unsupported value: 'temperature' does not support 0.4 with this model. Only the default is.",
            ["temperature"],
        ),
        ("Unrecognized request argument supplied: top_k", ["top_k"]),
        ("Unknown parameter: 'reasoning_effort'.", ["reasoning_effort"]),
        (
            "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
            ["response_format"],
        ),
        ("Invalid content type. image_url is only supported by certain models.", ["images"]),
        ("Your organization must be verified to stream this model.", ["stream"]),
        ("logprobs are not supported with reasoning models.", ["logprobs"]),
        # Anthropic and its hosts
        ("`temperature` and `top_p` cannot both be specified for this model. Please use only one.", []),
        ("`top_k` is deprecated for this model.", ["top_k"]),
        ("top_k: Extra inputs are not permitted", ["top_k"]),
        ("adaptive thinking is not supported on this model", ["reasoning_effort"]),
        (
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".',
            ["reasoning_effort"],
        ),
        ("This model does not support the effort parameter.", ["reasoning_effort"]),
        ("This model does not support assistant message prefill. End with a user message.", ["prefill"]),
        ("messages.1.content.0: Invalid `signature` in `thinking` block", ["reasoning_history"]),
        ("max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for claude-x", []),
        # Google
        ("Function calling is not enabled for models/gemma-3-27b-it", ["tools"]),
        ("Developer instruction is not enabled for models/gemma-3-27b-it", ["system"]),
        ("Penalty is not enabled for models/gemini-2.5-flash-lite", ["presence_penalty", "frequency_penalty"]),
        ("Multiple candidates is not enabled for models/gemini-x", ["n"]),
        ("Thinking level is not supported for this model.", ["reasoning_effort"]),
        ("Budget 0 is invalid. This model only works in thinking mode.", ["reasoning_effort"]),
        ("Unknown name \"topK\" at 'generation_config': Cannot find field.", ["top_k"]),
        ("Image input modality is not enabled for models/gemma-3-1b-it", ["images"]),
        # Mistral, Groq, xAI, DeepSeek
        ("body.max_completion_tokens: Extra inputs are not permitted", ["limit:max_tokens"]),
        (
            "'messages.1' : for 'role:assistant' [('messages.1' : property 'reasoning_content' is unsupported)]",
            ["reasoning_history"],
        ),
        ("`reasoning_effort` must be one of `none` or `default`", ["reasoning_effort"]),
        ("Argument not supported on this model: presencePenalty", ["presence_penalty"]),
        ("Model does not support parameter reasoningEffort", ["reasoning_effort"]),
        ("messages[0].role: unknown variant `developer`, expected one of `system`, `user`", ["system"]),
        ("Thinking mode does not support this tool_choice", ["tool_choice"]),
        ("This response_format type is unavailable now", ["response_format"]),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", []),
        # servers of open models, gateways
        ("registry.ollama.ai/library/gemma3:4b does not support tools", ["tools"]),
        ('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', ["tools"]),
        (
            "[{'type': 'extra_forbidden', 'loc': ('body', 'logit_bias'), 'msg': 'Extra inputs are not permitted'}]",
            ["logit_bias"],
        ),
        ("google/gemma-2b is not a multimodal model", ["images"]),
        ("System role not supported", ["system"]),
        ("No endpoints found that support tool use. To learn more, see the documentation.", ["tools"]),
        ("This model does not support streaming.", ["stream"]),
        ("'n' is not supported", ["n"]),
        # filters
        ("The response was filtered by Azure OpenAI's content management policy.", ["content"]),
        ("Content Exists Risk", ["content"]),
        ("Output blocked by content filtering policy", ["content"]),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_words_that_name_what_a_model_does_not_take(status, message, names):
    failure = openai(message, status)
    assert (failure.kind, list(failure.refusal.names)) == (FailureKind.REFUSED, names)


@pytest.mark.parametrize(
    "message",
    [
        "Invalid type for 'temperature': expected a number, but got a string instead.",
        "temperature must be less than or equal to 2",
        "Image format image/tiff is not supported",
        "Unsupported image format",
        "document.pdf is not supported",
        "Could not download the image: the url is not allowed",
        "messages: field required",
        "Invalid value: 'narrator'. Supported values are: 'system', 'assistant', 'user'",
        "tools.0.name: string does not match",
        "Invalid schema for response_format 'x': 'additionalProperties' is required to be false",
        "Unknown parameter: 'tempurature'.",
        "Invalid 'max_tokens': integer below minimum value",
        "tool_call_id is not found in 'tool_calls' of previous message",
        "'messages' must contain the word 'json'",
    ],
)
def test_a_plain_bad_request_is_the_callers(message):
    failure = openai(message)
    assert (failure.kind, failure.refusal) == (FailureKind.BAD_REQUEST, None)


@pytest.mark.parametrize(
    ("fields", "names", "of_value"),
    [
        ({"code": "unsupported_parameter", "param": "max_tokens"}, ("max_tokens",), False),
        ({"code": "unsupported_value", "param": "reasoning_effort"}, ("reasoning_effort",), True),
        ({"code": "unsupported_value", "param": "stream"}, ("stream",), True),
        ({"code": "unsupported_parameter", "param": "their_own"}, (), False),
        ({"code": "content_filter"}, ("content",), False),
        ({"code": "content_policy_violation"}, ("content",), False),
        ({"code": "invalid_prompt"}, ("content",), False),
        ({"type": "data_inspection_failed"}, ("content",), False),
    ],
)
@pytest.mark.parametrize("status", [400, 403])
def test_codes_go_before_words(status, fields, names, of_value):
    refusal = openai("no", status, **fields).refusal
    assert (refusal.names, refusal.of_value, refusal.evidence) == (names, of_value, "")


def test_a_value_of_an_effort_may_be_known_to_another_model():
    refusal = openai("Invalid value: 'xhigh'.", code="invalid_value", param="reasoning_effort").refusal
    assert (refusal.names, refusal.of_value) == (("reasoning_effort",), True)


def test_a_default_that_alone_is_taken_refuses_every_other_value():
    said = "'temperature' does not support 0.2 with this model. Only the default (1) value is supported."
    assert not openai(said, code="unsupported_value", param="temperature").refusal.of_value


@pytest.mark.parametrize(
    "failure",
    [
        openai("This endpoint has no such model", 404),
        openai("does not support tools", 500),
        openai("does not support tools", 429),
        openai("Incorrect API key provided; tools are not supported", 401, code="invalid_api_key"),
        openai("This model's maximum context length is 8192 tokens; images are not supported"),
    ],
    ids=["404", "500", "429", "401", "too long"],
)
def test_what_says_something_else_is_no_refusal(failure):
    assert failure.kind is not FailureKind.REFUSED


def test_a_prompt_that_openrouter_flags_is_refused():
    error = {"message": "flagged", "code": 403, "metadata": {"reasons": ["violence"], "flagged_input": "…"}}
    failure = openai_failure(403, {}, json.dumps({"error": error}).encode())
    assert (failure.kind, failure.error_type) == (FailureKind.REFUSED, "refused:content")


def test_every_format_reads_refusals():
    google = {"error": {"code": 400, "message": "JSON mode is not enabled for models/m", "status": "INVALID_ARGUMENT"}}
    error = {"type": "invalid_request_error", "message": "`temperature` is deprecated for this model."}
    anthropic = {"type": "error", "error": error}
    failures = [
        google_failure(400, {}, json.dumps(google).encode()),
        anthropic_failure(400, {}, json.dumps(anthropic).encode()),
        anthropic_event(anthropic),
    ]
    assert [failure.error_type for failure in failures] == [
        "refused:response_format",
        "refused:temperature",
        "refused:temperature",
    ]
