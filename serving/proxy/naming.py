"""Read ``model`` and ``models`` of a body: they ask for a decision, or name models to forward to."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Final

from router_model.serving.common.service_errors import ModelNotFoundError
from router_model.serving.http_edge.requests import AUTO

_NAMES: Final = frozenset({*AUTO, "router"})


def read_named(model: str | None, models: Sequence[str] | None, policy: str) -> tuple[bool, tuple[str, ...]]:
    """Return whether the router decides, and the models that a body names (`ProxyRequest.models`).

    Parameters
    ----------
    model, models : of the body
    policy : the name of what decides now, which names the router, too

    Examples
    --------
    >>> read_named("auto", ["a", "b"], "p1")
    (True, ('a', 'b'))
    >>> read_named("a", ["b", "a"], "p1")
    (False, ('a', 'b'))
    """
    routes = model is None or model in _NAMES or model == policy
    listed = [] if models is None else [name for name in models if name not in _NAMES and name != policy]
    if not routes and model is not None:
        listed.insert(0, model)
    return routes, tuple(dict.fromkeys(listed))


def not_found(model: str, known: Collection[str], *, param: str = "model") -> ModelNotFoundError:
    """Return the error for an unknown model; it names the nearest known one.

    >>> not_found("opnai/gpt-4o", ["openai/gpt-4o", "mistral/large"]).message
    "the service has no model 'opnai/gpt-4o'; the nearest is 'openai/gpt-4o'; GET /v1/models lists all"
    """
    near = get_close_matches(model, known, n=1, cutoff=0.5)
    hint = f"the nearest is {near[0]!r}; " if near else ""
    return ModelNotFoundError(f"the service has no model {model!r}; {hint}GET /v1/models lists all", param=param)
