"""Reading a stream of Anthropic's."""

from collections.abc import Mapping
from typing import Any, Final

from serving.formats.anthropic.failures import failure_in
from serving.formats.anthropic.usage import read_usage
from serving.formats.format import Event, Facts, Json
from serving.formats.json_text import load_object
from serving.formats.shapes import mapping, text
from serving.providers.failures import FailureKind, UpstreamFailure

_STARTED_BY_DELTAS: Final = ("text", "thinking")
EXPLAINS_NOTHING: Final = (None, "end_turn")
"""Reasons to stop after which an answer with nothing in it is a failure."""
_CONTENT: Final = ("text", "thinking", "partial_json")


class AnthropicReader:
    """Reads the events of one stream; counts are totals so far, so that later ones replace those before.

    Attributes
    ----------
    facts : Facts
    """

    def __init__(self) -> None:
        self.facts = Facts()
        self._counts: Json = {}

    def read(self, event: Event) -> Json | None:
        """Return the event's JSON; None of a ``ping``.

        Raises
        ------
        UpstreamFailure
            If it is an ``error``, or no JSON object with a ``type``.
        """
        content = _parsed(event.data)
        match content["type"]:
            case "ping":
                return None
            case "error":
                raise failure_in(content)
            case "message_start":
                self._start(mapping(content.get("message")))
            case "content_block_start" | "content_block_delta":
                self.facts.has_content = self.facts.has_content or _begins(content)
                self.facts.n_bytes_written += _n_bytes(content.get("delta"))
            case "message_delta":
                self._take_usage(content.get("usage"))
                self._finish(mapping(content.get("delta")).get("stop_reason"))
            case "message_stop":
                self.facts.is_complete = True
        return content

    def _start(self, message: Mapping[str, Any]) -> None:
        self.facts.response_id = text(message.get("id")) or None
        self.facts.response_model = text(message.get("model")) or None
        self._take_usage(message.get("usage"))

    def _take_usage(self, usage: object) -> None:
        if isinstance(usage, Mapping):
            self._counts |= {name: count for name, count in usage.items() if count is not None}
            self.facts.usage = read_usage(self._counts)

    def _finish(self, stop_reason: object) -> None:
        """Keep the reason, but for one that does not explain why nothing was said: such an answer is empty."""
        if isinstance(stop_reason, str):
            if self.facts.has_content or stop_reason not in EXPLAINS_NOTHING:
                self.facts.finish_reason = stop_reason
            self.facts.is_complete = True


def _parsed(data: bytes) -> Json:
    content = load_object(data, "event of the stream")
    if not isinstance(content.get("type"), str):
        if "error" in content:
            raise failure_in(content)
        raise UpstreamFailure(FailureKind.MALFORMED, "an event of the provider's stream has no 'type'")
    return content


def _n_bytes(delta: object) -> int:
    return sum(len(text(mapping(delta).get(name)).encode("utf-8", "replace")) for name in _CONTENT)


def _begins(content: Json) -> bool:
    """Tell whether there is a token, or the name of a tool, in the start or a piece of a block."""
    delta = content.get("delta")
    if isinstance(delta, Mapping):
        return any(delta.get(name) for name in _CONTENT)
    return says_something(mapping(content.get("content_block")))


def says_something(block: Mapping[str, Any]) -> bool:
    """Tell whether a block has more in it than an empty text."""
    return block.get("type") not in _STARTED_BY_DELTAS or any(block.get(name) for name in _CONTENT)
