"""Answers off the book: what by-the-book ones of `scripted_answers` become at servers that nearly speak a format.

A variant takes the events of a stream, or a whole answer, and returns the bytes of the stream, or the answer.
"""

import copy
import json
from collections.abc import Callable, Iterable
from typing import Any

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"


def data(event: Any, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(event).encode() + b"\n\n"


def changed(change: Callable[[Json], Any]) -> Callable[[list[Json]], list[bytes]]:
    """Return a variant of OpenAI's streams in which every chunk is changed in place, or replaced."""

    def variant(chunks: list[Json]) -> list[bytes]:
        copies = copy.deepcopy(chunks)
        return [*(data(change(one) or one) for one in copies), DONE]

    return variant


def _choices(chunk: Json) -> list[Json]:
    return chunk.get("choices") or []


def _pieces(chunk: Json) -> Iterable[Json]:
    return [piece for choice in _choices(chunk) for piece in choice["delta"].get("tool_calls") or []]


def _no_index(chunk: Json) -> None:
    for piece in _pieces(chunk):
        del piece["index"]


def _repeating(chunks: list[Json]) -> list[bytes]:
    """Say the role, the id and the name again with every piece."""
    copies = copy.deepcopy(chunks)
    begun: Json = {}
    for chunk in copies:
        for choice in _choices(chunk):
            choice["delta"]["role"] = "assistant"
        for piece in _pieces(chunk):
            begun = begun or piece
            piece |= {"id": begun["id"], "type": "function"}
            piece["function"] = {"name": begun["function"]["name"]} | piece["function"]
    return [*map(data, copies), DONE]


def _whole_calls(chunks: list[Json]) -> list[bytes]:
    """Say a call in one piece with an object as its arguments and an index in a text; then stop."""
    said = "".join(piece["function"]["arguments"] for chunk in chunks for piece in _pieces(chunk))
    sent = []
    for chunk in copy.deepcopy(chunks):
        for piece in _pieces(chunk):
            piece["index"] = "0"
            piece["function"]["arguments"] = json.loads(said) if said else None
        for choice in _choices(chunk):
            choice["finish_reason"] = choice["finish_reason"] and "STOP"
        if all("id" in piece for piece in _pieces(chunk)):
            sent.append(data(chunk))
    return [*sent, DONE]


def _legacy(chunk: Json) -> None:
    for choice in _choices(chunk):
        for piece in choice["delta"].pop("tool_calls", None) or []:
            choice["delta"]["function_call"] = piece["function"]
        if choice["finish_reason"] == "tool_calls":
            choice["finish_reason"] = "function_call"


def _unfinished(chunk: Json) -> None:
    for choice in _choices(chunk):
        choice["finish_reason"] = None


def _untyped(chunks: list[Json]) -> list[bytes]:
    """Leave out all that need not be there, say texts in parts, numbers in texts, and counts in every chunk."""
    usage = {name: str(n) for name, n in chunks[-1]["usage"].items() if isinstance(n, int)}
    sent = []
    for place, chunk in enumerate(copy.deepcopy(chunks)):
        del chunk["id"], chunk["object"]
        chunk["created"] = "1790000000000"
        chunk["choices"] = chunk["choices"] or None
        chunk["usage"] = {**chunks[-1]["usage"], **usage} if chunk["choices"] is None else {"completion_tokens": place}
        for choice in _choices(chunk):
            del choice["index"]
            if isinstance(content := choice["delta"].get("content"), str):
                choice["delta"]["content"] = [{"type": "text", "text": content}]
        sent.append(data(chunk))
    return [*sent, DONE]


def _as_message(chunk: Json) -> None:
    for choice in _choices(chunk):
        choice["message"] = choice.pop("delta")
        choice["finish_reason"] = choice["finish_reason"] and "eos"


def _joined(chunks: list[Json]) -> list[bytes]:
    """Put all objects, and the end, into one event without a blank line after it."""
    return [b"data: " + b"".join(json.dumps(one).encode() for one in chunks) + b"\ndata: [DONE]"]


def _framed(chunks: list[Json]) -> list[bytes]:
    """Frame the events as servers in other languages do."""
    lines = [b"event: message\r\nid: 1\r\ndata:" + json.dumps(one).encode() + b"\r\n\r\n" for one in chunks]
    return [b"\xef\xbb\xbf: open\r\n\r\n", b"data: null\r\n\r\n", *lines, b"data:[DONE]\r\n\r\n"]


OPENAI_STREAMS: dict[str, Callable[[list[Json]], list[bytes]]] = {
    "no_index": changed(_no_index),
    "repeating": _repeating,
    "whole_calls": _whole_calls,
    "legacy": changed(_legacy),
    "unfinished": changed(_unfinished),
    "untyped": _untyped,
    "message": changed(_as_message),
    "joined": _joined,
    "framed": _framed,
}


def _odd_completion(answer: Json) -> Json:
    odd = copy.deepcopy(answer)
    del odd["id"], odd["object"], odd["created"]
    odd["usage"] = {name: float(n) if isinstance(n, int) else n for name, n in odd["usage"].items()}
    for choice in odd["choices"]:
        message = choice["message"]
        choice["finish_reason"] = "end_turn"
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]
        for call in message.get("tool_calls") or []:
            call["id"] = None
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return odd


def _legacy_completion(answer: Json) -> Json:
    odd = copy.deepcopy(answer)
    for choice in odd["choices"]:
        for call in choice["message"].pop("tool_calls", None) or []:
            choice["message"]["function_call"] = call["function"]
            choice["finish_reason"] = "function_call"
    return odd


OPENAI_ANSWERS: dict[str, Callable[[Json], Json]] = {"untyped": _odd_completion, "legacy": _legacy_completion}


def _short_events(events: list[Json]) -> list[bytes]:
    """Say the input of a tool in the beginning of its block, types in event lines only, and no ``message_delta``."""
    said = "".join(one["delta"].get("partial_json", "") for one in events if one["type"] == "content_block_delta")
    sent = []
    for one in copy.deepcopy(events):
        if one["type"] == "content_block_start" and said:
            one["content_block"]["input"] = json.loads(said)
        if one["type"] == "message_delta":
            sent.append(data({"message": {}, "usage": one["usage"]}, "message_delta"))
        elif not (one["type"] == "content_block_delta" and said):
            sent.append(
                data({name: value for name, value in one.items() if name not in {"type", "index"}}, one["type"])
            )
    return sent


def _late_counts(events: list[Json]) -> list[bytes]:
    """Say no count in the beginning and all at the end; words of OpenAI's, and ``[DONE]`` for the last event."""
    sent = []
    for one in copy.deepcopy(events):
        if one["type"] == "message_start":
            counts = one["message"]["usage"]
            one["message"]["usage"] = dict.fromkeys(counts, 0)
        if one["type"] == "message_delta":
            one["usage"] = {**counts, **one["usage"]}
            words = {"tool_use": "tool_calls", "end_turn": "stop"}
            one["delta"]["stop_reason"] = words[one["delta"]["stop_reason"]]
        sent.append(DONE if one["type"] == "message_stop" else data(one, one["type"]))
    return sent


ANTHROPIC_STREAMS: dict[str, Callable[[list[Json]], list[bytes]]] = {"short": _short_events, "late": _late_counts}


def _odd_message(message: Json) -> Json:
    odd = {name: value for name, value in copy.deepcopy(message).items() if name not in {"type", "role", "id"}}
    odd["stop_reason"] = None
    odd["usage"] = {name: str(count) for name, count in odd["usage"].items()}
    for block in odd["content"]:
        if "input" in block:
            block["input"] = json.dumps(block["input"])
    if odd["content"][0]["type"] == "text":
        odd["content"] = odd["content"][0]["text"]
    return odd


ANTHROPIC_ANSWERS: dict[str, Callable[[Json], Json]] = {"short": _odd_message}


def _snake(response: Json) -> Json:
    names = {"usageMetadata": "usage_metadata", "modelVersion": "model_version", "responseId": "response_id"}
    odd = {names.get(name, name): value for name, value in copy.deepcopy(response).items()}
    for one in odd["candidates"]:
        one["finish_reason"] = one.pop("finishReason", "").lower()
        (part,) = one["content"]["parts"]
        one["content"]["parts"] = part
        if "functionCall" in part:
            call = part.pop("functionCall")
            part["function_call"] = {"name": call["name"], "args": json.dumps(call["args"])}
    counts = odd.get("usage_metadata") or {}
    odd["usage_metadata"] = {name: str(count) for name, count in counts.items()}
    return odd


GEMINI_STREAMS: dict[str, Callable[[list[Json]], list[bytes]]] = {
    "snake": lambda chunks: [*(data(_snake(one)) for one in chunks), DONE]
}
GEMINI_ANSWERS: dict[str, Callable[[Json], Json]] = {"snake": _snake}

STREAMS = {"openai": OPENAI_STREAMS, "anthropic": ANTHROPIC_STREAMS, "gemini": GEMINI_STREAMS}
ANSWERS = {"openai": OPENAI_ANSWERS, "anthropic": ANTHROPIC_ANSWERS, "gemini": GEMINI_ANSWERS}
