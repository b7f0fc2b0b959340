"""Translate the reason why an answer ended: ``finishReason`` and ``finish_reason``."""

from typing import Final

from router_model.serving.formats.gemini.finish import CUT, FILTERED

_TO_GEMINI: Final = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}


def chat_finish(reason: str | None, *, has_calls: bool) -> str:
    """Return OpenAI's reason; a reason without an equivalent (``OTHER``) becomes ``stop``.

    >>> [chat_finish(reason, has_calls=False) for reason in ("STOP", "MAX_TOKENS", "RECITATION", "OTHER")]
    ['stop', 'length', 'content_filter', 'stop']
    >>> chat_finish("STOP", has_calls=True)
    'tool_calls'
    """
    if reason in CUT:
        return "length"
    if reason in FILTERED:
        return "content_filter"
    return "tool_calls" if has_calls else "stop"


def gemini_finish(reason: str) -> str:
    """Return Google's reason.

    >>> gemini_finish("length"), gemini_finish("tool_calls"), gemini_finish("odd")
    ('MAX_TOKENS', 'STOP', 'OTHER')
    """
    return _TO_GEMINI.get(reason, "OTHER")
