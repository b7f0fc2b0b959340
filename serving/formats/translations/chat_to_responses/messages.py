"""Translate chat messages into the items of Responses."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.shapes import Json, asked_objects, mapping, mappings, text

_ROLES: Final = ("user", "system", "developer")
_OPENAI: Final = "openai"


def input_items(messages: object) -> list[Json]:
    """Return the items of a conversation.

    Raises
    ------
    InvalidRequestError
        If it is not a list of messages, or contains something that Responses cannot express.

    Examples
    --------
    >>> call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    >>> chat = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    >>> [item["type"] for item in input_items([*chat, {"role": "tool", "tool_call_id": "c1", "content": "4"}])]
    ['function_call', 'function_call_output']
    """
    items: list[Json] = []
    custom: set[object] = set()
    for place, message in enumerate(asked_objects(messages, "messages", "messages")):
        where = f"messages[{place}]"
        role = message.get("role")
        if role in _ROLES:
            items.append({"type": "message", "role": role, "content": _content(message.get("content"), where)})
        elif role == "assistant":
            for item in _turn(message, where):
                custom |= {text(item["call_id"])} if item["type"] == "custom_tool_call" else set()
                items.append(item)
        elif role == "tool":
            call_id = message.get("tool_call_id")
            kind = "custom_tool_call_output" if text(call_id) in custom else "function_call_output"
            items.append({"type": kind, "call_id": call_id, "output": _content(message.get("content"), where)})
        else:
            raise InvalidRequestError(
                f"{where}: role {str(role)[:50]!r} does not exist in Responses; use 'system', 'developer', 'user', "
                "'assistant' or 'tool'",
                param="messages",
            )
    return items


def _turn(message: Mapping[str, Any], where: str) -> Iterator[Json]:
    for name in ("function_call", "audio"):
        if message.get(name):
            raise InvalidRequestError(
                f"{where}: '{name}' cannot be translated for Responses; leave it out", param="messages"
            )
    for detail in mappings(message.get("reasoning_details")):
        if detail.get("type") == "reasoning.encrypted" and text(detail.get("format")).startswith(_OPENAI):
            known = {"id": detail["id"]} if detail.get("id") else {}
            yield {"type": "reasoning", **known, "summary": [], "encrypted_content": detail.get("data")}
    content, refusal = message.get("content"), message.get("refusal")
    said = (
        content
        if isinstance(content, str)
        else "".join(text(part.get("text")) for part in asked_objects(content, f"{where}.content", "messages"))
    )
    calls = asked_objects(message.get("tool_calls"), f"{where}.tool_calls", "messages")
    if refusal:
        parts = [{"type": "output_text", "text": said}] if said else []
        yield {"type": "message", "role": "assistant", "content": [*parts, {"type": "refusal", "refusal": refusal}]}
    elif said or not calls:
        yield {"type": "message", "role": "assistant", "content": said}
    for call in calls:
        yield _call(call)


def _call(call: Mapping[str, Any]) -> Json:
    custom = call.get("custom")
    if isinstance(custom, Mapping):
        named = {"call_id": call.get("id"), "name": custom.get("name")}
        return {"type": "custom_tool_call", **named, "input": custom.get("input") or ""}
    function = mapping(call.get("function"))
    named = {"call_id": call.get("id"), "name": function.get("name")}
    return {"type": "function_call", **named, "arguments": function.get("arguments") or "{}"}


def _content(content: object, where: str) -> str | list[Json]:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return [_part(part, where) for part in asked_objects(content, f"{where}.content", "messages")]


def _part(part: Mapping[str, Any], where: str) -> Json:
    match part.get("type"):
        case "text":
            return {"type": "input_text", "text": text(part.get("text"))}
        case "image_url":
            image = part.get("image_url")
            image = image if isinstance(image, Mapping) else {"url": image}
            return {"type": "input_image", "image_url": image.get("url"), "detail": image.get("detail") or "auto"}
        case "file":
            return {"type": "input_file", **mapping(part.get("file"))}
    raise InvalidRequestError(
        f"{where}: a part of type {str(part.get('type'))[:50]!r} cannot be translated for Responses", param="messages"
    )
