"""The causes of errors that clients act upon, and how the SDK of each surface has to be told.

Coding agents compact a conversation, wait, or choose another model only where an error is said in their vendor's own
words. So one table says for each cause and shape: the status, the type or code, and the words.

| cause | OpenAI | Anthropic | Google |
|---|---|---|---|
| too long | 400 `context_length_exceeded` | 400 "prompt is too long: N tokens > M maximum" | 400, its words |
| content | 400 `content_filter` | 400 `invalid_request_error` | 400 `INVALID_ARGUMENT` |
| quota | 429 `insufficient_quota` | 429 `rate_limit_error` | 429 `RESOURCE_EXHAUSTED` |
| overloaded | 503 `server_is_overloaded` | 529 `overloaded_error` | 503 `UNAVAILABLE` |
| unknown model | 404 `model_not_found` | 404 `not_found_error` | 404 `NOT_FOUND` |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from router_model.serving.common.service_errors import Cause, Tokens


class Shape(StrEnum):
    """Whose SDK reads the error."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"


@dataclass(frozen=True, slots=True)
class Said:
    """How a cause is said.

    Attributes
    ----------
    status : int
        0: as it is.
    type : of the error; None: as it is
    code : of the error; None: as it is
    words : with ``{said}``, the message as it is
    counted : words for a prompt whose length is known, with ``{needed}`` and ``{most}`` tokens
    """

    status: int
    type: str | None = None
    code: str | None = None
    words: str = "{said}"
    counted: str = ""

    def message(self, said: str, tokens: Tokens | None) -> str:
        """Return the message.

        >>> SAID[Cause.TOO_LONG][Shape.ANTHROPIC].message("no room", Tokens(210_000, 200_000))
        'prompt is too long: 210000 tokens > 200000 maximum'
        """
        if tokens is not None and self.counted:
            return self.counted.format(needed=tokens.needed, most=tokens.most)
        start = self.words.partition("{said}")[0].rstrip(": ")
        is_said = bool(start) and said.lower().startswith(start.lower())
        return said if is_said else self.words.replace("{said}", said)


_INVALID: Final = "invalid_request_error"
SAID: Final[Mapping[Cause, Mapping[Shape, Said]]] = {
    Cause.TOO_LONG: {
        Shape.OPENAI: Said(
            400,
            _INVALID,
            "context_length_exceeded",
            "This model's maximum context length is exceeded: {said}",
            "This model's maximum context length is {most} tokens. However, your messages resulted in {needed} tokens. "
            "Please reduce the length of the messages.",
        ),
        Shape.ANTHROPIC: Said(
            400, _INVALID, None, "prompt is too long: {said}", "prompt is too long: {needed} tokens > {most} maximum"
        ),
        Shape.GOOGLE: Said(
            400,
            None,
            None,
            "The input token count exceeds the maximum number of tokens allowed: {said}",
            "The input token count ({needed}) exceeds the maximum number of tokens allowed ({most}).",
        ),
    },
    Cause.CONTENT: {
        Shape.OPENAI: Said(400, _INVALID, "content_filter"),
        Shape.ANTHROPIC: Said(400, _INVALID, None, "Output blocked by content filtering policy: {said}"),
        Shape.GOOGLE: Said(400, None, None, "The prompt was blocked: {said}"),
    },
    Cause.QUOTA: {
        Shape.OPENAI: Said(429, "insufficient_quota"),
        Shape.ANTHROPIC: Said(429, "rate_limit_error"),
        Shape.GOOGLE: Said(429, None, None, "You exceeded your current quota: {said}"),
    },
    Cause.OVERLOADED: {
        Shape.OPENAI: Said(503, "server_error", "server_is_overloaded"),
        Shape.ANTHROPIC: Said(529, "overloaded_error", None, "Overloaded: {said}"),
        Shape.GOOGLE: Said(503, None, None, "The model is overloaded: {said}"),
    },
    Cause.UNKNOWN_MODEL: {
        Shape.OPENAI: Said(404, None, "model_not_found"),
        Shape.ANTHROPIC: Said(404, "not_found_error", None, "model: {said}"),
        Shape.GOOGLE: Said(404),
    },
}
"""Every cause in every shape."""
_AS_IT_IS: Final = Said(0)


def said_of(cause: Cause | None, shape: Shape) -> Said:
    """Return how a cause is said; without a cause all stays as it is.

    >>> said_of(Cause.OVERLOADED, Shape.ANTHROPIC).type, said_of(None, Shape.ANTHROPIC).message("It broke.", None)
    ('overloaded_error', 'It broke.')
    """
    return _AS_IT_IS if cause is None else SAID[cause][shape]
