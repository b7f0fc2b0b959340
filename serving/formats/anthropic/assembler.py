"""Assemble the events of Anthropic's stream into the message that a whole answer would have been, and the reverse."""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from router_model.serving.formats.format import Facts
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.shapes import Json, index_of, mapping, mappings, text
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

_OF_EVENTS: Final = frozenset({"type", "delta", "usage"})
_JSON: Final = "partial_json"
_BEGUN_BY: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "tool_use"}
"""Types of blocks by what continues them, for providers that do not begin a block."""

_PIECES: Final = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "signature": ("signature_delta", "signature"),
}
"""Fields of blocks that come in deltas: the type of the delta, and the field in it; in their order."""
_OF_THE_END: Final = ("stop_reason", "stop_sequence")


class MessageAssembler:
    """Puts one stream together (an `Assembler`).

    Examples
    --------
    >>> assembler = MessageAssembler()
    >>> assembler.add({"type": "message_start", "message": {"id": "m", "content": [], "usage": {"input_tokens": 9}}})
    >>> assembler.add({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    >>> for piece in ("Hel", "lo"):
    ...     delta = {"type": "text_delta", "text": piece}
    ...     assembler.add({"type": "content_block_delta", "index": 0, "delta": delta})
    >>> assembler.answer(Facts(finish_reason="end_turn"))["content"]
    [{'type': 'text', 'text': 'Hello'}]
    """

    def __init__(self) -> None:
        self._message: Json = {"type": "message", "role": "assistant"}
        self._usage: Json = {}
        self._blocks: dict[int, _Block] = {}

    def add(self, event: Json) -> None:
        """Take the next event."""
        match event["type"]:
            case "message_start":
                self._message |= mapping(event.get("message"))
                self._count(self._message.get("usage"))
            case "content_block_start":
                self._blocks[index_of(event)] = _Block(mapping(event.get("content_block")))
            case "content_block_delta":
                delta, index = mapping(event.get("delta")), index_of(event)
                if index not in self._blocks:
                    self._blocks[index] = _Block({"type": _BEGUN_BY.get(text(delta.get("type")), "text")})
                self._blocks[index].add(delta)
            case "message_delta":
                said = {name: value for name, value in mapping(event.get("delta")).items() if value is not None}
                self._message |= said | {name: event[name] for name in event.keys() - _OF_EVENTS}
                self._count(event.get("usage"))

    def answer(self, facts: Facts) -> Json:
        """Return the message.

        Raises
        ------
        UpstreamFailure
            If the input of a tool is not a JSON object, though the answer was not cut.
        """
        reason = self._message.get("stop_reason") or facts.finish_reason or "end_turn"
        is_cut = reason in {"max_tokens", "model_context_window_exceeded"}
        content = [self._blocks[index].whole(is_cut=is_cut) for index in sorted(self._blocks)]
        message = {"stop_sequence": None, **self._message, "content": content, "stop_reason": reason}
        return message | ({"usage": self._usage} if self._usage else {})

    def _count(self, usage: object) -> None:
        """Keep counts: they are totals, so that the last one counts, and null says nothing."""
        for name, count in mapping(usage).items():
            if count is not None or name not in self._usage:
                self._usage[name] = count


class _Block:
    """One block of the content."""

    def __init__(self, begun: Json) -> None:
        self._fields = dict(begun)
        self._pieces: dict[str, list[str]] = {}

    def add(self, delta: Json) -> None:
        """Continue the block; what a new type of delta has in it is taken as its fields say: texts are pieces."""
        if delta.get("type") == "citations_delta":
            self._fields["citations"] = [*(self._fields.get("citations") or ()), delta.get("citation")]
            return
        for name, value in delta.items():
            if name == "type":
                continue
            if isinstance(value, str):
                self._pieces.setdefault(name, []).append(value)
            elif value is not None:
                self._fields[name] = value

    def whole(self, *, is_cut: bool) -> Json:
        block = dict(self._fields)
        for name, pieces in self._pieces.items():
            if name != _JSON:
                block[name] = text(block.get(name)) + "".join(pieces)
        written = "".join(self._pieces.get(_JSON, ()))
        if written.strip():
            block["input"] = _parsed(written, is_cut=is_cut)
        return block


def _parsed(written: str, *, is_cut: bool) -> Any:
    """Return the input of a tool; half of one says nothing."""
    try:
        return orjson.loads(written)
    except orjson.JSONDecodeError as exc:
        if is_cut:
            return {}
        raise UpstreamFailure(
            FailureKind.MALFORMED, "the provider's answer calls a tool with an input that is not a JSON object"
        ) from exc


def message_events(message: Json) -> list[Json]:
    """Return the events of a message in the standard form: each text, thought and input in one piece.

    Examples
    --------
    >>> message = {"id": "m", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}
    >>> [event["type"].removeprefix("content_block_") for event in message_events(message)]
    ['message_start', 'start', 'delta', 'stop', 'message_delta', 'message_stop']
    """
    begun = {**message, "content": [], **dict.fromkeys(_OF_THE_END)}
    end = {name: message.get(name) for name in _OF_THE_END}
    blocks = [
        event for index, block in enumerate(mappings(message.get("content"))) for event in _events_of(index, block)
    ]
    last = {"type": "message_delta", "delta": end, "usage": message.get("usage")}
    return [{"type": "message_start", "message": begun}, *blocks, last, {"type": "message_stop"}]


def _events_of(index: int, block: Json) -> Iterator[Json]:
    """Yield the events of a block; one of a type without pieces comes whole at its start."""
    emptied: Json = {name: "" for name in _PIECES if name in block}
    cited = mappings(block.get("citations"))
    deltas: list[Json] = [{"type": "citations_delta", "citation": one} for one in cited]
    for name in emptied:
        kind, field = _PIECES[name]
        if piece := text(block[name]):
            deltas.append({"type": kind, field: piece})
    if "input" in block:
        emptied["input"] = {}
        deltas.append({"type": "input_json_delta", "partial_json": dump(block["input"]).decode()})
    begun = block | emptied | ({"citations": []} if cited else {})
    yield {"type": "content_block_start", "index": index, "content_block": begun}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}
