"""Translate a response into a ``chat.completion``."""

import time
from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.carried_reasoning import OPENAI
from router_model.serving.formats.responses.response_object import outputs
from router_model.serving.formats.shapes import Json, mapping, mappings, text

_FINISH: Final[Mapping[str, str]] = {"max_output_tokens": "length", "content_filter": "content_filter"}
CALLS: Final = ("function_call", "custom_tool_call")


def chat_answer(answer: Json) -> Json:
    """Return a response as a chat completion, without usage.

    Examples
    --------
    >>> call = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"}
    >>> choice = chat_answer({"id": "r1", "status": "completed", "output": [call]})["choices"][0]
    >>> choice["finish_reason"], choice["message"]["tool_calls"][0]["id"]
    ('tool_calls', 'c1')
    """
    items = outputs(answer)
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    thought = "\n\n".join(filter(None, map(thought_in, items)))
    if thought:
        message["reasoning_content"] = thought
    if details := [detail for item in items for detail in encrypted(item)]:
        message["reasoning_details"] = details
    parts = [part for item in items if item.get("type") == "message" for part in mappings(item.get("content"))]
    said = [text(part.get("text")) for part in parts if part.get("type") == "output_text"]
    if said:
        message["content"] = "".join(said)
    message["refusal"] = "".join(text(part.get("refusal")) for part in parts) or None
    if cited := [citation(one) for part in parts for one in mappings(part.get("annotations"))]:
        message["annotations"] = [one for one in cited if one]
    if calls := [tool_call(item) for item in items if item.get("type") in CALLS]:
        message["tool_calls"] = calls
    logprobs = [one for part in parts for one in mappings(part.get("logprobs"))]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
        "finish_reason": finish_reason(answer, has_calls=bool(calls)),
    }
    return {**about(answer), "object": "chat.completion", "choices": [choice]}


def about(response: Mapping[str, Any]) -> Json:
    """Return the fields of a chat completion that say which answer it is."""
    created = response.get("created_at")
    return {
        "id": text(response.get("id")),
        "created": int(created) if isinstance(created, int | float) else int(time.time()),
        "model": text(response.get("model")),
    }


def finish_reason(response: Mapping[str, Any], *, has_calls: bool) -> str:
    """Return chat's word for why a response ended.

    >>> finish_reason({"incomplete_details": {"reason": "max_output_tokens"}}, has_calls=True)
    'length'
    """
    reason = text(mapping(response.get("incomplete_details")).get("reason"))
    return _FINISH.get(reason) or ("tool_calls" if has_calls else "stop")


def tool_call(item: Mapping[str, Any]) -> Json:
    """Return the call of a tool."""
    if item.get("type") == "custom_tool_call":
        custom = {"name": item.get("name"), "input": text(item.get("input"))}
        return {"id": item.get("call_id"), "type": "custom", "custom": custom}
    function = {"name": item.get("name"), "arguments": text(item.get("arguments"))}
    return {"id": item.get("call_id"), "type": "function", "function": function}


def thought_in(item: Mapping[str, Any]) -> str:
    """Return what an item of reasoning says: the reasoning itself if it is shown, else its summary."""
    if item.get("type") != "reasoning":
        return ""
    parts = mappings(item.get("content")) or mappings(item.get("summary"))
    return "\n\n".join(filter(None, (text(part.get("text")) for part in parts)))


def encrypted(item: Mapping[str, Any]) -> list[Json]:
    """Return the reasoning that the provider wants back."""
    if item.get("type") != "reasoning" or not item.get("encrypted_content"):
        return []
    return [
        {
            "type": "reasoning.encrypted",
            "id": item.get("id"),
            "data": item["encrypted_content"],
            "format": OPENAI,
        }
    ]


def citation(annotation: Mapping[str, Any]) -> Json | None:
    """Return a citation of a page as chat has it; None of a file, which chat cannot cite."""
    if annotation.get("type") != "url_citation":
        return None
    fields = {name: value for name, value in annotation.items() if name != "type"}
    return {"type": "url_citation", "url_citation": fields}
