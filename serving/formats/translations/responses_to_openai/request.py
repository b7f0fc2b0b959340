"""Translate a Responses body into a chat body; fields that neither side knows pass untouched."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.responses.tool_names import CUSTOM_INPUT, ToolName, flat_name, flat_tools
from router_model.serving.formats.shapes import Json, asked_objects, mapping, mappings, text
from router_model.serving.formats.translations.responses_to_openai.items import chat_messages
from router_model.serving.formats.translations.responses_to_openai.only_responses import (
    is_for_all,
    only_responses,
    refused,
)

_DROPPED: Final = frozenset(
    {
        *("model", "stream", "stream_options", "truncation", "max_tool_calls", "context_management", "image"),
        *("background", "background_options", "client_metadata", "access_programs", "conversation", "prompt"),
        *("previous_response_id", "moderation"),
    }
)
"""Fields that the format sets, that change nothing where no tool is the provider's, or that were refused before."""
_TRANSLATED: Final = frozenset(
    {
        *("input", "instructions", "tools", "tool_choice", "text", "reasoning", "max_output_tokens", "include"),
        *("top_logprobs", "store", "parallel_tool_calls"),
    }
)
_ELSEWHERE: Final = _DROPPED | _TRANSLATED
_LOGPROBS: Final = "message.output_text.logprobs"
_CHOICES: Final = ("auto", "none", "required")


def chat_request(body: Mapping[str, Any]) -> Json:
    """Return a Responses body as a chat body.

    Raises
    ------
    InvalidRequestError
        If something cannot be said; ``param`` names it.

    Examples
    --------
    >>> chat_request({"instructions": "Be brief.", "input": "Hi", "max_output_tokens": 9, "store": False})
    {'messages': [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Hi'}], 'max_tokens': 9}
    """
    for one in only_responses(body):
        raise refused(one)
    request: Json = {name: value for name, value in body.items() if name not in _ELSEWHERE and value is not None}
    request["messages"] = chat_messages(body.get("instructions"), body.get("input"))
    if body.get("max_output_tokens") is not None:
        request["max_tokens"] = body["max_output_tokens"]
    if body.get("store"):
        request["store"] = True
    else:
        request.pop("metadata", None)  # OpenAI takes it beside `store` only
    _put_tools(request, body)
    _put_output(request, body)
    return request


def readable(body: Mapping[str, Any]) -> Json:
    """Return a body without what only a provider that speaks Responses can do, to decide by what is left of it.

    >>> readable({"input": "Hi", "tools": [{"type": "web_search"}], "previous_response_id": "r"})
    {'input': 'Hi', 'tools': []}
    """
    left = {name: value for name, value in body.items() if name not in _DROPPED}
    if isinstance(body.get("input"), list):
        left["input"] = [one for one in body["input"] if not isinstance(one, dict) or is_for_all(one)]
    left["tools"] = [one for one in mappings(body.get("tools")) if not [*only_responses({"tools": [one]})]]
    return left


def _put_tools(request: Json, body: Mapping[str, Any]) -> None:
    asked_objects(body.get("tools"), "tools", "tools")
    # A search may find the same tool again.
    tools = dict(flat_tools(body))
    if not tools:
        return
    request["tools"] = [_function(name, tool) for name, tool in tools.items()]
    names = [tool["function"]["name"] for tool in request["tools"]]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequestError(f"'tools': two tools have the name {twice!r}; rename one of them", param="tools")
    choice = body.get("tool_choice")
    if choice is not None:
        request["tool_choice"] = _choice(choice)
    if body.get("parallel_tool_calls") is not None:
        request["parallel_tool_calls"] = body["parallel_tool_calls"]


def _function(name: ToolName, tool: Mapping[str, Any]) -> Json:
    function: Json = {"name": flat_name(name.name, name.namespace)}
    description = text(tool.get("description"))
    if name.kind == "custom":
        description = "\n\n".join(filter(None, (description, _grammar(mapping(tool.get("format"))))))
        parameters: Any = {
            "type": "object",
            "properties": {CUSTOM_INPUT: {"type": "string", "description": "The whole input of the tool, as text."}},
            "required": [CUSTOM_INPUT],
            "additionalProperties": False,
        }
    else:
        parameters = tool.get("parameters") or {"type": "object", "properties": {}}
    if description:
        function["description"] = description
    function["parameters"] = parameters
    if tool.get("strict"):
        function["strict"] = True
    return {"type": "function", "function": function}


def _grammar(format_: Mapping[str, Any]) -> str:
    definition = text(format_.get("definition"))
    return f"The input must match this {text(format_.get('syntax'))} grammar:\n{definition}" if definition else ""


def _choice(choice: object) -> Json | str:
    if isinstance(choice, str) and choice in _CHOICES:
        return choice
    if isinstance(choice, Mapping):
        type_ = choice.get("type")
        if type_ in ("function", "custom"):
            return _named(choice)
        if type_ == "allowed_tools":
            named = [_named(one) for one in asked_objects(choice.get("tools"), "tool_choice.tools", "tool_choice")]
            return {"type": "allowed_tools", "allowed_tools": {"mode": choice.get("mode") or "auto", "tools": named}}
    said = choice.get("type") if isinstance(choice, Mapping) else choice
    raise InvalidRequestError(
        f"'tool_choice' {str(said)[:50]!r} needs a provider that speaks Responses (kind 'openai-responses'), and the "
        "model's does not; use 'auto', 'none', 'required', a function, a custom tool or allowed_tools",
        param="tool_choice",
    )


def _named(tool: Mapping[str, Any]) -> Json:
    return {"type": "function", "function": {"name": flat_name(text(tool.get("name")), text(tool.get("namespace")))}}


def _put_output(request: Json, body: Mapping[str, Any]) -> None:
    """Put what steers the output: ``response_format``, ``verbosity``, ``reasoning_effort``, ``logprobs``."""
    config = mapping(body.get("text"))
    format_ = mapping(config.get("format"))
    if format_.get("type") == "json_schema":
        schema = {name: value for name, value in format_.items() if name != "type" and value is not None}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif format_.get("type") == "json_object":
        request["response_format"] = {"type": "json_object"}
    elif format_.get("type") not in (None, "text"):
        raise InvalidRequestError(
            f"'text.format' has the type {str(format_['type'])[:50]!r}; expected text, json_object or json_schema",
            param="text",
        )
    if config.get("verbosity") is not None:
        request["verbosity"] = config["verbosity"]
    reasoning = mapping(body.get("reasoning"))
    if reasoning.get("effort") is not None:
        request["reasoning_effort"] = reasoning["effort"]
    elif reasoning.get("max_tokens") is not None:
        request["reasoning"] = {"max_tokens": reasoning["max_tokens"]}  # OpenRouter's
    include = body.get("include")
    if body.get("top_logprobs") or (isinstance(include, list) and _LOGPROBS in include):
        request["logprobs"] = True
        if body.get("top_logprobs"):
            request["top_logprobs"] = body["top_logprobs"]
