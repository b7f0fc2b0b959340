import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.formats.openai.chat_format import OpenAIFormat
from router_model.serving.formats.openai.error_body import MAX_MESSAGE
from router_model.serving.providers.failures import FailureKind


def failure(status, body=None, headers=None):
    content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    return OpenAIFormat().failure(status, headers or {}, content)


def openai_error(message="it failed", type_="invalid_request_error", code=None, param=None):
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, FailureKind.MALFORMED),
        (400, FailureKind.BAD_REQUEST),
        (401, FailureKind.KEY),
        (402, FailureKind.KEY),
        (403, FailureKind.REFUSED),
        (404, FailureKind.MODEL_GONE),
        (405, FailureKind.SERVER),
        (408, FailureKind.SERVER),
        (409, FailureKind.SERVER),
        (410, FailureKind.MODEL_GONE),
        (413, FailureKind.TOO_LONG),
        (415, FailureKind.SERVER),
        (418, FailureKind.BAD_REQUEST),
        (422, FailureKind.BAD_REQUEST),
        (425, FailureKind.SERVER),
        (429, FailureKind.RATE_LIMITED),
        (451, FailureKind.REFUSED),
        (498, FailureKind.RATE_LIMITED),
        (500, FailureKind.SERVER),
        (503, FailureKind.SERVER),
        (529, FailureKind.RATE_LIMITED),
    ],
)
def test_a_status_alone_says_what_to_do(status, kind):
    read = failure(status)
    assert (read.kind, read.status, read.message) == (kind, status, f"HTTP {status} with an empty body")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        pytest.param(400, openai_error(code="context_length_exceeded"), FailureKind.TOO_LONG, id="openai: too long"),
        pytest.param(404, openai_error(code="model_not_found"), FailureKind.MODEL_GONE, id="openai: no such model"),
        pytest.param(403, openai_error(code="model_not_found"), FailureKind.MODEL_GONE, id="openai: model not allowed"),
        pytest.param(429, openai_error(code="insufficient_quota"), FailureKind.KEY, id="openai: not paid"),
        pytest.param(429, openai_error(type_="insufficient_quota"), FailureKind.KEY, id="openai: not paid, by type"),
        pytest.param(429, openai_error(type_="tokens", code="rate_limit_exceeded"), FailureKind.RATE_LIMITED, id="tpm"),
        pytest.param(400, openai_error(code="content_filter"), FailureKind.REFUSED, id="azure: filtered"),
        pytest.param(
            404, {"error": {"code": "DeploymentNotFound", "message": "no"}}, FailureKind.MODEL_GONE, id="azure: gone"
        ),
        pytest.param(
            400,
            {"error": {"message": "This endpoint's maximum context length is 8192 tokens.", "code": 400}},
            FailureKind.TOO_LONG,
            id="openrouter: too long",
        ),
        pytest.param(
            400,
            {"error": {"message": "acme/x is not a valid model ID", "code": 400}},
            FailureKind.MODEL_GONE,
            id="openrouter: no such model",
        ),
        pytest.param(
            403,
            {"error": {"message": "flagged", "code": 403, "metadata": {"reasons": ["violence"], "flagged_input": "…"}}},
            FailureKind.REFUSED,
            id="openrouter: a flagged prompt says nothing of the key",
        ),
        pytest.param(
            400,
            {
                "object": "error",
                "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            },
            FailureKind.TOO_LONG,
            id="vllm: too long",
        ),
        pytest.param(
            404,
            {"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404},
            FailureKind.MODEL_GONE,
            id="vllm: no such model",
        ),
        pytest.param(
            400,
            {"object": "error", "message": "Invalid model: x", "type": "invalid_model", "param": None, "code": "1500"},
            FailureKind.MODEL_GONE,
            id="mistral: no such model",
        ),
        pytest.param(
            400,
            {"object": "error", "message": "Prompt contains 40000 tokens, too large for model with 32k", "code": 3051},
            FailureKind.TOO_LONG,
            id="mistral: too long",
        ),
        pytest.param(
            404, {"error": {"message": 'model "x" not found', "type": "api_error"}}, FailureKind.MODEL_GONE, id="ollama"
        ),
        pytest.param(400, openai_error("Model Not Exist"), FailureKind.MODEL_GONE, id="deepseek"),
        pytest.param(402, openai_error("Insufficient Balance"), FailureKind.KEY, id="deepseek: not paid"),
        pytest.param(
            400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***f"},
            FailureKind.REFUSED, id="xai: key, by words alone",
        ),
        pytest.param(
            400,
            {"error": "This model's maximum prompt length is 131072 but the request contains 214315 tokens."},
            FailureKind.TOO_LONG,
            id="xai: too long",
        ),
        pytest.param(400, openai_error(code="model_decommissioned"), FailureKind.MODEL_GONE, id="groq: gone"),
        pytest.param(
            422,
            {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000"},
            FailureKind.TOO_LONG,
            id="tgi: too long",
        ),
        pytest.param(
            400,
            {"error": {"code": 400, "message": "the request exceeds the available context size",
                       "type": "exceed_context_size_error"}},
            FailureKind.TOO_LONG,
            id="llama.cpp: too long",
        ),
        pytest.param(
            400,
            [{"error": {"code": 400, "message": "API key not valid.", "details": [{"reason": "API_KEY_INVALID"}]}}],
            FailureKind.KEY,
            id="gemini's openai surface: key",
        ),
        pytest.param(400, openai_error("Unknown parameter: 'foo'."), FailureKind.BAD_REQUEST, id="openai: bad"),
        pytest.param(
            400, openai_error("max_tokens is too large: this model supports 4096"), FailureKind.REFUSED, id="max"
        ),
        pytest.param(500, openai_error("context length"), FailureKind.SERVER, id="a 500 stays one"),
    ],
)  # fmt: skip
def test_what_an_error_says_goes_before_its_status(status, body, kind):
    read = failure(status, body)
    assert (read.kind, read.status) == (kind, status)


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (openai_error("No.", code="c"), "No.", "c"),
        (
            {"error": {"message": "Provider returned error", "code": 429,
                       "metadata": {"provider_name": "Acme", "raw": '{"error": {"message": "Slow down", "code": 7}}'}}},
            "Provider returned error (Acme): Slow down",
            "429",
        ),
        (
            {"error": {"message": "Provider returned error", "code": 502, "metadata": {"provider_name": "Acme"}}},
            "Provider returned error (Acme)",
            "502",
        ),
        (
            {"object": "error", "type": "invalid_request_error", "code": None,
             "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "foo"], "msg": "Not permitted"}]}},
            "body.foo: Not permitted",
            None,
        ),
        ({"detail": [{"loc": ["body", "n"], "msg": "too many"}, {"msg": "bad"}]}, "body.n: too many; bad", None),
        ({"detail": "Not Found"}, "Not Found", None),
        ({"message": "Unauthorized", "request_id": "r"}, "Unauthorized", None),
        ({"error": "no", "code": "bad_thing"}, "no", "bad_thing"),
        ({"error": {}}, "an error without a message", None),
        ({"error": {"message": " \n"}}, "an error without a message", None),
        ({"error": "\u2003"}, "an error without a message", None),
        ({"error": None}, 'HTTP 400 with {"error":null}', None),
        (b"upstream connect error", "upstream connect error", None),
        (b"null", "null", None),
    ],
)  # fmt: skip
def test_every_shape_of_an_error_is_read(body, message, code):
    read = failure(400, body)
    assert (read.message, read.code) == (message, code)


def test_type_and_param_are_kept():
    read = failure(400, openai_error(type_="invalid_request_error", param="messages[0].role"))
    assert (read.type, read.param) == ("invalid_request_error", "messages[0].role")


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>secret page", b"\n <html>secret page", b"<?xml?>secret page"])
def test_a_page_is_never_shown(page):
    assert failure(502, page).message == "HTTP 502 with a page of HTML; expected an error in JSON"


def test_a_key_that_is_repeated_is_masked():
    key = "sk-proj-Ab12Cd34Ef56Gh78"
    for body in (openai_error(f"Incorrect API key provided: {key}.", code=key), f"bad key {key}".encode()):
        read = failure(401, body)
        assert key not in f"{read.message} {read.code}"
        assert "***" in read.message


def test_a_long_message_is_cut():
    assert len(failure(500, openai_error("x" * 10**6)).message) == MAX_MESSAGE + 1
    assert len(failure(500, b"x" * 10**6).message) == MAX_MESSAGE + 1


@pytest.mark.parametrize(
    ("status", "headers", "kind", "wait_s"),
    [
        (429, {"retry-after": "20"}, FailureKind.RATE_LIMITED, 20.0),
        (429, {"retry-after-ms": "300"}, FailureKind.RATE_LIMITED, 0.3),
        (503, {"retry-after": "2"}, FailureKind.SERVER, 2.0),
        (402, {"retry-after": "5"}, FailureKind.RATE_LIMITED, 5.0),
        (402, {}, FailureKind.KEY, None),
        (429, {}, FailureKind.RATE_LIMITED, None),
    ],
)
def test_how_long_to_wait_is_read(status, headers, kind, wait_s):
    """A 402 of OpenRouter's that says when to come back is no unpaid bill: calls under way hold the credits."""
    read = failure(status, openai_error(), headers)
    assert (read.kind, read.retry_after_s) == (kind, wait_s)


@given(st.integers(300, 599), st.binary(max_size=60))
def test_any_bytes_are_a_failure_with_words(status, content):
    read = failure(status, content)
    assert read.status == status
    assert read.message


JSON = st.recursive(
    st.none() | st.integers(-5, 600) | st.sampled_from(["", "x", '{"error": {"message": "in"}}']),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "code", "type", "metadata", "raw", "loc", "msg", "object"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=10,
)


@given(st.integers(400, 599), JSON)
def test_any_json_is_a_failure_with_words(status, body):
    assert failure(status, orjson.dumps(body)).message


def test_an_error_of_a_thousand_lists_is_read():
    assert failure(400, b'{"error": ' + b"[" * 1000 + b"]" * 1000 + b"}").message == "an error without a message"
