"""Translate chat messages and their parts into Anthropic's messages and blocks."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.shapes import Json, asked_objects, mappings

_INSTRUCTIONS: Final = ("system", "developer")
_NOT_OF_AN_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")
Blocks: TypeAlias = list[Json]
_DATA_URL: Final = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,(.*)", re.DOTALL)
_IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_REFUSED: Final = ("input_audio", "video_url", "input_video")


def anthropic_messages(messages: object) -> tuple[str | Blocks, list[Json]]:
    """Return ``system`` and ``messages``; instructions alone become a message, since there must be one.

    Raises
    ------
    InvalidRequestError
        If they are not a list of messages, or contain something that Anthropic's format cannot express.

    Examples
    --------
    >>> chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    >>> anthropic_messages([*chat, {"role": "user", "content": "there"}])[1]
    [{'role': 'user', 'content': [{'type': 'text', 'text': 'Hi'}, {'type': 'text', 'text': 'there'}]}]
    """
    system: Blocks = []
    turns: list[tuple[str, Blocks]] = []
    for place, message in enumerate(asked_objects(messages, "messages", "messages")):
        where = f"messages[{place}]"
        if message.get("role") in _INSTRUCTIONS:
            system += _marked(content_blocks(message.get("content"), where), message)
            continue
        role, blocks = _turn(message, where)
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((role, blocks))
    if not turns and not system:
        raise InvalidRequestError("'messages' has no content; add a message with content", param="messages")
    if not turns:
        turns, system = [("user", system)], []
    return _short(system), [{"role": role, "content": _short(blocks)} for role, blocks in turns]


def _turn(message: Mapping[str, Any], where: str) -> tuple[str, Blocks]:
    role = message.get("role")
    if role == "user":
        return "user", _marked(content_blocks(message.get("content"), where), message)
    if role == "assistant":
        return "assistant", _marked(_assistant_blocks(message, where), message)
    if role == "tool":
        return "user", _marked([_tool_result(message, where)], message)
    raise InvalidRequestError(
        f"{where}: role {role!r} does not exist in Anthropic's format; use 'system', 'user', 'assistant' or 'tool'",
        param="messages",
    )


def _assistant_blocks(message: Mapping[str, Any], where: str) -> Blocks:
    for name in ("function_call", "audio"):
        if message.get(name):
            raise InvalidRequestError(
                f"{where}: '{name}' cannot be translated for Anthropic's models; leave it out", param="messages"
            )
    blocks = _signed_thinking(message.get("reasoning_details"))
    blocks += content_blocks(message.get("content"), where)
    if message.get("refusal"):
        blocks += content_blocks(message["refusal"], where)
    return blocks + [
        _tool_use(call, where) for call in asked_objects(message.get("tool_calls"), f"{where}.tool_calls", "messages")
    ]


def _signed_thinking(details: object) -> Blocks:
    """Return the thinking that a Claude model signed, from what OpenRouter names ``reasoning_details``."""
    blocks: Blocks = []
    for detail in mappings(details):
        if detail.get("type") == "reasoning.text" and detail.get("signature"):
            blocks.append({"type": "thinking", "thinking": detail.get("text") or "", "signature": detail["signature"]})
        elif detail.get("type") == "reasoning.encrypted" and detail.get("format") == "anthropic-claude-v1":
            blocks.append({"type": "redacted_thinking", "data": detail.get("data")})
    return blocks


def _tool_use(call: Mapping[str, Any], where: str) -> Json:
    function = call.get("function")
    if not isinstance(function, Mapping):
        raise InvalidRequestError(
            f"{where}: only calls of functions can be translated for Anthropic's models", param="messages"
        )
    block: Json = {
        "type": "tool_use",
        "id": _id(call.get("id")),
        "name": function.get("name"),
        "input": _input(function.get("arguments"), where),
    }
    if call.get("cache_control"):
        block["cache_control"] = call["cache_control"]
    return block


def _input(arguments: object, where: str) -> Json:
    if arguments in (None, ""):
        return {}
    try:
        parsed = orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except orjson.JSONDecodeError:
        parsed = None  # refused below, together with values that are not objects
    if not isinstance(parsed, dict):
        raise InvalidRequestError(
            f"{where}: the arguments of a tool call are not a JSON object; expected one, as Anthropic's models need it",
            param="messages",
        )
    return parsed


def _tool_result(message: Mapping[str, Any], where: str) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": _id(message.get("tool_call_id"))}
    blocks = content_blocks(message.get("content"), where)
    if blocks:
        block["content"] = _short(blocks)
    if message.get("is_error") is not None:
        block["is_error"] = message["is_error"]
    return block


def _id(id_: object) -> object:
    """Return an id of a tool call in Anthropic's alphabet.

    >>> _id("functions.search:0")
    'functions_search_0'
    """
    return _NOT_OF_AN_ID.sub("_", id_) if isinstance(id_, str) else id_


def _marked(blocks: Blocks, message: Mapping[str, Any]) -> Blocks:
    """Put a message's own ``cache_control`` on its last block."""
    if blocks and message.get("cache_control"):
        blocks[-1] = {**blocks[-1], "cache_control": message["cache_control"]}
    return blocks


def _short(blocks: Sequence[Json]) -> str | Blocks:
    """Return a single plain text as a string."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        text: str = blocks[0]["text"]
        return text
    return list(blocks)


def content_blocks(content: object, where: str) -> list[Json]:
    """Return the blocks of a content; texts of white space alone are left out, since Anthropic refuses them.

    Raises
    ------
    InvalidRequestError
        If a part cannot be said.

    Examples
    --------
    >>> content_blocks([{"type": "text", "text": "Hi"}, {"type": "text", "text": ""}], "messages[0]")
    [{'type': 'text', 'text': 'Hi'}]
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    if not isinstance(content, list):
        raise InvalidRequestError(f"{where}: 'content' must be a string or a list of parts", param="messages")
    blocks = [_block(part, where) for part in content]
    return [block for block in blocks if block.get("type") != "text" or str(block.get("text") or "").strip()]


def _block(part: object, where: str) -> Json:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, Mapping):
        raise InvalidRequestError(f"{where}: a part of 'content' is not an object with a 'type'", param="messages")
    block = _said(part, where)
    if part.get("cache_control"):
        block["cache_control"] = part["cache_control"]
    return block


def _said(part: Mapping[str, Any], where: str) -> Json:
    type_ = part.get("type")
    if type_ == "text":
        return {"type": "text", "text": part.get("text")}
    if type_ == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    if type_ == "image_url":
        image = part.get("image_url")
        return {"type": "image", "source": _image(image.get("url") if isinstance(image, Mapping) else image, where)}
    if type_ == "file":
        return _document(part.get("file"), where)
    if type_ in _REFUSED:
        raise InvalidRequestError(
            f"{where}: a part of type '{type_}' cannot be translated for Anthropic's models", param="messages"
        )
    return dict(part)


def _image(url: object, where: str) -> Json:
    if not isinstance(url, str):
        raise InvalidRequestError(f"{where}: 'image_url' has no 'url'", param="messages")
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    media_type, data = _data(url, where)
    # Callers write image/jpg, too, which is not among the types that Anthropic takes.
    media_type = media_type.replace("image/jpg", "image/jpeg")
    if media_type not in _IMAGES:
        raise InvalidRequestError(
            f"{where}: Anthropic's models cannot see {media_type[:50]!r}; they take {', '.join(_IMAGES)}",
            param="messages",
        )
    return {"type": "base64", "media_type": media_type, "data": data}


def _document(file: object, where: str) -> Json:
    data_url = file.get("file_data") if isinstance(file, Mapping) else None
    if not isinstance(file, Mapping) or not isinstance(data_url, str):
        raise InvalidRequestError(
            f"{where}: a file must bring its content as 'file_data', because only OpenAI knows a 'file_id'",
            param="messages",
        )
    media_type, data = _data(data_url, where)
    block: Json = {"type": "document", "source": _source(media_type, data, where)}
    if file.get("filename"):
        block["title"] = file["filename"]
    return block


def _source(media_type: str, data: str, where: str) -> Json:
    if media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": data}
    if media_type == "text/plain":
        try:
            return {"type": "text", "media_type": media_type, "data": base64.b64decode(data, validate=True).decode()}
        except (binascii.Error, UnicodeDecodeError) as exc:
            raise InvalidRequestError(
                f"{where}: a text file is not UTF-8 in base64; expected that encoding", param="messages"
            ) from exc
    raise InvalidRequestError(
        f"{where}: Anthropic's models cannot read {media_type[:50]!r}; they take PDF and plain text", param="messages"
    )


def _data(url: str, where: str) -> tuple[str, str]:
    match = _DATA_URL.fullmatch(url)
    if match is None:
        raise InvalidRequestError(f"{where}: a data URL must be 'data:<media type>;base64,<data>'", param="messages")
    return match[1].lower(), match[2]
