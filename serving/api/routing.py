"""``POST /v1/route`` and ``/v1/route/batch``: answer with decisions."""

from functools import partial
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from router_model.serving.api.answer_models import BatchAnswer, DecisionAnswer
from router_model.serving.api.decision_rendering import decision_dict, decision_headers
from router_model.serving.api.parts import Parts, parts_of
from router_model.serving.common.callers import Caller, Role
from router_model.serving.common.service_errors import EmptyPlanError, ModelNotFoundError, NotFoundError, ServiceError
from router_model.serving.engine.query import Query, Routed
from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.endpoint import DECISION_HEADERS, SESSION_HEADER, Endpoint
from router_model.serving.http_edge.error_answers import as_service_error, error_dict
from router_model.serving.http_edge.json_response import json_response
from router_model.serving.http_edge.queries import read_query
from router_model.serving.http_edge.requests import BatchRequest, RouteRequest

_NO_HEADERS: Final = Headers({})


async def route(request: Request) -> Response:
    """Decide which model to call for a chat body.

    The body is what any provider takes; `router` in it says what is asked of the router. The answer is a plan: where
    its first model fails, call the next.
    """
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, Role.DECIDE)
    choose = partial(parts.engines.choose, caller)
    read = partial(read_query, headers=request.headers, choose=choose, key_id=caller.key_id, surface="route")
    query = await parts.bodies.read(request, caller, read)
    routed = await parts.engines.decide(query)
    return json_response(decision_dict(routed), headers=decision_headers(routed))


async def route_batch(request: Request) -> Response:
    """Decide for several chat bodies at once.

    Answers come in the order of `requests`; where one cannot be decided, the error that it would have got alone stands
    in its place. Every request of a batch counts against the key's rate.
    """
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, Role.DECIDE)
    read = await parts.bodies.read(request, caller, partial(_read_all, parts, caller))
    # `authenticate` has counted the first one already; how many there are is known only now.
    parts.access.count_more(caller, len(read) - 1)
    queries = [query for query in read if isinstance(query, Query)]
    decided = iter(await parts.engines.decide_batch(queries))
    answers = [next(decided) if isinstance(query, Query) else query for query in read]
    degraded = any(isinstance(one, Routed) and one.degraded for one in answers)
    return json_response(
        {"object": "list", "data": [_answer(one) for one in answers]},
        headers={"x-router-degraded": "true" if degraded else "false"},
    )


def _read_all(parts: Parts, caller: Caller, body: dict[str, Any]) -> list[Query | ServiceError]:
    return [_read(one, parts, caller) for one in validated(BatchRequest, body).requests]


def _read(body: dict[str, Any], parts: Parts, caller: Caller) -> Query | ServiceError:
    """Read one request of a batch; if it is wrong, the error is its answer."""
    try:
        # No headers, because those of the batch would put all its requests into one session.
        choose = partial(parts.engines.choose, caller)
        return read_query(body, _NO_HEADERS, choose=choose, key_id=caller.key_id, surface="batch")
    except Exception as exc:
        known = as_service_error(exc)
        if known is None:
            raise
        return known


def _answer(one: Routed | ServiceError) -> dict[str, Any]:
    return decision_dict(one) if isinstance(one, Routed) else error_dict(one)


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/route",
        route,
        "Decide for one prompt",
        DecisionAnswer,
        RouteRequest,
        roles=(Role.DECIDE,),
        errors=(NotFoundError, ModelNotFoundError, EmptyPlanError),
        parameters=(SESSION_HEADER,),
        headers=DECISION_HEADERS,
    ),
    Endpoint(
        "POST",
        "/v1/route/batch",
        route_batch,
        "Decide for several prompts",
        BatchAnswer,
        BatchRequest,
        roles=(Role.DECIDE,),
        headers={"x-router-degraded": "'true' where a default plan is among the answers."},
    ),
)
