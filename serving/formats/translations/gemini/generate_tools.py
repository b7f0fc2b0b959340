"""Google's function declarations and the choice among them, said as OpenAI's tools."""

from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Json
from router_model.serving.formats.translations.gemini.fields import a_list, a_text, an_object, camel, cannot_say, get
from router_model.serving.formats.translations.gemini.schemas import json_schema

_CHOICES: Final = {"AUTO": {}, "VALIDATED": {}, "ANY": {"tool_choice": "required"}, "NONE": {"tool_choice": "none"}}


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
    """Return the functions that ``toolConfig`` allows; None where it allows all.

    >>> allowed_names({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["now"]}})
    ['now']
    """
    names = a_list(
        get(_calling(config), "allowedFunctionNames"), "toolConfig.functionCallingConfig.allowedFunctionNames"
    )
    return names or None


def tool_choice(config: Json) -> Json:
    """Return ``tool_choice`` of a ``toolConfig``; empty where it is the default.

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
    if schema is None and given is not None:
        schema = json_schema(an_object(given, f"{where}.parameters"))
    return function | ({"parameters": schema} if schema is not None else {})
