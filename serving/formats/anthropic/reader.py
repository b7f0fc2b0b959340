"""Read Anthropic's streams."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.anthropic.failures import failure_in
from router_model.serving.formats.anthropic.tolerant import TolerantEvents, stop_reason
from router_model.serving.formats.anthropic.usage import read_usage
from router_model.serving.formats.counts import later_counts
from router_model.serving.formats.format import Event, Facts
from router_model.serving.formats.json_text import dump, load_object
from router_model.serving.formats.shapes import Json, mapping, n_bytes, text
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

_STARTED_BY_DELTAS: Final = ("text", "thinking")
EXPLAINS_NOTHING: Final = (None, "end_turn")
"""Reasons to stop after which an answer with nothing in it is a failure."""
_CONTENT: Final = ("text", "thinking", "partial_json")
_NOTHING: Final = frozenset({b"", b"null"})
DONE: Final = b"[DONE]"


class AnthropicReader:
    """Reads the events of one stream; counts are totals so far, so that later ones replace those before.

    A stream is complete once it has said why it ended, or has its ``message_stop``; or, as relays add it, ``[DONE]``
    after its usage.

    Attributes
    ----------
    facts : Facts
    """

    def __init__(self) -> None:
        self.facts = Facts()
        self._counts: Json = {}
        self._events = TolerantEvents()

    def read(self, event: Event) -> Json | None:
        """Return the event's JSON; None of a ``ping``.

        Raises
        ------
        UpstreamFailure
            If it is an ``error``, or no JSON object with a ``type``.
        """
        data = event.data.strip()
        if data in _NOTHING:
            return None
        if data == DONE:
            return self._done()
        content = self._parsed(event)
        match content["type"]:
            case "ping":
                return None
            case "error":
                raise failure_in(content)
            case "message_start":
                self._start(mapping(content.get("message")))
            case "content_block_start" | "content_block_delta":
                self.facts.has_content = self.facts.has_content or _begins(content)
                self.facts.n_bytes_written += _n_bytes(content.get("delta") or content.get("content_block"))
            case "message_delta":
                self._take_usage(content.get("usage"))
                self._finish(mapping(content.get("delta")).get("stop_reason"))
            case "message_stop":
                self._finish(self.facts.finish_reason or self._default_reason())
        return content

    def end(self) -> list[Json]:
        """Return nothing: all has been said when it came."""
        return []

    def _done(self) -> Json | None:
        if self.facts.is_complete or self.facts.usage is None or not self.facts.has_content:
            return None
        reason = self._default_reason()
        self._finish(reason)
        return {"type": "message_delta", "delta": {"stop_reason": reason}}

    def _default_reason(self) -> str | None:
        return stop_reason("end_turn", has_calls=self._events.has_calls)

    def _parsed(self, event: Event) -> Json:
        content = self._events.event(load_object(event.data, "event of the stream"), event)
        if not content["type"]:
            if "error" in content:
                raise failure_in(content)
            raise UpstreamFailure(FailureKind.MALFORMED, "an event of the provider's stream has no 'type'")
        return content

    def _start(self, message: Mapping[str, Any]) -> None:
        self.facts.response_id = text(message.get("id")) or None
        self.facts.response_model = text(message.get("model")) or None
        self._take_usage(message.get("usage"))

    def _take_usage(self, usage: object) -> None:
        if isinstance(usage, Mapping):
            self._counts = later_counts(self._counts, usage)
            self.facts.usage = read_usage(self._counts)

    def _finish(self, stop_reason: object) -> None:
        """Keep the reason, but for one that does not explain why nothing was said: such an answer is empty."""
        if isinstance(stop_reason, str):
            if self.facts.has_content or stop_reason not in EXPLAINS_NOTHING:
                self.facts.finish_reason = stop_reason
            self.facts.is_complete = True


def _n_bytes(part: object) -> int:
    """Return how many bytes a delta or the beginning of a block adds to the answer."""
    given = mapping(part)
    said = sum(n_bytes(text(given.get(name))) for name in (*_CONTENT, "name"))
    return said + (len(dump(given["input"])) if given.get("input") else 0)


def _begins(content: Json) -> bool:
    """Tell whether there is a token, or the name of a tool, in the start or a piece of a block."""
    delta = content.get("delta")
    if isinstance(delta, Mapping):
        return any(delta.get(name) for name in _CONTENT)
    return says_something(mapping(content.get("content_block")))


def n_written(blocks: list[Json]) -> int:
    """Return how many bytes the blocks of a whole message have, as `AnthropicReader` counts them."""
    return sum(map(_n_bytes, blocks))


def says_something(block: Mapping[str, Any]) -> bool:
    """Tell whether a block has more in it than an empty text."""
    return block.get("type") not in _STARTED_BY_DELTAS or any(block.get(name) for name in _CONTENT)
