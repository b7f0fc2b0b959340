"""Translate a chat body into a Responses body; fields that neither side knows pass untouched."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.carried_reasoning import ENCRYPTED
from router_model.serving.formats.shapes import Json, asked_objects, mapping, mappings, text
from router_model.serving.formats.translations.chat_to_responses.messages import input_items

_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "n": (1,),
    "stop": ([], ""),
    "logit_bias": ({},),
    "modalities": (["text"], []),
    "audio": (),
    "web_search_options": (),
    "functions": ([],),
    "function_call": ("none",),
}
"""Parameters that Responses does not offer, with the values that ask for nothing."""
_DROPPED: Final = frozenset({"model", "stream", "stream_options", "prediction", "include_reasoning", "usage"})
_TRANSLATED: Final = frozenset(
    {
        *("messages", "max_tokens", "max_completion_tokens", "tools", "tool_choice", "parallel_tool_calls", "store"),
        *("response_format", "verbosity", "reasoning_effort", "reasoning", "logprobs", "top_logprobs"),
    }
)
_ELSEWHERE: Final = _DROPPED | _TRANSLATED | _NEUTRAL.keys()


def responses_request(body: Mapping[str, Any]) -> Json:
    """Return a chat body as a Responses body.

    Raises
    ------
    InvalidRequestError
        If something cannot be said; ``param`` names it.

    Examples
    --------
    >>> responses_request({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9})["max_output_tokens"]
    9
    """
    for name, neutral in _NEUTRAL.items():
        value = body.get(name)
        if value is not None and value not in neutral:
            raise InvalidRequestError(
                f"'{name}' does not exist in Responses; leave it out, or let another model answer", param=name
            )
    request: Json = {name: value for name, value in body.items() if name not in _ELSEWHERE and value is not None}
    request["input"] = input_items(body.get("messages"))
    request["store"] = body.get("store") is True  # Responses stores what does not say that it should not
    limit = body.get("max_completion_tokens")
    limit = body.get("max_tokens") if limit is None else limit
    if limit is not None:
        request["max_output_tokens"] = limit
    _put_tools(request, body)
    _put_output(request, body)
    return request


def _put_tools(request: Json, body: Mapping[str, Any]) -> None:
    if not body.get("tools"):
        return
    request["tools"] = [_tool(tool) for tool in asked_objects(body["tools"], "tools", "tools")]
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        allowed = choice.get("allowed_tools")
        if isinstance(allowed, Mapping):
            names = [_named(tool) for tool in mappings(allowed.get("tools"))]
            choice = {"type": "allowed_tools", "mode": allowed.get("mode") or "auto", "tools": names}
        else:
            choice = _named(choice)
    if choice is not None:
        request["tool_choice"] = choice
    if body.get("parallel_tool_calls") is not None:
        request["parallel_tool_calls"] = body["parallel_tool_calls"]


def _tool(tool: Mapping[str, Any]) -> Json:
    function, custom = tool.get("function"), tool.get("custom")
    if isinstance(function, Mapping):
        # A chat function is not strict unless it says so, a function of Responses is.
        return {"type": "function", "parameters": {"type": "object", "properties": {}}, "strict": False, **function}
    if isinstance(custom, Mapping):
        said = dict(custom)
        grammar = mapping(mapping(custom.get("format")).get("grammar"))
        if grammar:
            said["format"] = {"type": "grammar", **grammar}
        return {"type": "custom", **said}
    return dict(tool)  # one of the provider's own


def _named(tool: Mapping[str, Any]) -> Json:
    kind = "custom" if isinstance(tool.get("custom"), Mapping) else "function"
    return {"type": kind, "name": text(mapping(tool.get(kind)).get("name"))}


def _put_output(request: Json, body: Mapping[str, Any]) -> None:
    """Put what steers the output: ``text``, ``reasoning``, log probabilities."""
    config: Json = {}
    format_ = mapping(body.get("response_format"))
    if format_.get("type") == "json_schema":
        config["format"] = {"type": "json_schema", **mapping(format_.get("json_schema"))}
    elif format_.get("type") == "json_object":
        config["format"] = {"type": "json_object"}
    if body.get("verbosity") is not None:
        config["verbosity"] = body["verbosity"]
    if config:
        request["text"] = config
    asked = mapping(body.get("reasoning"))
    effort = body.get("reasoning_effort") or asked.get("effort") or ("none" if asked.get("enabled") is False else None)
    if effort is not None:
        request["reasoning"] = {"effort": effort}
    include = []
    if effort not in (None, "none"):
        include.append(ENCRYPTED)  # so that the reasoning can go on in the next turn, as nothing is stored
    if body.get("logprobs"):
        include.append("message.output_text.logprobs")
        if body.get("top_logprobs"):
            request["top_logprobs"] = body["top_logprobs"]
    if include:
        request["include"] = include
