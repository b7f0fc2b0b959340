"""Answer errors, each in the shape of its surface and with a documented code.

`router_model.serving.engine.faults` maps errors of the library that are the caller's. An error that nobody expected
becomes a 500 that says nothing but an id, as its message may quote a prompt; the log line with that id has the rest.
"""

import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import orjson
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from router_model.serving.common.service_errors import (
    FailedError,
    MethodNotAllowedError,
    NotFoundError,
    ServiceError,
    error_body,
)
from router_model.serving.engine.faults import callers_error
from router_model.serving.http_edge.json_response import JSON
from router_model.serving.http_edge.surface_errors import shaped_error


class ErrorDetail(BaseModel, extra="forbid"):
    """The content of an error."""

    message: str
    type: str
    param: str | None
    code: str
    metadata: dict[str, Any] | None = None


class ErrorAnswer(BaseModel, extra="forbid"):
    """An error in OpenAI's shape."""

    error: ErrorDetail


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

_logger = logging.getLogger(__name__)
_CLIENT_GONE: Final = 499  # nobody reads it


def error_dict(error: ServiceError) -> dict[str, Any]:
    """Return an error as part of an answer.

    >>> error_dict(NotFoundError("no model 'x'", param="model"))["error"]["code"]
    'not_found'
    """
    content: dict[str, Any] = orjson.loads(error_body(error))
    return content


def error_response(error: ServiceError, scope: Mapping[str, Any]) -> Response:
    """Return an error as an answer, in the shape of the surface that a request belongs to; `scope` is ASGI's."""
    status, body = shaped_error(scope, error)
    return Response(body, status, error.headers, JSON)


def as_service_error(exc: Exception) -> ServiceError | None:
    """Map what can go wrong while a request is read and decided; None for what nobody expected."""
    return exc if isinstance(exc, ServiceError) else callers_error(exc)


def failed(exc: BaseException, doing: str) -> FailedError:
    """Log a defect of ours with an id, and return the error that carries nothing but the id.

    The log gets where it happened, and not the exception's message, which may quote a prompt.
    """
    error_id = f"err_{secrets.token_hex(8)}"
    where = "".join(traceback.format_list(traceback.extract_tb(exc.__traceback__)))
    _logger.error("%s: %s failed with %s\n%s", error_id, doing, type(exc).__name__, where)
    return FailedError(
        f"the service failed to answer; its log has the details under {error_id}", metadata={"error_id": error_id}
    )


def answering(handler: Handler) -> Handler:
    """Let a handler answer its errors: no exception passes, no traceback is sent."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_GONE)
        except Exception as exc:  # noqa: BLE001  (the last line of defence: logged with an id)
            # The route's pattern is logged, not the path, in which a caller can write anything.
            error = as_service_error(exc) or failed(exc, f"{request.method} {request.scope['route'].path}")
            request.app.state.parts.telemetry.count_error(error.code)
            return error_response(error, request.scope)

    answer.__name__ = handler.__name__
    answer.__doc__ = handler.__doc__
    return answer


async def answer_http_exception(request: Request, exc: Exception) -> Response:
    """Answer what the framework raises itself: unknown paths and methods."""
    if not isinstance(exc, HTTPException):  # pragma: no cover  (the signature is Starlette's)
        raise exc
    if exc.status_code == MethodNotAllowedError.status:
        headers = dict(exc.headers or {})
        allowed = headers.get("Allow", "another method")
        error: ServiceError = MethodNotAllowedError(
            f"this path does not accept {request.method}; use {allowed}", headers=headers
        )
    else:
        error = NotFoundError(_hint(request.scope["path"]))
    return error_response(error, request.scope)


def _hint(path: str) -> str:
    """Say what is wrong with a path that is not there, where an SDK's base URL or another API leads to it.

    >>> _hint("/v1/v1/models")
    'this path does not exist; this SDK adds the version itself: take it off the base URL'
    """
    if path.startswith(("/v1/v1/", "/v1/v1beta/", "/v1beta/v1beta/")):
        return "this path does not exist; this SDK adds the version itself: take it off the base URL"
    if path.startswith("/v1/responses/"):
        return "of a response there are its id, DELETE, and /input_items; answers that come later are not served"
    return "this path does not exist; /openapi.json lists all paths"


async def answer_unexpected(request: Request, exc: Exception) -> Response:
    """Answer an exception from outside the handlers."""
    return error_response(failed(exc, "a request"), request.scope)
