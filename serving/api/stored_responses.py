"""Responses that are kept: read them and their input again, delete them; and count the tokens of a request."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from router_model.serving.api.answer_models import AnyAnswer
from router_model.serving.api.parts import open_call
from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import (
    EmptyPlanError,
    InvalidRequestError,
    ModelNotFoundError,
    NotFoundError,
)
from router_model.serving.formats.carried_reasoning import ENCRYPTED
from router_model.serving.formats.format import Surface
from router_model.serving.formats.shapes import Json
from router_model.serving.http_edge.endpoint import Endpoint
from router_model.serving.http_edge.json_response import json_response
from router_model.serving.http_edge.requests import open_body
from router_model.serving.proxy.counting import count_tokens
from router_model.serving.proxy.envelope import ProxyEnvelope

COUNTED_BY: Final = "x-router-token-count"
_USUAL_PAGE: Final = 20
_LARGEST_PAGE: Final = 100
_ORDERS: Final = ("asc", "desc")


class InputTokensRequest(ProxyEnvelope):
    """OpenAI's Responses body, to be counted."""

    model_config = open_body(model="auto", input="Is 2027 prime?")

    input: str | list[Any] | None = None


async def stored_response(request: Request) -> Response:
    """Return a response of this key's that is kept (`--store-responses`), in OpenAI's format."""
    _, proxy, caller = open_call(request)
    if request.query_params.get("stream", "").lower() == "true":
        raise InvalidRequestError("stream: a response that is kept is read as a whole; leave it out", param="stream")
    encrypted = ENCRYPTED in request.query_params.getlist("include") + request.query_params.getlist("include[]")
    return json_response(await proxy.stored.read(caller, _id(request), encrypted=encrypted))


async def response_input_items(request: Request) -> Response:
    """List what a response of this key's answers: the items of the conversation before it, in OpenAI's format."""
    _, proxy, caller = open_call(request)
    limit, order, after = _page(request)
    items = await proxy.stored.input_items(caller, _id(request))
    if order == "desc":
        items.reverse()
    found, has_more = _after(items, after, limit)
    ends = {"first_id": found[0]["id"], "last_id": found[-1]["id"]} if found else {"first_id": None, "last_id": None}
    return json_response({"object": "list", "data": found, "has_more": has_more, **ends})


async def delete_response(request: Request) -> Response:
    """Delete a response of this key's; conversations that went on from it end."""
    _, proxy, caller = open_call(request)
    response_id = _id(request)
    await proxy.stored.delete(caller, response_id)
    return json_response({"id": response_id, "object": "response", "deleted": True})


async def response_input_tokens(request: Request) -> Response:
    """Count the tokens of a request in OpenAI's Responses format; `x-router-token-count` says by whom."""
    parts, proxy, caller = open_call(request)
    asked = await parts.bodies.read(request, caller, lambda body: proxy.read(request, caller, Surface.RESPONSES, body))
    n_tokens, by = await count_tokens(proxy, await proxy.stored.prepared(caller, asked, is_answered=False))
    answer = {"object": "response.input_tokens", "input_tokens": n_tokens}
    return json_response(answer, headers={COUNTED_BY: by})


def _id(request: Request) -> str:
    response_id: str = request.path_params["response_id"]
    return response_id


def _page(request: Request) -> tuple[int, str, str | None]:
    """Return how many items are wanted, in which order, and behind which one.

    Raises
    ------
    InvalidRequestError
        If one of these is not as OpenAI has it.
    """
    given, order = request.query_params.get("limit", str(_USUAL_PAGE)), request.query_params.get("order", "desc")
    limit = int(given) if given.isascii() and given.isdigit() else 0
    if not 1 <= limit <= _LARGEST_PAGE:
        raise InvalidRequestError(
            f"limit: got {given[:20]!r}; expected a whole number from 1 to {_LARGEST_PAGE}", param="limit"
        )
    if order not in _ORDERS:
        raise InvalidRequestError(f"order: got {order[:20]!r}; expected 'asc' or 'desc'", param="order")
    return limit, order, request.query_params.get("after")


def _after(items: list[Json], after: str | None, limit: int) -> tuple[list[Json], bool]:
    """Return a page of items, and whether more follow.

    Raises
    ------
    InvalidRequestError
        If the page is to begin behind an item that is not there.
    """
    ids = [item["id"] for item in items]
    if after is not None and after not in ids:
        raise InvalidRequestError(f"after: got {after[:100]!r}, which is no item of this response", param="after")
    begin = 0 if after is None else ids.index(after) + 1
    return items[begin : begin + limit], begin + limit < len(items)


_ID: Final[dict[str, Any]] = {
    "name": "response_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "example": "resp_019385b1c5f07cc2a1f2d0c5b8a3e411",
}
_OF_ONE: Final[dict[str, Any]] = {
    "roles": (Role.PROXY,),
    "errors": (NotFoundError, InvalidRequestError),
    "parameters": (_ID,),
}
ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/responses/input_tokens",
        response_input_tokens,
        "Count tokens (OpenAI)",
        AnyAnswer,
        InputTokensRequest,
        roles=(Role.PROXY,),
        errors=(NotFoundError, ModelNotFoundError, EmptyPlanError),
        headers={COUNTED_BY: "Who counted: a provider's name, or 'estimated'."},
    ),
    Endpoint("GET", "/v1/responses/{response_id}", stored_response, "Read a response (OpenAI)", AnyAnswer, **_OF_ONE),
    Endpoint(
        "DELETE", "/v1/responses/{response_id}", delete_response, "Delete a response (OpenAI)", AnyAnswer, **_OF_ONE
    ),
    Endpoint(
        "GET",
        "/v1/responses/{response_id}/input_items",
        response_input_items,
        "List a response's input (OpenAI)",
        AnyAnswer,
        **_OF_ONE,
    ),
)
