"""Write requests in OpenAI's format: the caller's body, except for the fields that the router decides."""

from typing import Final
from urllib.parse import urlsplit

from router_model.serving.formats.format import Call, Surface, request_headers
from router_model.serving.formats.json_text import dump_body
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.provider import Target

_OPENAI_SURFACES: Final = frozenset({Surface.CHAT, Surface.RESPONSES, Surface.EMBEDDINGS})
_USAGE_UNASKED: Final = frozenset({"api.mistral.ai"})
"""Hosts that send usage at the end of every stream, and refuse a request that asks for it (422)."""


def openai_request(path: str, body: Json, call: Call, target: Target, key: str | None) -> HttpRequest:
    """Return the request: `body` with the provider's ``model`` and with usage asked for in streams.

    Parameters
    ----------
    path : str
        After the base URL, e.g. ``/chat/completions``.
    body : Json
        Is changed.
    call : Call
    target : Target
    key : str or None
        None: no key is sent, unless the provider's own headers have one.
    """
    base_url = target.provider.base_url
    body["model"] = target.upstream_model
    if call.stream:
        body["stream"] = True
        # Always, as cost and budget need the usage; the writer leaves it out for a caller who said false.
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    elif "stream" in body:
        body["stream"] = False
    if not call.stream or urlsplit(base_url).hostname in _USAGE_UNASKED:
        body.pop("stream_options", None)
    return HttpRequest(base_url + path, openai_headers(call, target, key), dump_body(body, call))


def openai_headers(call: Call, target: Target, key: str | None) -> dict[str, str]:
    """Return the headers of a request in OpenAI's formats."""
    authorization = {} if key is None else {"authorization": f"Bearer {key}"}
    return request_headers(call, target, authorization, speaks=call.surface in _OPENAI_SURFACES)
