"""Write the streams of ``/v1/messages``."""

from collections.abc import Iterator, Mapping
from typing import Any

from router_model.serving.formats.anthropic.error_body import error_event
from router_model.serving.formats.anthropic.tolerant import TOOL, stop_reason, whole_message
from router_model.serving.formats.anthropic.usage import write_usage
from router_model.serving.formats.format import Facts
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.shapes import Json, mapping
from router_model.serving.providers.failures import UpstreamFailure

_BLOCK_OF: Mapping[str, Json] = {
    "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "signature_delta": {"type": "thinking", "thinking": "", "signature": ""},
}


class AnthropicWriter:
    """Writes the events of one stream, with our model's name; ``message_delta`` waits for the usage and its cost.

    What a provider leaves out is written all the same: the beginning of the message and of a block, the end of a block.
    The input of a tool that stands in the beginning of its block follows in a delta, where the SDKs look for it.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._last: Json = {}
        self._has_begun = False
        self._open: dict[int, Any] = {}
        """By index of the blocks that are open: the input that stood in the beginning, if none has come in pieces."""
        self._has_calls = False

    def write(self, event: Json) -> list[bytes]:
        """Return the event as it is sent, and before it what should have been; nothing of the last ones."""
        return [encoded(one) for one in self._by_the_book(event)]

    def end(self, facts: Facts, extras: Mapping[str, Any]) -> list[bytes]:
        """Return the ends of open blocks, ``message_delta`` with usage, cost and `extras`, and ``message_stop``."""
        delta = {"stop_reason": None, "stop_sequence": None, **self._last.get("delta", {})}
        reason = delta["stop_reason"] or facts.finish_reason or "end_turn"
        delta["stop_reason"] = stop_reason(reason, has_calls=self._has_calls)
        usage = write_usage(facts, self._last.get("usage"))
        last = {**self._last, "type": "message_delta", "delta": delta, "usage": usage, **extras}
        begun = [] if self._has_begun else [self._begin({})]
        stops = [one for index in sorted(self._open) for one in self._stop(index)]
        return [encoded(one) for one in (*begun, *stops, last, {"type": "message_stop"})]

    def fail(self, failure: UpstreamFailure) -> list[bytes]:
        """Return ``event: error``, which is the last."""
        return [encoded(error_event(failure))]

    def _by_the_book(self, event: Json) -> Iterator[Json]:
        type_ = event["type"]
        if type_ == "message_delta":
            self._hold(event)
            return
        # `end` writes message_stop, because message_delta, which waits for the cost, has to come before it.
        if type_ == "message_stop" or (type_ == "message_start" and self._has_begun):
            return
        if not self._has_begun:
            yield self._begin(event)
            if type_ == "message_start":
                return
        match type_:
            case "content_block_start":
                yield self._start(event)
            case "content_block_delta":
                yield from self._delta(event)
            case "content_block_stop":
                yield from self._stop(event["index"]) if event["index"] in self._open else ()
            case _:
                yield event

    def _begin(self, event: Json) -> Json:
        usage = {"input_tokens": 0, "output_tokens": 0}
        message = mapping(event.get("message"))
        said = {name: count for name, count in mapping(message.get("usage")).items() if count is not None}
        begun = whole_message(message) | {"content": [], "model": self._model, "stop_reason": None}
        self._has_begun = True
        return {**event, "type": "message_start", "message": begun | {"usage": usage | said}}

    def _start(self, event: Json) -> Json:
        block = event["content_block"]
        self._has_calls |= block.get("type") == TOOL
        self._open[event["index"]] = given = block.get("input")
        return {**event, "content_block": {**block, "input": {}}} if given else event

    def _delta(self, event: Json) -> Iterator[Json]:
        index, delta = event["index"], event["delta"]
        if index not in self._open:
            block = _BLOCK_OF.get(delta.get("type"), {"type": "text", "text": ""})
            yield self._start({"type": "content_block_start", "index": index, "content_block": block})
        if delta.get("partial_json"):
            self._open[index] = None
        yield event

    def _stop(self, index: int) -> Iterator[Json]:
        given = self._open.pop(index)
        if given:
            delta = {"type": "input_json_delta", "partial_json": dump(given).decode()}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}

    def _hold(self, event: Json) -> None:
        """Keep what is known about the end; there may be several such events, and their counts are totals."""
        held = self._last
        self._last = {**held, **event}
        for part in ("delta", "usage"):
            new = {name: value for name, value in mapping(event.get(part)).items() if value is not None}
            self._last[part] = {**held.get(part, {}), **new}


def encoded(event: Json) -> bytes:
    r"""Return an event as bytes.

    >>> encoded({"type": "ping"})
    b'event: ping\ndata: {"type":"ping"}\n\n'
    """
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), dump(event))
