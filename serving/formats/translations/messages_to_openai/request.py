"""Translate Anthropic's body into a chat body; fields that neither side knows are left out."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.fitting.effort import effort_of
from router_model.serving.formats.fitting.parameters import PARAMETERS
from router_model.serving.formats.shapes import Json, asked_objects, mapping
from router_model.serving.formats.translations.messages_to_openai.messages import chat_messages

_IMPOSSIBLE: Final = ("thread", "container", "mcp_servers", "inference_geo", "compaction")
_DROPPED: Final = frozenset(
    {
        "model",
        "stream",
        "cache_control",
        "context_management",
        "diagnostics",
        "service_tier",
        "speed",
        "user_profile_id",
        "workspace_id",
        "betas",
        "billing_policy",
        "fallback_credit_token",
        "fallbacks",
    }
)
"""Fields that change no answer, or that the format sets."""
_TRANSLATED: Final = frozenset(
    {"messages", "system", "metadata", "stop_sequences", "tools", "tool_choice", "thinking", "output_config"}
    | {"output_format"}
)
_ELSEWHERE: Final = _DROPPED | _TRANSLATED | frozenset(_IMPOSSIBLE)
_PASSED: Final = frozenset(field for one in PARAMETERS for field in one.chat) - _ELSEWHERE
"""OpenAI's fields that callers may add; a provider refuses what it does not know, as another beta of Anthropic's."""
KNOWN: Final = _ELSEWHERE | _PASSED
_MOST_USER_CHARS: Final = 64
"""OpenAI refuses a longer ``user``; Claude Code's ``metadata.user_id`` has 150 characters."""
_CHOICES: Final[Mapping[str, str]] = {"auto": "auto", "none": "none", "any": "required"}
_MANY: Final = 16_000
"""The ``max_tokens`` that is assumed if a body has none, to turn a thinking budget into an effort."""


def chat_request(body: Mapping[str, Any]) -> Json:
    """Return a body of Anthropic's as a chat body.

    Raises
    ------
    InvalidRequestError
        If something cannot be said; ``param`` names it.

    Examples
    --------
    >>> body = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "stop_sequences": ["END"]}
    >>> chat_request(body)
    {'max_tokens': 9, 'messages': [{'role': 'user', 'content': 'Hi'}], 'stop': ['END']}
    """
    for name in _IMPOSSIBLE:
        if body.get(name):
            raise InvalidRequestError(
                f"'{name}' exists for Anthropic's models only; leave it out, or let one of them answer", param=name
            )
    request: Json = {name: value for name, value in body.items() if name in _PASSED and value is not None}
    request["messages"] = chat_messages(body.get("system"), body.get("messages"))
    if body.get("stop_sequences"):
        request["stop"] = body["stop_sequences"]
    user = mapping(body.get("metadata")).get("user_id")
    if user:
        request["user"] = _short(user)
    _put_tools(request, body)
    _put_output(request, body)
    return request


def _short(user: object) -> object:
    """Return an id of a user as OpenAI takes it: a long one as its hash, the same for the same user.

    >>> _short("u1"), len(_short("x" * 150))
    ('u1', 64)
    """
    if not isinstance(user, str) or len(user) <= _MOST_USER_CHARS:
        return user
    return sha256(user.encode("utf-8", "surrogatepass")).hexdigest()


def _put_tools(request: Json, body: Mapping[str, Any]) -> None:
    if not body.get("tools"):
        return
    request["tools"] = [_tool(tool) for tool in asked_objects(body["tools"], "tools", "tools")]
    choice = body.get("tool_choice")
    if not isinstance(choice, Mapping):
        return
    type_ = choice.get("type")
    if type_ == "tool":
        request["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif isinstance(type_, str) and type_ in _CHOICES:
        request["tool_choice"] = _CHOICES[type_]
    else:
        raise InvalidRequestError(
            f"'tool_choice' type {str(type_)[:50]!r} is not known; use 'auto', 'any', 'tool' or 'none'",
            param="tool_choice",
        )
    if choice.get("disable_parallel_tool_use"):
        request["parallel_tool_calls"] = False


def _tool(tool: Mapping[str, Any]) -> Json:
    if tool.get("type") not in (None, "custom"):
        raise InvalidRequestError(
            f"'tools': {str(tool['type'])[:50]!r} exists for Anthropic's models only; offer a tool with an "
            "'input_schema', or let one of them answer",
            param="tools",
        )
    function: Json = {"name": tool.get("name")}
    if tool.get("description"):
        function["description"] = tool["description"]
    function["parameters"] = tool.get("input_schema") or {"type": "object", "properties": {}}
    if tool.get("strict"):
        function["strict"] = True
    return {"type": "function", "function": function}


def _put_output(request: Json, body: Mapping[str, Any]) -> None:
    """Put ``response_format`` and ``reasoning_effort``."""
    config = mapping(body.get("output_config"))
    format_ = config.get("format") or body.get("output_format")
    if isinstance(format_, Mapping):
        if format_.get("type") != "json_schema":
            raise InvalidRequestError(
                f"'output_config.format' must be a 'json_schema', not {str(format_.get('type'))[:50]!r}",
                param="output_config",
            )
        named = {"name": "answer", "schema": format_.get("schema"), "strict": True}
        request["response_format"] = {"type": "json_schema", "json_schema": named}
    effort = _effort(body, config)
    if effort is not None:
        request["reasoning_effort"] = effort


def _effort(body: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    """Return how much the model should think; nothing if the body leaves it to the model, or wants no thinking."""
    thinking = mapping(body.get("thinking"))
    if thinking.get("type") == "disabled":
        return None
    effort = config.get("effort")
    if isinstance(effort, str):
        return effort
    budget = thinking.get("budget_tokens")
    limit = body.get("max_tokens")
    if not isinstance(budget, int):
        return None
    return effort_of(budget, limit if isinstance(limit, int) else _MANY)
