"""The errors that the service answers with, and the error that stops its start.

ServiceError(RouterModelError)
├── InvalidRequestError   400  the body, a header or a knob is wrong
├── TooLongError          400  no candidate has room for the prompt
├── UnauthenticatedError  401  no key, or not one of ours
├── ForbiddenError        403  the key lacks the role
├── NotFoundError         404  no such decision, model or path
├── ModelNotFoundError    404  neither the router nor a provider knows the model
├── EmptyPlanError        404  constraints left no model
├── MethodNotAllowedError 405  the path is there, the method is not; ``Allow`` says which are
├── TooSlowError          408  the body did not arrive within the deadline
├── TooLargeError         413  the body is longer than the limit
├── HeadersTooLargeError  431  so are the headers
├── RateLimitedError      429  the key has used up its share; ``Retry-After`` says until when
├── BudgetExceededError   429  what the call may cost is more than is left of a budget; ``Retry-After`` likewise
├── ReloadRefusedError    409  the artifact cannot be served; the previous one stays in use
├── NotReadyError         503  starting, draining or without a log
├── UpstreamError         502  no provider answered; or the status that tells the caller more
└── FailedError           500  a defect of ours; the answer carries an id that the log has, too
SettingsError(RouterModelError, ValueError)   the service cannot start like this

They are rendered in one place, in OpenAI's shape (`error_body`), with these codes; the surfaces of other SDKs have
theirs. Errors with a `Cause` are told as `router_model.serving.common.causes` says.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from router_model.errors import RouterModelError


class Cause(StrEnum):
    """Why a call failed, where clients act upon it."""

    TOO_LONG = "too_long"
    CONTENT = "content"
    QUOTA = "quota"
    OVERLOADED = "overloaded"
    UNKNOWN_MODEL = "unknown_model"


class Tokens(NamedTuple):
    """How long a prompt is, with the answer that it asks for, and how much the model with most room takes."""

    needed: int
    most: int


class ServiceError(RouterModelError):
    """Base class of the errors that are answered with an HTTP error.

    Parameters
    ----------
    message : what was got, what was expected, what to do; never a key or a prompt
    param : the field of the body it is about
    headers : to send along
    metadata : put under ``error.metadata``
    tokens : how long the prompt is and how much room there is, if that is what is wrong and both are known
    details : put under ``error.details`` in Anthropic's shape, whose SDKs act upon its ``error_code``
    """

    status: int = 500
    type: str = "server_error"
    code: str = "internal_error"
    cause: Cause | None = None
    """Why, where clients act upon it."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        super().__init__(message)
        self.tokens = tokens
        self.message = message
        self.param = param
        self.headers = dict(headers or {})
        self.metadata = dict(metadata or {})
        self.details = dict(details or {})


class InvalidRequestError(ServiceError):
    """Raise when a body, a header or a knob is wrong."""

    status, type, code = 400, "invalid_request_error", "invalid_request"


class TooLongError(ServiceError):
    """Raise if models are left out for want of room alone; `metadata` names them as for `EmptyPlanError`."""

    status, type, code = 400, "invalid_request_error", "context_length_exceeded"
    cause = Cause.TOO_LONG


class UnauthenticatedError(ServiceError):
    """Raised if the request has no key, or an unknown one."""

    status, type, code = 401, "authentication_error", "invalid_api_key"


class ForbiddenError(ServiceError):
    """Raise when a key lacks the role."""

    status, type, code = 403, "permission_error", "insufficient_role"


class NotFoundError(ServiceError):
    """Raised if the decision, model or path does not exist."""

    status, type, code = 404, "not_found_error", "not_found"


class ModelNotFoundError(ServiceError):
    """Raise when neither the router nor a provider knows a model."""

    status, type, code = 404, "not_found_error", "model_not_found"
    cause = Cause.UNKNOWN_MODEL


class EmptyPlanError(ServiceError):
    """Raised if constraints left no model; `param` is the constraint to relax."""

    status, type, code = 404, "not_found_error", "no_candidate"


class MethodNotAllowedError(ServiceError):
    """Raise when a path is asked for with a method it does not have."""

    status, type, code = 405, "invalid_request_error", "method_not_allowed"


class TooLargeError(ServiceError):
    """Raise when a body is longer than the limit."""

    status, type, code = 413, "invalid_request_error", "request_too_large"


class TooSlowError(ServiceError):
    """Raise when a body does not arrive within the deadline."""

    status, type, code = 408, "invalid_request_error", "request_timeout"


class HeadersTooLargeError(ServiceError):
    """Raise when the headers are longer or more than the limit."""

    status, type, code = 431, "invalid_request_error", "headers_too_large"


class RateLimitedError(ServiceError):
    """Raise when a key has used up its share."""

    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"


class BudgetExceededError(ServiceError):
    """Raise when a call may cost more than is left of a budget."""

    status, type, code = 429, "insufficient_quota", "budget_exceeded"
    cause = Cause.QUOTA


class ReloadRefusedError(ServiceError):
    """Raised if an artifact cannot be served; the previous one stays in use."""

    status, type, code = 409, "invalid_request_error", "reload_refused"


class NotReadyError(ServiceError):
    """Raise when the service is starting, draining, or has nowhere to write."""

    status, type, code = 503, "server_error", "not_ready"


class UpstreamError(ServiceError):
    """Raise when no provider answered; `router_model.serving.forwarding.upstream_errors` makes it from what they said.

    Parameters
    ----------
    status, type, code : those of the class, unless others tell the caller more (429, 504)
    cause : Cause or None
    """

    status, type, code = 502, "server_error", "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        type: str = "server_error",  # noqa: A002  (the field's name in OpenAI's errors)
        code: str = "upstream_error",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        tokens: Tokens | None = None,
        cause: Cause | None = None,
    ) -> None:
        super().__init__(message, param=param, headers=headers, metadata=metadata, details=details, tokens=tokens)
        self.cause = cause
        self.status, self.type, self.code = status, type, code


class FailedError(ServiceError):
    """Raise for a defect of ours, instead of the foreign error."""


class SettingsError(RouterModelError, ValueError):
    """Raise when the service cannot start with its settings."""


def error_body(error: ServiceError) -> bytes:
    """Render an error in OpenAI's shape.

    Examples
    --------
    >>> error_body(NotFoundError("no such decision")).decode()
    '{"error":{"message":"no such decision","type":"not_found_error","param":null,"code":"not_found"}}'
    """
    content: dict[str, Any] = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    if error.metadata:
        content["metadata"] = error.metadata
    return json.dumps({"error": content}, separators=(",", ":")).encode()
