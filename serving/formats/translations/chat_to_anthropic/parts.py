"""Parts of a chat message's content as Anthropic's blocks."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Json

_DATA_URL: Final = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,(.*)", re.DOTALL)
_IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_REFUSED: Final = ("input_audio", "video_url", "input_video")


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
        raise InvalidRequestError(f"{where}: a part of 'content' is no object with a 'type'", param="messages")
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
        raise InvalidRequestError(f"{where}: '{type_}' cannot be told to Anthropic's models", param="messages")
    return dict(part)


def _image(url: object, where: str) -> Json:
    if not isinstance(url, str):
        raise InvalidRequestError(f"{where}: 'image_url' has no 'url'", param="messages")
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    media_type, data = _data(url, where)
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
            f"{where}: a file must have its content with it ('file_data'), since 'file_id' is known to OpenAI alone",
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
            raise InvalidRequestError(f"{where}: a text file is no base64 of UTF-8", param="messages") from exc
    raise InvalidRequestError(
        f"{where}: Anthropic's models cannot read {media_type[:50]!r}; they take PDF and plain text", param="messages"
    )


def _data(url: str, where: str) -> tuple[str, str]:
    match = _DATA_URL.fullmatch(url)
    if match is None:
        raise InvalidRequestError(f"{where}: a data URL must be 'data:<media type>;base64,<data>'", param="messages")
    return match[1].lower(), match[2]
