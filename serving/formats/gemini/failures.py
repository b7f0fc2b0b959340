"""Read Google's errors: the kind of failure, the message, and how long to wait."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson

from router_model.serving.common.masking import MASK, masked_keys
from router_model.serving.common.retry_after import limit_ends_s, retry_after_s
from router_model.serving.formats.about_keys import kind_by_key
from router_model.serving.formats.openai.error_body import read_error
from router_model.serving.formats.refusals import as_refusal
from router_model.serving.providers.failures import FailureKind, UpstreamFailure, kind_of_status

_KINDS: Final = {
    "UNAUTHENTICATED": FailureKind.KEY,
    "PERMISSION_DENIED": FailureKind.REFUSED,
    "NOT_FOUND": FailureKind.MODEL_GONE,
    "RESOURCE_EXHAUSTED": FailureKind.RATE_LIMITED,
    "ABORTED": FailureKind.SERVER,
    "CANCELLED": FailureKind.SERVER,
    "UNAVAILABLE": FailureKind.SERVER,
    "INTERNAL": FailureKind.SERVER,
    "UNKNOWN": FailureKind.SERVER,
    "DATA_LOSS": FailureKind.SERVER,
    "DEADLINE_EXCEEDED": FailureKind.SERVER,
}
_REGION: Final = re.compile(r"user location is not supported", re.IGNORECASE)
"""Words of a 400 about the router's region, which the caller cannot correct."""
_WHOLE_PROJECT: Final = re.compile(r"PerProject(?!.*PerModel)|PerUser(?!.*PerModel)")
"""Names of quotas that hold for more than one model; ``GenerateRequestsPerDayPerProjectPerModel-FreeTier`` does not."""
_TOO_LONG: Final = re.compile(
    r"token count\b.*\bexceeds|exceeds the maximum number of tokens|payload size exceeds", re.IGNORECASE | re.DOTALL
)
_NO_MODEL: Final = re.compile(r"models?/\S+ is not (found|supported)|no longer available", re.IGNORECASE)
_KEY: Final = re.compile(r"(?<![\w.])AQ\.[\w-]{8,}|(?<=api_key:)[^\s'\"]+|(?<=[?&]key=)[^&\s'\"]+")
"""Secrets that `masked_keys` does not recognise: Google's newer keys, and its names of consumers."""
_DELAY: Final = re.compile(r"(\d+(?:\.\d+)?)s")
_SHOWN_CHARS: Final = 1000


def failure_of(status: int, headers: Mapping[str, str], content: bytes) -> UpstreamFailure:
    """Read an answer with an error status.

    Parameters
    ----------
    status : HTTP status
    headers : by names in lower case
    content : usually ``{"error": {"code", "message", "status", "details"}}``; else as `read_error` reads it
    """
    # Proxies in front of Google say it in words of their own.
    failure = failure_in(_error_object(content) or {"message": read_error(status, content).message}, status)
    if failure.retry_after_s is None:
        is_limit = failure.kind is FailureKind.RATE_LIMITED
        failure.retry_after_s = limit_ends_s(headers, failure.message) if is_limit else retry_after_s(headers)
    return failure


def failure_in(error: object, status: int | None = None) -> UpstreamFailure:
    """Read an error object; `status` is its own ``code`` if the HTTP status said success.

    Examples
    --------
    >>> failure = failure_in({"code": 400, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]})
    >>> failure.kind, failure.status
    (<FailureKind.KEY: 'key'>, 400)
    """
    if not isinstance(error, Mapping):
        error = {"message": error if isinstance(error, str) else None}
    code = error.get("code")
    status = status if status is not None else code if isinstance(code, int) else None
    name = str(error.get("status") or "")
    message = str(error.get("message") or name or "the provider gave no reason")
    details = error.get("details")
    said = [one for one in details if isinstance(one, Mapping)] if isinstance(details, list) else []
    reason = next((str(one["reason"]) for one in said if one.get("reason")), None)
    failure = UpstreamFailure(
        _kind(status, name, message, reason),
        masked_keys(_KEY.sub(MASK, message))[:_SHOWN_CHARS],
        status=status,
        code=reason or name or None,
        type=name or None,
        param=_field(said),
        retry_after_s=_retry_delay(said),
        of_key=_is_of_project(said),
    )
    return as_refusal(failure)


def _kind(status: int | None, name: str, message: str, reason: str | None) -> FailureKind:
    known = None if _is_fault(status, name) else kind_by_key(status, (reason, name), message)
    if known is not None:
        return known
    if name in {"", "INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"}:
        if _TOO_LONG.search(message):
            return FailureKind.TOO_LONG
        if _NO_MODEL.search(message):
            return FailureKind.MODEL_GONE
        if _REGION.search(message):
            return FailureKind.REFUSED
    if name not in _KINDS and status is not None:
        return kind_of_status(status)
    return _KINDS.get(name, FailureKind.SERVER)  # SERVER: inside a 200, without a code


def _is_fault(status: int | None, name: str) -> bool:
    """Tell whether an error is a fault of Google's or a rate limit, whose words say nothing of the key."""
    return name == "RESOURCE_EXHAUSTED" or (status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR)


def _error_object(content: bytes) -> Mapping[str, Any] | None:
    """Return the error in a body; Google puts it into a list if a stream was asked for without ``alt=sse``."""
    try:
        body: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    if isinstance(body, list) and body:
        body = body[0]
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else None


def _field(details: list[Mapping[str, Any]]) -> str | None:
    """Return the first field that a ``BadRequest`` detail names."""
    named = (violation.get("field") for violation in _violations(details, "fieldViolations"))
    return next((str(field) for field in named if field), None)


def _is_of_project(details: list[Mapping[str, Any]]) -> bool:
    """Tell whether all quotas that were exceeded are the project's as a whole."""
    named = [one.get("quotaId") or one.get("quotaMetric") for one in _violations(details)]
    named += [_mapping(detail.get("metadata")).get("quota_limit") for detail in details]
    names = [str(name) for name in named if name]
    return bool(names) and all(_WHOLE_PROJECT.search(name) for name in names)


def _violations(details: list[Mapping[str, Any]], field: str = "violations") -> list[Mapping[str, Any]]:
    found = [detail.get(field) for detail in details]
    return [_mapping(one) for many in found if isinstance(many, list) for one in many]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _retry_delay(details: list[Mapping[str, Any]]) -> float | None:
    """Return the seconds of a ``RetryInfo`` detail, e.g. of ``"34.07s"``."""
    for detail in details:
        match = _DELAY.fullmatch(str(detail.get("retryDelay") or ""))
        if match:
            return float(match[1])
    return None
