"""Read a chat body and its headers into a `Query` for the engine."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.datastructures import Headers

from router_model.screening.constraints import Constraints
from router_model.screening.globs import globs_of
from router_model.serving.common.service_errors import EmptyPlanError, NotFoundError
from router_model.serving.engine.query import Query
from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.requests import AUTO, CONSTRAINTS, KNOBS, Envelope, RouterOptions, SessionHeader

_NO_OPTIONS = RouterOptions()
_UNCONSTRAINED = Constraints()
_SHOWN = 50  # models named in an error


def read_query(body: Mapping[str, Any], headers: Headers, *, known: Sequence[str], key_id: str, surface: str) -> Query:
    """Return what a chat body asks.

    The messages themselves are checked where they are read (`features.Prompt.parse`). The session is named by
    ``router.session_id``, else ``session_id``, else the header ``x-session-id``.

    Parameters
    ----------
    body, headers : of the request; a batch has no headers that hold for each
    known : ids of the candidates; empty where no router is loaded, which checks no name
    key_id : who asks
    surface : as of `Query`

    Raises
    ------
    InvalidRequestError
        If something that is read is not as declared.
    NotFoundError
        If a model is named that is no candidate.
    """
    asked = validated(Envelope, body)
    options = asked.router or _NO_OPTIONS
    named_by_header = session_header(headers)
    only = named_models(asked.model, asked.models, known)
    return Query(
        body=body,
        surface=surface,
        constraints=read_constraints(options, only),
        session_id=options.session_id or asked.session_id or named_by_header,
        user_id=asked.user,
        key_id=key_id,
        explore=options.explore is not False,
        explain=options.explain is True,
        **{name: getattr(options, name) for name in KNOBS},
    )


def session_header(headers: Headers) -> str | None:
    """Return the header ``x-session-id``."""
    value = headers.get("x-session-id")
    return None if value is None else validated(SessionHeader, {"x-session-id": value}).session_id


def named_models(model: str | None, models: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...] | None:
    """Return the candidates a body names; None for all.

    >>> named_models("auto", None, ["a", "b"]), named_models("b", None, ["a", "b"]), named_models(None, ["a"], ["a"])
    (None, ('b',), ('a',))
    """
    named = [name for name in (model, *(models or ())) if name is not None and name not in AUTO]
    if not named:
        return None
    check_known(named, known, param="models" if models else "model")
    return tuple(dict.fromkeys(named))


def check_known(named: Sequence[str], known: Sequence[str], *, param: str) -> None:
    """Raise `NotFoundError` where a model is named that is no candidate; it says which are."""
    unknown = [name for name in named if name not in known]
    if unknown and known:
        raise NotFoundError(f"no model {unknown[0]!r} here; there are {some_of(known)}", param=param)


def some_of(models: Sequence[str]) -> str:
    """Name models for an error; not thousands.

    >>> some_of(["a", "b"])
    'a, b'
    """
    return ", ".join(models[:_SHOWN]) + f" and {len(models) - _SHOWN} more" * (len(models) > _SHOWN)


def read_constraints(options: RouterOptions, only: tuple[str, ...] | None) -> Constraints:
    """Return the constraints of the options, within the models `only`."""
    given: dict[str, Any] = {name: getattr(options, name) for name in CONSTRAINTS}
    asked = {name: value for name, value in given.items() if value is not None}
    if only is not None:
        asked["allow"] = tuple(map(literal_glob, _within(only, options.allow)))
    return Constraints(**asked) if asked else _UNCONSTRAINED


def _within(models: tuple[str, ...], allow: Sequence[str] | None) -> list[str]:
    """Return those of `models` that a glob of `allow` lets in."""
    if not allow:
        return list(models)
    left = list(filter(globs_of(tuple(allow)).match, models))
    if not left:
        raise EmptyPlanError(
            f"no model of 'models' matches router.allow={some_of(allow)}; relax one of them", param="allow"
        )
    return left


def literal_glob(model: str) -> str:
    """Return a glob that matches a model's id alone.

    >>> literal_glob("tuned[v2]*")
    'tuned[[]v2][*]'
    """
    return "".join(f"[{char}]" if char in "*?[" else char for char in model)
