"""Assemble the events of a Responses stream into the whole response; its last event has nearly all of it."""

from router_model.serving.formats.format import Facts
from router_model.serving.formats.responses.reader import ENDS
from router_model.serving.formats.responses.response_object import outputs
from router_model.serving.formats.shapes import Json, index_or_none, mapping


class ResponseAssembler:
    """Puts one stream together (an `Assembler`).

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
