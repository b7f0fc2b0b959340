"""Translate chunks of a chat completion into the events of Responses; their numbers are written by the surface.

A message or reasoning ends where the next item begins. Calls stay open until the model says something else or ends,
since providers may send pieces of several calls in turn.
"""

import time
from collections.abc import Mapping
from typing import Any, TypeVar

from router_model.serving.formats.format import Facts
from router_model.serving.formats.openai.assembler import joined_details
from router_model.serving.formats.shapes import Json, index_of, mapping, mappings, text
from router_model.serving.formats.translations.messages_to_openai.answer import reasoning_in
from router_model.serving.formats.translations.responses_to_openai.answer import (
    annotations_in,
    call_item,
    ending_of,
    message_item,
    new_id,
    reasoning_item,
    text_part,
)


class ResponseEvents:
    """Turns the chunks of one stream into events; of several choices the first."""

    def __init__(self) -> None:
        self._about: Json | None = None
        self._items: list[Json | None] = []
        """All items by index; None while one is open."""
        self._said: _Reasoning | _Message | None = None
        self._calls: dict[int, _Call] = {}
        """Open calls, by their place in the chunks."""
        self._is_over = False

    def translate(self, event: Json) -> list[Json]:
        """Return the events for a chunk; none for chunks after the finish."""
        events: list[Json] = [] if self._about is not None else [self._start(event)]
        choice = next((one for one in mappings(event.get("choices")) if index_of(one) == 0), None)
        if choice is None or self._is_over:
            return events
        delta = mapping(choice.get("delta"))
        details = mappings(delta.get("reasoning_details"))
        if (thought := reasoning_in(delta)) or details:
            reasoning, opened = self._opened(_Reasoning)
            events += opened + reasoning.add(thought, details)
        cited, logprobs = annotations_in(delta), mappings(mapping(choice.get("logprobs")).get("content"))
        if (said := text(delta.get("content"))) or (cited and isinstance(self._said, _Message)):
            message, opened = self._opened(_Message)
            events += opened + message.add("text", said, logprobs, cited)
        if refusal := text(delta.get("refusal")):
            message, opened = self._opened(_Message)
            events += opened + message.add("refusal", refusal)
        for call in mappings(delta.get("tool_calls")):
            events += self._call(call)
        if choice.get("finish_reason"):
            events += self._finish(choice["finish_reason"])
        return events

    def end(self, facts: Facts) -> list[Json]:
        """Return the end of an answer that never said why it ended."""
        return [] if self._is_over else self._finish(facts.finish_reason)

    def _start(self, event: Json) -> Json:
        self._about = {"id": text(event.get("id")), "created_at": event.get("created") or int(time.time())}
        return {"type": "response.created", "response": {**self._about, "status": "in_progress", "output": []}}

    def _opened(self, kind: "type[_Said]") -> "tuple[_Said, list[Json]]":
        """Return the open item of a kind, and the events that make it that."""
        if isinstance(self._said, kind):
            return self._said, []
        events = self._close()
        item = self._said = kind(self._next())
        return item, events + item.begin()

    def _call(self, call: Json) -> list[Json]:
        index, events = index_of(call), []
        if index not in self._calls:
            events = self._close_said()
            self._calls[index] = _Call(self._next(), call)
            events += self._calls[index].begin()
        return events + self._calls[index].add(call)

    def _finish(self, finish_reason: object) -> list[Json]:
        self._is_over = True
        ending = ending_of(finish_reason)
        events = self._close(ending["status"])
        response = {**(self._about or {"id": ""}), **ending, "output": [item for item in self._items if item]}
        return [*events, {"type": f"response.{ending['status']}", "response": response}]

    def _close(self, status: str = "completed") -> list[Json]:
        events = self._close_said(status)
        for call in self._calls.values():
            events += self._ended(call, status)
        self._calls.clear()
        return events

    def _close_said(self, status: str = "completed") -> list[Json]:
        said, self._said = self._said, None
        return [] if said is None else self._ended(said, status)

    def _ended(self, one: "_Reasoning | _Message | _Call", status: str) -> list[Json]:
        events, item = one.end()
        if "status" in item:
            item["status"] = status
        self._items[one.index] = item
        return [*events, {"type": "response.output_item.done", "output_index": one.index, "item": item}]

    def _next(self) -> int:
        self._items.append(None)
        return len(self._items) - 1


class _Reasoning:
    """Reasoning that is being written."""

    def __init__(self, index: int) -> None:
        self.index = index
        self._id = new_id("rs")
        self._thought: list[str] = []
        self._details: list[Json] = []

    def begin(self) -> list[Json]:
        item = {"id": self._id, "type": "reasoning", "summary": []}
        return [{"type": "response.output_item.added", "output_index": self.index, "item": item}]

    def add(self, thought: str, details: list[Json]) -> list[Json]:
        self._details = joined_details(self._details, details)
        if not thought:
            return []
        begun = [] if self._thought else [self._part("added", "")]
        self._thought.append(thought)
        return [*begun, self._event("reasoning_summary_text.delta", delta=thought)]

    def end(self) -> tuple[list[Json], Json]:
        thought = "".join(self._thought)
        said = [self._event("reasoning_summary_text.done", text=thought), self._part("done", thought)]
        return said if thought else [], reasoning_item(self._id, thought, self._details)

    def _part(self, what: str, thought: str) -> Json:
        return self._event(f"reasoning_summary_part.{what}", part={"type": "summary_text", "text": thought})

    def _event(self, type_: str, **fields: Any) -> Json:
        where = {"item_id": self._id, "output_index": self.index, "summary_index": 0}
        return {"type": f"response.{type_}", **where, **fields}


class _Message:
    """A message that is being written: parts of text, and of refusal."""

    def __init__(self, index: int) -> None:
        self.index = index
        self._id = new_id("msg")
        self._parts: list[Json] = []
        self._kind = ""
        self._pieces: list[str] = []
        self._logprobs: list[Json] = []
        self._cited: list[Json] = []

    def begin(self) -> list[Json]:
        item = {**message_item(self._id, []), "status": "in_progress"}
        return [{"type": "response.output_item.added", "output_index": self.index, "item": item}]

    def add(
        self, kind: str, piece: str, logprobs: list[Json] | None = None, cited: list[Json] | None = None
    ) -> list[Json]:
        events: list[Json] = []
        if kind != self._kind:
            events += self._end_part()
            self._kind = kind
            events.append(self._event("content_part.added", part=self._part()))
        for one in cited or ():
            events.append(
                self._event("output_text.annotation.added", annotation_index=len(self._cited), annotation=one)
            )
            self._cited.append(one)
        self._logprobs += logprobs or []
        if not piece:
            return events
        self._pieces.append(piece)
        if kind == "refusal":
            return [*events, self._event("refusal.delta", delta=piece)]
        return [*events, self._event("output_text.delta", delta=piece, logprobs=logprobs or [])]

    def end(self) -> tuple[list[Json], Json]:
        events = self._end_part()
        return events, message_item(self._id, self._parts)

    def _end_part(self) -> list[Json]:
        if not self._kind:
            return []
        part = self._part()
        if self._kind == "refusal":
            done = self._event("refusal.done", refusal=part["refusal"])
        else:
            done = self._event("output_text.done", text=part["text"], logprobs=part["logprobs"])
        events = [done, self._event("content_part.done", part=part)]
        self._parts.append(part)
        self._kind, self._pieces, self._logprobs, self._cited = "", [], [], []
        return events

    def _part(self) -> Json:
        said = "".join(self._pieces)
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": said}
        return text_part(said, self._logprobs, self._cited)

    def _event(self, type_: str, **fields: Any) -> Json:
        where = {"item_id": self._id, "output_index": self.index, "content_index": len(self._parts)}
        return {"type": f"response.{type_}", **where, **fields}


_Said = TypeVar("_Said", _Reasoning, _Message)


class _Call:
    """A call of a tool that is being written."""

    def __init__(self, index: int, call: Mapping[str, Any]) -> None:
        self.index = index
        self._item = call_item({**call, "function": {**mapping(call.get("function")), "arguments": ""}})
        self._pieces: list[str] = []

    def begin(self) -> list[Json]:
        item = {**self._item, "status": "in_progress"}
        return [{"type": "response.output_item.added", "output_index": self.index, "item": item}]

    def add(self, call: Mapping[str, Any]) -> list[Json]:
        if call.get("extra_content"):
            self._item["extra_content"] = call["extra_content"]
        piece = text(mapping(call.get("function")).get("arguments"))
        if not piece:
            return []
        self._pieces.append(piece)
        return [self._event("delta", delta=piece)]

    def end(self) -> tuple[list[Json], Json]:
        self._item["arguments"] = "".join(self._pieces)
        return [self._event("done", arguments=self._item["arguments"])], self._item

    def _event(self, what: str, **fields: Any) -> Json:
        where = {"item_id": self._item["id"], "output_index": self.index}
        return {"type": f"response.function_call_arguments.{what}", **where, **fields}
