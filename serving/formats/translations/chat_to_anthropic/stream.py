"""Translate the events of Anthropic's stream into ``chat.completion.chunk``."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from router_model.serving.formats.fitting.json_tool import JSON_TOOL
from router_model.serving.formats.format import Facts
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.shapes import Json, index_of, mapping, text
from router_model.serving.formats.translations.chat_to_anthropic.answer import finish_reason, thinking_detail


@dataclass(slots=True)
class _Block:
    """An open block; `call` is the place of a tool call, `input` what came before its pieces."""

    type: str
    call: int | None = None
    input: Mapping[str, Any] | None = None
    has_input: bool = False
    thinking: str = ""
    signature: str = ""


class ChatChunks:
    """Turns the events of one stream into chunks: tool calls are counted from 0, and arguments are never empty."""

    def __init__(self) -> None:
        self._id = ""
        self._model = ""
        self._created = int(time.time())
        self._blocks: dict[int, _Block] = {}
        self._n_calls = 0
        self._n_thoughts = 0
        self._is_json = False
        self._has_finished = False

    def translate(self, event: Json) -> list[Json]:
        """Return the chunks for an event."""
        match event["type"]:
            case "message_start":
                message = mapping(event.get("message"))
                self._id, self._model = text(message.get("id")), text(message.get("model"))
                return [self._chunk({"role": "assistant", "content": ""})]
            case "content_block_start":
                return self._start(index_of(event), mapping(event.get("content_block")))
            case "content_block_delta":
                return self._piece(self._block(event), mapping(event.get("delta")))
            case "content_block_stop":
                block = self._blocks.pop(index_of(event), None)
                return [] if block is None else self._stop(block)
            case "message_delta" if text(mapping(event.get("delta")).get("stop_reason")):
                return self._finish(event["delta"]["stop_reason"])
        return []

    def end(self, facts: Facts) -> list[Json]:
        """Return the finish, of a stream that did not say why it ended."""
        return [] if self._has_finished or facts.finish_reason is None else self._finish(facts.finish_reason)

    def _finish(self, reason: object) -> list[Json]:
        """Return the finish, after what is still to be said of blocks whose end was left out."""
        self._has_finished = True
        stops = [chunk for index in sorted(self._blocks) for chunk in self._stop(self._blocks.pop(index))]
        return [*stops, self._chunk({}, finish_reason(reason, is_json=self._is_json))]

    def _block(self, event: Json) -> _Block:
        return self._blocks.get(index_of(event)) or _Block("text")

    def _start(self, index: int, content: Mapping[str, Any]) -> list[Json]:
        block = self._blocks[index] = _Block(str(content.get("type")))
        match block.type:
            case "text" if text(content.get("text")):
                return [self._chunk({"content": content["text"]})]
            case "thinking":
                return self._piece(block, {"type": "thinking_delta", "thinking": content.get("thinking")})
            case "redacted_thinking":
                return [self._thought(content)]
            case "tool_use":
                return self._start_tool(block, content)
        return []

    def _start_tool(self, block: _Block, content: Mapping[str, Any]) -> list[Json]:
        block.input = content.get("input")
        if content.get("name") == JSON_TOOL:
            self._is_json = True
            return []
        block.call = self._n_calls
        self._n_calls += 1
        function = {"name": content.get("name"), "arguments": ""}
        call = {"index": block.call, "id": content.get("id"), "type": "function", "function": function}
        return [self._chunk({"tool_calls": [call]})]

    def _piece(self, block: _Block, delta: Mapping[str, Any]) -> list[Json]:
        match delta.get("type"):
            case "text_delta" if text(delta.get("text")):
                return [self._chunk({"content": delta["text"]})]
            case "thinking_delta" if text(delta.get("thinking")):
                block.thinking += delta["thinking"]
                return [self._chunk({"reasoning_content": delta["thinking"]})]
            case "signature_delta":
                block.signature = text(delta.get("signature"))
            case "input_json_delta" if text(delta.get("partial_json")):
                block.has_input = True
                return self._arguments(block, delta["partial_json"])
        return []

    def _stop(self, block: _Block) -> list[Json]:
        """Return what is known only at a block's end: a signature, and arguments that did not come in pieces."""
        if block.type == "thinking" and block.signature:
            return [self._thought({"type": "thinking", "thinking": block.thinking, "signature": block.signature})]
        if block.type == "tool_use" and not block.has_input:
            return self._arguments(block, dump(block.input or {}).decode())
        return []

    def _arguments(self, block: _Block, piece: str) -> list[Json]:
        if block.type != "tool_use":
            return []  # the input of one of Anthropic's own tools
        if block.call is None:
            return [self._chunk({"content": piece})]
        return [self._chunk({"tool_calls": [{"index": block.call, "function": {"arguments": piece}}]})]

    def _thought(self, block: Mapping[str, Any]) -> Json:
        detail = thinking_detail(block, self._n_thoughts)
        self._n_thoughts += 1
        return self._chunk({"reasoning_details": [detail]})

    def _chunk(self, delta: Json, finish: str | None = None) -> Json:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        }
