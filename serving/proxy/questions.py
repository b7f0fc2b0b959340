"""From a request to the proxy to what the engine is asked."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from router_model.screening.constraints import Constraints, Usd
from router_model.screening.globs import globs_of
from router_model.serving.api.queries import literal_glob
from router_model.serving.api.requests import CONSTRAINTS, KNOBS, RouterOptions
from router_model.serving.engine.query import Query
from router_model.serving.errors import EmptyPlanError
from router_model.serving.proxy.chat_bodies import chat_body
from router_model.serving.proxy.envelope import TRADEOFFS, Plugin
from router_model.serving.proxy.proxy_request import ProxyRequest

_NO_OPTIONS = RouterOptions()
_UNCONSTRAINED = Constraints()


def query_of(
    asked: ProxyRequest, *, key_id: str, candidates: Sequence[str], known: Sequence[str], unavailable: Sequence[str]
) -> Query:
    """Return the question.

    Parameters
    ----------
    asked : ProxyRequest
    key_id : who asks
    candidates : the models that may be chosen, where the body lists some; empty: all
    known : all that the router knows
    unavailable : models that no allowed provider serves

    Raises
    ------
    InvalidRequestError
        If the body is none of its surface's.
    EmptyPlanError
        If the lists of allowed models have nothing in common.
    """
    envelope = asked.envelope
    options, plugin = envelope.router or _NO_OPTIONS, envelope.auto_router
    knobs = {name: getattr(options, name) for name in KNOBS}
    if plugin is not None and all(value is None for name, value in knobs.items() if name != "quality_bar"):
        knobs["cost_quality_tradeoff"] = _tradeoff(plugin)
    return Query(
        body=chat_body(asked.surface, asked.call.body),
        surface=asked.surface.value,
        constraints=_constraints(asked, candidates, known, tuple(unavailable)),
        session_id=asked.session_id,
        user_id=asked.user_id,
        key_id=key_id,
        explore=options.explore is not False,
        explain=False,  # an explanation has no place in a provider's answer
        **knobs,
    )


def _tradeoff(plugin: Plugin) -> float | None:
    if plugin.cost_quality_tradeoff is not None:
        return plugin.cost_quality_tradeoff
    return None if plugin.cost_tier is None else TRADEOFFS[plugin.cost_tier]


def _constraints(
    asked: ProxyRequest, candidates: Sequence[str], known: Sequence[str], unavailable: tuple[str, ...]
) -> Constraints:
    options, plugin = asked.envelope.router or _NO_OPTIONS, asked.envelope.auto_router
    given: dict[str, Any] = {name: getattr(options, name) for name in CONSTRAINTS}
    limits = {name: value for name, value in given.items() if value is not None}
    if unavailable:
        limits["unavailable"] = unavailable
    for name, cap in asked.preferences.max_price:
        limits[f"max_{name}"] = _smaller(limits.get(f"max_{name}"), cap)
    lists = [globs for globs in (options.allow, plugin.allowed_models if plugin else None) if globs]
    if candidates or len(lists) > 1:
        limits["allow"] = _in_common(candidates or known, lists)
    elif lists:
        limits["allow"] = tuple(lists[0])
    if plugin is not None and plugin.excluded_models:
        limits["deny"] = (*(options.deny or ()), *plugin.excluded_models)
    return Constraints(**limits) if limits else _UNCONSTRAINED


def _smaller(one: Usd | None, other: Decimal) -> Usd:
    return other if one is None or Decimal(str(one)) > other else one


def _in_common(models: Sequence[str], lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return globs for those of `models` that every list of globs lets in."""
    allowed = [globs_of(tuple(globs)) for globs in lists]
    left = [name for name in models if all(globs.match(name) for globs in allowed)]
    if not left:
        raise EmptyPlanError(
            "'models', router.allow and allowed_models let in no model in common; relax one of them", param="allow"
        )
    return tuple(map(literal_glob, left))
