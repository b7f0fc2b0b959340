"""Turn each method of the client into one `Call`. Nothing here touches a network."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypedDict, TypeVar
from urllib.parse import quote
from uuid import uuid4

from router_model.serving.client.answer_values import Json, ListedModel, Receipt, RouteAnswer, read_batch, read_models
from router_model.serving.client.client_errors import AnsweredError, BadCallError, read_error

Prompt = str | Sequence[Json] | Json
"""A text (one user message), chat messages, or a whole chat body, which is sent as it is."""

Answer_co = TypeVar("Answer_co", covariant=True)


class RouteOptions(TypedDict, total=False):
    """Options of a decision, sent as the ``router`` object; they win over the body's own.

    ``quality_bar``: what counts as success, 0 to 1. ``target_success``: how often routed traffic is to succeed.
    ``cost_quality_tradeoff``: 0 (quality) to 10 (cost). ``success_value_usd``, ``quality_value_usd``: what a success,
    or quality, is worth. ``allow``, ``deny``: model globs. ``providers``, ``ignore_providers``: names. ``max_…``: of
    one call. ``choose_effort``: the router chooses it, whatever the body says. ``session_id``: keeps a conversation's
    model. ``explain``: say why. ``explore``: False never tries
    another candidate. None leaves an option to the service.
    """

    quality_bar: float | None
    target_success: float | None
    cost_quality_tradeoff: float | None
    success_value_usd: float | None
    quality_value_usd: float | None
    allow: Sequence[str] | None
    deny: Sequence[str] | None
    providers: Sequence[str] | None
    ignore_providers: Sequence[str] | None
    max_cost_usd: float | None
    max_usd_per_mtok_input: float | None
    max_usd_per_mtok_output: float | None
    max_usd_per_request: float | None
    max_latency_s: float | None
    max_output_tokens: int | None
    choose_effort: bool | None
    session_id: str | None
    explain: bool | None
    explore: bool | None


class OutcomeFields(TypedDict, total=False):
    """The outcome of a provider's call; the names are those of the log's ``AttemptRecord``.

    ``input_tokens`` includes cached ones, ``output_tokens`` reasoning. ``status`` is the HTTP status.
    """

    model: str | None
    provider: str | None
    response_id: str | None
    response_model: str | None
    finish_reason: str | None
    status: int | None
    error_type: str | None
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: float | None
    latency_s: float | None
    first_token_s: float | None


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer_co]):
    """One request, and how its answer is read.

    Attributes
    ----------
    method, path : str
    read : callable
        Makes the value out of the answer's JSON.
    body : JSON, or None
    headers : mapping
    """

    method: str
    path: str
    read: Callable[[Json], Answer_co]
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def route(prompt: Prompt, options: RouteOptions) -> Call[RouteAnswer]:
    """Ask for one decision."""
    return Call("POST", "/v1/route", RouteAnswer.read, chat_body(prompt, options))


def route_batch(prompts: Sequence[Prompt], options: RouteOptions) -> Call[tuple[RouteAnswer | AnsweredError, ...]]:
    """Ask for a decision on each prompt; the options are for all."""
    # A text is a sequence, too: each of its letters would be a prompt.
    if isinstance(prompts, str | Mapping):
        raise BadCallError(f"route_batch got one {type(prompts).__name__}; expected a list of prompts or chat bodies")
    requests = [chat_body(prompt, options) for prompt in prompts]
    return Call("POST", "/v1/route/batch", _read_decisions, {"requests": requests})


def models() -> Call[tuple[ListedModel, ...]]:
    """List the models that the service decides between."""
    return Call("GET", "/v1/models", read_models)


def ready() -> Call[Json]:
    """Ask whether the service is ready to decide."""
    return Call("GET", "/readyz", dict)


def decision(decision_id: str) -> Call[Json]:
    """Read a decision of the log."""
    # A slash in the id must not lead to another path.
    return Call("GET", f"/v1/decisions/{quote(_checked_id(decision_id), safe='')}", dict)


def feedback(
    *,
    decision_id: str | None,
    response_id: str | None,
    score: float | None,
    thumb: Literal["up", "down"] | None,
    source: str,
    metric: str,
    comment: str | None,
    idempotency_key: str | None,
) -> Call[Receipt]:
    """Judge an answer."""
    if decision_id is None and response_id is None:
        raise BadCallError("feedback got neither decision_id nor response_id; say which answer it is about")
    if (score is None) == (thumb is None):
        raise BadCallError(f"feedback got score={score!r} and thumb={thumb!r}; expected exactly one of them")
    if score is not None and not 0 <= score <= 1:
        raise BadCallError(f"feedback got score={score!r}; expected a number from 0 to 1")
    said = {"decision_id": decision_id, "response_id": response_id, "score": score, "thumb": thumb}
    return _report("/v1/feedback", {**said, "source": source, "metric": metric, "comment": comment}, idempotency_key)


def outcome(decision_id: str | None, fields: OutcomeFields, idempotency_key: str | None) -> Call[Receipt]:
    """Report what happened when the provider was called."""
    _refuse_unknown("outcome", fields, OutcomeFields)
    if not decision_id and not fields.get("response_id"):
        raise BadCallError("outcome got neither decision_id nor response_id; say which decision it is about")
    return _report("/v1/outcomes", {"decision_id": decision_id, **fields}, idempotency_key)


def _report(path: str, said: Mapping[str, Any], idempotency_key: str | None) -> Call[Receipt]:
    """Return a call that a server counts once however often it arrives: its key is made here, not per attempt."""
    key = idempotency_key or uuid4().hex
    if not re.fullmatch(r"[!-~]{1,255}", key):
        raise BadCallError(f"idempotency_key is {key!r}; expected 1 to 255 visible ASCII characters")
    return Call("POST", path, lambda answer: Receipt.read(key, answer), _without_none(said), {"Idempotency-Key": key})


def chat_body(prompt: Prompt, options: RouteOptions) -> dict[str, Any]:
    """Return the body that is sent; what was given is not changed.

    Examples
    --------
    >>> chat_body("hello", {"quality_bar": 0.7, "allow": None})
    {'messages': [{'role': 'user', 'content': 'hello'}], 'router': {'quality_bar': 0.7}}
    >>> chat_body({"messages": [], "router": {"explain": True}}, {"explore": False})
    {'messages': [], 'router': {'explain': True, 'explore': False}}
    """
    body = _as_body(prompt)
    if chosen := _without_none(options):
        _refuse_unknown("route", chosen, RouteOptions)
        body["router"] = {**(body.get("router") or {}), **chosen}
    return body


def _as_body(prompt: Prompt) -> dict[str, Any]:
    if isinstance(prompt, str):
        return {"messages": [{"role": "user", "content": prompt}]}
    if isinstance(prompt, Mapping):
        # A copy, because `chat_body` puts `router` into it and must not change the caller's.
        return dict(prompt)
    return {"messages": list(prompt)}


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _refuse_unknown(method: str, given: Mapping[str, Any], known: type) -> None:
    """Name a misspelt option here: type checkers see it, but not everybody uses one."""
    if unknown := sorted(given.keys() - known.__annotations__.keys()):
        raise BadCallError(f"{method} got {', '.join(unknown)}; expected some of {', '.join(known.__annotations__)}")


def _checked_id(decision_id: str) -> str:
    if not decision_id:
        raise BadCallError("decision got an empty id; expected a decision's, such as 'dec_…'")
    return decision_id


def _read_decisions(answer: Json) -> tuple[RouteAnswer | AnsweredError, ...]:
    return tuple(
        read_error(_STATUS.get(str(entry["error"].get("type")), 500), entry)
        if isinstance(entry.get("error"), Mapping)
        else RouteAnswer.read(entry)
        for entry in read_batch(answer)
    )


# In a batch an error has no HTTP status of its own.
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
}
