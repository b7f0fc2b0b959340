"""Anthropic's messages, as the scripted upstream speaks them."""

import json
from collections.abc import Iterator
from typing import Any

from scripted_request import CACHED, Heard, first, flat, given, has_result, image


def hear(_: str, body: dict[str, Any]) -> Heard:
    system = body.get("system") or []
    said = [("system", "text", part["text"]) for part in _blocks(system)]
    said += [part for message in body["messages"] for part in _parts(message)]
    tools = {tool["name"]: first(tool.get("input_schema")) for tool in body.get("tools") or []}
    choice = body.get("tool_choice") or {}
    wanted = body.get("output_format") or (body.get("output_config") or {}).get("format")
    return Heard(
        kind="anthropic",
        model=body["model"],
        stream=bool(body.get("stream")),
        said=tuple(said),
        knobs=given(
            max_tokens=body["max_tokens"], temperature=body.get("temperature"), stop=body.get("stop_sequences")
        ),
        tools=tools,
        call=(choice.get("name") or next(iter(tools), None))
        if choice.get("type") != "none" and not has_result(said)
        else None,
        wanted=first(wanted["schema"]) if wanted else None,
    )


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _parts(message: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    role = message["role"]
    for block in _blocks(message["content"]):
        if block["type"] == "text":
            yield (role, "text", block["text"])
        elif block["type"] == "image":
            yield (role, "image", image(block["source"].get("data") or block["source"]["url"]))
        elif block["type"] == "tool_use":
            yield (role, "call", block["name"], json.dumps(block["input"], sort_keys=True))
        elif block["type"] == "tool_result":
            yield ("tool", "result", flat(block.get("content", "")))


def _message(heard: Heard, content: list[Any], reason: str | None, n_output: int) -> dict[str, Any]:
    usage = {
        "input_tokens": heard.input_tokens - CACHED,
        "cache_read_input_tokens": CACHED,
        "cache_creation_input_tokens": 0,
        "output_tokens": n_output,
    }
    return {
        "id": f"msg_{heard.id}",
        "type": "message",
        "role": "assistant",
        "model": heard.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }


def whole(heard: Heard) -> dict[str, Any]:
    if heard.call:
        block = {"type": "tool_use", "id": f"toolu_{heard.id}", "name": heard.call, "input": heard.arguments()}
        return _message(heard, [block], "tool_use", heard.output_tokens())
    return _message(heard, [{"type": "text", "text": heard.text()}], "end_turn", heard.output_tokens())


def events(heard: Heard) -> Iterator[dict[str, Any]]:
    yield {"type": "message_start", "message": _message(heard, [], None, 1)}
    if heard.call:
        block = {"type": "tool_use", "id": f"toolu_{heard.id}", "name": heard.call, "input": {}}
        arguments = json.dumps(heard.arguments())
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in (arguments[:6], arguments[6:])]
    else:
        block = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in heard.pieces()]
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "ping"}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    ended = {"stop_reason": "tool_use" if heard.call else "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": heard.output_tokens()}}
    yield {"type": "message_stop"}
