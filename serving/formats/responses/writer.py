"""Write the events of Responses; the last waits for the usage and its cost."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from router_model.serving.common.causes import Shape, said_of
from router_model.serving.formats.format import Call, Facts
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.responses.reader import BEGINS, ENDS
from router_model.serving.formats.responses.response_object import for_caller, outputs, response_object
from router_model.serving.formats.responses.tool_names import custom_input, tool_names, with_own_name
from router_model.serving.formats.responses.usage import write_usage
from router_model.serving.formats.shapes import Json, mapping, text
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Target

_ARGUMENTS: Final = "response.function_call_arguments"
_INPUT: Final = "response.custom_tool_call_input"
_OURS: Final = ("id", "model")
_OURS_OF_KEPT: Final = (*_OURS, "store", "previous_response_id")
"""Fields in which the last event says what the first one did."""
_CODES: Final = {
    FailureKind.RATE_LIMITED: "rate_limit_exceeded",
    FailureKind.BUSY: "rate_limit_exceeded",
    FailureKind.BAD_REQUEST: "invalid_prompt",
    FailureKind.REFUSED: "invalid_prompt",
}


class ResponsesWriter:
    """Writes the events of one stream (an `EventWriter`), numbered anew and with our model's name.

    What a provider leaves out is written all the same: ``response.created`` first, ``response.in_progress`` after it.
    """

    def __init__(self, call: Call, target: Target) -> None:
        self._call = call
        self._target = target
        self._names = tool_names(call.body)
        self._n_events = 0
        self._response: Json | None = None
        self._last: Json | None = None
        self._done: dict[int, Json] = {}
        self._whole: list[Json] = []
        """The same items, with the reasoning that goes back to the model."""
        self._other: dict[object, str] = {}
        """Types of the calls of functions that stand for tools of other types, by id."""

    def write(self, event: Json) -> list[bytes]:
        """Return events, ready to be sent; nothing of the last one, which waits for the usage."""
        type_ = event["type"]
        if type_ in ENDS:
            self._last = event
            return []
        sent: list[bytes] = []
        if self._response is None:
            sent = self._begin(mapping(event.get("response")))
        if type_ in BEGINS:
            return sent
        for one in self._for_caller(event):
            sent += self._sent(one)
        return sent

    def end(self, facts: Facts, extras: Mapping[str, Any]) -> list[bytes]:
        """Return the last event: the whole response with usage, cost and `extras`."""
        begun = [] if self._response is not None else self._begin({"id": facts.response_id})
        said = mapping((self._last or {}).get("response"))
        items = [for_caller(item, self._call, self._names) for item in outputs(said)]
        whole = {**(self._response or {}), **said, "output": items or [self._done[at] for at in sorted(self._done)]}
        ours = _OURS if self._call.exchange is None else _OURS_OF_KEPT
        whole |= {name: (self._response or {}).get(name) for name in ours}
        whole["usage"] = write_usage(mapping(said.get("usage")), facts)
        whole["status"] = "incomplete" if text(said.get("status")) == "incomplete" else "completed"
        whole |= extras
        if self._call.exchange is not None:
            self._call.exchange.response = whole
            self._call.exchange.output = [with_own_name(one, self._names) for one in outputs(said)] or self._whole
        return begun + self._sent({"type": f"response.{whole['status']}", "response": whole})

    def fail(self, failure: UpstreamFailure) -> list[bytes]:
        """Return ``error`` and ``response.failed``, because clients read the one or the other."""
        begun = [] if self._response is not None else self._begin({})
        said = said_of(failure.cause, Shape.OPENAI)
        code = said.code or said.type or _CODES.get(failure.kind, "server_error")
        message = said.message(failure.words, None)
        about = {"code": code, "message": message, "param": failure.param}
        # OpenAI documents the fields on the event, and sends them in an object; its SDK raises the latter.
        error = {"type": "error", **about, "error": {"type": said.type or "server_error", **about}}
        items = [self._done[at] for at in sorted(self._done)]
        failed = {"status": "failed", "error": {"code": code, "message": message}, "output": items}
        response = {**(self._response or {}), **failed}
        return begun + self._sent(error) + self._sent({"type": "response.failed", "response": response})

    def _begin(self, said: Json) -> list[bytes]:
        self._response = {**response_object(said, self._call, self._target), "status": "in_progress"}
        created = self._sent({"type": "response.created", "response": self._response})
        return created + self._sent({"type": "response.in_progress", "response": self._response})

    def _for_caller(self, event: Json) -> Iterator[Json]:
        """Yield an event as the caller knows its tools; the input of a custom tool comes in one piece."""
        item_id, type_ = text(event.get("item_id")), event["type"]
        item = event.get("item")
        if isinstance(item, dict):
            own = for_caller(item, self._call, self._names)
            if own.get("type") != item.get("type"):
                self._other[text(item.get("id"))] = own["type"]
            if type_ == "response.output_item.done":
                self._done[len(self._done)] = own
                self._whole.append(with_own_name(item, self._names))
            yield {**event, "item": own}
        elif item_id not in self._other or not type_.startswith(_ARGUMENTS):
            yield event
        elif type_ == f"{_ARGUMENTS}.done" and self._other[item_id] == "custom_tool_call":
            given = custom_input(text(event.get("arguments")))
            where = {"item_id": event.get("item_id"), "output_index": event.get("output_index")}
            yield {"type": f"{_INPUT}.delta", **where, "delta": given}
            yield {"type": f"{_INPUT}.done", **where, "input": given}

    def _sent(self, event: Json) -> list[bytes]:
        numbered = {**event, "sequence_number": self._n_events}
        self._n_events += 1
        return [b"event: %b\ndata: %b\n\n" % (event["type"].encode(), dump(numbered))]
