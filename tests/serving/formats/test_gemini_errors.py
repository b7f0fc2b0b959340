import orjson
import pytest
from google.genai import errors as sdk

from router_model.serving.common.service_errors import (
    EmptyPlanError,
    InvalidRequestError,
    RateLimitedError,
    ServiceError,
)
from router_model.serving.formats.gemini.error_body import google_error_body
from router_model.serving.formats.gemini.generate_format import GeminiFormat
from router_model.serving.providers.failures import FailureKind

INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def failure(status, message, name, details=(), headers=None):
    error = {"code": status, "message": message, "status": name, "details": list(details)}
    return GeminiFormat().failure(status, headers or {}, orjson.dumps({"error": error}))


@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", FailureKind.REFUSED),
        (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", FailureKind.REFUSED),
        (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", FailureKind.REFUSED),
        (401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", FailureKind.KEY),
        (403, "PERMISSION_DENIED", "Permission denied on resource.", FailureKind.REFUSED),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (1048577) exceeds the maximum number of tokens allowed (1048575).",
            FailureKind.TOO_LONG,
        ),
        (413, "", "too big", FailureKind.TOO_LONG),
        (404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta", FailureKind.MODEL_GONE),
        (400, "INVALID_ARGUMENT", 'Unknown name "foo": Cannot find field.', FailureKind.BAD_REQUEST),
        (400, "INVALID_ARGUMENT", "temperature exceeds 2", FailureKind.BAD_REQUEST),
        (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", FailureKind.RATE_LIMITED),
        (499, "CANCELLED", "The operation was cancelled.", FailureKind.SERVER),
        (500, "INTERNAL", "An internal error has occurred.", FailureKind.SERVER),
        (503, "UNAVAILABLE", "The model is overloaded.", FailureKind.SERVER),
        (504, "DEADLINE_EXCEEDED", "The request timed out.", FailureKind.SERVER),
        (418, "TEAPOT", "I am one.", FailureKind.BAD_REQUEST),
    ],
)
def test_googles_errors_are_of_the_right_kind(status, name, message, kind):
    read = failure(status, message, name)
    assert (read.kind, read.status, read.message) == (kind, status, message)


def test_a_reason_says_more_than_the_status():
    info = {"@type": INFO, "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
    read = failure(400, "Bad.", "INVALID_ARGUMENT", [info])
    assert (read.kind, read.code, read.type) == (FailureKind.KEY, "API_KEY_INVALID", "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("quota", "of_key"),
    [
        ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", False),
        ("GenerateContentRequestsPerMinutePerProjectPerRegion", True),
        ("RequestsPerDayPerProject", True),
        ("", False),
    ],
)
def test_a_quota_of_the_whole_project_is_the_keys(quota, of_key):
    details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]}]
    assert failure(429, "Quota exceeded.", "RESOURCE_EXHAUSTED", details).of_key is of_key


def test_how_long_to_wait_is_in_the_details_or_a_header():
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.074824224s"}
    assert failure(429, "Quota.", "RESOURCE_EXHAUSTED", [info]).retry_after_s == 34.074824224
    assert failure(429, "Quota.", "RESOURCE_EXHAUSTED", headers={"retry-after": "7"}).retry_after_s == 7
    assert failure(429, "Quota.", "RESOURCE_EXHAUSTED", [{"retryDelay": "soon"}]).retry_after_s is None


def test_the_field_is_named():
    violations = [{"field": "contents[0].role", "description": "invalid"}]
    assert failure(400, "Bad.", "INVALID_ARGUMENT", [{"fieldViolations": violations}]).param == "contents[0].role"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Consumer 'api_key:AIzaSyDUMMYDUMMY123' is suspended", "Consumer 'api_key:***' is suspended"),
        ("key AIzaSyDUMMYDUMMY123 leaked", "key AIza*** leaked"),
        ("at /v1beta/models?key=abc123&alt=sse", "at /v1beta/models?key=***&alt=sse"),
    ],
)
def test_a_key_is_never_shown(said, shown):
    assert failure(403, said, "PERMISSION_DENIED").message == shown


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (502, FailureKind.SERVER),
        (429, FailureKind.RATE_LIMITED),
        (403, FailureKind.REFUSED),
        (404, FailureKind.MODEL_GONE),
        (400, FailureKind.BAD_REQUEST),
    ],
)
def test_a_page_is_not_shown(status, kind):
    read = GeminiFormat().failure(status, {"retry-after": "2"}, b"<html>secret page</html>")
    assert read.kind is kind
    assert read.message == f"HTTP {status} with a page of HTML; expected an error in JSON"
    assert read.retry_after_s == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"detail": [{"loc": ["body", "x"], "msg": "too odd"}]}', "body.x: too odd"),
        (b"no route to the model", "no route to the model"),
        (b'{"error": "the token count 9 exceeds 8"}', "the token count 9 exceeds 8"),
    ],
)
def test_a_proxy_in_front_says_why_in_its_own_words(content, said):
    read = GeminiFormat().failure(400, {}, content)
    assert read.message == said
    assert read.kind is (FailureKind.TOO_LONG if "count" in said else FailureKind.BAD_REQUEST)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b'{"error": "no"}', b'[{"error": null}]', b'{"error": []}'])
def test_odd_bodies_are_no_crash(content):
    assert GeminiFormat().failure(500, {}, content).kind is FailureKind.SERVER


def test_an_error_in_a_list_is_read():
    body = b'[{"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}]'
    assert GeminiFormat().failure(429, {}, body).message == "Slow down."


def classes(base=ServiceError):
    found = base.__subclasses__()
    return found + [deeper for one in found for deeper in classes(one)]


@pytest.mark.parametrize("kind", classes(), ids=lambda one: one.__name__)
def test_our_errors_are_read_by_googles_sdk(kind):
    read = sdk.APIError(kind.status, orjson.loads(google_error_body(kind("no such thing"))))
    assert (read.code, read.message) == (kind.status, "no such thing")
    assert read.status not in {None, "UNKNOWN"}


def test_metadata_field_and_wait_are_details():
    error = RateLimitedError("wait", headers={"Retry-After": "3"}, metadata={"limit": 5, "scope": "key"})
    info, retry = orjson.loads(google_error_body(error))["error"]["details"]
    assert info["metadata"] == {"limit": "5", "scope": "key"}
    assert retry == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}
    _, field = orjson.loads(google_error_body(InvalidRequestError("no", param="contents")))["error"]["details"]
    assert field["fieldViolations"] == [{"field": "contents", "description": "no"}]


def test_what_we_write_we_read():
    body = google_error_body(EmptyPlanError("nobody left", param="router.allow"))
    read = GeminiFormat().failure(404, {}, body)
    assert (read.kind, read.code, read.param) == (FailureKind.MODEL_GONE, "NO_CANDIDATE", "router.allow")
