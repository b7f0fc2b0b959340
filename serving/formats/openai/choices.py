"""What a choice says, of a whole answer (``message``) or of a chunk (``delta``)."""

from collections.abc import Mapping
from typing import Any, Final

from serving.formats.shapes import mapping, mappings

SAID_IN: Final = (
    "content",
    "tool_calls",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "refusal",
    "audio",
    "function_call",
    "images",
)
"""Fields an answer can be in; the most frequent first. ``reasoning*`` are DeepSeek's, OpenRouter's and vLLM's names."""

EXPLAINS_NOTHING_SAID: Final = frozenset({"length", "content_filter", "tool_calls"})
"""Reasons to finish that an answer without anything in it can have."""

ERROR: Final = "error"
"""``finish_reason`` of a choice that a failure ended (OpenRouter)."""


def says_something(part: Mapping[str, Any]) -> bool:
    """Return whether a message or delta has anything of an answer in it.

    Examples
    --------
    >>> says_something({"role": "assistant", "content": ""}), says_something({"tool_calls": [{"index": 0}]})
    (False, True)
    """
    return any(part.get(name) for name in SAID_IN)


def n_written(delta: Mapping[str, Any]) -> int:
    """Return how many characters a delta adds to the answer: text, reasoning and arguments of tools.

    Examples
    --------
    >>> n_written({"content": "Hello"}), n_written({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
    (5, 2)
    """
    texts = [delta.get("content"), delta.get("reasoning_content") or delta.get("reasoning"), delta.get("refusal")]
    texts += [mapping(tool.get("function")).get("arguments") for tool in mappings(delta.get("tool_calls"))]
    return sum(len(text) for text in texts if isinstance(text, str))
