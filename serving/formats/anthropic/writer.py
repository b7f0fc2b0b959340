"""Writing a stream of ``/v1/messages``."""

from collections.abc import Mapping
from typing import Any

from serving.formats.anthropic.errors import error_event
from serving.formats.anthropic.usage import write_usage
from serving.formats.format import Facts, Json
from serving.formats.json_text import dump
from serving.formats.shapes import mapping
from serving.providers.failures import UpstreamFailure


class AnthropicWriter:
    """Writes the events of one stream, with our model's name; ``message_delta`` waits for the usage and its cost."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._last: Json = {}

    def write(self, event: Json) -> list[bytes]:
        """Return the event as it is sent; nothing of the last ones."""
        type_ = event["type"]
        if type_ == "message_delta":
            self._hold(event)
            return []
        if type_ == "message_stop":
            return []
        if type_ == "message_start":
            event = {**event, "message": {**mapping(event.get("message")), "model": self._model}}
        return [encoded(event)]

    def end(self, facts: Facts, extras: Mapping[str, Any]) -> list[bytes]:
        """Return ``message_delta``, with usage, cost and `extras`, and ``message_stop``."""
        delta = {"stop_reason": None, "stop_sequence": None, **self._last.get("delta", {})}
        usage = write_usage(facts, self._last.get("usage"))
        last = {**self._last, "type": "message_delta", "delta": delta, "usage": usage, **extras}
        return [encoded(last), encoded({"type": "message_stop"})]

    def fail(self, failure: UpstreamFailure) -> list[bytes]:
        """Return ``event: error``, which is the last."""
        return [encoded(error_event(failure))]

    def _hold(self, event: Json) -> None:
        """Keep what is known of the end; there may be several such events, whose counts are totals."""
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
