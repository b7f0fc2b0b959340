"""Read a chat body and its headers into a `Query` for the engine."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

import orjson
from starlette.datastructures import Headers

from router_model.goal import KNOBS, read_goal
from router_model.screening.constraints import Constraints
from router_model.screening.globs import globs_of
from router_model.serving.common.router_names import DEFAULT_ROUTER, router_in
from router_model.serving.common.service_errors import EmptyPlanError, InvalidRequestError, NotFoundError
from router_model.serving.engine.query import Query
from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.requests import CONSTRAINTS, Envelope, RouterOptions, SessionHeader

Choose: TypeAlias = Callable[[str], tuple[str, Sequence[str]]]
"""Takes the router that a request names, '' if it names none; returns who decides, and between which models."""

_NO_OPTIONS = RouterOptions()
_UNCONSTRAINED = Constraints()
_SHOWN = 50  # models named in an error
_LONGEST_NAME: Final = 64
_LONGEST_METADATA: Final = 4096
_PLAIN: Final = re.compile(r"[\x21-\x7e]+")
_OF_ONE_CONVERSATION: Final = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[A-Za-z]*[0-9])[0-9A-Za-z]{20}", re.IGNORECASE
)
_IN_USER_ID: Final = re.compile(r"_session_([0-9A-Za-z-]{8,})$")
_SESSION_HEADERS: Final = ("session-id", "session_id", "x-session-affinity")


def read_query(body: Mapping[str, Any], headers: Headers, *, choose: Choose, key_id: str, surface: str) -> Query:
    """Return what a chat body asks.

    The messages themselves are checked where they are read (`features.Prompt.parse`).

    Parameters
    ----------
    body, headers : of the request; a request of a batch has none, because the headers belong to the whole batch
    choose : returns the router that is asked, and the ids of its candidates
        They are empty if it is not loaded, which checks no name.
    key_id, surface : as of `Query`

    Raises
    ------
    InvalidRequestError
        If something that is read is not as declared.
    ModelNotFoundError
        If a router is named that there is not.
    NotFoundError
        If a model is named that is not a candidate.
    RequestError, EmptyPlanError
        As `build_query`.
    """
    asked = validated(Envelope, body)
    named = [name for name in (asked.model, *(asked.models or ())) if name is not None]
    name, known = choose(named_router(named))
    return read_query_for(asked, body, headers, known=known, key_id=key_id, surface=surface, router=name)


def read_query_for(
    asked: Envelope,
    body: Mapping[str, Any],
    headers: Headers,
    *,
    known: Sequence[str],
    key_id: str,
    surface: str,
    router: str = DEFAULT_ROUTER,
) -> Query:
    """Return what a chat body asks a router.

    Parameters
    ----------
    asked : what was read of the body
    body, headers : as of `read_query`
    known : ids of the router's candidates; empty if it is not loaded, which checks no name
    key_id, surface, router : as of `Query`

    Raises
    ------
    NotFoundError
        If a model is named that is not a candidate.
    RequestError, EmptyPlanError
        As `build_query`.
    """
    return build_query(
        body,
        asked.router,
        surface=surface,
        key_id=key_id,
        user_id=asked.user,
        session_id=named_session(asked, headers, body),
        candidates=named_models(asked.model, asked.models, known),
        known=known,
        router=router,
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
    router: str,
    allowed_models: Sequence[str] | None = None,
) -> Query:
    """Return the query that a chat body and its ``router`` object make; every surface that has one asks so.

    Parameters
    ----------
    body : chat body with ``messages``
    options : the ``router`` object
    surface, key_id, user_id, session_id, router : as of `Query`
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
        body=_without_effort(body) if options.choose_effort else body,
        surface=surface,
        goal=read_goal(**{name: getattr(options, name) for name in KNOBS}),
        constraints=_read_constraints(options, candidates, known, allowed_models),
        session_id=session_id,
        user_id=user_id,
        key_id=key_id,
        explore=options.explore is not False,
        explain=options.explain is True,
        router=router,
    )


def _without_effort(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in body.items() if name not in ("reasoning_effort", "reasoning")}


def named_session(asked: Envelope, headers: Headers, body: Mapping[str, Any]) -> str | None:
    """Return the session that a request names, else the one that its client hints at.

    It is named by ``router.session_id``, else ``session_id``, else the header ``x-session-id``, which is checked in any
    case.
    """
    named_by_header = session_header(headers)
    named = (asked.router.session_id if asked.router else None) or asked.session_id or named_by_header
    return named or hinted_session(headers, body)


def hinted_session(headers: Mapping[str, str], body: Mapping[str, Any]) -> str | None:
    """Return the conversation that a client says for other purposes than ours; what cannot be read is no hint.

    In this order, the hint that is most of one conversation first: ``x-claude-code-session-id`` (with
    ``x-claude-code-agent-id``, because agents of one session run side by side), ``prompt_cache_key``, ``session-id``,
    ``x-session-affinity``, the session in ``metadata.user_id``. A ``prompt_cache_key`` that many conversations may
    share does not count: it must have a UUID in it, or 20 letters and digits in a row.

    >>> hinted_session({}, {"prompt_cache_key": "support-bot-v2"}) is None
    True
    >>> hinted_session({"session-id": "s1"}, {"metadata": {"user_id": "user_1_account__session_0b5e-47aa"}})
    's1'
    """
    claude = headers.get("x-claude-code-session-id")
    if claude:
        agent = headers.get("x-claude-code-agent-id")
        return _short(f"{claude}/{agent}" if agent else claude)
    cache_key = body.get("prompt_cache_key")
    if isinstance(cache_key, str) and _OF_ONE_CONVERSATION.search(cache_key[:_LONGEST_METADATA]):
        return _short(cache_key)
    by_header = next((value for name in _SESSION_HEADERS if (value := headers.get(name))), None)
    return _short(by_header) if by_header else _session_of_user(body.get("metadata"))


def _session_of_user(metadata: object) -> str | None:
    """Return the session that Claude Code puts into ``metadata.user_id``: JSON, or in older versions the text's end."""
    user_id = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    if not isinstance(user_id, str) or len(user_id) > _LONGEST_METADATA:
        return None
    if user_id.startswith("{"):
        with suppress(ValueError):
            session = orjson.loads(user_id).get("session_id")
            return _short(session) if isinstance(session, str) and session else None
    found = _IN_USER_ID.search(user_id)
    return _short(found[1]) if found else None


def _short(hint: str) -> str:
    """Return a hint as the name of a session, which the log keeps: hashed if it is long or has unusual characters."""
    if len(hint) <= _LONGEST_NAME and _PLAIN.fullmatch(hint):
        return hint
    return hashlib.sha256(hint.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def session_header(headers: Headers) -> str | None:
    """Return the header ``x-session-id``."""
    value = headers.get("x-session-id")
    return None if value is None else validated(SessionHeader, {"x-session-id": value}).session_id


def named_router(names: Sequence[str]) -> str:
    """Return the router that one of these names of models asks for; see `one_router`.

    Raises
    ------
    InvalidRequestError
        If they ask for several.

    Examples
    --------
    >>> named_router(["auto:code", "small"]), named_router(["auto", "small"])
    ('code', '')
    """
    return one_router(router_in(name) for name in names)


def one_router(routers: Iterable[str | None]) -> str:
    """Return the router that is asked; '' if there is none, '' and None are of names that ask no certain one.

    Raises
    ------
    InvalidRequestError
        If there are several.

    Examples
    --------
    >>> one_router(["code", "", None, "code"])
    'code'
    """
    found = dict.fromkeys(filter(None, routers))
    if len(found) > 1:
        raise InvalidRequestError(
            f"model and models ask for {len(found)} routers ({some_of([*found])}); a request is decided by one",
            param="models",
        )
    return next(iter(found), "")


def named_models(model: str | None, models: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """Return the candidates a body names; none for all.

    >>> named_models("auto", None, ["a", "b"]), named_models("b", None, ["a", "b"]), named_models(None, ["a"], ["a"])
    ((), ('b',), ('a',))
    """
    named = [name for name in (model, *(models or ())) if name is not None and router_in(name) is None]
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
