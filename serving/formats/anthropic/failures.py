"""Classify Anthropic's errors, from an HTTP status or in the middle of a stream.

The kinds of error are those of Anthropic's API reference; that a prompt is too long and that the credit is used up are
both told by the words of an ``invalid_request_error`` alone. Its rate limits are each model's, also where an error
speaks of the organization's.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from router_model.serving.common.retry_after import limit_ends_s, retry_after_s
from router_model.serving.formats.about_keys import kind_by_key
from router_model.serving.formats.openai.error_body import ErrorBody, error_in, read_error
from router_model.serving.formats.refusals import as_refusal
from router_model.serving.formats.shapes import Json, text
from router_model.serving.providers.failures import FailureKind, UpstreamFailure, kind_of_status

_BY_TYPE: Final[Mapping[str, FailureKind]] = {
    "authentication_error": FailureKind.KEY,
    # Not KEY: the key may lack this model alone, and stays in use for others.
    "permission_error": FailureKind.REFUSED,
    "billing_error": FailureKind.KEY,
    "rate_limit_error": FailureKind.RATE_LIMITED,
    "overloaded_error": FailureKind.RATE_LIMITED,
    "not_found_error": FailureKind.MODEL_GONE,
    "request_too_large": FailureKind.TOO_LONG,
    "api_error": FailureKind.SERVER,
    "timeout_error": FailureKind.SERVER,
    "conflict_error": FailureKind.SERVER,
}
_OVERLOADED: Final = 529
_MEANT: Final[Mapping[FailureKind, int]] = {
    FailureKind.KEY: 401,
    FailureKind.REFUSED: 403,
    FailureKind.RATE_LIMITED: 429,
    FailureKind.MODEL_GONE: 404,
    FailureKind.TOO_LONG: 400,
    FailureKind.BAD_REQUEST: 400,
}
"""The status that an error means where HTTP said 200."""
_BAD_GATEWAY: Final = 502
_CALLERS_STATE: Final = ("thread_", "compaction_", "file_", "tool_")
"""The beginnings of codes in ``error.details`` about what only the caller can mend, whatever the type and status."""
_TOO_LONG: Final = ("prompt is too long", "exceed context limit", "context window")
_INVALID: Final = "invalid_request_error"
_MAY_BE_KEY: Final = frozenset({_INVALID, "permission_error", "authentication_error", "billing_error", None})


def read_failure(status: int, headers: Mapping[str, str], content: bytes) -> UpstreamFailure:
    """Return what an answer with an error status says.

    Examples
    --------
    >>> body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    >>> failure = read_failure(529, {"retry-after": "3"}, body)
    >>> failure.kind.value, failure.message, failure.retry_after_s
    ('rate_limited', 'Overloaded', 3.0)
    """
    error = read_error(status, content)
    kind = (
        _kind_by_details(status, error)
        or _kind_by_words(status, error)
        or _BY_TYPE.get(error.type or "")
        or _kind_of_status(status)
    )
    is_limit = kind is FailureKind.RATE_LIMITED
    wait_s = limit_ends_s(headers, error.message) if is_limit else retry_after_s(headers)
    return _failure(kind, error, status, wait_s)


def failure_in(content: Json) -> UpstreamFailure:
    """Return what an ``error`` event of a stream, or an error inside a 200, says."""
    error = error_in(content) or ErrorBody("the provider ended its answer with an error that has no message")
    kind = _kind_by_details(None, error) or _kind_by_words(None, error) or _BY_TYPE.get(error.type or "")
    if kind is None:
        kind = FailureKind.BAD_REQUEST if error.type == _INVALID else FailureKind.SERVER
    return _failure(kind, error, _MEANT.get(kind, _BAD_GATEWAY), None)


def _kind_by_details(status: int | None, error: ErrorBody) -> FailureKind | None:
    """Return that an error is the caller's, if its code says so: a lost thread (404) is no lost model."""
    is_fault = status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR
    code = text(error.details.get("error_code"))
    return FailureKind.BAD_REQUEST if code.startswith(_CALLERS_STATE) and not is_fault else None


def _kind_by_words(status: int | None, error: ErrorBody) -> FailureKind | None:
    # Only where the type leaves it open: any other type says the kind, and a message may quote the caller.
    words = error.message.lower() if error.type in (_INVALID, None) else ""
    if any(phrase in words for phrase in _TOO_LONG):
        return FailureKind.TOO_LONG
    return kind_by_key(status, (error.type, error.code), error.message) if error.type in _MAY_BE_KEY else None


def _kind_of_status(status: int) -> FailureKind:
    return FailureKind.RATE_LIMITED if status == _OVERLOADED else kind_of_status(status)


def _failure(kind: FailureKind, error: ErrorBody, status: int, wait_s: float | None) -> UpstreamFailure:
    failure = UpstreamFailure(
        kind,
        error.message,
        status=status,
        code=error.code,
        type=error.type,
        param=error.param,
        retry_after_s=wait_s,
        details=error.details,
    )
    return failure if failure.details and kind is FailureKind.BAD_REQUEST else as_refusal(failure)
