"""``usage`` as OpenAI has it and others vary it: read into `Usage`, and written with its cost.

| who | what differs |
|---|---|
| DeepSeek | cached tokens are ``prompt_cache_hit_tokens`` |
| Moonshot | cached tokens are ``cached_tokens``, beside the totals |
| xAI | reasoning is counted beside ``completion_tokens``, and the bill is in ``cost_in_usd_ticks`` |
| OpenRouter | ``cost`` is the bill; with a key of one's own the upstream's bill comes on top (``is_byok``) |
| Perplexity | ``cost`` is an object with ``total_cost`` |
| Groq | some models' usage is only under ``x_groq`` |
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from serving.formats.format import Facts, Json
from serving.providers.usage import Usage

USD_PER_TICK: Final = 1e-10
"""xAI bills in ticks of a ten-billionth of a dollar."""


def usage_json(answer: Mapping[str, Any]) -> Json | None:
    """Return the ``usage`` of an answer or chunk, where it has one."""
    usage = answer.get("usage")
    if not usage:
        groq = answer.get("x_groq")
        usage = groq.get("usage") if isinstance(groq, dict) else None
    return usage if usage and isinstance(usage, dict) else None


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Return what a ``usage`` says, each token in it once.

    Notes
    -----
    Reasoning is part of ``completion_tokens``, unless ``total_tokens`` is the sum of prompt, completion and reasoning
    (or, where there is no total, reasoning is more than the completion). Parts are cut to the whole they are in.

    Examples
    --------
    >>> xai = {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135}
    >>> usage = read_usage(xai | {"completion_tokens_details": {"reasoning_tokens": 94}})  # 32 + 9 + 94 = 135
    >>> usage.input_tokens, usage.output_tokens, usage.reasoning_tokens
    (32, 103, 94)
    """
    read = _details(usage, "prompt_tokens_details")
    written = _details(usage, "completion_tokens_details")
    n_input = _count(usage, "prompt_tokens")
    n_output = _count(usage, "completion_tokens")
    n_reasoning = _count(written, "reasoning_tokens")
    n_total = _count(usage, "total_tokens")
    if n_reasoning and (n_total == n_input + n_output + n_reasoning if n_total else n_reasoning > n_output):
        n_output += n_reasoning
    n_cached = (
        _count(read, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens") or _count(usage, "cached_tokens")
    )
    n_cached = min(n_cached, n_input)
    return Usage(
        input_tokens=n_input,
        output_tokens=n_output,
        cached_input_tokens=n_cached,
        cache_write_tokens=min(_count(read, "cache_write_tokens"), n_input - n_cached),
        reasoning_tokens=min(n_reasoning, n_output),
        billed_usd=_billed_usd(usage),
    )


def written_usage(usage: Mapping[str, Any] | None, facts: Facts) -> Json | None:
    """Return the ``usage`` for the caller: the provider's, with our counts and cost; None where nothing is known.

    The counts are OpenAI's whoever answered (``completion_tokens`` includes reasoning). ``cost`` is null where the
    catalog has no price. ``upstream_inference_cost`` stays as the provider said, if it did.
    """
    counted = facts.usage
    if counted is None:
        return None
    given = usage or {}
    costs = _details(given, "cost_details")
    upstream_usd = costs.get("upstream_inference_cost")
    return {
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
        "cost_details": {
            **costs,
            "upstream_inference_cost": facts.cost_usd if upstream_usd is None else upstream_usd,
        },
    }


def _details(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    details = usage.get(name)
    return details if isinstance(details, dict) else {}


def _count(counts: Mapping[str, Any], name: str) -> int:
    count = counts.get(name)
    return max(0, int(count)) if isinstance(count, (int, float)) and math.isfinite(count) else 0


def _billed_usd(usage: Mapping[str, Any]) -> float | None:
    ticks = _amount(usage.get("cost_in_usd_ticks"))
    if ticks is not None:
        return ticks * USD_PER_TICK
    cost = usage.get("cost")
    billed = _amount(cost.get("total_cost") if isinstance(cost, dict) else cost)
    if billed is not None and usage.get("is_byok"):
        billed += _amount(_details(usage, "cost_details").get("upstream_inference_cost")) or 0.0
    return billed


def _amount(value: object) -> float | None:
    """Return an amount of money; a number that is none (negative, a flag, text) is no bill."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return float(value)
