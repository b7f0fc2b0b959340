"""Write an error in the shape of the requested surface, because official SDKs read no other.

By path, as an error may come before anything of the request is read: from the guard, or for want of a key.
"""

import secrets
from copy import copy
from typing import Final

from router_model.serving.common.causes import SAID, Shape
from router_model.serving.common.service_errors import ServiceError, error_body

MESSAGES: Final = "/v1/messages"
GOOGLE: Final = "/v1beta/"
_GOOGLE_CALLS: Final = (":generateContent", ":streamGenerateContent")
"""Google's calls below a path that they share with OpenAI's list of models."""


_OPENAI_CALLS: Final = frozenset({"/v1/chat/completions", "/v1/embeddings"})


def is_forwarded(path: str) -> bool:
    """Whether requests for a path are calls to forward, which may have images in them.

    >>> is_forwarded("/v1/messages"), is_forwarded("/v1/route")
    (True, False)
    """
    return path == MESSAGES or path in _OPENAI_CALLS or path.endswith(_GOOGLE_CALLS)


def shape_of(path: str) -> Shape:
    """Return whose SDK asks for a path.

    >>> shape_of("/v1/messages/count_tokens").value, shape_of("/v1/models/auto:generateContent").value
    ('anthropic', 'google')
    """
    if path == MESSAGES or path.startswith(f"{MESSAGES}/"):
        return Shape.ANTHROPIC
    return Shape.GOOGLE if path.startswith(GOOGLE) or path.endswith(_GOOGLE_CALLS) else Shape.OPENAI


def shaped_error(path: str, error: ServiceError) -> tuple[int, bytes]:
    """Return the status and the body of an error as callers of a path expect them."""
    shape = shape_of(path)
    error = _told(shape, error)
    if shape is Shape.ANTHROPIC:
        from router_model.serving.formats.anthropic.error_body import anthropic_error_body  # noqa: PLC0415  (only this surface needs it)

        return error.status, anthropic_error_body(error, f"req_{secrets.token_hex(12)}")
    if shape is Shape.GOOGLE:
        from router_model.serving.formats.gemini.error_body import google_error_body  # noqa: PLC0415  (only this surface needs it)

        return error.status, google_error_body(error)
    return error.status, error_body(error)


def _told(shape: Shape, error: ServiceError) -> ServiceError:
    """Return an error in the words that clients act upon, where its cause has some."""
    if error.cause is None:
        return error
    said, told = SAID[error.cause][shape], copy(error)
    told.status, told.message = said.status, said.message(error.message, error.tokens)
    told.type, told.code = said.type or error.type, said.code or error.code
    return told
