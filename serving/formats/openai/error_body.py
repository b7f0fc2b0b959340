"""Read the body of an error, in the many shapes of servers that speak OpenAI's format.

| shape | whose |
|---|---|
| ``{"error": {"message", "type", "param", "code"}}`` | OpenAI, DeepSeek, Groq, Together, vLLM since 0.10 |
| ``{"error": {"message", "code": 429, "metadata": {"provider_name", "raw"}}}`` | OpenRouter |
| ``{"object": "error", "message", "type", "code"}`` | Mistral, vLLM before |
| ``{"message": {"detail": [{"loc", "msg"}]}}``, ``{"detail": ...}`` | Mistral's and FastAPI's validation |
| ``{"error": "text", "code": "text"}`` | Ollama, xAI |
| ``[{"error": {...}}]`` | Gemini's own OpenAI surface |
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from router_model.serving.common.masking import masked_keys
from router_model.serving.formats.json_text import load_object
from router_model.serving.providers.failures import UpstreamFailure

MAX_MESSAGE: Final = 1000
"""Longest message kept, in characters."""
_TEXTS: Final = frozenset({"message", "detail"})
_MAX_DEPTH: Final = 4
_NO_WORDS: Final = "an error without a message"
_HTTP_ERROR: Final = re.compile(r"[45]\d\d", re.ASCII)
_HTML: Final = (b"<!doctype", b"<html", b"<head", b"<?xml")


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The content of an error.

    Attributes
    ----------
    message : without keys, at most `MAX_MESSAGE` characters
    type, param : str or None
    code : str or None
        A number of OpenRouter's or vLLM's as text.
    metadata : OpenRouter's
    details : Anthropic's, an object with an ``error_code``
    """

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def http_status(self) -> int | None:
        """The HTTP status that `code` is; None if it is something else."""
        return int(self.code) if self.code is not None and _HTTP_ERROR.fullmatch(self.code) else None


def read_error(status: int, content: bytes) -> ErrorBody:
    """Return the error in the body of an answer with an error status; a page of HTML is not quoted."""
    text = content.strip()
    if not text:
        return ErrorBody(f"HTTP {status} with an empty body")
    if text[:9].lower().startswith(_HTML):
        return ErrorBody(f"HTTP {status} with a page of HTML; expected an error in JSON")
    try:
        body = load_object(text.removeprefix(b"[").removesuffix(b"]"), "error")
    except UpstreamFailure:
        # A character has four bytes at most, so these hold MAX_MESSAGE of them.
        return ErrorBody(_shown(text[: 4 * MAX_MESSAGE].decode("utf-8", "replace")))
    return error_in(body) or ErrorBody(_shown(f"HTTP {status} with {text[:200].decode('utf-8', 'replace')}"))


def error_in(body: Mapping[str, Any]) -> ErrorBody | None:
    """Return the error that an object is or has; None if there is none."""
    error = body.get("error")
    if isinstance(error, dict):
        return _error(error, error)
    if error:
        return ErrorBody(_shown(_text(error)), code=_name(body.get("code")), type=_name(body.get("type")))
    if str(body.get("object")).lower() == "error" or ("choices" not in body and not _TEXTS.isdisjoint(body)):
        return _error(body, {**body, "message": body.get("message") or body.get("detail")})
    return None


def _error(body: Mapping[str, Any], error: Mapping[str, Any]) -> ErrorBody:
    metadata = body.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    message = _text(error.get("message")).strip() or _NO_WORDS
    return ErrorBody(
        message=_shown(_with_origin(message, metadata)),
        type=_name(error.get("type")),
        code=_reason(error) or _name(error.get("code")),
        param=_name(error.get("param")),
        metadata=metadata,
        details=details if isinstance(details := error.get("details"), dict) else {},
    )


def _reason(error: Mapping[str, Any]) -> str | None:
    """Return the reason in Google's details, which says more than its ``code``, a status.

    >>> _reason({"code": 400, "details": [{"@type": "ErrorInfo", "reason": "API_KEY_INVALID"}]})
    'API_KEY_INVALID'
    """
    details = error.get("details")
    named = (one.get("reason") for one in details if isinstance(one, dict)) if isinstance(details, list) else ()
    return next((name for name in named if isinstance(name, str) and name), None)


def _with_origin(message: str, metadata: Mapping[str, Any]) -> str:
    """Add the provider's name and words to OpenRouter's "Provider returned error"."""
    name, raw = metadata.get("provider_name"), metadata.get("raw")
    if isinstance(raw, str) and raw.lstrip().startswith("{"):
        inner = read_error(0, raw.encode("utf-8", "replace")).message
    else:
        inner = _text(raw)
    origin = f"{message} ({name})" if name else message
    return f"{origin}: {inner}" if inner and inner not in message else origin


def _text(value: object, depth: int = 0) -> str:
    """Return a message as text: the texts in it, if it is made of objects."""
    if isinstance(value, str):
        return value
    if value is None or depth > _MAX_DEPTH:
        return ""
    if isinstance(value, dict):
        where = ".".join(str(part) for part in value["loc"]) + ": " if isinstance(value.get("loc"), list) else ""
        return where + _text(value.get("message") or value.get("msg") or value.get("detail"), depth + 1)
    if isinstance(value, list):
        return "; ".join(_text(one, depth + 1) for one in value[:10])
    return str(value)


def _name(value: object) -> str | None:
    return None if value is None or isinstance(value, (dict, list)) else masked_keys(str(value)[:200])


def _shown(text: str) -> str:
    # A page of text is cut before it is searched for keys, too: it may be megabytes.
    shown = masked_keys(text.strip()[: 4 * MAX_MESSAGE]) or _NO_WORDS
    return shown if len(shown) <= MAX_MESSAGE else shown[:MAX_MESSAGE] + "…"
