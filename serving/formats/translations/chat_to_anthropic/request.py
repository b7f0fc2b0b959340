"""Translate a chat body and its tools into Anthropic's; fields that neither side knows pass untouched."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.shapes import Json, asked_objects, mapping, mappings, text
from router_model.serving.formats.translations.chat_to_anthropic.messages import anthropic_messages
from router_model.serving.formats.translations.chat_to_anthropic.output import closed, put_effort, put_output_format

_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "modalities": (["text"], []),
    "audio": (),
    "web_search_options": (),
    "moderation": (),
    "functions": ([],),
    "function_call": ("none",),
}
"""Parameters that Anthropic does not offer, with the values that ask for nothing."""
_DROPPED: Final = frozenset(
    {
        "model",
        "stream",
        "stream_options",
        "store",
        "metadata",
        "service_tier",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
    }
)
"""Fields that change no answer, or that the format sets."""
_TRANSLATED: Final = frozenset(
    {
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "user",
        "safety_identifier",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "reasoning",
    }
)
_ELSEWHERE: Final = _DROPPED | _TRANSLATED | _NEUTRAL.keys()
_CHOICES: Final[Mapping[str, str]] = {"auto": "auto", "none": "none", "required": "any"}


def anthropic_request(body: Mapping[str, Any]) -> Json:
    """Return a chat body as Anthropic's.

    Raises
    ------
    InvalidRequestError
        If something cannot be said; ``param`` names it.

    Examples
    --------
    >>> anthropic_request({"messages": [{"role": "user", "content": "Hi"}], "stop": "END", "store": True})
    {'messages': [{'role': 'user', 'content': 'Hi'}], 'stop_sequences': ['END']}
    """
    _refuse_impossible(body)
    system, messages = anthropic_messages(body.get("messages"))
    request: Json = {name: value for name, value in body.items() if name not in _ELSEWHERE and value is not None}
    request["messages"] = messages
    if system:
        request["system"] = system
    _put_limits(request, body)
    put_tools(request, body)
    put_output_format(request, body.get("response_format"))
    put_effort(request, body)
    user = body.get("user") or body.get("safety_identifier")
    if user is not None:
        request["metadata"] = {"user_id": user}
    return request


def _refuse_impossible(body: Mapping[str, Any]) -> None:
    for name, neutral in _NEUTRAL.items():
        value = body.get(name)
        if value is not None and value not in neutral:
            raise InvalidRequestError(
                f"'{name}' does not exist for Anthropic's models; leave it out, or let another model answer", param=name
            )


def _put_limits(request: Json, body: Mapping[str, Any]) -> None:
    limit = body.get("max_completion_tokens")
    limit = body.get("max_tokens") if limit is None else limit
    if limit is not None:
        request["max_tokens"] = limit
    stop = body.get("stop")
    if stop:
        request["stop_sequences"] = _stop_sequences(stop)


def _stop_sequences(stop: object) -> list[Any]:
    sequences = [stop] if isinstance(stop, str) else stop
    if not isinstance(sequences, list):
        raise InvalidRequestError(f"'stop' must be a string or a list, not {type(stop).__name__}", param="stop")
    if any(isinstance(sequence, str) and not sequence.strip() for sequence in sequences):
        raise InvalidRequestError(
            "'stop' has a sequence of white space only; Anthropic's models refuse that; leave it out",
            param="stop",
        )
    return sequences


def put_tools(request: Json, body: Mapping[str, Any]) -> None:
    """Put ``tools`` and ``tool_choice``; without tools there is no choice.

    Raises
    ------
    InvalidRequestError
        If a tool is not a function, or the choice does not exist at Anthropic.
    """
    tools = body.get("tools")
    if not tools:
        return
    choice, allowed = _choice(body.get("tool_choice"))
    request["tools"] = [
        _tool(tool) for tool in asked_objects(tools, "tools", "tools") if allowed is None or _name(tool) in allowed
    ]
    if body.get("parallel_tool_calls") is False:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    if choice is not None:
        request["tool_choice"] = choice


def _tool(tool: Mapping[str, Any]) -> Json:
    if tool.get("type") == "custom" and "custom" in tool:
        raise InvalidRequestError("'tools': Anthropic's models can be offered functions only", param="tools")
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return dict(tool)  # one of Anthropic's own
    schema = {"type": "object", "properties": {}, **mapping(function.get("parameters"))}
    said: Json = {"name": function.get("name"), "input_schema": schema}
    if function.get("description"):
        said["description"] = function["description"]
    if function.get("strict"):
        said |= {"strict": True, "input_schema": closed(schema, "tools")}
    cache_control = tool.get("cache_control") or function.get("cache_control")
    if cache_control:
        said["cache_control"] = cache_control
    return said


def _choice(choice: object) -> tuple[Json | None, frozenset[str] | None]:
    """Return the choice, and the names of the tools that it leaves; None: all."""
    if choice is None:
        return None, None
    if isinstance(choice, str) and choice in _CHOICES:
        return {"type": _CHOICES[choice]}, None
    if isinstance(choice, Mapping):
        function, allowed = choice.get("function"), choice.get("allowed_tools")
        if isinstance(function, Mapping):
            return {"type": "tool", "name": function.get("name")}, None
        if isinstance(allowed, Mapping):
            names = frozenset(_name(tool) for tool in mappings(allowed.get("tools")))
            return {"type": _CHOICES.get(str(allowed.get("mode")), "auto")}, names
    raise InvalidRequestError(
        f"'tool_choice' {str(choice)[:100]!r} does not exist for Anthropic's models; "
        "use 'auto', 'none', 'required' or a function",
        param="tool_choice",
    )


def _name(tool: Mapping[str, Any]) -> str:
    return text(mapping(tool.get("function")).get("name"))
