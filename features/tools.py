"""Read the tools that a request offers, in whichever provider's form they are written.

Chat bodies write ``{"type": "function", "function": {…}}``; OpenAI's Responses and Anthropic's Messages have the
function's fields at the top, and Gemini puts several functions into one object. A tool that a provider runs itself,
such as a web search, has a type and no parameters. Anything else is left out: a request that a provider will refuse
still needs a decision.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

_DECLARED = ("functionDeclarations", "function_declarations")
_PARAMETERS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema")


class Tool(NamedTuple):
    """A tool that a model may call.

    Attributes
    ----------
    name, description : str
        Empty if the request gives none.
    parameters : mapping
        JSON schema of its arguments; empty if there is none.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]


def read_tools(value: object) -> tuple[Tool, ...]:
    """Return the tools of a list of them, in their order.

    >>> read_tools([{"type": "function", "function": {"name": "add", "description": "Add two numbers."}}])
    (Tool(name='add', description='Add two numbers.', parameters={}),)
    >>> [tool.name for tool in read_tools([{"name": "a", "input_schema": {}}, {"type": "web_search"}, 7])]
    ['a', 'web_search']
    """
    return tuple(_tool(one) for one in chat_tools(value))


def chat_tools(value: object) -> list[Mapping[str, Any]]:
    """Return tools as a chat body in OpenAI's form has them; a provider's own tools stay as they are.

    >>> chat_tools([{"functionDeclarations": [{"name": "add", "description": ""}]}, {"type": "web_search"}])
    [{'type': 'function', 'function': {'name': 'add'}}, {'type': 'web_search'}]
    """
    found: list[Mapping[str, Any]] = []
    for one in value if isinstance(value, list | tuple) else ():
        if not isinstance(one, Mapping):
            continue
        declared = next((one[key] for key in _DECLARED if isinstance(one.get(key), list)), None)
        if declared is not None:
            found += [_as_chat(_tool(each)) for each in declared if isinstance(each, Mapping)]
        else:
            is_function = "function" not in one and "name" in one and any(key in one for key in _PARAMETERS)
            found.append(_as_chat(_tool(one)) if is_function else one)
    return found


def _as_chat(tool: Tool) -> Mapping[str, Any]:
    return {"type": "function", "function": {key: value for key, value in tool._asdict().items() if value}}


def _tool(one: Mapping[str, Any]) -> Tool:
    function = one.get("function", one.get("custom"))
    said: Mapping[str, Any] = function if isinstance(function, Mapping) else one
    parameters = next((said[key] for key in _PARAMETERS if isinstance(said.get(key), Mapping)), None)
    return Tool(_text(said.get("name") or said.get("type")), _text(said.get("description")), parameters or {})


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


# --- what a predictor reads of them ------------------------------------------------------------------------

MAX_PARAMETERS = 1024
"""The most parameters of a request's tools that are read."""
_MAX_DEPTH = 16  # of schemas in schemas
_MEMBERS = ("anyOf", "oneOf", "allOf")
_TYPES = {
    **dict.fromkeys(("integer", "int", "long", "number", "float", "double"), "number"),
    **dict.fromkeys(("string", "str", "char"), "string"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("array", "list", "tuple", "arraylist", "set"), "array"),
    **dict.fromkeys(("object", "dict", "hashmap", "map"), "object"),
}


class Parameter(NamedTuple):
    """A parameter of a tool, or a field of an object among its parameters.

    Attributes
    ----------
    name, description : str
    type : str
        As it is written; the first one of several.
    depth : int
        0 for a parameter of the tool itself.
    """

    name: str
    type: str
    description: str
    depth: int

    @property
    def kind(self) -> str:
        """One of ``number``, ``string``, ``boolean``, ``array``, ``object`` and ``other``."""
        return _TYPES.get(self.type.lower(), "other")


def parameters_of(tools: Sequence[Tool]) -> list[list[Parameter]]:
    """Return each tool's parameters, and those inside them, in their order; `MAX_PARAMETERS` in all at most.

    >>> schema = {"type": "object", "properties": {"at": {"type": "object", "properties": {"x": {"type": "number"}}}}}
    >>> [(one.name, one.kind, one.depth) for one in parameters_of([Tool("f", "", schema)])[0]]
    [('at', 'object', 0), ('x', 'number', 1)]
    """
    found: list[list[Parameter]] = []
    left = MAX_PARAMETERS
    for tool in tools:
        found.append(list(islice(_inside(tool.parameters, 0), left)))
        left -= len(found[-1])
    return found


def _inside(schema: object, depth: int) -> Iterator[Parameter]:
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return
    properties = schema.get("properties")
    for name, said in properties.items() if isinstance(properties, Mapping) else ():
        about = said if isinstance(said, Mapping) else {}
        yield Parameter(str(name), _type(about), _text(about.get("description")), depth)
        yield from _inside(about, depth + 1)
    yield from _inside(schema.get("items"), depth + 1)
    for key in _MEMBERS:
        for member in schema[key] if isinstance(schema.get(key), list) else ():
            yield from _inside(member, depth + 1)


def _type(schema: Mapping[str, Any]) -> str:
    said = schema.get("type")
    if said is None:
        members: list[Any] = next((schema[key] for key in _MEMBERS if isinstance(schema.get(key), list)), [])
        said = next((one.get("type") for one in members if isinstance(one, Mapping)), None)
    return _text(next(iter(said), None) if isinstance(said, list | tuple) else said)
