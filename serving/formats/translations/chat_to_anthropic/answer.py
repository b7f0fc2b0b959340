"""Translate Anthropic's message into a ``chat.completion``."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from router_model.serving.formats.fitting.json_tool import JSON_TOOL
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.shapes import Json, text

CLAUDE: Final = "anthropic-claude-v1"
"""How OpenRouter names the format of thinking that a Claude model signed."""
_FINISH: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def finish_reason(stop_reason: object, *, is_json: bool = False) -> str:
    """Return OpenAI's word for why an answer ended; `is_json`: its tool call stood for the content.

    >>> finish_reason("max_tokens"), finish_reason("tool_use"), finish_reason("tool_use", is_json=True)
    ('length', 'tool_calls', 'stop')
    """
    finish = _FINISH.get(text(stop_reason), "stop")
    return "stop" if is_json and finish == "tool_calls" else finish


def chat_answer(answer: Json) -> Json:
    """Return a message as a chat completion, without usage.

    Examples
    --------
    >>> message = {"id": "msg_1", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}
    >>> chat_answer({**message, "model": "claude"})["choices"][0]["message"]["content"]
    'Hi'
    """
    blocks: list[Json] = answer["content"]
    is_json = any(block.get("name") == JSON_TOOL for block in blocks)
    choice = {
        "index": 0,
        "message": _message(blocks),
        "logprobs": None,
        "finish_reason": finish_reason(answer.get("stop_reason"), is_json=is_json),
    }
    return {
        "id": answer.get("id") or "",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.get("model") or "",
        "choices": [choice],
    }


def thinking_detail(block: Mapping[str, Any], index: int) -> Json:
    """Return a signed or encrypted block of thinking as one of OpenRouter's ``reasoning_details``."""
    if block["type"] == "redacted_thinking":
        return {"type": "reasoning.encrypted", "data": block.get("data"), "format": CLAUDE, "index": index}
    return {
        "type": "reasoning.text",
        "text": text(block.get("thinking")),
        "signature": block.get("signature"),
        "format": CLAUDE,
        "index": index,
    }


def _message(blocks: Sequence[Json]) -> Json:
    texts = [_content(block) for block in blocks if block.get("type") == "text" or block.get("name") == JSON_TOOL]
    message: Json = {"role": "assistant", "content": "".join(texts) if texts else None, "refusal": None}
    thoughts = [block for block in blocks if block.get("type") in ("thinking", "redacted_thinking")]
    if thoughts:
        message["reasoning_content"] = "".join(text(block.get("thinking")) for block in thoughts)
        message["reasoning_details"] = [thinking_detail(block, index) for index, block in enumerate(thoughts)]
    calls = [_call(block) for block in blocks if block.get("type") == "tool_use" and block.get("name") != JSON_TOOL]
    if calls:
        message["tool_calls"] = calls
    return message


def _content(block: Json) -> str:
    return text(block.get("text")) if block.get("type") == "text" else dump(block.get("input") or {}).decode()


def _call(block: Json) -> Json:
    arguments = dump(block.get("input") or {}).decode()
    return {
        "id": block.get("id"),
        "type": "function",
        "function": {"name": block.get("name"), "arguments": arguments},
    }
