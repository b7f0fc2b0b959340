"""Read a choice of a whole answer (``message``) or of a chunk (``delta``)."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.shapes import mapping, mappings, n_bytes

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


def says_something(part: Mapping[str, Any]) -> bool:
    """Return whether a message or delta has anything of an answer in it.

    Examples
    --------
    >>> says_something({"role": "assistant", "content": ""}), says_something({"tool_calls": [{"index": 0}]})
    (False, True)
    """
    return any(part.get(name) for name in SAID_IN)


def n_written(part: Mapping[str, Any]) -> int:
    """Return how many bytes a message or delta adds to the answer: text, reasoning, names and arguments of tools.

    Examples
    --------
    >>> n_written({"content": "Hellö"}), n_written({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]})
    (6, 3)
    """
    texts = [part.get("content"), part.get("reasoning_content") or part.get("reasoning"), part.get("refusal")]
    for call in mappings(part.get("tool_calls")):
        function = mapping(call.get("function") or call.get("custom"))
        texts += [function.get("name"), function.get("arguments") or function.get("input")]
    return sum(n_bytes(text) for text in texts if isinstance(text, str))


def say_reasoning(message: object) -> None:
    """Put ``reasoning`` beside a message's ``reasoning_content``: OpenRouter's clients read the one, others the other.

    >>> message = {"reasoning_content": "Hm."}
    >>> say_reasoning(message)
    >>> message["reasoning"]
    'Hm.'
    """
    if isinstance(message, dict) and message.get("reasoning_content") and not message.get("reasoning"):
        message["reasoning"] = message["reasoning_content"]
