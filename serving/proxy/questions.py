"""Turn a request to the proxy into the engine's query."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from router_model.features.prompt import asked_effort
from router_model.goal import Goal, OwnTradeoff, Tradeoff
from router_model.screening.constraints import Constraints, Usd
from router_model.serving.common.service_errors import (
    EmptyPlanError,
    InvalidRequestError,
    ServiceError,
    TooLongError,
)
from router_model.serving.engine.query import Query
from router_model.serving.formats.format import Surface
from router_model.serving.http_edge.queries import build_query
from router_model.serving.providers.provider import Target
from router_model.serving.proxy.chat_bodies import chat_body
from router_model.serving.proxy.envelope import TRADEOFFS, Plugin
from router_model.serving.proxy.proxy_request import ProxyRequest

_PROMPT_IN: Final = {Surface.RESPONSES: "input", Surface.GENERATE: "contents"}
"""The field with the prompt, where it is not ``messages``."""


def query_of(
    asked: ProxyRequest,
    *,
    key_id: str,
    router: str,
    candidates: Sequence[str],
    known: Sequence[str],
    unavailable: Sequence[str],
) -> Query:
    """Return the question.

    Parameters
    ----------
    asked : ProxyRequest
    key_id : id of the caller's key
    router : the name of the router that is asked
    candidates : the models that may be chosen, if the body lists some; empty: all
    known : all that the router knows
    unavailable : models that no allowed provider serves

    Raises
    ------
    InvalidRequestError
        If the body is none of its surface's.
    RequestError, EmptyPlanError
        As `build_query`.
    """
    plugin = asked.envelope.auto_router
    query = build_query(
        chat_body(asked.surface, asked.call.body),
        asked.envelope.router,
        surface=asked.surface.value,
        key_id=key_id,
        user_id=asked.user_id,
        session_id=asked.session_id,
        candidates=candidates,
        known=known,
        router=router,
        allowed_models=plugin.allowed_models if plugin else None,
    )
    return replace(
        query,
        goal=_goal(query.goal, plugin),
        constraints=_narrowed(query.constraints, asked, tuple(unavailable)),
        explain=False,  # a provider's format has no field for an explanation
    )


def check_effort(asked: ProxyRequest, targets: Sequence[Target]) -> None:
    """Refuse a request that names a candidate with an effort, and asks for another effort.

    Raises
    ------
    InvalidRequestError
    """
    options = asked.envelope.router
    if asked.surface is Surface.EMBEDDINGS or all(target.effort is None for target in targets):
        return
    if options is not None and options.choose_effort:
        return
    effort = asked_effort(chat_body(asked.surface, asked.call.body))
    other = None if effort is None else next((one for one in targets if one.effort not in (None, effort)), None)
    if effort is not None and other is not None:
        raise InvalidRequestError(
            f"reasoning_effort: the request asks for {effort[:32]!r}, and {other.model!r} is {other.served_model!r} "
            f"with {other.effort!r}; leave the effort out, or name {other.served_model!r} with it",
            param="reasoning_effort",
        )


def nobody_fits(error: EmptyPlanError | TooLongError, asked: ProxyRequest) -> ServiceError:
    """Return the error of a request that no candidate is left for, in the words that its caller's SDK knows."""
    refusal = asked.preferences.only_responses
    if refusal is not None and error.param in (None, "unavailable"):
        return InvalidRequestError(refusal.message, param=refusal.param, metadata=error.metadata)
    if isinstance(error, TooLongError):
        error.param = _PROMPT_IN.get(asked.surface, error.param)
    return error


def _goal(goal: Goal, plugin: Plugin | None) -> Goal:
    """Return the goal of the ``router`` object, else of OpenRouter's plugin."""
    if plugin is None or not isinstance(goal, OwnTradeoff):
        return goal
    position = plugin.cost_quality_tradeoff
    if position is None and plugin.cost_tier is not None:
        position = TRADEOFFS[plugin.cost_tier]
    return goal if position is None else Tradeoff(position, goal.quality_bar)


def _narrowed(constraints: Constraints, asked: ProxyRequest, unavailable: tuple[str, ...]) -> Constraints:
    """Add what OpenRouter's fields and the providers exclude."""
    plugin = asked.envelope.auto_router
    limits: dict[str, Any] = {}
    if unavailable:
        limits["unavailable"] = unavailable
    for name, cap in asked.preferences.max_price:
        limits[f"max_{name}"] = _smaller(getattr(constraints, f"max_{name}"), cap)
    if plugin is not None and plugin.excluded_models:
        limits["deny"] = (*constraints.deny, *plugin.excluded_models)
    return replace(constraints, **limits) if limits else constraints


def _smaller(one: Usd | None, other: Decimal) -> Usd:
    return other if one is None or Decimal(str(one)) > other else one
