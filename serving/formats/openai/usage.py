"""Read ``usage`` in OpenAI's format and its variants into `Usage`, and write it with its cost.

| who | what differs |
|---|---|
| DeepSeek | cached tokens are ``prompt_cache_hit_tokens`` |
| Moonshot | cached tokens are ``cached_tokens``, next to the totals |
| xAI | ``completion_tokens`` does not include reasoning, and the bill is in ``cost_in_usd_ticks`` |
| OpenRouter | ``cost`` is the bill; with a key of its own the upstream's bill comes on top (``is_byok``) |
| Perplexity | ``cost`` is an object with ``total_cost`` |
| Groq | some models' usage is only under ``x_groq`` |
| Gemini's OpenAI surface | thoughts are in ``total_tokens`` alone |
| gateways to Claude and Bedrock | cached tokens have Anthropic's names, and ``prompt_tokens`` may not include them |
| relays | ``input_tokens`` and ``output_tokens``; counts as texts, floats, null or negative numbers |

Which of these counts can be is decided in `router_model.serving.providers.plausible`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from router_model.catalog import ModelCard
from router_model.serving.formats.counts import amount_of, count_of, first_count, hidden_tokens, is_no_amount
from router_model.serving.formats.format import Facts
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.usage import Usage

USD_PER_TICK: Final = 1e-10
"""xAI bills in ticks of a ten-billionth of a dollar."""


def usage_json(answer: Mapping[str, Any]) -> Json | None:
    """Return the ``usage`` of an answer or chunk, if it has one."""
    usage = answer.get("usage")
    if not usage:
        groq = answer.get("x_groq")
        usage = groq.get("usage") if isinstance(groq, dict) else None
    return usage if usage and isinstance(usage, dict) else None


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Return what a ``usage`` says, each token in it once.

    Notes
    -----
    Cached tokens are part of ``prompt_tokens``, unless they are more than it, or ``total_tokens`` or DeepSeek's misses
    show that it does not include them. Reasoning is part of ``completion_tokens``, unless it is more than it.
    Whatever the total has beyond all other counts is hidden reasoning.

    Examples
    --------
    >>> xai = {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135}
    >>> usage = read_usage(xai | {"completion_tokens_details": {"reasoning_tokens": 94}})  # 32 + 9 + 94 = 135
    >>> usage.input_tokens, usage.output_tokens, usage.reasoning_tokens
    (32, 103, 94)
    >>> read_usage({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 530}).output_tokens
    520
    """
    n_total = count_of(usage.get("total_tokens"))
    n_written = first_count(usage, "completion_tokens", "output_tokens")
    cache = _Cache.of(usage)
    n_input = _n_input(usage, cache, n_total, n_written)
    n_thought = count_of(_details(usage, "completion_tokens_details", "output_tokens_details").get("reasoning_tokens"))
    n_thought = n_thought or count_of(usage.get("reasoning_tokens"))
    n_hidden = hidden_tokens(n_total, n_input + n_written)
    n_hidden = n_hidden or (n_thought if n_thought > n_written else 0)
    n_output = n_written + n_hidden
    n_cached = min(cache.n_read, n_input)
    n_kept = min(cache.n_written, n_input - n_cached)
    return Usage(
        input_tokens=n_input,
        output_tokens=n_output,
        cached_input_tokens=n_cached,
        cache_write_tokens=n_kept,
        # Without a count of what was written, the rest of the total may be the answer itself.
        reasoning_tokens=min(max(n_thought, n_hidden if n_written else 0), n_output),
        billed_usd=_billed_usd(usage),
        has_odd_bill=any(map(is_no_amount, (usage.get("cost_in_usd_ticks"), _cost(usage)))),
        cache_write_1h_tokens=min(cache.n_written_1h, n_kept),
    )


@dataclass(frozen=True, slots=True)
class _Cache:
    """Tokens read from a provider's cache, and written to it, in all and for an hour."""

    n_read: int
    n_written: int
    n_written_1h: int

    @classmethod
    def of(cls, usage: Mapping[str, Any]) -> "_Cache":
        read = _details(usage, "prompt_tokens_details", "input_tokens_details")
        writes = _details(usage, "cache_creation") or _details(read, "cache_creation_token_details")
        n_1h = count_of(writes.get("ephemeral_1h_input_tokens"))
        n_written = first_count(read, "cache_write_tokens", "cache_creation_tokens") or first_count(
            usage, "cache_creation_input_tokens", "cache_write_tokens", "cache_write_input_tokens"
        )
        n_read = count_of(read.get("cached_tokens")) or first_count(
            usage, "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"
        )
        return cls(n_read, max(n_written, n_1h), n_1h)


def _n_input(usage: Mapping[str, Any], cache: _Cache, n_total: int, n_written: int) -> int:
    """Return all tokens that were read, those of the cache included."""
    n_prompt = first_count(usage, "prompt_tokens", "input_tokens", "prompt_cache_miss_tokens")
    n_cache = cache.n_read + cache.n_written
    misses = usage.get("prompt_cache_miss_tokens")
    is_beside = (
        n_cache > n_prompt
        or n_total == n_prompt + n_written + n_cache
        or (misses is not None and count_of(misses) == n_prompt)
    )
    if n_cache and is_beside:
        return n_prompt + n_cache
    is_unsaid = usage.get("prompt_tokens") is None and usage.get("input_tokens") is None
    return max(n_total - n_written, 0) if is_unsaid else n_prompt


def written_usage(usage: Mapping[str, Any] | None, facts: Facts, card: ModelCard | None = None) -> Json | None:
    """Return the ``usage`` for the caller: the provider's, with our counts and cost; None if nothing is known.

    The counts are OpenAI's whoever answered (``completion_tokens`` includes reasoning). ``cost`` is null where the
    catalog has no price. ``upstream_inference_cost`` stays as the provider said, if it did; its two parts are shared
    out by the list prices of `card`, or else by tokens.
    """
    counted = facts.usage
    if counted is None:
        return None
    given = usage or {}
    costs = _details(given, "cost_details")
    upstream_usd = costs.get("upstream_inference_cost")
    written: Json = {
        **given,
        "prompt_tokens": counted.input_tokens,
        "completion_tokens": counted.output_tokens,
        "total_tokens": counted.input_tokens + counted.output_tokens,
        "prompt_tokens_details": {
            **_details(given, "prompt_tokens_details"),
            "cached_tokens": counted.cached_input_tokens,
            "cache_write_tokens": counted.cache_write_tokens,
        },
        "completion_tokens_details": {
            **_details(given, "completion_tokens_details"),
            "reasoning_tokens": counted.reasoning_tokens,
        },
        "cost": facts.cost_usd,
        "cost_details": _cost_details(counted, costs, facts.cost_usd if upstream_usd is None else upstream_usd, card),
    }
    return written | ({"estimated": list(facts.estimated)} if facts.estimated else {})


def _cost_details(
    usage: Usage, given: Mapping[str, Any], upstream_usd: float | None, card: ModelCard | None
) -> Json | None:
    """Return the cost of the provider and its parts, which OpenRouter's SDKs expect; None if it is unknown."""
    if upstream_usd is None:
        return None
    whole_usd = usage.list_usd(card) or 0.0
    read_usd = replace(usage, output_tokens=0, reasoning_tokens=0).list_usd(card) or 0.0
    n_tokens = usage.input_tokens + usage.output_tokens
    share = read_usd / whole_usd if whole_usd else usage.input_tokens / n_tokens if n_tokens else 1.0
    return {
        "upstream_inference_cost": upstream_usd,
        "upstream_inference_prompt_cost": upstream_usd * share,
        "upstream_inference_completions_cost": upstream_usd * (1 - share),
    } | {name: value for name, value in given.items() if value is not None}


def _details(usage: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return the object that stands under the first of these names that has one."""
    return next((details for name in names if isinstance(details := usage.get(name), dict) and details), {})


def _billed_usd(usage: Mapping[str, Any]) -> float | None:
    ticks = amount_of(usage.get("cost_in_usd_ticks"))
    if ticks is not None:
        return ticks * USD_PER_TICK
    billed = amount_of(_cost(usage))
    if billed is not None and usage.get("is_byok"):
        billed += amount_of(_details(usage, "cost_details").get("upstream_inference_cost")) or 0.0
    return billed


def _cost(usage: Mapping[str, Any]) -> object:
    cost = usage.get("cost")
    return cost.get("total_cost") if isinstance(cost, dict) else cost
