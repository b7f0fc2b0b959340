"""Tools and the choice among them, said to Gemini."""

from typing import Any

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Json
from router_model.serving.formats.translations.gemini.fields import a_list, a_text, an_object, cannot_say


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
    """Return ``toolConfig`` of a ``tool_choice``; empty where it is the default.

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
        raise cannot_say(f"{where}.type", f"Gemini where it is {tool.get('type')!r}", "use functions")
    function = an_object(tool.get("function"), f"{where}.function")
    declaration: Json = {"name": a_text(function.get("name"), f"{where}.function.name")}
    if function.get("description"):
        declaration["description"] = function["description"]
    if function.get("parameters"):
        declaration["parametersJsonSchema"] = function["parameters"]
    return declaration
