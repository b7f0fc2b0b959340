"""Read ``model`` and ``models`` of a body: they ask for a decision, or name models to forward to.

A name may be an alias of the providers' file, which stands for another model, or for ``auto`` with options of its own.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from router_model.goal import KNOBS
from router_model.serving.common.router_names import router_in
from router_model.serving.common.service_errors import InvalidRequestError, ModelNotFoundError, SettingsError
from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.queries import one_router
from router_model.serving.http_edge.requests import RouterOptions
from router_model.serving.providers.config import Alias

_ROUTER: Final = "router"
"""Another name of no model, which clients of other gateways use."""
_GOALS: Final = frozenset(KNOBS) - {"quality_bar"}
"""A request can have at most one of these options."""


def read_named(
    model: str | None,
    models: Sequence[str] | None,
    by_policy: Callable[[str], str | None],
    *,
    check: Callable[[str], None] = lambda _: None,
    is_model: Callable[[str], bool] = lambda _: False,
) -> tuple[str | None, tuple[str, ...]]:
    """Return the router that decides, and the models that a body names (`ProxyRequest.router` and `models`).

    Parameters
    ----------
    model, models : of the body
    by_policy : returns the router whose policy has a name now; None: that is no policy's name
    check : raises an error for the name of a router that there is not
    is_model : tells whether a name that looks like ``auto:NAME`` is a model's all the same

    Raises
    ------
    InvalidRequestError
        If they ask for several routers.
    ModelNotFoundError
        If `check` finds no such router.

    Examples
    --------
    >>> read_named("auto:code", ["a", "b"], {"p1": "default"}.get)
    ('code', ('a', 'b'))
    >>> read_named("a", ["b", "a"], {"p1": "default"}.get)
    (None, ('a', 'b'))
    """
    names = [name for name in (model, *(models or ())) if name is not None]
    routers = {name: _router(name, by_policy, is_model) for name in names}
    router = one_router(routers.values())
    if router:
        check(router)
    listed = tuple(name for name, asked in routers.items() if asked is None)
    # A model that is named goes before a router behind it.
    return (None if model in listed else router), listed


def _router(name: str, by_policy: Callable[[str], str | None], is_model: Callable[[str], bool]) -> str | None:
    asked = "" if name == _ROUTER else router_in(name)
    if asked is None:
        return by_policy(name)
    return None if asked and is_model(name) else asked


def check_alias(
    alias: Alias, knows: Callable[[str], bool] | None = None, routers: Collection[str] | None = None
) -> None:
    """Check an alias' options, and where it leads.

    Parameters
    ----------
    alias : Alias
    knows : tells whether a model is served, or among the candidates; None while that is not known
    routers : names of the routers; None while they are not known

    Raises
    ------
    SettingsError
        If a request could not have the options under ``router``, or nobody has the model.
    """
    router = "" if alias.model == _ROUTER else router_in(alias.model)
    if router and routers is not None and router not in routers:
        raise SettingsError(
            f"providers: alias {alias.pattern!r} leads to {alias.model!r}, and there is no router {router!r}; the "
            f"routers are {', '.join(routers)}"
        )
    if knows is not None and router is None and not knows(alias.model):
        raise SettingsError(
            f"providers: alias {alias.pattern!r} leads to {alias.model!r}, which no provider serves and the router "
            "does not know; expected 'auto' or the id of such a model (an alias of an alias does not work)"
        )
    try:
        validated(RouterOptions, dict(alias.options))
    except InvalidRequestError as exc:
        raise SettingsError(f"providers: alias {alias.pattern!r}: {exc.message}") from exc


def with_options(body: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with an alias' options under ``router``; the caller's own go before them.

    A caller that sets one knob means it alone, so that none of the alias' knobs is left beside it.

    Examples
    --------
    >>> with_options({"router": {"explore": False}}, {"target_success": 0.9})
    {'router': {'target_success': 0.9, 'explore': False}}
    >>> with_options({"router": {"cost_quality_tradeoff": 3}}, {"target_success": 0.9})
    {'router': {'cost_quality_tradeoff': 3}}
    """
    own = body.get("router") or {}
    if not options or not isinstance(own, dict):  # what is no object is refused where it is read
        return dict(body)
    has_goal = not own.keys().isdisjoint(_GOALS)
    given = {name: value for name, value in options.items() if not (has_goal and name in _GOALS)}
    return {**body, "router": {**given, **own}}


def not_found(model: str, known: Collection[str], *, param: str = "model") -> ModelNotFoundError:
    """Return the error for an unknown model; it names the nearest known one.

    >>> not_found("opnai/gpt-4o", ["openai/gpt-4o", "mistral/large"]).message
    "the service has no model 'opnai/gpt-4o'; the nearest is 'openai/gpt-4o'; GET /v1/models lists all"
    """
    near = get_close_matches(model, known, n=1, cutoff=0.5)
    hint = f"the nearest is {near[0]!r}; " if near else ""
    return ModelNotFoundError(f"the service has no model {model!r}; {hint}GET /v1/models lists all", param=param)
