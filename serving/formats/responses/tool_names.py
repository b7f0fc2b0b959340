"""Give the tools of a Responses body the flat names of chat functions, and give answers the tools' own names back.

Chat completions know functions only, in one list. So a tool in a namespace gets a name made of both names, and a custom
tool, whose input is any text, becomes a function with one text. A search for tools that the caller runs is a function,
too, and the tools that it found join the others. A call of such a function becomes a call of the tool.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from router_model.serving.formats.shapes import Json, mapping, mappings, text

_LONGEST: Final = 64
"""Characters of a function's name that providers take."""
SEARCH: Final = "tool_search"
"""The type and the name of a tool that finds other tools; ``execution`` says who runs it."""
_ADDING: Final = ("additional_tools", "tool_search_output")
"""Types of items that add tools."""
CUSTOM_INPUT: Final = "input"
"""The one argument of a function that stands for a custom tool."""


@dataclass(frozen=True, slots=True)
class ToolName:
    """How a Responses body names a tool.

    Attributes
    ----------
    name, namespace : str
        The namespace is empty for a tool outside of all.
    kind : str
        ``function``, ``custom`` (it takes any text instead of JSON) or ``tool_search``.
    """

    name: str
    namespace: str = ""
    kind: str = "function"


def tools_in(body: Mapping[str, Any]) -> list[Json]:
    """Return all tools of a body: of ``tools``, and those that items of the conversation add."""
    added = [item for item in mappings(body.get("input")) if item.get("type") in _ADDING]
    return [*mappings(body.get("tools")), *(tool for item in added for tool in mappings(item.get("tools")))]


def flat_tools(body: Mapping[str, Any]) -> Iterator[tuple[ToolName, Json]]:
    """Yield the tools of a body that the caller runs with their names; those in namespaces one by one."""
    for tool in tools_in(body):
        namespace = text(tool.get("name")) if tool.get("type") == "namespace" else ""
        for one in mappings(tool.get("tools")) if tool.get("type") == "namespace" else [tool]:
            if one.get("type") in ("function", "custom"):
                yield ToolName(text(one.get("name")), namespace, one["type"]), one
            elif is_own_search(one):
                yield ToolName(SEARCH, kind=SEARCH), one


def is_own_search(one: Mapping[str, Any]) -> bool:
    """Tell whether a tool, or an item, is of a search for tools that the caller runs."""
    return text(one.get("type")).startswith(SEARCH) and one.get("execution") == "client"


def flat_name(name: str, namespace: str = "") -> str:
    """Return the name of a chat function.

    Examples
    --------
    >>> flat_name("search"), flat_name("search", "docs"), flat_name("search", "mcp__docs__")
    ('search', 'docs__search', 'mcp__docs__search')
    >>> len(flat_name("search", "a" * 80))
    64
    """
    if not namespace:
        return name
    flat = f"{namespace.rstrip('_')}__{name}"
    if len(flat) <= _LONGEST:
        return flat
    mark = hashlib.sha256(flat.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{flat[: _LONGEST - len(mark) - 1]}_{mark}"


def tool_names(body: Mapping[str, Any]) -> dict[str, ToolName]:
    """Return the tools of a body that chat has other names or no word for, by their flat names.

    Examples
    --------
    >>> inner = [{"type": "function", "name": "search"}]
    >>> tools = [{"type": "namespace", "name": "docs", "tools": inner}, {"type": "custom", "name": "patch"}]
    >>> tool_names({"tools": tools})["docs__search"]
    ToolName(name='search', namespace='docs', kind='function')
    """
    named = {flat_name(one.name, one.namespace): one for one, _ in flat_tools(body)}
    return {flat: one for flat, one in named.items() if one.namespace or one.kind != "function"}


def with_own_name(item: Json, names: Mapping[str, ToolName]) -> Json:
    """Return an item of an answer; a call of a function by its flat name becomes a call of the tool.

    Examples
    --------
    >>> item = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "patch", "arguments": '{"input": "+a"}'}
    >>> with_own_name(item, {"patch": ToolName("patch", kind="custom")})
    {'type': 'custom_tool_call', 'id': 'fc_1', 'call_id': 'c', 'name': 'patch', 'input': '+a'}
    """
    own = names.get(text(item.get("name"))) if item.get("type") == "function_call" else None
    if own is None or item.get("namespace"):
        return item
    named = {**item, "name": own.name} | ({"namespace": own.namespace} if own.namespace else {})
    if own.kind == "function":
        return named
    if own.kind == SEARCH:
        left = {name: value for name, value in named.items() if name not in ("name", "extra_content")}
        return {**left, "type": "tool_search_call", "execution": "client", "arguments": _object(item.get("arguments"))}
    left = {name: value for name, value in named.items() if name not in ("arguments", "status")}
    return {**left, "type": "custom_tool_call", "input": custom_input(text(item.get("arguments")))}


def _object(arguments: object) -> Json:
    try:
        return mapping(orjson.loads(text(arguments)))
    except orjson.JSONDecodeError:
        return {}  # of a call that has just begun, or was cut


def custom_input(arguments: str) -> str:
    """Return the text that a custom tool is called with; a model that wrote no JSON has written that text itself.

    >>> custom_input('{"input": "ls"}'), custom_input("ls"), custom_input("")
    ('ls', 'ls', '')
    """
    try:
        given = mapping(orjson.loads(arguments)).get(CUSTOM_INPUT)
    except orjson.JSONDecodeError:
        return arguments
    return given if isinstance(given, str) else arguments
