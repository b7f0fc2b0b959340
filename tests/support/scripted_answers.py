"""What the scripted upstream says: whole answers, streams and errors, in the format a request came in."""

import json
from typing import Any

import scripted_anthropic
import scripted_gemini
import scripted_openai
import scripted_responses
from scripted_request import Heard

_FORMATS = {
    "openai": scripted_openai,
    "anthropic": scripted_anthropic,
    "gemini": scripted_gemini,
    "openai-responses": scripted_responses,
}
_NAMED = ("anthropic", "openai-responses")
"""Formats whose events have names."""


def hear(kind: str, path: str, body: dict[str, Any]) -> Heard:
    """Return a request of a kind in the one spelling."""
    return _FORMATS[kind].hear(path, body)


def whole(heard: Heard) -> dict[str, Any]:
    """Return the answer as one document."""
    return _FORMATS[heard.kind].whole(heard)


def events(heard: Heard) -> list[bytes]:
    """Return the answer as server-sent events."""
    objects = event_objects(heard)
    if heard.kind in _NAMED:
        return [event(one, one["type"]) for one in objects]
    return [*map(event, objects), *([b"data: [DONE]\n\n"] if heard.kind == "openai" else [])]


def event_objects(heard: Heard) -> list[dict[str, Any]]:
    """Return the answer as the objects of its events."""
    if heard.kind == "anthropic":
        return list(scripted_anthropic.events(heard))
    return list(_FORMATS[heard.kind].chunks(heard))


def event(data: Any, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(data).encode() + b"\n\n"


def error(kind: str, status: int, message: str) -> dict[str, Any]:
    """Return an error in a provider's words."""
    if kind == "anthropic":
        return {"type": "error", "error": {"type": _ANTHROPIC_ERRORS.get(status, "api_error"), "message": message}}
    if kind == "gemini":
        named = {"status": _GOOGLE_ERRORS[status]} if status in _GOOGLE_ERRORS else {}
        return {"error": {"code": status, "message": message, **named}}
    type_ = "server_error" if status >= 500 else _OPENAI_ERRORS.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": type_, "param": None, "code": None}}


_OPENAI_ERRORS = {402: "insufficient_quota", 403: "permission_error", 429: "requests"}
_ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_GOOGLE_ERRORS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
