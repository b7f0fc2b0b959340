"""``POST /routing/v1/chat/completions``: answer with a decision in Plano's format."""

import re
import secrets
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from router_model.serving.api.answer_models import PlanoAnswer
from router_model.serving.api.decision_rendering import decision_headers
from router_model.serving.api.parts import parts_of
from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import EmptyPlanError, ModelNotFoundError, NotFoundError
from router_model.serving.http_edge.endpoint import DECISION_HEADERS, SESSION_HEADER, Endpoint
from router_model.serving.http_edge.json_response import json_response
from router_model.serving.http_edge.queries import read_query
from router_model.serving.http_edge.requests import RouteRequest

_TRACE_PARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


async def plano_route(request: Request) -> Response:
    """Name the model for a chat body, in Plano's format; nothing is forwarded.

    The body is as of `POST /v1/route`. `route` is the decision's reason, `trace_id` that of the header `traceparent` or
    a new one.
    """
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, Role.DECIDE)
    choose = partial(parts.engines.choose, caller)
    read = partial(read_query, headers=request.headers, choose=choose, key_id=caller.key_id, surface="plano")
    query = await parts.bodies.read(request, caller, read)
    routed = await parts.engines.decide(query)
    answer = {"model": routed.model, "route": routed.reason, "trace_id": trace_id(request.headers.get("traceparent"))}
    return json_response(answer, headers=decision_headers(routed))


def trace_id(traceparent: str | None) -> str:
    """Return the trace of a W3C ``traceparent``, else a new one.

    >>> trace_id("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    given = _TRACE_PARENT.fullmatch(traceparent or "")
    return given.group(1) if given else secrets.token_hex(16)


_TRACE: Final = {
    "name": "traceparent",
    "in": "header",
    "required": False,
    "description": "W3C trace context; ignored if it is malformed.",
    "schema": {"type": "string"},
}
ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/routing/v1/chat/completions",
        plano_route,
        "Decide, in Plano's format",
        PlanoAnswer,
        RouteRequest,
        roles=(Role.DECIDE,),
        errors=(NotFoundError, ModelNotFoundError, EmptyPlanError),
        parameters=(SESSION_HEADER, _TRACE),
        headers=DECISION_HEADERS,
    ),
)
