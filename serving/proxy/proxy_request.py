"""A request to the proxy after reading: the call, the query for the router, and the form of the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Final

from starlette.datastructures import Headers

from router_model.serving.common.router_names import AUTO
from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Call, Exchange, Surface
from router_model.serving.formats.request_counts import with_counts_read
from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.queries import named_session
from router_model.serving.providers.config import Alias
from router_model.serving.proxy.envelope import OURS, ProxyEnvelope, fields_for_openrouter
from router_model.serving.proxy.naming import read_named, with_options
from router_model.serving.proxy.preferences import Preferences

GUARD: Final = "x-router-stream-guard"
TIMEOUT: Final = "x-router-timeout-s"
METADATA: Final = "x-openrouter-metadata"
_OF_CHAT: Final[Mapping[str, str]] = {
    "messages": "send them as 'input', or ask /v1/chat/completions",
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), "name it 'max_output_tokens'"),
    **dict.fromkeys(("n", "best_of"), "leave it out: a response has one answer"),
    "response_format": "send it as 'text.format'",
    "reasoning_effort": "send it as 'reasoning.effort'",
    "thinking": "send it as 'reasoning'",
    "functions": "send them as 'tools'",
}
"""Fields that a Responses body must not have, as OpenAI has it: providers would keep to them, and budgets not."""
_CONVERSATIONS: Final[Mapping[Surface, tuple[str, tuple[type, ...], bool]]] = {
    Surface.CHAT: ("messages", (list,), True),
    Surface.MESSAGES: ("messages", (list,), True),
    Surface.GENERATE: ("contents", (list, str, dict), True),
    Surface.RESPONSES: ("input", (list, str), False),
    Surface.EMBEDDINGS: ("input", (list, str, dict), True),
}
"""Where a conversation stands, what it may be, and whether it must be there."""
_PASSED: Final = ("anthropic-beta", "anthropic-version")
MOST_USER_CHARS: Final = 1024
"""Of ``metadata.user_id``, as of ``user``. Claude Code's, which is among the longest in use, has about 200."""


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """All that a caller asked of the proxy with one request.

    Attributes
    ----------
    call : Call
    envelope : what was read of the body
    requested : the model as the caller wrote it, e.g. for ``openrouter_metadata``
    router : the router that decides, '' where the body leaves that open; None: none does
    models : with a router the candidates, all where empty; else what is called, in this order
    preferences : Preferences
    session_id : as the caller named it or hinted at it, or None
    buffer : whether a stream is held back until it is whole
    total_s : float
        For the whole call.
    wants_metadata : whether ``openrouter_metadata`` is to be in the answer
    user_id : who the request is for, as OpenAI's or Anthropic's bodies say it; None if they do not
    """

    call: Call
    envelope: ProxyEnvelope
    requested: str
    router: str | None
    models: tuple[str, ...]
    preferences: Preferences
    session_id: str | None
    buffer: bool
    total_s: float
    wants_metadata: bool
    user_id: str | None = None

    @property
    def surface(self) -> Surface:
        """The caller's format."""
        return self.call.surface


def read_proxy_request(
    surface: Surface,
    body: dict[str, Any],
    headers: Headers,
    *,
    by_policy: Callable[[str], str | None],
    most_s: float,
    ours: frozenset[str],
    alias_of: Callable[[str], Alias | None] | None = None,
    check_router: Callable[[str], None] = lambda _: None,
    is_model: Callable[[str], bool] = lambda _: False,
    path_model: str | None = None,
    path_stream: bool | None = None,
    is_long: bool = False,
    for_openrouter: bool = False,
) -> ProxyRequest:
    """Read a request.

    Parameters
    ----------
    surface : Surface
    body, headers : of the request
    by_policy : returns the router whose policy has a name now, or None
    most_s : the longest time a call may take
    ours : names of our providers, in lower case
    alias_of : returns what a model's name means, if it is an alias
    check_router, is_model : as of `read_named`
    path_model, path_stream : what the path says, if it does (Google's)
    for_openrouter : whether OpenRouter's SDK asks
    is_long : whether the body is long: translating and writing it takes more than a few milliseconds

    Raises
    ------
    InvalidRequestError
        If something that is read is not as declared.
    ModelNotFoundError
        If a router is named that there is not.
    """
    envelope = validated(ProxyEnvelope, body)
    model = asked = path_model or envelope.model
    alias = None if model is None or alias_of is None else alias_of(model)
    if alias is not None:
        model = alias.model
        if alias.options:
            envelope = validated(ProxyEnvelope, with_options(body, alias.options))
    body = with_counts_read(surface, body)
    stream = path_stream if path_stream is not None else envelope.stream is True
    call = Call(
        surface,
        {name: value for name, value in body.items() if name not in OURS},
        stream=stream and surface is not Surface.EMBEDDINGS,
        headers={name: headers[name] for name in _PASSED if name in headers},
        wants_usage=None if envelope.stream_options is None else envelope.stream_options.include_usage,
        is_long=is_long,
        for_openrouter=for_openrouter or asked == AUTO[1],
        openrouter=fields_for_openrouter(body, ours) if envelope.provider or envelope.plugins else {},
    )
    router, models = read_named(model, envelope.models, by_policy, check=check_router, is_model=is_model)
    return ProxyRequest(
        call,
        envelope,
        requested=asked or AUTO[0],
        router=router,
        models=models,
        preferences=_preferences(surface, envelope, body),
        session_id=named_session(envelope, headers, body),
        buffer=_buffers(headers),
        total_s=_total_s(headers, most_s),
        wants_metadata=headers.get(METADATA, "").lower() == "enabled",
        user_id=envelope.user if envelope.user is not None else _anthropic_user(body.get("metadata")),
    )


def check_conversation(surface: Surface, body: Mapping[str, Any]) -> None:
    """Refuse a body without a conversation before it is sent: some servers break over it, which would count as theirs.

    For embeddings these are the texts. A server that answers an empty list of them with no vectors is right.

    Raises
    ------
    InvalidRequestError
        If the conversation is missing, or of another type; or if there are no texts.
    """
    name, types, is_needed = _CONVERSATIONS[surface]
    value = body.get(name)
    if surface is Surface.EMBEDDINGS and value == []:
        value = None
    if is_needed if value is None else not isinstance(value, types):
        got = "nothing" if value is None else type(value).__name__
        expected = (
            "a text or a list of texts" if surface is Surface.EMBEDDINGS else "a list of objects, the conversation"
        )
        raise InvalidRequestError(f"'{name}' must be {expected}; got {got}", param=name)


def _preferences(surface: Surface, envelope: ProxyEnvelope, body: Mapping[str, Any]) -> Preferences:
    """Return the wishes about providers; a body may have what only providers of one format can do.

    Raises
    ------
    InvalidRequestError
        If the body is for chat completions, or if the answer would have to be kept here.
    """
    preferences = Preferences.of(envelope.provider)
    if surface is not Surface.RESPONSES:
        return preferences
    from router_model.serving.formats.translations.responses_to_openai import only_responses as only  # noqa: PLC0415  (only this surface needs it)

    for name, instead in _OF_CHAT.items():
        if body.get(name) is not None:
            raise InvalidRequestError(f"'{name}' is a field of chat completions; {instead}", param=name)
    if body.get("background"):
        raise InvalidRequestError(
            "background: the service keeps no answers to be fetched later; leave it out, or stream the answer",
            param="background",
        )
    found = next(only.only_responses(body), None)
    return preferences if found is None else replace(preferences, only_responses=only.refused(found))


def with_conversation(
    asked: ProxyRequest, body: Mapping[str, Any], exchange: Exchange, *, is_long: bool = False
) -> ProxyRequest:
    """Return a request of Responses that has all of its conversation in its body now."""
    call = replace(asked.call, body=body, exchange=exchange, is_long=is_long or asked.call.is_long)
    return replace(asked, call=call, preferences=_preferences(asked.surface, asked.envelope, body))


def _anthropic_user(metadata: object) -> str | None:
    user_id = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user_id, str):
        return None
    if len(user_id) > MOST_USER_CHARS:
        raise InvalidRequestError(
            f"metadata.user_id: got {len(user_id)} characters; expected at most {MOST_USER_CHARS}, such as an id",
            param="metadata.user_id",
        )
    return user_id


def _buffers(headers: Mapping[str, str]) -> bool:
    value = headers.get(GUARD)
    if value not in (None, "buffer"):
        raise InvalidRequestError(f"{GUARD}: got {value[:64]!r}; expected 'buffer', or leave it out", param=GUARD)
    return value is not None


def _total_s(headers: Mapping[str, str], most_s: float) -> float:
    """Return how long a call may take: what the header says, at most what the settings say."""
    value = headers.get(TIMEOUT)
    if value is None:
        return most_s
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not (isfinite(seconds) and seconds > 0):
        raise InvalidRequestError(
            f"{TIMEOUT}: got {value[:64]!r}; expected a positive number of seconds", param=TIMEOUT
        )
    return min(seconds, most_s)
