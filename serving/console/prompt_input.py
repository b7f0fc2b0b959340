"""Read what the playground's form asks: a prompt or a pasted chat body, and how to weigh quality against cost."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.datastructures import Headers

from router_model.goal import KNOBS
from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.engine.query import Query
from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.queries import read_query_for
from router_model.serving.http_edge.requests import Envelope

GOALS: Final = {
    "own": None,
    "dial": "cost_quality_tradeoff",
    "target": "target_success",
    "value": "quality_value_usd",
}
"""The goals that the form offers, with the field of the ``router`` object that each one sets."""
_LIMITS: Final = {"bar": "quality_bar", "most": "max_cost_usd"}
"""Fields of the form that hold beside any goal."""
_EXCLUSIVE: Final = frozenset(KNOBS) - {"quality_bar"}
_OF_THE_CALL: Final = ("model", "stream")
"""Fields of a pasted body that say how a client calls, and not what it asks."""
_NO_HEADERS: Final = Headers({})


@dataclass(frozen=True, slots=True)
class PlaygroundPrompt:
    """What the form asks.

    Attributes
    ----------
    body : chat body with ``messages``, and with ``router`` where the form or the body says something of it
    is_chat_body : whether a chat body was pasted, and not a text
    looks_broken : whether the text looks like a chat body that cannot be read, so that it counts as a text
    """

    body: dict[str, Any]
    is_chat_body: bool = False
    looks_broken: bool = False

    def query(self, *, known: Sequence[str], key_id: str, unavailable: Sequence[str]) -> Query:
        """Return the question for a router.

        Parameters
        ----------
        known : ids of the router's candidates
        key_id : id of the caller's key
        unavailable : models that no provider serves, which the proxy would not call

        Raises
        ------
        InvalidRequestError, NotFoundError, RequestError
            If the body or a field of the form is wrong.
        """
        envelope = validated(Envelope, self.body)
        asked = read_query_for(envelope, self.body, _NO_HEADERS, known=known, key_id=key_id, surface="playground")
        if not unavailable:
            return asked
        return replace(asked, constraints=replace(asked.constraints, unavailable=tuple(unavailable)))


def read_asked(form: Mapping[str, str], parse: Callable[[bytes], dict[str, Any]]) -> PlaygroundPrompt | None:
    """Read the form; None without a prompt.

    Parameters
    ----------
    form : ``prompt``, ``goal`` and the field of that goal (`GOALS`), ``bar``, ``most`` and ``longest``
    parse : reads JSON within the service's limits

    Raises
    ------
    InvalidRequestError
        If a number is none, or there is no such goal.

    Examples
    --------
    >>> import json
    >>> read_asked({"prompt": "Hi", "goal": "dial", "dial": "3"}, json.loads).body["router"]
    {'cost_quality_tradeoff': 3.0}
    """
    text = form.get("prompt", "")
    if not text.strip():
        return None
    pasted, looks_broken = _pasted(text, parse)
    typed: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
    body = typed if pasted is None else pasted
    longest = _number(form, "longest")
    if longest is not None:
        body["max_tokens"] = int(longest)
    options = _options(form, body.get("router"))
    if options:
        body["router"] = options
    return PlaygroundPrompt(body, pasted is not None, looks_broken)


def _pasted(text: str, parse: Callable[[bytes], dict[str, Any]]) -> tuple[dict[str, Any] | None, bool]:
    """Return the chat body that was pasted, if it is one, and whether the text only looks like one."""
    looks_like_one = text.lstrip().startswith("{") and '"messages"' in text
    if not looks_like_one:
        return None, False
    try:
        body = parse(text.strip().encode("utf-8", "surrogatepass"))
    except InvalidRequestError:
        return None, True
    if not isinstance(body.get("messages"), list):
        return None, True
    return {name: value for name, value in body.items() if name not in _OF_THE_CALL}, False


def _options(form: Mapping[str, str], pasted: object) -> dict[str, Any]:
    """Return the ``router`` object: that of the pasted body, with what the form says in its place."""
    options = dict(pasted) if isinstance(pasted, dict) else {}
    goal = form.get("goal") or "own"
    if goal not in GOALS:
        raise InvalidRequestError(f"goal: got {goal[:32]!r}; expected one of {', '.join(GOALS)}", param="goal")
    knob = GOALS[goal]
    value = None if knob is None else _number(form, goal)
    if knob is not None and value is not None:
        options = {name: option for name, option in options.items() if name not in _EXCLUSIVE} | {knob: value}
    limits = {name: _number(form, field) for field, name in _LIMITS.items()}
    return options | {name: limit for name, limit in limits.items() if limit is not None}


def _number(form: Mapping[str, str], field: str) -> float | None:
    """Return a number of the form; None where the field is empty."""
    text = form.get(field, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidRequestError(f"{field}: got {text[:32]!r}; expected a number, or nothing", param=field)
    return value
