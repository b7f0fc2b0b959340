"""Translate images, sound and documents: URLs for OpenAI, ``inlineData`` and ``fileData`` for Google."""

import base64
import mimetypes
import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.shapes import Json
from router_model.serving.formats.translations.google_fields import a_text, an_object, cannot_say, get

_DATA_URL: Final = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),(.*)", re.DOTALL)
_SOUNDS: Final = {"wav": "audio/wav", "mp3": "audio/mp3"}
_FORMATS: Final = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}
_TO_OPENAI: Final = "leave it out or ask for a Gemini model"


def part_of_url(url: str, where: str) -> Json:
    """Return Gemini's part of a URL or data URL.

    Raises
    ------
    InvalidRequestError
        If it is neither.

    Examples
    --------
    >>> part_of_url("data:image/png;base64,iVBORw==", "")
    {'inlineData': {'mimeType': 'image/png', 'data': 'iVBORw=='}}
    >>> part_of_url("https://example.org/cat.jpg", "")
    {'fileData': {'fileUri': 'https://example.org/cat.jpg', 'mimeType': 'image/jpeg'}}
    """
    match = _DATA_URL.fullmatch(url)
    if match:
        kind, parameters, data = match.groups()
        if not parameters.endswith(";base64"):
            data = base64.b64encode(unquote_to_bytes(data)).decode()
        return {"inlineData": {"mimeType": kind or "text/plain", "data": data}}
    if not url.startswith(("https://", "http://", "gs://")):
        raise InvalidRequestError(f"'{where}' starts with {url[:20]!r}; expected https: or data:", param=where)
    mime = _mime_of(url)
    return {"fileData": {"fileUri": url} | ({"mimeType": mime} if mime else {})}


def part_of_sound(sound: Json, where: str) -> Json:
    """Return Gemini's part of an ``input_audio``."""
    kind = a_text(sound.get("format"), f"{where}.format")
    data = a_text(sound.get("data"), f"{where}.data")
    return {"inlineData": {"mimeType": _SOUNDS.get(kind, f"audio/{kind}"), "data": data}}


def part_of_file(file: Json, where: str) -> Json:
    """Return Gemini's part of a ``file``: its data or a URL of it, but no id of OpenAI's."""
    data = file.get("file_data")
    if data is None:
        raise cannot_say(f"{where}.file_id", "Gemini", "send 'file_data'")
    return part_of_url(a_text(data, f"{where}.file_data"), f"{where}.file_data")


def chat_part_of_blob(blob: Json, where: str) -> Json:
    """Return OpenAI's part of an ``inlineData``.

    Raises
    ------
    InvalidRequestError
        If it is neither an image, nor sound OpenAI's format knows, nor a PDF.
    """
    kind = str(get(blob, "mimeType") or "")
    data = a_text(blob.get("data"), f"{where}.data").replace("-", "+").replace("_", "/")  # Google's SDK sends either
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
    if kind in _FORMATS:
        return {"type": "input_audio", "input_audio": {"data": data, "format": _FORMATS[kind]}}
    if kind == "application/pdf":
        name = get(blob, "displayName") or "document.pdf"
        return {"type": "file", "file": {"filename": name, "file_data": f"data:{kind};base64,{data}"}}
    raise cannot_say(f"{where}.mimeType", f"an OpenAI-compatible provider if it is {kind!r}", _TO_OPENAI)


def chat_part_of_file(file: Json, where: str) -> Json:
    """Return OpenAI's part of a ``fileData``: images by URL only."""
    uri = a_text(get(file, "fileUri"), f"{where}.fileUri")
    kind = str(get(file, "mimeType") or _mime_of(uri) or "")
    is_kept = urlsplit(uri).hostname == "generativelanguage.googleapis.com"  # an upload, which Google alone can read
    if is_kept or not kind.startswith("image/") or not uri.startswith(("https://", "http://")):
        raise cannot_say(where, f"an OpenAI-compatible provider if it is {kind!r}", "send it as inlineData")
    return {"type": "image_url", "image_url": {"url": uri}}


def images_of(message: Json, where: str) -> list[Json]:
    """Return Gemini's parts of the images that a model has drawn (OpenRouter's ``images``)."""
    images: Any = message.get("images")
    return [
        part_of_url(a_text(an_object(one.get("image_url"), where).get("url"), where), where)
        for one in (images if isinstance(images, list) else ())
        if isinstance(one, dict)
    ]


def _mime_of(uri: str) -> str | None:
    return mimetypes.guess_type(urlsplit(uri).path)[0]
