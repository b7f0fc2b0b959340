"""OpenAI's Responses, as the scripted upstream speaks them."""

import json
from collections.abc import Iterator
from typing import Any

from scripted_request import CACHED, Heard, first, flat, given, has_result, image

CREATED = 1790000000


def hear(_: str, body: dict[str, Any]) -> Heard:
    items = body["input"]
    items = [{"role": "user", "content": items}] if isinstance(items, str) else items
    said = [("system", "text", body["instructions"])] if body.get("instructions") else []
    said += [part for item in items for part in _parts(item)]
    tools = {tool["name"]: first(tool.get("parameters")) for tool in body.get("tools") or [] if "name" in tool}
    choice = body.get("tool_choice")
    named = choice["name"] if isinstance(choice, dict) else None
    schema = (body.get("text") or {}).get("format", {}).get("schema")
    return Heard(
        kind="openai-responses",
        model=body["model"],
        stream=bool(body.get("stream")),
        said=tuple(said),
        knobs=given(max_tokens=body.get("max_output_tokens"), temperature=body.get("temperature")),
        tools=tools,
        call=(named or next(iter(tools), None)) if choice != "none" and not has_result(said) else None,
        wanted=first(schema) if schema else None,
        logprobs="message.output_text.logprobs" in (body.get("include") or []),
    )


def _parts(item: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    kind = item.get("type", "message")
    if kind == "function_call_output":
        yield ("tool", "result", flat(item["output"]))
    elif kind == "function_call":
        yield ("assistant", "call", item["name"], json.dumps(json.loads(item["arguments"]), sort_keys=True))
    elif kind == "message":
        role, content = item["role"].replace("developer", "system"), item["content"]
        for part in [{"type": "input_text", "text": content}] if isinstance(content, str) else content:
            is_image = part["type"] == "input_image"
            yield (role, "image", image(part["image_url"])) if is_image else (role, "text", part["text"])


def _logprobs(heard: Heard, *pieces: str) -> list[dict[str, Any]]:
    tokens = [{"token": one, "logprob": -0.5, "bytes": list(one.encode()), "top_logprobs": []} for one in pieces]
    return tokens if heard.logprobs else []


def _item(heard: Heard) -> dict[str, Any]:
    if heard.call:
        named = {"id": f"fc_{heard.id}", "call_id": f"call_{heard.id}", "name": heard.call}
        arguments = json.dumps(heard.arguments())
        return {"type": "function_call", "status": "completed", "arguments": arguments, **named}
    part = {"type": "output_text", "text": heard.text(), "annotations": []}
    part["logprobs"] = _logprobs(heard, *heard.pieces())
    about = {"id": f"msg_{heard.id}", "type": "message", "role": "assistant", "status": "completed"}
    return {**about, "content": [part]}


def whole(heard: Heard) -> dict[str, Any]:
    usage = {
        "input_tokens": heard.input_tokens,
        "input_tokens_details": {"cached_tokens": CACHED, "cache_write_tokens": 0},
        "output_tokens": heard.output_tokens(),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": heard.input_tokens + heard.output_tokens(),
    }
    return {**_begun(heard), "status": "completed", "output": [_item(heard)], "usage": usage}


def _begun(heard: Heard) -> dict[str, Any]:
    about = {"id": f"resp_{heard.id}", "object": "response", "created_at": CREATED, "model": heard.model}
    unset = {"error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "usage": None}
    asked = {"parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0}
    return {**about, **unset, **asked, "status": "in_progress", "output": [], "x_provider_note": "kept"}


def chunks(heard: Heard) -> Iterator[dict[str, Any]]:
    for number, one in enumerate(_events(heard)):
        yield {**one, "sequence_number": number}


def _events(heard: Heard) -> Iterator[dict[str, Any]]:
    for type_ in ("created", "in_progress"):
        yield {"type": f"response.{type_}", "response": _begun(heard)}
    item, at = _item(heard), {"output_index": 0}
    where = {**at, "item_id": item["id"]}
    added = {**item, "status": "in_progress"} | ({"arguments": ""} if heard.call else {"content": []})
    yield {"type": "response.output_item.added", **at, "item": added}
    if heard.call:
        arguments = item["arguments"]
        for piece in (arguments[:6], arguments[6:]):
            yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
        yield {"type": "response.function_call_arguments.done", **where, "arguments": arguments}
    else:
        (part,) = item["content"]
        where["content_index"] = 0
        yield {"type": "response.content_part.added", **where, "part": {**part, "text": "", "logprobs": []}}
        for piece in heard.pieces():
            logprobs = _logprobs(heard, piece)
            yield {"type": "response.output_text.delta", **where, "delta": piece, "logprobs": logprobs}
        yield {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": part["logprobs"]}
        yield {"type": "response.content_part.done", **where, "part": part}
    yield {"type": "response.output_item.done", **at, "item": item}
    yield {"type": "response.completed", "response": whole(heard)}
