"""Translate chunks of a chat completion into the events of Anthropic's stream.

Blocks of text and thinking end where the next begins. Those of tool calls stay open until the model says something else
or ends, since providers may send pieces of several calls in turn.
"""

from collections.abc import Mapping
from typing import Any

from router_model.serving.formats.format import Facts
from router_model.serving.formats.shapes import Json, index_of, mapping, mappings, text
from router_model.serving.formats.translations.messages_to_openai.answer import (
    reasoning_in,
    signed_thinking,
    stop_reason,
)


class MessageEvents:
    """Turns the chunks of one stream into events; of several choices the first."""

    def __init__(self) -> None:
        self._begun = False
        self._n_blocks = 0
        self._open: tuple[str, int] | None = None
        """Kind and index of the block of text or thinking that is open."""
        self._calls: dict[int, int] = {}
        """Indices of the blocks of the tool calls that are open, by place of the call."""
        self._has_calls = False
        self._has_refused = False
        self._finished = False

    def translate(self, event: Json) -> list[Json]:
        """Return the events for a chunk; none for chunks after the finish."""
        events: list[Json] = [] if self._begun else [self._start(event)]
        choice = _first(event.get("choices"))
        if choice is None or self._finished:
            return events
        delta = mapping(choice.get("delta"))
        events += self._thinking(delta)
        events += self._text(text(delta.get("content")))
        refusal = text(delta.get("refusal"))
        self._has_refused |= bool(refusal)
        events += self._text(refusal)
        for call in mappings(delta.get("tool_calls")):
            events += self._tool(call)
        if choice.get("finish_reason"):
            events += self._finish(choice["finish_reason"])
        return events

    def end(self, facts: Facts) -> list[Json]:  # noqa: ARG002  (the protocol's; the surface writes the usage)
        """Return nothing: the end has been said."""
        return []

    def _start(self, event: Json) -> Json:
        self._begun = True
        message: Json = {
            "id": text(event.get("id")),
            "type": "message",
            "role": "assistant",
            "model": text(event.get("model")),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return {"type": "message_start", "message": message}

    def _thinking(self, delta: Mapping[str, Any]) -> list[Json]:
        events: list[Json] = []
        reasoning = reasoning_in(delta)
        if reasoning:
            events += self._opened("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            events.append(self._piece({"type": "thinking_delta", "thinking": reasoning}))
        for block in signed_thinking(delta.get("reasoning_details")):
            events += self._opened("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            events.append(self._piece({"type": "signature_delta", "signature": block["signature"]}))
            events += self._close()
        return events

    def _text(self, said: str) -> list[Json]:
        if not said:
            return []
        opened = self._opened("text", {"type": "text", "text": ""})
        return [*opened, self._piece({"type": "text_delta", "text": said})]

    def _tool(self, call: Mapping[str, Any]) -> list[Json]:
        index, function = index_of(call), mapping(call.get("function"))
        events: list[Json] = []
        if index not in self._calls:
            events += self._close_said()
            self._calls[index] = self._next()
            self._has_calls = True
            block: Json = {
                "type": "tool_use",
                "id": text(call.get("id")),
                "name": text(function.get("name")),
                "input": {},
            }
            events.append(_block_start(self._calls[index], block))
        if piece := text(function.get("arguments")):
            delta = {"type": "input_json_delta", "partial_json": piece}
            events.append({"type": "content_block_delta", "index": self._calls[index], "delta": delta})
        return events

    def _finish(self, finish_reason: object) -> list[Json]:
        self._finished = True
        reason = stop_reason(finish_reason, has_calls=self._has_calls, has_refused=self._has_refused)
        return [
            *self._close(),
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}},
            {"type": "message_stop"},
        ]

    def _opened(self, kind: str, block: Json) -> list[Json]:
        """Return what makes a block of this kind the open one."""
        if self._open is not None and self._open[0] == kind:
            return []
        closed = self._close()
        self._open = (kind, self._next())
        return [*closed, _block_start(self._open[1], block)]

    def _piece(self, delta: Json) -> Json:
        return {"type": "content_block_delta", "index": self._open[1] if self._open else 0, "delta": delta}

    def _close(self) -> list[Json]:
        stops = [{"type": "content_block_stop", "index": index} for index in self._calls.values()]
        self._calls.clear()
        return self._close_said() + stops

    def _close_said(self) -> list[Json]:
        if self._open is None:
            return []
        stop = {"type": "content_block_stop", "index": self._open[1]}
        self._open = None
        return [stop]

    def _next(self) -> int:
        self._n_blocks += 1
        return self._n_blocks - 1


def _first(choices: object) -> Mapping[str, Any] | None:
    """Return the first choice's piece of a chunk; None if it belongs to another choice, or has the usage only."""
    return next((choice for choice in mappings(choices) if index_of(choice) == 0), None)


def _block_start(index: int, block: Json) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}
