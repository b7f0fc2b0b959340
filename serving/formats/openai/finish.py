"""Why a choice ended: translate the words of many servers into OpenAI's."""

from typing import Any, Final

from router_model.serving.formats.shapes import text

ERROR: Final = "error"
"""``finish_reason`` of a choice that a failure ended (OpenRouter)."""
STOP: Final = "stop"
_WORDS: Final = {
    STOP: ("stop",),
    "length": (
        *("length", "max_tokens", "max_length", "max_output_tokens", "max_new_tokens", "max_completion_tokens"),
        *("length_limit", "length_limited", "token_limit", "model_length", "model_context_window_exceeded"),
        *("context_length_exceeded", "context_length", "incomplete", "truncated", "error_limit"),
    ),
    "tool_calls": (
        *("tool_calls", "tool_call", "tool_use", "tools", "tool", "function_call", "function_calls", "function"),
    ),
    "content_filter": (
        *("content_filter", "content_filtered", "content-filter", "filtered", "safety", "recitation", "refusal"),
        *("prohibited_content", "blocklist", "spii", "image_safety", "language", "sensitive", "moderation"),
        *("guardrail_intervened", "content_policy_violation", "error_toxic"),
    ),
    ERROR: (
        *("error", "abort", "aborted", "cancelled", "canceled", "network_error", "insufficient_system_resource"),
        *("function_call_filter", "malformed_function_call", "unexpected_tool_call"),
    ),
}
"""By OpenAI's word, those of Mistral, Anthropic, Google, Cohere, Bedrock, Zhipu, DeepSeek, vLLM, SGLang and TGI; in
lower case. All others (``eos``, ``end_turn``, ``COMPLETE``, ``stop_sequence``) say that the model had come to its end.
"""
_REASONS: Final = {word: reason for reason, words in _WORDS.items() for word in words}
_HINTS: Final = {
    "length": ("length", "max_", "limit", "truncat"),
    "content_filter": ("filter", "safety", "block", "moderat", "policy", "refus"),
}
"""Parts of words that tell the meaning of an unknown reason."""
_NO_REASONS: Final = frozenset({"", "null", "none", "nil", "undefined", "finish_reason_unspecified"})


def chat_finish(reason: object, *, has_calls: bool, has_text: bool) -> str | None:
    """Return OpenAI's word for why a choice ended; None if it has not.

    Parameters
    ----------
    reason : as the provider said
    has_calls : whether the choice calls a tool: then it ended for that, whatever word the provider has for a stop
    has_text : whether it says something else; with text alone, it did not end for a tool

    Examples
    --------
    >>> chat_finish("STOP", has_calls=True, has_text=False), chat_finish("eos", has_calls=False, has_text=True)
    ('tool_calls', 'stop')
    >>> chat_finish("MAX_TOKENS", has_calls=True, has_text=False), chat_finish("", has_calls=False, has_text=True)
    ('length', None)
    """
    word = _word(reason)
    if word in _NO_REASONS:
        return None
    known = _REASONS.get(word) or _understood(word)
    if known == "stop" and has_calls:
        return "tool_calls"
    return "stop" if known == "tool_calls" and has_text and not has_calls else known


def _word(reason: object) -> str:
    """Return a reason in lower case; of an object its type (TGI, SGLang), of Gemini's surface what is before the colon.

    >>> _word({"type": "length", "length": 9}), _word("content_filter: RECITATION")
    ('length', 'content_filter')
    """
    word = text(reason.get("type") if isinstance(reason, dict) else reason).lower().partition(":")[0].strip()
    return word if word in _NO_REASONS else word.removeprefix("finish_reason_")


def _understood(word: str) -> str:
    return next((reason for reason, hints in _HINTS.items() if any(hint in word for hint in hints)), "stop")


def with_finish(choice: dict[str, Any], reason: str | None) -> None:
    """Put the reason into a choice; the provider's own word stays in a second field, as OpenRouter does it."""
    said = choice.get("finish_reason")
    if said and reason != said and "native_finish_reason" not in choice:
        choice["native_finish_reason"] = said
    choice["finish_reason"] = reason
