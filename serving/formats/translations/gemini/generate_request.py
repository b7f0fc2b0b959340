"""A body of Google's surface, said as a chat body."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.format import Json
from router_model.serving.formats.translations.gemini.fields import a_list, a_text, an_object, camel, cannot_say, get
from router_model.serving.formats.translations.gemini.generate_contents import messages_of
from router_model.serving.formats.translations.gemini.generate_tools import allowed_names, chat_tools, tool_choice
from router_model.serving.formats.translations.gemini.schemas import json_schema
from router_model.serving.formats.translations.gemini.thinking import reasoning_effort

_OPENAI: Final = "an OpenAI-compatible provider"
_TRANSLATED: Final = frozenset({"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"})
_HARMLESS: Final = frozenset({"model", "stream", "safetySettings", "labels", "serviceTier", "store"})
"""What changes no word of an answer; safety settings are those of Google's own filters."""
_GENERATION: Final = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "seed": "seed",
    "candidateCount": "n",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "stopSequences": "stop",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}
_DEFAULTS: Final = {"candidateCount": 1, "responseLogprobs": False, "stopSequences": []}
_OTHER_GENERATION: Final = frozenset(
    {"responseMimeType", "responseSchema", "responseJsonSchema", "thinkingConfig", "mediaResolution"}
)
"""Translated by themselves; the resolution of media is a hint."""


def chat_request(body: Mapping[str, Any]) -> Json:
    """Return the chat body of a ``generateContent`` body.

    Raises
    ------
    InvalidRequestError
        If something in it cannot be said in OpenAI's format, and is not harmless; fields nobody knows are such.
    """
    for name, value in body.items():
        if value is not None and camel(name) not in _TRANSLATED | _HARMLESS:
            raise cannot_say(camel(name), _OPENAI, "leave it out or ask for a Gemini model")
    instruction = get(body, "systemInstruction")
    contents = get(body, "contents")
    request: Json = {"messages": messages_of(contents if contents is not None else [], instruction)}
    config = an_object(get(body, "toolConfig"), "toolConfig")
    tools = chat_tools(a_list(get(body, "tools"), "tools"), allowed_names(config))
    if tools:
        request |= {"tools": tools} | tool_choice(config)
    return request | _sampling(an_object(get(body, "generationConfig"), "generationConfig"))


def _sampling(config: Json) -> Json:
    request: Json = {}
    for name, value in config.items():
        theirs = camel(name)
        if value is None or theirs in _OTHER_GENERATION or value == _DEFAULTS.get(theirs):
            continue
        if theirs in _GENERATION:
            request[_GENERATION[theirs]] = value
        elif theirs != "responseModalities" or value != ["TEXT"]:
            raise cannot_say(f"generationConfig.{theirs}", _OPENAI, "leave it out or ask for a Gemini model")
    request |= _response_format(config)
    where = "generationConfig.thinkingConfig"
    effort = reasoning_effort(an_object(get(config, "thinkingConfig"), where), where)
    return request | ({"reasoning_effort": effort} if effort else {})


def _response_format(config: Json) -> Json:
    mime = a_text(get(config, "responseMimeType") or "text/plain", "generationConfig.responseMimeType")
    if mime == "text/plain":
        return {}
    if mime != "application/json":
        raise cannot_say(
            "generationConfig.responseMimeType", f"{_OPENAI} where it is {mime!r}", "use text/plain or application/json"
        )
    schema = get(config, "responseJsonSchema")
    if schema is None:
        given = get(config, "responseSchema")
        schema = None if given is None else json_schema(an_object(given, "generationConfig.responseSchema"))
    if schema is None:
        return {"response_format": {"type": "json_object"}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}
