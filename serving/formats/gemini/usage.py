"""Convert between Google's token counts and ours.

Google's ``promptTokenCount`` includes cached tokens, as ours does; its ``candidatesTokenCount`` excludes thoughts, and
the prompts of Google's own tools (``toolUsePromptTokenCount``) are not in the prompt's count, but they are in ours.
"""

from collections.abc import Mapping
from typing import Any

from router_model.serving.formats.counts import amount_of, count_of, first_count, hidden_tokens, is_no_amount
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.usage import Usage


def read_usage(metadata: Mapping[str, Any]) -> Usage:
    """Return what ``usageMetadata`` says; a part that is more than its whole is cut to it.

    Examples
    --------
    >>> read_usage({"promptTokenCount": 100, "cachedContentTokenCount": 60, "toolUsePromptTokenCount": 5,
    ...             "candidatesTokenCount": 20, "thoughtsTokenCount": 30})
    Usage(input_tokens=105, output_tokens=50, cached_input_tokens=60, cache_write_tokens=0, reasoning_tokens=30, billed_usd=None, cache_write_1h_tokens=0)
    """  # noqa: E501  (one line is what Python prints)
    prompt = count_of(metadata.get("promptTokenCount"))
    tools = count_of(metadata.get("toolUsePromptTokenCount"))
    shown = first_count(metadata, "candidatesTokenCount", "responseTokenCount")
    thoughts = count_of(metadata.get("thoughtsTokenCount"))
    # Thoughts, and the prompts of tools, may be in the total alone.
    thoughts += hidden_tokens(count_of(metadata.get("totalTokenCount")), prompt + tools + shown + thoughts)
    return Usage(
        input_tokens=prompt + tools,
        output_tokens=shown + thoughts,
        cached_input_tokens=min(count_of(metadata.get("cachedContentTokenCount")), prompt),
        # Without a count of what was shown, the rest of the total may be the answer itself.
        reasoning_tokens=thoughts if shown else min(thoughts, count_of(metadata.get("thoughtsTokenCount"))),
        billed_usd=amount_of(metadata.get("cost")),
        has_odd_bill=is_no_amount(metadata.get("cost")),
    )


def write_usage(usage: Usage) -> Json:
    """Return ``usageMetadata`` of a call; it has no field for tokens that were written to a provider's cache.

    Examples
    --------
    >>> write_usage(Usage(100, 50, cached_input_tokens=60, reasoning_tokens=30))
    {'promptTokenCount': 100, 'candidatesTokenCount': 20, 'totalTokenCount': 150, 'cachedContentTokenCount': 60, 'thoughtsTokenCount': 30}
    """  # noqa: E501  (one line is what Python prints)
    metadata = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_input_tokens:
        metadata["cachedContentTokenCount"] = usage.cached_input_tokens
    if usage.reasoning_tokens:
        metadata["thoughtsTokenCount"] = usage.reasoning_tokens
    return metadata
