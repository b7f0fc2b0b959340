"""Assemble the events of a stream of Responses into the whole response, and the reverse."""

from collections.abc import Iterator
from typing import Any, Final

from router_model.serving.formats.format import Facts
from router_model.serving.formats.responses.reader import ENDS
from router_model.serving.formats.responses.response_object import outputs
from router_model.serving.formats.shapes import Json, index_or_none, mapping, mappings, text

_ARGUMENTS: Final = {
    "function_call": ("function_call_arguments", "arguments"),
    "custom_tool_call": ("custom_tool_call_input", "input"),
}
"""Types of items with one text: what their events are called, and the field."""
_PARTS: Final = {
    "output_text": ("output_text", "text"),
    "refusal": ("refusal", "refusal"),
    "reasoning_text": ("reasoning_text", "text"),
    "summary_text": ("reasoning_summary_text", "text"),
}
"""Types of parts with a text: what their events are called, and the field."""


class ResponseAssembler:
    """Puts one stream together (an `Assembler`); its last event has nearly all of it.

    Examples
    --------
    >>> assembler = ResponseAssembler()
    >>> item = {"type": "function_call", "id": "fc_1", "name": "look", "arguments": "{}"}
    >>> assembler.add({"type": "response.output_item.done", "output_index": 0, "item": item})
    >>> assembler.add({"type": "response.completed", "response": {"id": "r", "status": "completed"}})
    >>> assembler.answer(Facts())["output"] == [item]
    True
    """

    def __init__(self) -> None:
        self._response: Json = {}
        self._items: dict[int, Json] = {}

    def add(self, event: Json) -> None:
        """Take the next event."""
        if event["type"] == "response.output_item.done":
            index = index_or_none({"index": event.get("output_index")})
            self._items[len(self._items) if index is None else index] = mapping(event.get("item"))
        elif event["type"] in ENDS:
            self._response = mapping(event.get("response"))

    def answer(self, facts: Facts) -> Json:  # noqa: ARG002  (the protocol's)
        """Return the response; its items are those that were done, if the last event does not repeat them."""
        items = outputs(self._response) or [self._items[index] for index in sorted(self._items)]
        return {"object": "response", **self._response, "output": items}


def response_events(response: Json) -> list[Json]:
    """Return the events of a response that is over: each text in one piece.

    Examples
    --------
    >>> call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": "{}"}
    >>> for event in response_events({"id": "r", "status": "completed", "output": [call]}):
    ...     print(event["type"])
    response.created
    response.output_item.added
    response.function_call_arguments.delta
    response.function_call_arguments.done
    response.output_item.done
    response.completed
    """
    begun = {**response, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    items = [event for index, item in enumerate(outputs(response)) for event in _item(index, item)]
    ended = {"type": f"response.{text(response.get('status')) or 'completed'}", "response": response}
    return [{"type": "response.created", "response": begun}, *items, ended]


def _item(index: int, item: Json) -> Iterator[Json]:
    where = {"item_id": text(item.get("id")), "output_index": index}
    kind, field = _ARGUMENTS.get(text(item.get("type")), ("", ""))
    parts, summary = mappings(item.get("content")), mappings(item.get("summary"))
    emptied: Json = {name: [] for name in ("content", "summary") if item.get(name)} | ({field: ""} if kind else {})
    begun = item | emptied | ({"status": "in_progress"} if "status" in item else {})
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    for at, part in enumerate(summary):
        yield from _part("reasoning_summary_part", part, where | {"summary_index": at})
    for at, part in enumerate(parts):
        yield from _part("content_part", part, where | {"content_index": at})
    if kind:
        yield from _text(kind, field, text(item.get(field)), where)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _part(what: str, part: Json, where: Json) -> Iterator[Json]:
    kind, field = _PARTS.get(text(part.get("type")), ("", ""))
    yield {"type": f"response.{what}.added", **where, "part": part | ({field: ""} if kind else {})}
    for at, cited in enumerate(mappings(part.get("annotations"))):
        about = {"annotation_index": at, "annotation": cited}
        yield {"type": "response.output_text.annotation.added", **where, **about}
    if kind:
        logprobs = {"logprobs": part.get("logprobs") or []} if kind == "output_text" else {}
        yield from _text(kind, field, text(part.get(field)), where | logprobs)
    yield {"type": f"response.{what}.done", **where, "part": part}


def _text(kind: str, field: str, said: str, where: dict[str, Any]) -> Iterator[Json]:
    if said:
        yield {"type": f"response.{kind}.delta", **where, "delta": said}
    yield {"type": f"response.{kind}.done", **where, field: said}
