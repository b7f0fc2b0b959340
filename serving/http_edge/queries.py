"""Read a chat body and its headers into a `Query` for the engine."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.datastructures import Headers

from router_model.goal import KNOBS, read_goal
from router_model.screening.constraints import Constraints
from router_model.screening.globs import globs_of
from router_model.serving.common.service_errors import EmptyPlanError, NotFoundError
from router_model.serving.engine.query import Query
from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.requests import AUTO, CONSTRAINTS, Envelope, RouterOptions, SessionHeader

_NO_OPTIONS = RouterOptions()
_UNCONSTRAINED = Constraints()
_SHOWN = 50  # models named in an error


def read_query(body: Mapping[str, Any], headers: Headers, *, known: Sequence[str], key_id: str, surface: str) -> Query:
    """Return what a chat body asks.

    The messages themselves are checked where they are read (`features.Prompt.parse`). The session is named by
    ``router.session_id``, else ``session_id``, else the header ``x-session-id``.

    Parameters
    ----------
    body, headers : of the request; a request of a batch has none, because the headers belong to the whole batch
    known : ids of the candidates; empty if no router is loaded, which checks no name
    key_id : id of the caller's key
    surface : as of `Query`

    Raises
    ------
    InvalidRequestError
        If something that is read is not as declared.
    NotFoundError
        If a model is named that is not a candidate.
    RequestError, EmptyPlanError
        As `build_query`.
    """
    asked = validated(Envelope, body)
    return build_query(
        body,
        asked.router,
        surface=surface,
        key_id=key_id,
        user_id=asked.user,
        session_id=named_session(asked, headers),
        candidates=named_models(asked.model, asked.models, known),
        known=known,
    )


def build_query(
    body: Mapping[str, Any],
    options: RouterOptions | None,
    *,
    surface: str,
    key_id: str,
    user_id: str | None,
    session_id: str | None,
    candidates: Sequence[str],
    known: Sequence[str],
    allowed_models: Sequence[str] | None = None,
) -> Query:
    """Return the query that a chat body and its ``router`` object make; every surface that has one asks so.

    Parameters
    ----------
    body : chat body with ``messages``
    options : the ``router`` object
    surface, key_id, user_id, session_id : as of `Query`
    candidates : the models that may be chosen, if the body names some; empty: all
    known : all that the router knows
    allowed_models : globs that candidates must match in addition to ``router.allow``; empty or None: all

    Raises
    ------
    RequestError
        If knobs of the options exclude each other, or one is out of its range.
    EmptyPlanError
        If the lists of allowed models have nothing in common.
    """
    options = options or _NO_OPTIONS
    return Query(
        body=body,
        surface=surface,
        goal=read_goal(**{name: getattr(options, name) for name in KNOBS}),
        constraints=_read_constraints(options, candidates, known, allowed_models),
        session_id=session_id,
        user_id=user_id,
        key_id=key_id,
        explore=options.explore is not False,
        explain=options.explain is True,
    )


def named_session(asked: Envelope, headers: Headers) -> str | None:
    """Return the session that a request names; the header is checked even if the body names the session."""
    named_by_header = session_header(headers)
    return (asked.router.session_id if asked.router else None) or asked.session_id or named_by_header


def session_header(headers: Headers) -> str | None:
    """Return the header ``x-session-id``."""
    value = headers.get("x-session-id")
    return None if value is None else validated(SessionHeader, {"x-session-id": value}).session_id


def named_models(model: str | None, models: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """Return the candidates a body names; none for all.

    >>> named_models("auto", None, ["a", "b"]), named_models("b", None, ["a", "b"]), named_models(None, ["a"], ["a"])
    ((), ('b',), ('a',))
    """
    named = [name for name in (model, *(models or ())) if name is not None and name not in AUTO]
    check_known(named, known, param="models" if models else "model")
    return tuple(dict.fromkeys(named))


def check_known(named: Sequence[str], known: Sequence[str], *, param: str) -> None:
    """Raise `NotFoundError` if a model is named that is not a candidate; the message names the candidates."""
    unknown = [name for name in named if name not in known]
    if unknown and known:
        raise NotFoundError(f"the service has no model {unknown[0]!r}; its models are {some_of(known)}", param=param)


def some_of(models: Sequence[str]) -> str:
    """Name models for an error; not thousands.

    >>> some_of(["a", "b"])
    'a, b'
    """
    return ", ".join(models[:_SHOWN]) + f" and {len(models) - _SHOWN} more" * (len(models) > _SHOWN)


def _read_constraints(
    options: RouterOptions, candidates: Sequence[str], known: Sequence[str], allowed_models: Sequence[str] | None
) -> Constraints:
    given: dict[str, Any] = {name: getattr(options, name) for name in CONSTRAINTS}
    limits = {name: value for name, value in given.items() if value is not None}
    lists = {"router.allow": options.allow, "allowed_models": allowed_models}
    allowed = {name: globs for name, globs in lists.items() if globs}
    # `Constraints` takes one list, whose globs are alternatives; where several must hold, the models left are named.
    if candidates or len(allowed) > 1:
        limits["allow"] = _in_common(candidates or known, allowed)
    elif allowed:
        limits["allow"] = tuple(*allowed.values())
    return Constraints(**limits) if limits else _UNCONSTRAINED


def _in_common(models: Sequence[str], allowed: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return globs for those of `models` that every list of globs lets in."""
    if not models:  # without a router the candidates are not known, and two lists of globs cannot be made one
        raise EmptyPlanError(f"got {' and '.join(allowed)}; without a router, give one of them", param="allow")
    compiled = [globs_of(tuple(globs)) for globs in allowed.values()]
    left = [name for name in models if all(globs.match(name) for globs in compiled)]
    if not left:
        said = " and ".join(f"{name}={some_of(globs)}" for name, globs in allowed.items())
        raise EmptyPlanError(f"no model of {some_of(models)} matches {said}; relax one of them", param="allow")
    return tuple(map(literal_glob, left))


def literal_glob(model: str) -> str:
    """Return a glob that matches a model's id alone.

    >>> literal_glob("tuned[v2]*")
    'tuned[[]v2][*]'
    """
    return "".join(f"[{char}]" if char in "*?[" else char for char in model)
