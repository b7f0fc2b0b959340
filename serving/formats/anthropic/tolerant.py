"""The tolerant reader of Anthropic's format: it repairs messages and events that nearly follow the standard.

| standard form | what servers send instead |
|---|---|
| ``type`` in the data of an event | only in its ``event:`` line |
| ``index`` in events of blocks | missing, or as text |
| ``delta`` with its ``type`` | without |
| ``content`` a list of blocks | one text |
| ``input`` of a tool an object | JSON in a text, null, missing |
| ``stop_reason``, ``tool_use`` after a tool call | ``end_turn``, a word of OpenAI's, null, none at all |

What a stream lacks as a whole (its beginning, the end of a block, the last events) is made up by the surface's writer.
"""

import secrets
from collections.abc import Mapping
from typing import Any, Final

import orjson

from router_model.serving.formats.format import Event
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.shapes import Json, index_or_none, mapping, mappings, text

_OTHERS_WORDS: Final = {
    **dict.fromkeys(("stop", "eos", "end", "complete"), "end_turn"),
    **dict.fromkeys(("length", "max_length"), "max_tokens"),
    **dict.fromkeys(("tool_calls", "tool_call", "function_call"), "tool_use"),
    **dict.fromkeys(("content_filter", "safety"), "refusal"),
}
_TYPE_OF_DELTA: Final = {
    "text": "text_delta",
    "partial_json": "input_json_delta",
    "thinking": "thinking_delta",
    "signature": "signature_delta",
}
TOOL: Final = "tool_use"


def stop_reason(reason: object, *, has_calls: bool) -> str | None:
    """Return Anthropic's word for why an answer ended; None if it has not. Unknown words stay.

    >>> stop_reason("end_turn", has_calls=True), stop_reason("length", has_calls=False)
    ('tool_use', 'max_tokens')
    """
    word = text(reason)
    word = _OTHERS_WORDS.get(word.lower(), word)
    return TOOL if word == "end_turn" and has_calls else word or None


def whole_message(answer: Json) -> Json:
    """Return a whole message in the standard form; a body that is not a message stays for the reader to refuse.

    >>> call = {"type": "tool_use", "name": "f", "id": "t1", "input": '{"a": 1}'}
    >>> message = whole_message({"content": [call], "stop_reason": None})
    >>> message["content"][0]["input"], message["stop_reason"]
    ({'a': 1}, 'tool_use')
    """
    content = answer.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}] if content else []
    if isinstance(content, list):
        content = [whole_block(block) if isinstance(block, dict) else block for block in content]
    has_calls = any(block.get("type") == TOOL for block in mappings(content))
    reason = answer.get("stop_reason") or ("end_turn" if content else None)
    whole = {**answer, "content": content, "stop_reason": stop_reason(reason, has_calls=has_calls)}
    whole.setdefault("stop_sequence", None)
    return whole | {"type": "message", "role": "assistant", "id": text(answer.get("id")) or _made_up("msg")}


def whole_block(block: Json) -> Json:
    """Return a block, or the beginning of one, in the standard form."""
    kind = text(block.get("type")) or (TOOL if "name" in block else "thinking" if "thinking" in block else "text")
    if kind != TOOL:
        return {**block, "type": kind}
    return {**block, "type": kind, "id": text(block.get("id")) or _made_up("toolu"), "input": _input(block)}


class TolerantEvents:
    """Makes the events of one stream what they should be."""

    def __init__(self) -> None:
        self._index = -1
        self._indices: dict[int | None, int] = {}
        self.has_calls = False

    def event(self, content: Json, event: Event) -> Json:
        """Return the next event in the standard form; its ``type`` is empty if it has none."""
        kind = text(content.get("type")) or (event.name if event.name != "error" else "")
        content = {**content, "type": kind}
        match kind:
            case "content_block_start":
                block = whole_block(mapping(content.get("content_block")))
                self.has_calls |= block["type"] == TOOL
                self._index += 1
                given = index_or_none(content)
                self._indices[given] = self._index if given is None else given
                return content | {"index": self._indices[given], "content_block": block}
            case "content_block_delta":
                return content | {"index": self._place(content), "delta": _delta(mapping(content.get("delta")))}
            case "content_block_stop":
                return content | {"index": self._place(content)}
            case "message_delta":
                delta = mapping(content.get("delta"))
                said = delta.get("stop_reason") or content.get("stop_reason")
                return content | {"delta": {**delta, "stop_reason": stop_reason(said, has_calls=self.has_calls)}}
        return content

    def _place(self, content: Json) -> int:
        given = index_or_none(content)
        return self._indices.get(given, max(self._index, 0)) if given is None else given


def _delta(delta: Mapping[str, Any]) -> Json:
    if not text(delta.get("type")):
        kinds = (kind for name, kind in _TYPE_OF_DELTA.items() if name in delta)
        delta = {**delta, "type": next(kinds, "text_delta")}
    piece = delta.get("partial_json")
    return {**delta, "partial_json": dump(piece).decode()} if isinstance(piece, dict | list) else dict(delta)


def _input(block: Mapping[str, Any]) -> Any:
    said = block.get("input")
    if isinstance(said, str):
        try:
            said = orjson.loads(said) if said.strip() else {}
        except orjson.JSONDecodeError:
            return said
    return {} if said is None else said


def _made_up(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
