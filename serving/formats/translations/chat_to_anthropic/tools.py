"""Tools and the choice among them."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Json
from router_model.serving.formats.shapes import asked_objects, mapping, mappings, text
from router_model.serving.formats.translations.chat_to_anthropic.schema import closed

_CHOICES: Final[Mapping[str, str]] = {"auto": "auto", "none": "none", "required": "any"}


def put_tools(request: Json, body: Mapping[str, Any]) -> None:
    """Put ``tools`` and ``tool_choice``; without tools there is no choice.

    Raises
    ------
    InvalidRequestError
        If there is one that is no function, or a choice that Anthropic does not have.
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
        raise InvalidRequestError("'tools': only functions can be offered to Anthropic's models", param="tools")
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
        f"'tool_choice' {str(choice)[:100]!r} cannot be asked of Anthropic's models; "
        "use 'auto', 'none', 'required' or a function",
        param="tool_choice",
    )


def _name(tool: Mapping[str, Any]) -> str:
    return text(mapping(tool.get("function")).get("name"))
