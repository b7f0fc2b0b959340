"""Write an error in the shape of the requested surface, because official SDKs read no other.

By path, as an error may come before anything of the request is read: from the guard, or for want of a key.
"""

import json
from collections.abc import Mapping
from copy import copy
from typing import Any, Final

from router_model.serving.common.causes import SAID, Shape
from router_model.serving.common.service_errors import ServiceError, error_body
from router_model.serving.http_edge.paths import ASKED_PATH

REQUEST_ID: Final = "router_request_id"
"""In the scope of a request: its id, which its answer has in two headers, and an error of Anthropic's in its body."""
MESSAGES: Final = "/v1/messages"
GOOGLE: Final = "/v1beta/"
_GOOGLE_CALLS: Final = (
    *(":generateContent", ":streamGenerateContent", ":countTokens"),
    *(":embedContent", ":batchEmbedContents"),
)
"""Google's calls below a path that they share with OpenAI's list of models."""


_OPENAI_CALLS: Final = frozenset({"/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/completions"})


def is_forwarded(path: str) -> bool:
    """Whether requests for a path are calls to forward, which may have images in them.

    >>> is_forwarded("/v1/messages"), is_forwarded("/v1/route")
    (True, False)
    """
    return path == MESSAGES or path.startswith(f"{MESSAGES}/") or path in _OPENAI_CALLS or path.endswith(_GOOGLE_CALLS)


def shape_of(path: str) -> Shape:
    """Return whose SDK asks for a path.

    >>> shape_of("/v1/messages/count_tokens").value, shape_of("/v1/models/auto:generateContent").value
    ('anthropic', 'google')
    """
    if path == MESSAGES or path.startswith(f"{MESSAGES}/"):
        return Shape.ANTHROPIC
    return Shape.GOOGLE if path.startswith(GOOGLE) or path.endswith(_GOOGLE_CALLS) else Shape.OPENAI


def shaped_error(scope: Mapping[str, Any], error: ServiceError) -> tuple[int, bytes]:
    """Return the status and the body of an error as the caller of a request expects them; `scope` is ASGI's."""
    shape = shape_of(scope["path"])
    error = _told(shape, error)
    if shape is Shape.ANTHROPIC:
        from router_model.serving.formats.anthropic.error_body import anthropic_error_body  # noqa: PLC0415  (only this surface needs it)

        return error.status, anthropic_error_body(error, scope.get(REQUEST_ID, ""))
    if shape is Shape.GOOGLE:
        from router_model.serving.formats.gemini.error_body import google_error_body  # noqa: PLC0415  (only this surface needs it)

        return error.status, google_error_body(error)
    return error.status, _openrouters(error) if is_openrouters(scope) else error_body(error)


def is_openrouters(scope: Mapping[str, Any]) -> bool:
    """Tell whether OpenRouter's SDK asks, or a client that was made for its paths."""
    if scope.get(ASKED_PATH, "").startswith("/api/v1/"):
        return True
    return any(name == b"user-agent" and b"openrouter" in value for name, value in scope["headers"])


def _openrouters(error: ServiceError) -> bytes:
    """Return an error whose ``code`` is the HTTP status, as OpenRouter's SDKs read it; ours is in the metadata."""
    content: dict[str, Any] = json.loads(error_body(error))
    metadata = {"code": error.code, **(content["error"].get("metadata") or {})}
    content["error"] |= {"code": error.status, "metadata": metadata}
    return json.dumps(content, separators=(",", ":")).encode()


def _told(shape: Shape, error: ServiceError) -> ServiceError:
    """Return an error in the words that clients act upon, where its cause has some."""
    if error.cause is None:
        return error
    said, told = SAID[error.cause][shape], copy(error)
    told.status, told.message = said.status, said.message(error.message, error.tokens)
    told.type, told.code = said.type or error.type, said.code or error.code
    return told
