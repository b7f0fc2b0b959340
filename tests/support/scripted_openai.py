"""OpenAI's chat completions and embeddings, as the scripted upstream speaks them."""

import base64
import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any

from scripted_request import CACHED, Heard, first, flat, given, has_result, image

CREATED = 1790000000


def hear(_: str, body: dict[str, Any]) -> Heard:
    said = [part for message in body.get("messages", []) for part in _parts(message)]
    tools = {tool["function"]["name"]: first(tool["function"].get("parameters")) for tool in body.get("tools") or []}
    choice = body.get("tool_choice")
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    stop = body.get("stop")
    return Heard(
        kind="openai",
        model=body["model"],
        stream=bool(body.get("stream")),
        said=tuple(said),
        knobs=given(
            max_tokens=body.get("max_tokens", body.get("max_completion_tokens")),
            temperature=body.get("temperature"),
            stop=[stop] if isinstance(stop, str) else stop,
        ),
        tools=tools,
        call=(named or next(iter(tools), None)) if choice != "none" and not has_result(said) else None,
        wanted=first(schema) if schema else None,
        choices=body.get("n") or 1,
        logprobs=bool(body.get("logprobs")),
        wants_usage=bool((body.get("stream_options") or {}).get("include_usage")),
    )


def _parts(message: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    role, content = message["role"].replace("developer", "system"), message.get("content")
    if role == "tool":
        yield ("tool", "result", flat(content))
        return
    for part in [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []:
        if part["type"] == "text":
            yield (role, "text", part["text"])
        else:
            yield (role, "image", image(part["image_url"]["url"]))
    for call in message.get("tool_calls") or []:
        arguments = json.loads(call["function"]["arguments"])
        yield (role, "call", call["function"]["name"], json.dumps(arguments, sort_keys=True))


def _usage(heard: Heard) -> dict[str, Any]:
    return {
        "prompt_tokens": heard.input_tokens,
        "completion_tokens": heard.output_tokens(),
        "total_tokens": heard.input_tokens + heard.output_tokens(),
        "prompt_tokens_details": {"cached_tokens": CACHED},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _envelope(heard: Heard, choices: list[Any], kind: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{heard.id}",
        "object": kind,
        "created": CREATED,
        "model": heard.model,
        "choices": choices,
        "x_provider_note": "kept",
    } | more


def _call(heard: Heard) -> dict[str, Any]:
    function = {"name": heard.call, "arguments": json.dumps(heard.arguments())}
    return {"id": f"call_{heard.id}", "type": "function", "function": function}


def _logprobs(heard: Heard, *pieces: str) -> dict[str, Any] | None:
    tokens = [{"token": one, "logprob": -0.5, "bytes": list(one.encode()), "top_logprobs": []} for one in pieces]
    return {"content": tokens, "refusal": None} if heard.logprobs else None


def whole(heard: Heard) -> dict[str, Any]:
    if heard.call:
        message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [_call(heard)]}
        choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}]
    else:
        choices = [
            {
                "index": number,
                "message": {"role": "assistant", "content": heard.text(number)},
                "logprobs": _logprobs(heard, *heard.pieces(number)),
                "finish_reason": "stop",
            }
            for number in range(heard.choices)
        ]
    return _envelope(heard, choices, "chat.completion", usage=_usage(heard))


def chunks(heard: Heard) -> Iterator[dict[str, Any]]:
    def chunk(number: int, delta: dict[str, Any], reason: str | None = None, logprobs: Any = None) -> dict[str, Any]:
        choice = {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return _envelope(heard, [choice], "chat.completion.chunk")

    for number in range(heard.choices):
        yield chunk(number, {"role": "assistant", "content": None if heard.call else ""})
        if heard.call:
            call = _call(heard)
            arguments = call["function"]["arguments"]
            begun = call | {"index": 0, "function": {"name": heard.call, "arguments": ""}}
            yield chunk(number, {"tool_calls": [begun]})
            for part in (arguments[:6], arguments[6:]):
                yield chunk(number, {"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
        else:
            for piece in heard.pieces(number):
                yield chunk(number, {"content": piece}, logprobs=_logprobs(heard, piece))
        yield chunk(number, {}, "tool_calls" if heard.call else "stop")
    if heard.wants_usage:
        yield _envelope(heard, [], "chat.completion.chunk", usage=_usage(heard))


def embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """Return a vector of four numbers for every input, as base64 where that is asked for."""
    inputs = [body["input"]] if isinstance(body["input"], str) else body["input"]
    vectors = [[byte / 256 for byte in hashlib.sha256(str(one).encode()).digest()[:4]] for one in inputs]
    as_text = body.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": number,
            "embedding": base64.b64encode(struct.pack("<4f", *vector)).decode() if as_text else vector,
        }
        for number, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 3 * len(inputs), "total_tokens": 3 * len(inputs)}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}
