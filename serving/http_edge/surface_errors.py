"""Write an error in the shape of the requested surface, because official SDKs read no other.

By path, as an error may come before anything of the request is read: from the guard, or for want of a key.
"""

import secrets
from typing import Final

from router_model.serving.common.service_errors import ServiceError, error_body

MESSAGES: Final = "/v1/messages"
GOOGLE: Final = "/v1beta/"
_GOOGLE_CALLS: Final = (":generateContent", ":streamGenerateContent")
"""Google's calls below a path that they share with OpenAI's list of models."""


_OPENAI_CALLS: Final = frozenset({"/v1/chat/completions", "/v1/responses", "/v1/embeddings"})


def is_forwarded(path: str) -> bool:
    """Whether requests for a path are calls to forward, which may have images in them.

    >>> is_forwarded("/v1/messages"), is_forwarded("/v1/route")
    (True, False)
    """
    return path == MESSAGES or path in _OPENAI_CALLS or path.endswith(_GOOGLE_CALLS)


def shaped_error(path: str, error: ServiceError) -> bytes:
    """Return the body of an error in the shape that callers of a path expect."""
    if path == MESSAGES or path.startswith(f"{MESSAGES}/"):
        from router_model.serving.formats.anthropic.error_body import anthropic_error_body  # noqa: PLC0415  (only this surface needs it)

        return anthropic_error_body(error, f"req_{secrets.token_hex(12)}")
    if path.startswith(GOOGLE) or path.endswith(_GOOGLE_CALLS):
        from router_model.serving.formats.gemini.error_body import google_error_body  # noqa: PLC0415  (only this surface needs it)

        return google_error_body(error)
    return error_body(error)
