"""What of a Responses body only a provider that speaks Responses can do: each is refused by name, and never dropped.

That is what refers to something kept elsewhere (an earlier response, a conversation, a stored prompt, a file), tools
that the provider runs, and items that came of these.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.responses.tool_names import is_own_search
from router_model.serving.formats.shapes import Json, mappings, text

_FIELDS: Final[Mapping[str, str]] = {
    "previous_response_id": "send the whole conversation in 'input' (with store=false)",
    "conversation": "send the whole conversation in 'input' (with store=false)",
    "prompt": "send the prompt's text in 'instructions' and 'input'",
    "background": "leave it out and wait for the answer, or stream it",
    "moderation": "leave it out",
}
_TOOLS: Final = frozenset({"function", "custom", "namespace"})
_ITEMS: Final = frozenset(
    {
        *("message", "reasoning", "function_call", "function_call_output", "custom_tool_call"),
        *("custom_tool_call_output", "additional_tools"),
    }
)
_REFERENCE: Final = "item_reference"
_IN_FULL: Final = "send the item itself, as clients do that are told to store nothing (store=false)"
_WITH_PARTS: Final = ("content", "output")
_LONGEST: Final = 60


class Only(NamedTuple):
    """One such thing: the field that it is in, its name, and what to do instead."""

    param: str
    what: str
    instead: str


def only_responses(body: Mapping[str, Any]) -> Iterator[Only]:
    """Yield what no other format can say.

    Examples
    --------
    >>> [one.what for one in only_responses({"input": "Hi", "tools": [{"type": "web_search"}], "background": False})]
    ["'tools': 'web_search'"]
    """
    for name, instead in _FIELDS.items():
        if body.get(name):
            yield Only(name, f"'{name}'", instead)
    yield from _tools(body.get("tools"), "tools")
    for place, item in enumerate(mappings(body.get("input"))):
        yield from _in_item(item, f"input[{place}]")


def is_for_all(item: Mapping[str, Any]) -> bool:
    """Tell whether any format can say an item."""
    return next(_in_item(item, ""), None) is None


def refused(one: Only) -> InvalidRequestError:
    """Return the error of a provider that does not speak Responses."""
    return InvalidRequestError(
        f"{one.what} needs a provider that speaks Responses (kind 'openai-responses'), and the model's does not; "
        f"{one.instead}, or let such a model answer",
        param=one.param,
    )


def _tools(tools: object, where: str) -> Iterator[Only]:
    for tool in mappings(tools):
        type_ = text(tool.get("type"))
        if type_ not in _TOOLS and not is_own_search(tool):
            yield Only(where.partition("[")[0], f"'{where}': {type_[:_LONGEST]!r}", "leave the tool out")


def _in_item(item: Mapping[str, Any], where: str) -> Iterator[Only]:
    type_ = item_type(item)
    if type_ not in _ITEMS and not is_own_search(item):
        instead = _IN_FULL if type_ == _REFERENCE else "leave the item out"
        yield Only("input", f"'{where}': an item of type {type_[:_LONGEST]!r}", instead)
    if type_ in ("additional_tools", "tool_search_output"):
        yield from _tools(item.get("tools"), f"{where}.tools")
    for name in _WITH_PARTS:
        for part in mappings(item.get(name)):
            yield from _in_part(part, f"{where}.{name}")


def _in_part(part: Json, where: str) -> Iterator[Only]:
    for name in ("file_id", "file_url"):
        if part.get(name):
            field = "image_url" if part.get("type") == "input_image" else "file_data"
            yield Only("input", f"'{where}': a {name!r}", f"send the content as '{field}'")


def item_type(item: Mapping[str, Any]) -> str:
    """Return the type of an item; a message need not say it.

    >>> item_type({"role": "user", "content": "Hi"}), item_type({"id": "msg_1"})
    ('message', 'item_reference')
    """
    return text(item.get("type")) or ("message" if "role" in item else _REFERENCE)
