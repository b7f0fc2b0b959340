"""Read the body of a 2xx answer that is not a stream."""

from typing import Final

from router_model.serving.formats.json_text import load_object
from router_model.serving.formats.openai.failures import failure_in
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

_SHOWN: Final = 100
"""Longest part of a content type in a message."""


def answer_object(content_type: str, content: bytes) -> Json:
    """Return the object of an answer.

    Raises
    ------
    UpstreamFailure
        With `FailureKind.MALFORMED` if it is not JSON, or with the kind of the error that it holds.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    # No type passes: a body that came in place of a stream is read here without one.
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise UpstreamFailure(
            FailureKind.MALFORMED, f"the provider answered with {media_type[:_SHOWN]!r}; expected application/json"
        )
    answer = load_object(content, "answer")
    failure = failure_in(answer)
    if failure is not None:
        raise failure
    return answer


def text_or_none(value: object) -> str | None:
    """Return an id or a name; None if it is missing or not a text."""
    return value if value and isinstance(value, str) else None
