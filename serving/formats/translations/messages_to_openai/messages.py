"""Translate Anthropic's messages and blocks into chat messages and their parts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.shapes import Json, asked_objects, text

_ROLES: Final = ("user", "assistant", "system")


def chat_messages(system: object, messages: object) -> list[Json]:
    """Return chat messages, the instructions first.

    Raises
    ------
    InvalidRequestError
        If they are not a list of messages, or contain something that OpenAI's format cannot express.

    Examples
    --------
    >>> result = {"type": "tool_result", "tool_use_id": "t1", "content": "4"}
    >>> chat_messages(None, [{"role": "user", "content": [result, {"type": "text", "text": "And 3+3?"}]}])
    [{'role': 'tool', 'tool_call_id': 't1', 'content': '4'}, {'role': 'user', 'content': 'And 3+3?'}]
    """
    chat: list[Json] = []
    if system:
        chat.append({"role": "system", "content": text_of(system, "system")})
    turns = asked_objects(messages, "messages", "messages")
    loop = _start_of_tool_loop(turns)
    for place, message in enumerate(turns):
        chat += _turn(message, f"messages[{place}]", in_loop=place >= loop)
    return chat


def _turn(message: Mapping[str, Any], where: str, *, in_loop: bool) -> list[Json]:
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        raise InvalidRequestError(
            f"{where}: 'role' must be one of {', '.join(_ROLES)}, not {str(role)[:50]!r}", param="messages"
        )
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    blocks = asked_objects(content, f"{where}.content", "messages")
    if role == "system":
        return [{"role": "system", "content": text_of(blocks, where)}]
    return [_assistant(blocks, where, in_loop=in_loop)] if role == "assistant" else _user(blocks, where)


def _user(blocks: Sequence[Mapping[str, Any]], where: str) -> list[Json]:
    results = [block for block in blocks if block.get("type") == "tool_result"]
    others = [block for block in blocks if block.get("type") != "tool_result"]
    messages: list[Json] = []
    seen: list[Json] = []
    for result in results:
        said, images = _result(result, where)
        messages.append({"role": "tool", "tool_call_id": result.get("tool_use_id"), "content": said})
        seen += images
    parts = seen + content_parts(others, where)
    if parts or not results:
        messages.append({"role": "user", "content": _short(parts)})
    return messages


def _result(block: Mapping[str, Any], where: str) -> tuple[str, list[Json]]:
    """Return the text of a tool's result, and the parts of it that only a user message can hold."""
    content = block.get("content") or ""
    parts = (
        [{"type": "text", "text": content}]
        if isinstance(content, str)
        else content_parts(asked_objects(content, f"{where}.content", "messages"), where)
    )
    said = "\n".join(part["text"] for part in parts if part["type"] == "text")
    # OpenAI's tool message has no is_error, so the text has to say it.
    if block.get("is_error") and "error" not in said.lower():
        said = f"Error: {said}"
    return said, [part for part in parts if part["type"] != "text"]


def _assistant(blocks: Sequence[Mapping[str, Any]], where: str, *, in_loop: bool) -> Json:
    calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
    thoughts = [block for block in blocks if block.get("type") == "thinking"]
    said = [block for block in blocks if block.get("type") not in ("tool_use", "thinking", "redacted_thinking")]
    parts = content_parts(said, where)
    if any(part["type"] != "text" for part in parts):
        raise InvalidRequestError(
            f"{where}: a message of the assistant can contain text and tool calls only", param="messages"
        )
    content = "".join(part["text"] for part in parts)
    message: Json = {"role": "assistant", "content": content or (None if calls else "")}
    # Signed thinking is a Claude model's, which no other can read; unsigned came from a provider like this one.
    unsigned = "".join(text(block.get("thinking")) for block in thoughts if not block.get("signature"))
    if unsigned and in_loop:
        message["reasoning_content"] = unsigned
    if calls:
        message["tool_calls"] = calls
    return message


def _call(block: Mapping[str, Any]) -> Json:
    arguments = dump(block.get("input") or {}).decode()
    return {
        "id": block.get("id"),
        "type": "function",
        "function": {"name": block.get("name"), "arguments": arguments},
    }


def _start_of_tool_loop(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return the place after the last thing that a user said; results of tools are not said by users."""
    for place in range(len(messages) - 1, -1, -1):
        content = messages[place].get("content")
        is_result = isinstance(content, list) and any(
            isinstance(block, Mapping) and block.get("type") == "tool_result" for block in content
        )
        if messages[place].get("role") == "user" and not is_result:
            return place + 1
    return 0


def _short(parts: list[Json]) -> str | list[Json]:
    if not parts:
        return ""
    if len(parts) == 1 and parts[0]["type"] == "text":
        only: str = parts[0]["text"]
        return only
    return parts


def content_parts(blocks: Iterable[Mapping[str, Any]], where: str) -> list[Json]:
    """Return the parts of a content.

    Raises
    ------
    InvalidRequestError
        If a block is one that only Anthropic's models know.

    Examples
    --------
    >>> source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}
    >>> content_parts([{"type": "image", "source": source}], "messages[0]")
    [{'type': 'image_url', 'image_url': {'url': 'data:image/png;base64,iVBORw0='}}]
    """
    return [_part(block, where) for block in blocks]


def text_of(content: object, where: str) -> str:
    r"""Return a content of text alone as one text, its blocks in paragraphs.

    Raises
    ------
    InvalidRequestError
        If there is something else in it.

    Examples
    --------
    >>> text_of([{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}], "system")
    'Be brief.\n\nBe kind.'
    """
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for block in content if isinstance(content, list) else [content]:
        if not isinstance(block, Mapping) or block.get("type") != "text":
            param = where.partition("[")[0]
            raise InvalidRequestError(f"{where}: must be a string or a list of blocks of text", param=param)
        texts.append(str(block.get("text") or ""))
    return "\n\n".join(texts)


def _part(block: Mapping[str, Any], where: str) -> Json:
    match block.get("type"):
        case "text":
            return {"type": "text", "text": str(block.get("text") or "")}
        case "image":
            return {"type": "image_url", "image_url": {"url": _url(block.get("source"), where)}}
        case "document":
            return _document(block, where)
    raise _unknown(str(block.get("type")), where)


def _url(source: object, where: str) -> str:
    type_ = source.get("type") if isinstance(source, Mapping) else None
    if isinstance(source, Mapping) and type_ == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    if isinstance(source, Mapping) and type_ == "url":
        return str(source.get("url"))
    raise _unknown(f"source {type_}", where)


def _document(block: Mapping[str, Any], where: str) -> Json:
    source = block.get("source")
    type_ = source.get("type") if isinstance(source, Mapping) else None
    if isinstance(source, Mapping) and type_ == "text":
        return {"type": "text", "text": str(source.get("data"))}
    if isinstance(source, Mapping) and type_ == "base64":
        file = {"filename": block.get("title") or "document.pdf", "file_data": _url(source, where)}
        return {"type": "file", "file": file}
    raise _unknown(f"document with source {type_}", where)


def _unknown(what: str, where: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{where}: {what[:60]!r} exists for Anthropic's models only; leave it out, or let one of them answer",
        param="messages",
    )
