"""Translate the events of Responses into chunks of a chat completion."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.format import Facts
from router_model.serving.formats.responses.reader import BEGINS, ENDS
from router_model.serving.formats.responses.response_object import outputs
from router_model.serving.formats.shapes import Json, index_or_none, mapping, mappings, text
from router_model.serving.formats.translations.chat_to_responses.answer import (
    CALLS,
    about,
    citation,
    encrypted,
    finish_reason,
    thought_in,
    tool_call,
)

_TEXTS: Final[Mapping[str, str]] = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning_content",
    "response.reasoning_text.delta": "reasoning_content",
}
_PIECES: Final[Mapping[str, tuple[str, str]]] = {
    "response.function_call_arguments.delta": ("function", "arguments"),
    "response.custom_tool_call_input.delta": ("custom", "input"),
}
_SUMMARY: Final = "response.reasoning_summary_part.added"


class ResponseChunks:
    """Turns the events of one stream into chunks (a `StreamTranslation`)."""

    def __init__(self) -> None:
        self._about: Json | None = None
        self._calls: dict[object, int] = {}
        """Places of the calls, by the index of their item."""
        self._has_pieces: set[object] = set()
        self._has_thought = False
        self._told: set[object] = set()
        """Indices of items whose texts have come."""
        self._is_over = False

    def translate(self, event: Json) -> list[Json]:
        """Return the chunks for an event."""
        type_, chunks = event["type"], []
        if self._about is None:
            self._about = about(mapping(event.get("response")))
            chunks.append(self._chunk({"role": "assistant", "content": ""}))
        if type_ in BEGINS or self._is_over:
            return chunks
        if type_ in ENDS:
            return [*chunks, *self._finish(mapping(event.get("response")))]
        return chunks + [self._chunk(delta, logprobs=_logprobs(event)) for delta in self._deltas(type_, event)]

    def end(self, facts: Facts) -> list[Json]:  # noqa: ARG002  (the protocol's; the last event has said it)
        """Return nothing: the end has been said."""
        return []

    def _deltas(self, type_: str, event: Json) -> list[Json]:
        if type_ in _TEXTS:
            name, piece = _TEXTS[type_], text(event.get("delta"))
            self._told.add(_at(event))
            return [{name: piece}] if piece else []
        if type_ in _PIECES:
            return self._piece(*_PIECES[type_], event)
        if type_ == _SUMMARY:
            before, self._has_thought = self._has_thought, True
            return [{"reasoning_content": "\n\n"}] if before else []
        if type_ == "response.output_text.annotation.added":
            cited = citation(mapping(event.get("annotation")))
            return [{"annotations": [cited]}] if cited else []
        item = mapping(event.get("item"))
        if type_ == "response.output_item.added" and item.get("type") in CALLS:
            return [self._begin(item, _at(event))]
        return self._done(item, _at(event)) if type_ == "response.output_item.done" else []

    def _begin(self, item: Json, at: object) -> Json:
        index = self._calls[at] = len(self._calls)
        call = tool_call(item)
        if call.get(call["type"], {}).get("arguments") or call.get(call["type"], {}).get("input"):
            self._has_pieces.add(at)
        return {"tool_calls": [{"index": index, **call}]}

    def _piece(self, kind: str, name: str, event: Json) -> list[Json]:
        at, piece = _at(event), text(event.get("delta"))
        if at not in self._calls or not piece:
            return []
        self._has_pieces.add(at)
        return [{"tool_calls": [{"index": self._calls[at], kind: {name: piece}}]}]

    def _done(self, item: Json, at: object) -> list[Json]:
        """Return what an item has said only at its end, as some servers write no pieces."""
        if item.get("type") in CALLS:
            if at not in self._calls:
                return [self._begin(item, at)]
            return [] if at in self._has_pieces else self._rest(item, at)
        is_told = at in self._told
        self._told.add(at)
        deltas = [] if is_told else _texts(item)
        if details := encrypted(item):
            deltas.append({"reasoning_details": details})
        return deltas

    def _rest(self, item: Json, at: object) -> list[Json]:
        call = tool_call(item)
        kind = call["type"]
        said = {name: value for name, value in call[kind].items() if name != "name" and value}
        return [{"tool_calls": [{"index": self._calls[at], kind: said}]}] if said else []

    def _finish(self, response: Json) -> list[Json]:
        self._is_over = True
        chunks: list[Json] = []
        # A stream of one event, and servers without events of items: all is in the last.
        if not self._told and not self._calls:
            for at, item in enumerate(outputs(response)):
                chunks += [self._chunk(delta) for delta in self._done(item, at)]
        return [*chunks, self._chunk({}, finish=finish_reason(response, has_calls=bool(self._calls)))]

    def _chunk(self, delta: Json, *, finish: str | None = None, logprobs: Json | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**(self._about or {}), "object": "chat.completion.chunk", "choices": [choice]}


def _at(event: Json) -> int | None:
    return index_or_none({"index": event.get("output_index")})


def _texts(item: Json) -> list[Json]:
    """Return the texts of a whole item as deltas."""
    if thought := thought_in(item):
        return [{"reasoning_content": thought}]
    parts = mappings(item.get("content")) if item.get("type") == "message" else []
    said = [("refusal" if part.get("type") == "refusal" else "content", part) for part in parts]
    return [
        {name: written}
        for name, part in said
        if (written := text(part.get("refusal" if name == "refusal" else "text")))
    ]


def _logprobs(event: Mapping[str, Any]) -> Json | None:
    given = mappings(event.get("logprobs")) if event["type"] == "response.output_text.delta" else []
    return {"content": given, "refusal": None} if given else None
