"""An endpoint: its handler, and its entry in the OpenAPI document.

FastAPI writes the document; requests do not pass through its dependency machinery, which costs more than the rest of
HTTP together (docs/decisions/0011): a handler gets the request and returns a response.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from inspect import cleandoc
from typing import Any, Final

from fastapi.routing import APIRoute, APIRouter
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.routing import BaseRoute, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import (
    FailedError,
    ForbiddenError,
    HeadersTooLargeError,
    InvalidRequestError,
    NotReadyError,
    RateLimitedError,
    ServiceError,
    TooLargeError,
    TooSlowError,
    UnauthenticatedError,
)
from router_model.serving.http_edge.error_answers import ErrorAnswer, Handler, answering

EVENTS: Final = "text/event-stream"
_REF: Final = "#/components/schemas/{model}"
OF_CALLERS: Final = (UnauthenticatedError, ForbiddenError, RateLimitedError)
OF_BODIES: Final = (InvalidRequestError, TooLargeError, TooSlowError)
OF_ALL: Final = (InvalidRequestError, HeadersTooLargeError, FailedError, NotReadyError)
"""Any request can be answered so: a refused header, a defect of ours, a service that starts or stops."""

DECISION_HEADERS: Final = {
    "x-router-decision-id": "The decision.",
    "x-router-model": "The model to call (percent-encoded where it is not plain text).",
    "x-router-degraded": "'true' where the default plan answered.",
}


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """One endpoint, equal to itself alone.

    Attributes
    ----------
    method, path, handler
    summary : for the document
    answer : model of the answer; None: text of the type `media`
    error : model of errors
    streams : whether the answer may come as server-sent events, too
    aliases : other paths that are answered alike, and are not in the document
    request : model of the body, with an example; None: no body
    roles : who may call it; empty: everybody
    status : of success
    errors : errors that it raises in addition to those of every endpoint
    parameters : headers and path parameters, as OpenAPI has them
    headers : of the answer, with what they mean
    also : error statuses with an answer of the same model
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answer: type[BaseModel] | None
    request: type[BaseModel] | None = None
    roles: tuple[Role, ...] = ()
    status: int = 200
    errors: Sequence[type[ServiceError]] = ()
    parameters: Sequence[dict[str, Any]] = ()
    headers: dict[str, str] = field(default_factory=dict)
    also: Sequence[int] = ()
    media: str = "text/plain"
    error: type[BaseModel] = ErrorAnswer
    streams: bool = False
    aliases: Sequence[str] = ()


class DirectRoute(APIRoute):
    """A route whose handler is called as it is."""

    def __init__(self, path: str, endpoint: Handler, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.handler = answering(endpoint)
        # In the place of FastAPI's own, which takes twice the time for a request (docs/decisions/0011).
        self.app = request_response(self.handler)


class DirectPaths:
    """Middleware that answers requests to paths without parameters by their handler, past the framework's own layers.

    What it does not know goes on to the framework: paths with parameters, other methods, pages, what is not HTTP.

    Parameters
    ----------
    app : ASGI application
    routes : of the framework; each `DirectRoute` among them is answered here
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = {
            (method, route.path): route
            for route in reversed(routes)  # of two with the same path, the framework takes the first
            if isinstance(route, DirectRoute) and not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        route = None if scope["type"] != "http" else self._routes.get((scope["method"], scope["path"]))
        if route is None or scope.get("root_path"):
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        response = await route.handler(Request(scope, receive, send))
        await response(scope, receive, send)


_ID: Final = {"minLength": 1, "maxLength": 256, "pattern": r"^[\x21-\x7e]+$"}


def header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """Return an optional header as OpenAPI has it: an id, unless a schema of its text says otherwise."""
    written = {"type": "string", **(schema or _ID)}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": written}


SESSION_HEADER: Final = header("x-session-id", "The conversation, where the body does not name it.")


def add_endpoint(router: APIRouter, endpoint: Endpoint) -> None:
    """Serve an endpoint, and document it."""
    router.routes.extend(_routes(endpoint))


@cache  # FastAPI builds a validator for each status of each endpoint; no application changes its routes
def _routes(endpoint: Endpoint) -> tuple[DirectRoute, ...]:
    """Return the routes of an endpoint: its own, then its aliases and those of HEAD, which are not in the document."""
    documented = DirectRoute(
        endpoint.path,
        endpoint.handler,
        methods=[endpoint.method],
        summary=endpoint.summary,
        description=_description(endpoint),
        operation_id=endpoint.handler.__name__,
        status_code=endpoint.status,
        # A model here would check and copy each answer, four times the time of writing it; `responses` documents it.
        response_model=None,
        response_description="Success",
        responses=_responses(endpoint),
        openapi_extra=_extra(endpoint),
    )
    others = [(endpoint.method, path) for path in endpoint.aliases]
    if endpoint.method == "GET":  # probes of load balancers and 'curl -I' send HEAD; the server leaves the body out
        others += [("HEAD", path) for path in (endpoint.path, *endpoint.aliases)]
    undocumented = (
        DirectRoute(path, endpoint.handler, methods=[method], response_model=None, include_in_schema=False)
        for method, path in others
    )
    return (documented, *undocumented)


def _description(endpoint: Endpoint) -> str:
    text = cleandoc(endpoint.handler.__doc__ or "")
    return f"{text}\n\nRole: {' or '.join(endpoint.roles)}." if endpoint.roles else text


def _responses(endpoint: Endpoint) -> dict[int | str, dict[str, Any]]:
    success: dict[str, Any] = {"description": "Success"}
    if endpoint.answer is None:
        success["content"] = {endpoint.media: {"schema": {} if endpoint.media == EVENTS else {"type": "string"}}}
    else:
        success["model"] = endpoint.answer
        if endpoint.streams:
            success["content"] = {EVENTS: {"schema": {}}}
    if endpoint.headers:
        success["headers"] = {
            name: {"description": text, "required": True, "schema": {"type": "string"}}
            for name, text in endpoint.headers.items()
        }
    raised: set[type[ServiceError]] = {*OF_ALL, *endpoint.errors}
    raised |= set(OF_CALLERS) if endpoint.roles else set()
    raised |= set(OF_BODIES) if endpoint.request else set()
    found: dict[int | str, dict[str, Any]] = {endpoint.status: success}
    for status in sorted({error.status for error in raised}):
        codes = sorted({error.code for error in raised if error.status == status})
        found[status] = {"model": endpoint.error, "description": " or ".join(f"`{code}`" for code in codes)}
    for status in endpoint.also:
        found[status] = {"model": endpoint.answer, "description": "As on success"}
    return found


def _extra(endpoint: Endpoint) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if endpoint.roles:
        extra["security"] = [{"bearer": []}]
    if endpoint.parameters:
        extra["parameters"] = list(endpoint.parameters)
    if endpoint.request is not None:
        schema = {"$ref": _REF.format(model=endpoint.request.__name__)}
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return extra


def complete_document(document: dict[str, Any], endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Add to FastAPI's document what it does not know: the bodies, and how callers authenticate."""
    bodies = [endpoint.request for endpoint in endpoints if endpoint.request is not None]
    _, schemas = models_json_schema([(model, "validation") for model in bodies], ref_template=_REF)
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas["$defs"])
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    return document
