"""Translate a chat body and its tools into Gemini's request."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.shapes import Json
from router_model.serving.formats.translations.chat_to_gemini.messages import contents_of
from router_model.serving.formats.translations.google_fields import a_list, a_text, an_object, camel, cannot_say
from router_model.serving.formats.translations.google_thinking import thinking_config

_GENERATION: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",  # after the older name, over which it wins
    "seed": "seed",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_DEFAULTS: Final = {"n": 1, "logprobs": False, "presence_penalty": 0, "frequency_penalty": 0}
"""Values that are left out: some Gemini models refuse these fields, and all behave as the values ask anyway."""
_TRANSLATED: Final = frozenset(
    {
        "messages",
        "tools",
        "tool_choice",
        "response_format",
        "stop",
        "reasoning_effort",
        "reasoning",
        "include_reasoning",
        "parallel_tool_calls",  # kept on the answer: `keeps_first_call`
    }
)
_OF_GEMINI: Final = frozenset({"safetySettings", "cachedContent", "labels"})
"""Fields of Google's own that callers may add."""
_HARMLESS: Final = frozenset(
    {
        "model",
        "models",
        "stream",
        "stream_options",
        "store",
        "metadata",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        "prediction",
        "service_tier",
        "provider",
        "route",
        "transforms",
        "session_id",
        "trace",
        "usage",
        "router",
    }
)
"""Fields that do not change an answer."""
_AS_IT_IS: Final[dict[str, tuple[object, ...]]] = {
    "logit_bias": ({},),
    "modalities": (["text"],),
    "functions": ([],),
}
"""Values that ask for what Gemini does anyway; others cannot be said."""


def gemini_request(body: Mapping[str, Any]) -> Json:
    """Return Gemini's body of a chat body.

    Raises
    ------
    InvalidRequestError
        If Gemini's format cannot express something in it that matters; unknown fields count as such.
    """
    _refuse_others(body)
    contents, system = contents_of(a_list(body.get("messages"), "messages"))
    request: Json = {"contents": contents}
    if system is not None:
        request["systemInstruction"] = system
    declarations = function_declarations(a_list(body.get("tools"), "tools"))
    if declarations:
        request["tools"] = [{"functionDeclarations": declarations}]
        request |= tool_config(body.get("tool_choice"))
    config = _generation_config(body)
    if config:
        request["generationConfig"] = config
    return request | {camel(name): value for name, value in body.items() if camel(name) in _OF_GEMINI}


def _refuse_others(body: Mapping[str, Any]) -> None:
    for name, value in body.items():
        if (
            value is None
            or name in _TRANSLATED
            or name in _GENERATION
            or name in _HARMLESS
            or camel(name) in _OF_GEMINI
        ):
            continue
        if value not in _AS_IT_IS.get(name, ()):
            raise cannot_say(name, "Gemini", "leave it out or ask for another model")


def _generation_config(body: Mapping[str, Any]) -> Json:
    config = {
        theirs: body[ours]
        for ours, theirs in _GENERATION.items()
        if body.get(ours) is not None and body[ours] != _DEFAULTS.get(ours)
    }
    stop = body.get("stop")
    if stop:
        config["stopSequences"] = [stop] if isinstance(stop, str) else a_list(stop, "stop")
    config |= _response_format(an_object(body.get("response_format"), "response_format"))
    thinking = thinking_config(body)
    return config | ({"thinkingConfig": thinking} if thinking else {})


def _response_format(wanted: Json) -> Json:
    kind = a_text(wanted.get("type", "text"), "response_format.type")
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"responseMimeType": "application/json"}
    if kind != "json_schema":
        raise cannot_say("response_format.type", f"Gemini if it is {kind!r}", "use text, json_object or json_schema")
    schema = an_object(wanted.get("json_schema"), "response_format.json_schema").get("schema")
    config: Json = {"responseMimeType": "application/json"}
    return config if schema is None else config | {"responseJsonSchema": schema}


def function_declarations(tools: list[Any]) -> list[Json]:
    """Return Gemini's declarations; JSON schemas go as they are (``parametersJsonSchema``).

    Raises
    ------
    InvalidRequestError
        If a tool is not a function.

    Examples
    --------
    >>> function_declarations([{"type": "function", "function": {"name": "now", "strict": True}}])
    [{'name': 'now'}]
    """
    return [_declaration(an_object(tool, f"tools[{i}]"), f"tools[{i}]") for i, tool in enumerate(tools)]


def tool_config(choice: object) -> Json:
    """Return ``toolConfig`` of a ``tool_choice``; empty if it is the default.

    Examples
    --------
    >>> tool_config({"type": "function", "function": {"name": "now"}})["toolConfig"]["functionCallingConfig"]
    {'mode': 'ANY', 'allowedFunctionNames': ['now']}
    """
    if choice is None or choice == "auto":
        return {}
    if choice == "none":
        return _config("NONE")
    if choice == "required":
        return _config("ANY")
    kind = choice.get("type") if isinstance(choice, dict) else None
    if isinstance(choice, dict) and kind == "function":
        return _config("ANY", [_name_of(choice, "tool_choice")])
    if isinstance(choice, dict) and kind == "allowed_tools":
        return _allowed(an_object(choice.get("allowed_tools"), "tool_choice.allowed_tools"))
    raise InvalidRequestError(
        f"'tool_choice' is {choice!r:.100}; expected auto, none, required or a function to call", param="tool_choice"
    )


def _allowed(allowed: Json) -> Json:
    """Return the choice among some tools; ``VALIDATED`` lets the model write text instead, ``ANY`` does not."""
    where = "tool_choice.allowed_tools.tools"
    names = [_name_of(an_object(tool, where), where) for tool in a_list(allowed.get("tools"), where)]
    return _config("ANY" if allowed.get("mode") == "required" else "VALIDATED", names)


def _config(mode: str, names: list[str] | None = None) -> Json:
    allowed = {"allowedFunctionNames": names} if names else {}
    return {"toolConfig": {"functionCallingConfig": {"mode": mode} | allowed}}


def _name_of(tool: Json, where: str) -> str:
    return a_text(an_object(tool.get("function"), f"{where}.function").get("name"), f"{where}.function.name")


def _declaration(tool: Json, where: str) -> Json:
    if tool.get("type") != "function":
        raise cannot_say(f"{where}.type", f"Gemini if it is {tool.get('type')!r}", "use functions")
    function = an_object(tool.get("function"), f"{where}.function")
    declaration: Json = {"name": a_text(function.get("name"), f"{where}.function.name")}
    if function.get("description"):
        declaration["description"] = function["description"]
    if function.get("parameters"):
        declaration["parametersJsonSchema"] = function["parameters"]
    return declaration
