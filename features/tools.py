"""Read the tools that a request offers, in whichever provider's form they are written.

Chat bodies write ``{"type": "function", "function": {…}}``; OpenAI's Responses and Anthropic's Messages have the
function's fields at the top, and Gemini puts several functions into one object. A tool that a provider runs itself,
such as a web search, has a type and no parameters. Anything else is left out: a request that a provider will refuse
still needs a decision.
"""

from collections.abc import Mapping
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
    return Tool(
        text_or_empty(said.get("name") or said.get("type")), text_or_empty(said.get("description")), parameters or {}
    )


def text_or_empty(value: object) -> str:
    """Return a text, and an empty one instead of anything else."""
    return value if isinstance(value, str) else ""
