"""Token counts in Anthropic's words, where ``input_tokens`` leaves out all tokens of the cache."""

from collections.abc import Mapping
from typing import Any

from router_model.serving.formats.counts import amount_of, count_of, first_count, is_no_amount
from router_model.serving.formats.format import Facts
from router_model.serving.formats.shapes import Json, mapping
from router_model.serving.providers.usage import Usage


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Return the counts as `Usage` has them: cached tokens are part of the input, once.

    Examples
    --------
    >>> counts = {"input_tokens": 10, "cache_read_input_tokens": 600, "cache_creation_input_tokens": 40}
    >>> read = read_usage({**counts, "output_tokens": 7})  # 10 + 600 + 40
    >>> read.input_tokens, read.cached_input_tokens, read.cache_write_tokens, read.output_tokens
    (650, 600, 40, 7)
    """
    cached = count_of(usage.get("cache_read_input_tokens"))
    writes = mapping(usage.get("cache_creation"))
    hour = count_of(writes.get("ephemeral_1h_input_tokens"))
    briefly = count_of(writes.get("ephemeral_5m_input_tokens"))
    written = max(count_of(usage.get("cache_creation_input_tokens")), hour + briefly)
    output = first_count(usage, "output_tokens", "completion_tokens")
    thought = count_of(mapping(usage.get("output_tokens_details")).get("thinking_tokens"))
    return Usage(
        input_tokens=first_count(usage, "input_tokens", "prompt_tokens") + cached + written,
        output_tokens=output,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=min(thought, output),
        billed_usd=amount_of(usage.get("cost")),
        has_odd_bill=is_no_amount(usage.get("cost")),
        cache_write_1h_tokens=hour,
    )


def write_usage(facts: Facts, said: Mapping[str, Any] | None = None) -> Json:
    """Return the counts in Anthropic's words, with ``cost`` (USD); other counts that a provider `said` stay.

    Examples
    --------
    >>> usage = Usage(650, 7, cached_input_tokens=600, cache_write_tokens=40)
    >>> written = write_usage(Facts(usage=usage, cost_usd=0.002))
    >>> written["input_tokens"], written["cost"]
    (10, 0.002)
    """
    usage = facts.usage or Usage(0, 0)
    written: Json = dict(said or {})
    written |= {
        "input_tokens": usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
        "cost": facts.cost_usd,
    }
    if usage.reasoning_tokens:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return written | ({"estimated": list(facts.estimated)} if facts.estimated else {})
