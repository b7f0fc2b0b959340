"""What Anthropic's errors mean, with an HTTP status or in the middle of a stream.

The kinds of error are those of Anthropic's API reference; that a prompt is too long and that the credit is used up are
both told by the words of an ``invalid_request_error`` alone.
"""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from serving.formats.format import Json
from serving.masking import MASK
from serving.providers.failures import FailureKind, UpstreamFailure

_MAX_MESSAGE_CHARS: Final = 1000
_KEY_START: Final = "sk-ant-"
_BY_TYPE: Final[Mapping[str, FailureKind]] = {
    "authentication_error": FailureKind.KEY,
    "permission_error": FailureKind.KEY,
    "billing_error": FailureKind.KEY,
    "rate_limit_error": FailureKind.RATE_LIMITED,
    "overloaded_error": FailureKind.RATE_LIMITED,
    "not_found_error": FailureKind.MODEL_GONE,
    "request_too_large": FailureKind.TOO_LONG,
    "api_error": FailureKind.SERVER,
    "timeout_error": FailureKind.SERVER,
    "conflict_error": FailureKind.SERVER,
}
_BY_STATUS: Final[Mapping[int, FailureKind]] = {
    401: FailureKind.KEY,
    402: FailureKind.KEY,
    403: FailureKind.KEY,
    404: FailureKind.MODEL_GONE,
    408: FailureKind.SERVER,
    409: FailureKind.SERVER,
    413: FailureKind.TOO_LONG,
    425: FailureKind.SERVER,
    429: FailureKind.RATE_LIMITED,
    529: FailureKind.RATE_LIMITED,
}
_TOO_LONG: Final = ("prompt is too long", "exceed context limit", "context window")
_NO_CREDIT: Final = ("credit balance is too low", "spend limit", "usage limits")
_CLIENT_ERRORS: Final = 400
_SERVER_ERRORS: Final = 500


def read_failure(status: int, headers: Mapping[str, str], content: bytes) -> UpstreamFailure:
    """Return what an answer that is no success says.

    Examples
    --------
    >>> body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    >>> failure = read_failure(529, {"retry-after": "3"}, body)
    >>> failure.kind.value, failure.message, failure.retry_after_s
    ('rate_limited', 'Overloaded', 3.0)
    """
    error = _error(content)
    if error is None:
        message = f"the provider answered {status} with a body that is no error of Anthropic's"
        kind = _kind_of_status(status)
        return UpstreamFailure(kind, message, status=status, retry_after_s=_retry_after_s(headers))
    return failure_of(error, status, headers)


def failure_of(
    error: Mapping[str, Any], status: int | None = None, headers: Mapping[str, str] | None = None
) -> UpstreamFailure:
    """Return what the ``error`` object of a body or of an event in a stream says."""
    type_ = _text(error.get("type"))
    message = _masked(_text(error.get("message")) or "the provider gave no reason")
    details = error.get("details")
    return UpstreamFailure(
        _kind(type_, message.lower(), status),
        message,
        status=status,
        type=type_,
        code=_text(details.get("error_code")) if isinstance(details, Mapping) else None,
        retry_after_s=_retry_after_s(headers or {}),
    )


def _kind(type_: str | None, words: str, status: int | None) -> FailureKind:
    if type_ == "invalid_request_error" or type_ not in _BY_TYPE:
        if any(phrase in words for phrase in _TOO_LONG):
            return FailureKind.TOO_LONG
        if any(phrase in words for phrase in _NO_CREDIT):
            return FailureKind.KEY
    if type_ is not None and type_ in _BY_TYPE:
        return _BY_TYPE[type_]
    if type_ == "invalid_request_error" and status is None:
        return FailureKind.BAD_REQUEST
    return FailureKind.SERVER if status is None else _kind_of_status(status)


def _kind_of_status(status: int) -> FailureKind:
    kind = _BY_STATUS.get(status)
    if kind is not None:
        return kind
    if status < _CLIENT_ERRORS:
        return FailureKind.MALFORMED  # a redirect: nothing is followed
    return FailureKind.SERVER if status >= _SERVER_ERRORS else FailureKind.BAD_REQUEST


def _error(content: bytes) -> Json | None:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else None


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, from ``retry-after-ms`` or ``retry-after`` (seconds, or an HTTP date)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None  # neither: nothing was asked


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < float("inf") else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _masked(message: str) -> str:
    """Mask keys that a message repeats, and cut it.

    >>> _masked("invalid x-api-key: sk-ant-api03-abc")
    'invalid x-api-key: ***'
    """
    words = message[:_MAX_MESSAGE_CHARS].split(" ")
    return " ".join(word[: word.index(_KEY_START)] + MASK if _KEY_START in word else word for word in words)
