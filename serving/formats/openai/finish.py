"""Why a choice ended: what the many servers say, in OpenAI's words."""

from typing import Any, Final

from serving.formats.shapes import text

ERROR: Final = "error"
"""``finish_reason`` of a choice that a failure ended (OpenRouter)."""
_WORDS: Final = {
    "stop": ("stop",),
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
    ERROR: ("error", "abort", "aborted", "cancelled", "canceled", "network_error", "insufficient_system_resource"),
}
"""By OpenAI's word, those of Mistral, Anthropic, Google, Cohere, Bedrock, Zhipu, DeepSeek, vLLM, SGLang and TGI; in
lower case. All others (``eos``, ``end_turn``, ``COMPLETE``, ``stop_sequence``) say that the model had come to its end.
"""
_REASONS: Final = {word: reason for reason, words in _WORDS.items() for word in words}


def chat_finish(reason: object, *, has_calls: bool, has_text: bool) -> str | None:
    """Return OpenAI's word for why a choice ended; None where it has not.

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
    word = text(reason)
    if not word:
        return None
    known = _REASONS.get(word.lower().removeprefix("finish_reason_"), "stop")
    if known == "stop" and has_calls:
        return "tool_calls"
    return "stop" if known == "tool_calls" and has_text and not has_calls else known


def with_finish(choice: dict[str, Any], reason: str | None) -> None:
    """Put the reason into a choice; a word of the provider's own stays beside it, as OpenRouter has it."""
    said = choice.get("finish_reason")
    if said and reason != said and "native_finish_reason" not in choice:
        choice["native_finish_reason"] = said
    choice["finish_reason"] = reason
