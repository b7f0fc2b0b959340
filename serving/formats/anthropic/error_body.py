"""Write errors in Anthropic's shape, as a whole answer or in the middle of a stream."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.causes import Shape, said_of
from router_model.serving.common.service_errors import ServiceError
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

_BY_STATUS: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_BY_KIND: Final[Mapping[FailureKind, str]] = {
    FailureKind.TIMEOUT: "timeout_error",
    FailureKind.RATE_LIMITED: "overloaded_error",
    FailureKind.SHUTDOWN: "overloaded_error",
    FailureKind.MODEL_GONE: "not_found_error",
    FailureKind.TOO_LONG: "invalid_request_error",
    FailureKind.BAD_REQUEST: "invalid_request_error",
    FailureKind.REFUSED: "invalid_request_error",
}
_SERVER_ERRORS: Final = 500


def anthropic_error_body(error: ServiceError, request_id: str) -> bytes:
    r"""Render an error of the service.

    Examples
    --------
    >>> from router_model.serving.common.service_errors import NotFoundError
    >>> anthropic_error_body(NotFoundError("no model 'x'"), "req_1").decode()
    '{"type":"error","error":{"type":"not_found_error","message":"no model \'x\'"},"request_id":"req_1"}'
    """
    content: dict[str, Any] = {"type": _type_of_status(error.status), "message": error.message}
    if error.details:
        content["details"] = error.details
    if error.metadata:
        content["metadata"] = error.metadata
    return dump({"type": "error", "error": content, "request_id": request_id})


def error_event(failure: UpstreamFailure) -> Json:
    """Return the event that ends a stream in which a provider failed; keys that fail are ours, not the caller's."""
    said = said_of(failure.cause, Shape.ANTHROPIC)
    type_ = said.type or _BY_KIND.get(failure.kind, "api_error")
    content: Json = {"type": type_, "message": said.message(failure.words, None)}
    if failure.details:
        content["details"] = dict(failure.details)
    return {"type": "error", "error": content}


def _type_of_status(status: int) -> str:
    return _BY_STATUS.get(status, "api_error" if status >= _SERVER_ERRORS else "invalid_request_error")
