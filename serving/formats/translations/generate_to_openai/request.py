"""Translate a body of Google's surface, its tools and its schemas into a chat body."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.shapes import Json
from router_model.serving.formats.translations.generate_to_openai.messages import messages_of
from router_model.serving.formats.translations.google_fields import a_list, a_text, an_object, camel, cannot_say, get
from router_model.serving.formats.translations.google_thinking import reasoning_effort

_OPENAI: Final = "an OpenAI-compatible provider"
_TRANSLATED: Final = frozenset({"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"})
_HARMLESS: Final = frozenset({"model", "stream", "safetySettings", "labels", "serviceTier", "store"})
"""Fields that do not change an answer; safety settings are those of Google's own filters."""
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
_CHOICES: Final = {"AUTO": {}, "VALIDATED": {}, "ANY": {"tool_choice": "required"}, "NONE": {"tool_choice": "none"}}
_RENAMED: Final = {"defs": "$defs", "ref": "$ref"}
_COUNTS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
# Google's own words, which JSON schema does not have; `_or_null` translates the first.
_DROPPED: Final = frozenset({"nullable", "propertyOrdering", "example"})


def chat_request(body: Mapping[str, Any]) -> Json:
    """Return the chat body of a ``generateContent`` body.

    Raises
    ------
    InvalidRequestError
        If OpenAI's format cannot express something in it that matters; unknown fields count as such.
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
            "generationConfig.responseMimeType", f"{_OPENAI} if it is {mime!r}", "use text/plain or application/json"
        )
    # Google takes types in upper case in either, as its SDKs write them.
    names = ("responseJsonSchema", "responseSchema")
    given = next(((name, get(config, name)) for name in names if get(config, name) is not None), None)
    schema = None if given is None else json_schema(an_object(given[1], f"generationConfig.{given[0]}"))
    if schema is None:
        return {"response_format": {"type": "json_object"}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}


def chat_tools(tools: list[Any], allowed: list[str] | None) -> list[Json]:
    """Return OpenAI's tools, of the allowed ones; None allows all.

    Raises
    ------
    InvalidRequestError
        If a tool is one of Google's own, as its search is.
    """
    functions = []
    for i, tool in enumerate(tools):
        where = f"tools[{i}]"
        fields = an_object(tool, where)
        for name, value in fields.items():
            if camel(name) != "functionDeclarations" and value is not None:
                raise cannot_say(f"{where}.{camel(name)}", "an OpenAI-compatible provider", "ask for a Gemini model")
        declarations = a_list(get(fields, "functionDeclarations"), f"{where}.functionDeclarations")
        functions += [
            _function(an_object(one, f"{where}.functionDeclarations[{k}]"), f"{where}.functionDeclarations[{k}]")
            for k, one in enumerate(declarations)
        ]
    return [
        {"type": "function", "function": function}
        for function in functions
        if allowed is None or function["name"] in allowed
    ]


def allowed_names(config: Json) -> list[str] | None:
    """Return the functions that ``toolConfig`` allows; None if it allows all.

    >>> allowed_names({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["now"]}})
    ['now']
    """
    names = a_list(
        get(_calling(config), "allowedFunctionNames"), "toolConfig.functionCallingConfig.allowedFunctionNames"
    )
    return names or None


def tool_choice(config: Json) -> Json:
    """Return ``tool_choice`` of a ``toolConfig``; empty if it is the default.

    A model that must call one of some functions is shown only those (`chat_tools`), which every provider can be told.

    >>> tool_choice({"functionCallingConfig": {"mode": "ANY"}}), tool_choice({})
    ({'tool_choice': 'required'}, {})
    """
    mode = get(_calling(config), "mode") or "AUTO"
    if not isinstance(mode, str) or mode.upper() not in _CHOICES:
        raise InvalidRequestError(
            f"'toolConfig.functionCallingConfig.mode' is {mode!r:.100}; expected one of {', '.join(_CHOICES)}",
            param="toolConfig.functionCallingConfig.mode",
        )
    return dict(_CHOICES[mode.upper()])


def _calling(config: Json) -> Json:
    return an_object(get(config, "functionCallingConfig"), "toolConfig.functionCallingConfig")


def _function(declaration: Json, where: str) -> Json:
    function: Json = {"name": a_text(declaration.get("name"), f"{where}.name")}
    if declaration.get("description"):
        function["description"] = declaration["description"]
    schema = get(declaration, "parametersJsonSchema")
    given = declaration.get("parameters")
    if schema is not None:
        schema = json_schema(an_object(schema, f"{where}.parametersJsonSchema"))
    elif given is not None:
        schema = json_schema(an_object(given, f"{where}.parameters"))
    return function | ({"parameters": schema} if schema is not None else {})


def json_schema(schema: Json) -> Json:
    """Return the JSON schema of a schema of Google's, which is a subset of OpenAPI's; a JSON schema stays as it is.

    Types are lower case in a JSON schema, and ``nullable`` is a type. Google writes some numbers as text (``"1"``).

    Examples
    --------
    >>> json_schema({"type": "OBJECT", "properties": {"n": {"type": "INTEGER", "nullable": True}}, "required": ["n"]})
    {'type': 'object', 'properties': {'n': {'type': ['integer', 'null']}}, 'required': ['n']}
    """
    result: Json = {}
    for name, value in schema.items():
        field = camel(name)
        if field not in _DROPPED and value is not None and not (field == "format" and value == "enum"):
            result[_RENAMED.get(field, field)] = _value(field, value)
    return _or_null(result) if schema.get("nullable") else result


def _value(field: str, value: Any) -> Any:
    if field == "type":
        several = [
            one.lower() if isinstance(one, str) else one for one in (value if isinstance(value, list) else [value])
        ]
        return several if isinstance(value, list) else several[0]
    if field in _COUNTS and isinstance(value, str) and value.isdecimal():
        return int(value)
    if field in {"properties", "patternProperties", "defs", "$defs", "definitions"} and isinstance(value, dict):
        return {name: _nested(one) for name, one in value.items()}
    if field in {"items", "additionalProperties"}:
        return _nested(value)
    if field in {"anyOf", "oneOf", "allOf", "prefixItems"} and isinstance(value, list):
        return [_nested(one) for one in value]
    return value


def _nested(value: Any) -> Any:
    return json_schema(value) if isinstance(value, dict) else value


def _or_null(schema: Json) -> Json:
    if isinstance(schema.get("anyOf"), list):
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    if isinstance(schema.get("type"), str):
        schema = schema | {"type": [schema["type"], "null"]}
    if isinstance(schema.get("enum"), list):
        schema = schema | {"enum": [*schema["enum"], None]}
    return schema
