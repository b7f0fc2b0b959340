"""Write errors in Google's shape: ``{"error": {"code", "message", "status", "details"}}``."""

from typing import Any, Final

import orjson

from router_model.serving.common.causes import Shape, said_of
from router_model.serving.common.service_errors import ServiceError
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

DOMAIN: Final = "router-model"
"""Says in ``ErrorInfo`` whose error it is."""

_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    431: "INVALID_ARGUMENT",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_CODES: Final = {
    FailureKind.TIMEOUT: 504,
    FailureKind.RATE_LIMITED: 429,
    FailureKind.TOO_LONG: 400,
    FailureKind.BAD_REQUEST: 400,
    FailureKind.REFUSED: 400,
}
"""The status codes of failures in the middle of a stream; all others are 503."""


def google_error_body(error: ServiceError) -> bytes:
    """Render an error in Google's shape; code and metadata go under ``details``, as Google's own do.

    Examples
    --------
    >>> from router_model.serving.common.service_errors import NotFoundError
    >>> google_error_body(NotFoundError("no such model")).decode()
    '{"error":{"code":404,"message":"no such model","status":"NOT_FOUND","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"NOT_FOUND","domain":"router-model"}]}}'
    """  # noqa: E501  (one line is what is sent)
    details = [_error_info(error)]
    if error.param:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    wait = {name.lower(): value for name, value in error.headers.items()}.get("retry-after")
    if wait:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait}s"})
    return orjson.dumps({"error": _content(error.status, error.message) | {"details": details}})


def stream_error(failure: UpstreamFailure) -> Json:
    """Return the event that ends a stream; ``error`` is its only field, by which Google's SDK knows it.

    Examples
    --------
    >>> stream_error(UpstreamFailure(FailureKind.TIMEOUT, "no token for 60 s"))
    {'error': {'code': 504, 'message': 'no token for 60 s', 'status': 'DEADLINE_EXCEEDED'}}
    """
    said = said_of(failure.cause, Shape.GOOGLE)
    return {"error": _content(said.status or _CODES.get(failure.kind, 503), said.message(failure.words, None))}


def _content(code: int, message: str) -> Json:
    return {"code": code, "message": message, "status": _STATUSES.get(code, "UNKNOWN")}


def _error_info(error: ServiceError) -> Json:
    """Return an ``ErrorInfo``; its metadata must be strings, so other values are written as JSON."""
    info: dict[str, Any] = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.code.upper(),
        "domain": DOMAIN,
    }
    if error.metadata:
        info["metadata"] = {name: _as_text(value) for name, value in error.metadata.items()}
    return info


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
