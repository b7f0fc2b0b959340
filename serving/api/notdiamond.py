"""``POST /v2/modelRouter/modelSelect``: answer with a decision in Not Diamond's format.

Decides which candidate a ``{"provider", "model"}`` is, and what the format's words mean here:

- no tradeoff: the router's own; ``cost_quality_tradeoff``: ours, 0 to 10; ``tradeoff: "cost"``: 8.5 on that dial,
  halfway between the router's own and the cheapest; ``"latency"``: the faster half of the providers that say their
  ``latency``, and the router's own among them.
- ``input_price``, ``output_price`` and ``context_length`` replace the catalog's for this request.
- ``session_id`` names the conversation; sent back as ``previous_session``, the conversation keeps its model.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from statistics import median
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from router_model.catalog import Catalog, ModelCard
from router_model.goal import read_goal
from router_model.screening.constraints import Constraints
from router_model.serving.api.answer_models import NotDiamondAnswer
from router_model.serving.api.decision_rendering import decision_headers
from router_model.serving.api.parts import Parts, parts_of
from router_model.serving.common.callers import Caller, Role
from router_model.serving.common.service_errors import EmptyPlanError, InvalidRequestError, NotReadyError
from router_model.serving.engine.query import Query
from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.endpoint import DECISION_HEADERS, Endpoint
from router_model.serving.http_edge.json_response import json_response
from router_model.serving.http_edge.queries import literal_glob, some_of
from router_model.serving.http_edge.requests import NotDiamondProvider, NotDiamondRequest

COST_TRADEOFF: Final = 8.5
Named = Mapping[str, NotDiamondProvider]
"""The providers of a request by the candidate they are."""


async def model_select(request: Request) -> Response:
    """Rank the given providers for a prompt, in Not Diamond's format.

    `providers` in the answer are those of the request, best first. Prices are USD per million tokens.
    """
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, Role.DECIDE)
    named, query = await parts.bodies.read(request, caller, partial(_read, parts, caller))
    routed = await parts.engines.decide(query)
    chosen = [named[model] for model in routed.plan.models if model in named]
    answer = {
        "providers": [{"provider": one.provider, "model": one.model} for one in chosen],
        "session_id": query.session_id,
    }
    return json_response(answer, headers=decision_headers(routed))


def _read(parts: Parts, caller: Caller, body: Mapping[str, Any]) -> tuple[Named, Query]:
    asked = validated(NotDiamondRequest, body)
    name = parts.engines.chosen(None, caller)  # the format has no field for a router
    router = parts.engines[name].router
    if router is None:
        raise NotReadyError(
            "no router is loaded, so providers cannot be ranked; use POST /v1/route, which answers with a default plan"
        )
    named = named_providers(asked.llm_providers, router.catalog)
    return named, replace(read_notdiamond(asked, named, body, router.catalog, key_id=caller.key_id), router=name)


def read_notdiamond(
    asked: NotDiamondRequest, named: Named, body: Mapping[str, Any], catalog: Catalog, *, key_id: str
) -> Query:
    """Return what a request in Not Diamond's format asks; `named` are its providers by candidate."""
    only = _faster_half(named) if asked.tradeoff == "latency" else list(named)
    position = COST_TRADEOFF if asked.tradeoff == "cost" else None
    if asked.cost_quality_tradeoff is not None:
        position = asked.cost_quality_tradeoff
    return Query(
        body=_chat_body(body),
        surface="notdiamond",
        goal=read_goal(cost_quality_tradeoff=position),
        constraints=Constraints(allow=tuple(map(literal_glob, only))),
        session_id=asked.previous_session or secrets.token_hex(16),
        key_id=key_id,
        # Only cards that differ: with any card of its own a request gets a router assembled for it alone.
        cards={model: card for model in only if (card := _card(catalog[model], named[model])) != catalog[model]},
    )


def named_providers(providers: Sequence[NotDiamondProvider], catalog: Catalog) -> Named:
    """Return the providers of a request by the candidate they are; of one named twice, the first.

    Raises
    ------
    InvalidRequestError
        If one is not a candidate; the message says which there are.
    """
    named: dict[str, NotDiamondProvider] = {}
    for position, provider in enumerate(providers):
        model = candidate(provider.provider, provider.model, catalog)
        if model is None:
            raise InvalidRequestError(
                f"{provider.provider}/{provider.model} is not a model of this service; its models are "
                f"{some_of(list(catalog))}",
                param=f"llm_providers[{position}]",
            )
        named.setdefault(model, provider)
    return named


def candidate(provider: str, model: str, catalog: Catalog) -> str | None:
    """Return the candidate that a provider and a model's name mean: ``provider/model``, or the name alone.

    >>> catalog = Catalog({"openai/gpt-4o": ModelCard("openai/gpt-4o", Decimal(1), Decimal(1))})
    >>> candidate("openai", "gpt-4o", catalog), candidate("azure", "openai/gpt-4o", catalog)
    ('openai/gpt-4o', 'openai/gpt-4o')
    """
    return next((name for name in (f"{provider}/{model}", model) if name in catalog), None)


def _faster_half(named: Named) -> list[str]:
    latencies = {model: one.latency for model, one in named.items() if one.latency is not None}
    if not latencies:
        raise InvalidRequestError(
            "tradeoff 'latency' needs the latency of providers; give llm_providers[].latency in seconds",
            param="tradeoff",
        )
    return [model for model, latency in latencies.items() if latency <= median(latencies.values())]


def _card(card: ModelCard, given: NotDiamondProvider) -> ModelCard:
    """Return a model's card with the request's prices and context length in it.

    A new input price replaces those of cached input, too: what the caller pays for that is not known.
    """
    changes: dict[str, Any] = {}
    if given.input_price is not None and Decimal(str(given.input_price)) != card.usd_per_mtok_input:
        changes |= {
            "usd_per_mtok_input": Decimal(str(given.input_price)),
            "usd_per_mtok_cached_input": None,
            "usd_per_mtok_cache_write": None,
        }
    if given.output_price is not None and Decimal(str(given.output_price)) != card.usd_per_mtok_output:
        # What the caller pays for reasoning is not known either, so the catalog's price does not stay.
        changes |= {"usd_per_mtok_output": Decimal(str(given.output_price)), "usd_per_mtok_reasoning": None}
    if given.context_length is not None:
        changes["context_window"] = given.context_length
    return replace(card, **changes) if changes else card


def _chat_body(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a chat body: the format allows a text for messages."""
    messages = body["messages"]
    return {**body, "messages": [{"role": "user", "content": messages}]} if isinstance(messages, str) else body


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v2/modelRouter/modelSelect",
        model_select,
        "Decide, in Not Diamond's format",
        NotDiamondAnswer,
        NotDiamondRequest,
        roles=(Role.DECIDE,),
        errors=(EmptyPlanError,),
        headers=DECISION_HEADERS,
    ),
)
