"""Check reported usage and cost: a possible value is believed, an impossible one is replaced by an estimate.

What a call shows by itself is the bytes that were sent, the limits that were asked for, and the bytes of text that came
back. These bound the tokens. The bounds are wide on purpose, since an estimate is worse than a report that is merely
unusual.

| report | cannot be if | why |
|---|---|---|
| input | it is missing or 0 | every prompt has a token |
| | it is under a token every 128 bytes of text | the longest tokens in use (o200k: runs of spaces) have 128 bytes |
| | it is over the context window and over the bytes sent | no token is shorter than a byte |
| output | it is missing or 0 though something was said | whatever is said has a token |
| | it is under a token every 128 bytes | as above |
| | it is over the bytes that came and over twice what the model can write | catalogs lag; beta headers double it |
| | less reasoning, it is over the bytes that came and over twice ``max_tokens`` and 64 | tokenizers differ |
| cost | it is under a hundredth of the list price | discounts (cache, batch, another host) come to a fiftieth |
| | it is over $10 and a hundred times the list price | searches and other fees come on top of tokens |
| | it is negative, infinite or a flag | it is not an amount |

So images, audio, tool schemas, other languages, base64 and thoughts that are not shown never make a report
unbelievable: they add tokens to those of the text, up to the window. Reported reasoning is not held against
``max_tokens``, since some hosts do not count it there. If a request has a provider's own tools (web search, code),
a call may run several rounds, so that the upper bounds of tokens are ten times as high.

A cost of 0 is believed of a model that is free: its list price is 0, or its id ends in ``:free``. If no list price
is known, every cost up to $1,000 a million tokens, and $10, is believed.

Estimates are a token every four bytes, which is English: other languages have more tokens, and more bytes. An image or
file in base64 counts as a thousand tokens of input. A stream that was cut is estimated in the same way, unless its
provider has counted more until then. If nothing came back of a request that its provider has read, as the caller
hung up or the time was up, its input is estimated all the same: it was paid.

The budget counts the greater: of the estimate and of the report, as far as the report is within its bound.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from router_model.catalog import ModelCard
from router_model.serving.providers.provider import Target
from router_model.serving.providers.sent import Sent
from router_model.serving.providers.usage import Usage
from router_model.serving.providers.worst_case import MOST_BYTES_A_TOKEN

INPUT: Final = "input_tokens"
OUTPUT: Final = "output_tokens"
COST: Final = "cost"
"""Names of what can be estimated."""

_BYTES_A_TOKEN: Final = 4
_ROUNDS: Final = 10
"""The most turns that a provider takes with its own tools in one call (Anthropic stops after ten)."""
_TIMES_THE_LIMIT: Final = 2
_TOKENS_OVER_THE_LIMIT: Final = 64
_OUR_TOOLS: Final = frozenset({"function", "custom"})
"""Types of tools that the caller runs, which end the provider's turn."""
_TOOL_SCHEMAS: Final = frozenset({"function", "input_schema", "functionDeclarations", "function_declarations"})
_SWITCHES: Final = ("web_search_options", "plugins", "mcp_servers")
_LIMITS: Final = ("max_completion_tokens", "max_tokens", "maxOutputTokens", "max_output_tokens")
_N_ANSWERS: Final = ("n", "best_of", "candidateCount", "candidate_count")
_LARGEST_WINDOW: Final = 10_000_000
"""Tokens; of a model whose window or longest answer the catalog does not know."""
_LEAST_SHARE: Final = 0.01
_MOST_TIMES: Final = 100
_MOST_FEES_USD: Final = 10.0
_MOST_ANSWERS: Final = 128
_DEAREST_USD_A_TOKEN: Final = 0.001
"""The price that is assumed without a list price: $1,000 per million tokens; nobody asks for more."""
_DATA_TOKENS: Final = 1000
_FREE: Final = ":free"
_ZERO, _TOO_FEW, _TOO_MANY, _TOO_LOW, _TOO_HIGH = "zero", "too_few", "too_many", "too_low", "too_high"
_NO_AMOUNT: Final = "no_amount"
_CUT, _MISSING = "cut", "missing"
"""Why a count or a cost is not believed."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The facts of a call that do not depend on its provider's report.

    Attributes
    ----------
    sent : Sent
        The request; empty if it is not known, and the input is not judged then.
    n_bytes_written : int
        Of the text that came, reasoning and arguments of tools included.
    has_content : bool
    is_complete : bool
    is_text : bool
        False for embeddings, because their output is not made of tokens.
    is_read : bool
        Whether the provider has read the request and charges for it, even if nothing came back.
    """

    sent: Sent
    n_bytes_written: int
    has_content: bool
    is_complete: bool
    is_text: bool = True
    is_read: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """The usage and cost of a call, as believed or estimated.

    Attributes
    ----------
    usage : Usage or None
    cost_usd : float or None
        As billed, or else by list price; None if neither is known.
    estimated : names of what was estimated
    reasons : why, each a word of the few below: ``input_missing``, ``output_zero``, ``cost_too_low``
    budget_usd : float or None
        What budgets count where something was; None: as `cost_usd`.
    """

    usage: Usage | None
    cost_usd: float | None = None
    estimated: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    budget_usd: float | None = None


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The most tokens that a call can have."""

    most_input: int
    most_output: int


def counted(reported: Usage | None, shown: Shown, target: Target) -> Counted:
    """Return what a call used and cost: as reported if that is possible, and else estimated.

    Examples
    --------
    >>> from decimal import Decimal
    >>> from router_model.serving.providers.provider import Kind, Provider
    >>> provider = Provider("p", Kind.OPENAI, "https://p.example/v1")
    >>> target = Target("m", provider, "m", ModelCard("m", Decimal(1), Decimal(10)))
    >>> sent = Sent(b'{"messages": [{"role": "user", "content": "Hi"}]}')
    >>> shown = Shown(sent, 400, has_content=True, is_complete=True)
    >>> fine = counted(Usage(8, 90), shown, target)  # 8 x 1e-6 + 90 x 1e-5
    >>> fine.cost_usd, fine.estimated
    (0.000908, ())
    >>> none = counted(Usage(0, 0), shown, target)  # 49 bytes and 400 bytes: 13 and 100 tokens
    >>> none.usage.input_tokens, none.usage.output_tokens, none.cost_usd, none.reasons
    (13, 100, 0.001013, ('input_zero', 'output_zero'))
    """
    if reported is None and not (shown.has_content or shown.n_bytes_written or shown.is_read):
        return Counted(None)
    told = reported or Usage(0, 0)
    bounds = _bounds(told, shown, target.card)
    wrong = {
        INPUT: _wrong_input(told.input_tokens, shown, bounds),
        OUTPUT: _wrong_output(told.output_tokens, shown, bounds),
    }
    usage = told if wrong[INPUT] is None else _with_input(told, _estimated_input(shown.sent, target.card))
    usage = usage if wrong[OUTPUT] is None else _with_output(usage, _estimated_output(shown))
    wrong[COST] = _wrong_cost(usage, target)
    if any(wrong.values()):
        return _estimate(reported, usage, wrong, target, bounds)
    return Counted(usage, usage.list_usd(target.card) if usage.billed_usd is None else usage.billed_usd)


def _estimate(
    reported: Usage | None, usage: Usage, wrong: Mapping[str, str | None], target: Target, bounds: _Bounds
) -> Counted:
    """Return the counts and cost of a call with `wrong` values; `usage` has the estimates already."""
    estimated = [name for name, why in wrong.items() if why is not None]
    reasons = [f"{name.removesuffix('_tokens')}_{wrong[name]}" for name in estimated]
    if reported is None:
        reasons = [reason.replace(_ZERO, _MISSING) for reason in reasons]
    if wrong[COST] is not None:
        usage = replace(usage, billed_usd=None)
    cost_usd = usage.billed_usd
    if cost_usd is None:
        cost_usd = usage.list_usd(target.card)
        if cost_usd is not None and COST not in estimated:
            estimated.append(COST)  # the list price of tokens that were estimated
    greatest_usd = _greatest_usd(reported or usage, usage, cost_usd, target, bounds)
    return Counted(usage, cost_usd, tuple(estimated), tuple(reasons), greatest_usd)


def _wrong_input(n_tokens: int, shown: Shown, bounds: _Bounds) -> str | None:
    """Return why a count of input is impossible; None if it is possible, or if the request is not known."""
    if not shown.sent.n_bytes:
        return None
    if n_tokens < 1:
        return _ZERO
    if n_tokens > bounds.most_input:
        return _TOO_MANY
    most_bytes = n_tokens * MOST_BYTES_A_TOKEN
    # Finding the text within a body is slow, so it is done only if the whole body is too long for so few tokens.
    is_enough = shown.sent.n_bytes <= most_bytes or shown.sent.n_text_bytes <= most_bytes
    return None if is_enough else _TOO_FEW


def _wrong_output(n_tokens: int, shown: Shown, bounds: _Bounds) -> str | None:
    """Return why a count of output is impossible; None if it is possible."""
    if not shown.is_text:
        return _TOO_MANY if n_tokens > bounds.most_input else None
    if not shown.is_complete and _estimated_output(shown) > n_tokens:
        return _CUT
    if n_tokens < 1:
        return _ZERO if shown.has_content else None
    if shown.n_bytes_written > n_tokens * MOST_BYTES_A_TOKEN:
        return _TOO_FEW
    return _TOO_MANY if n_tokens > bounds.most_output else None


def _wrong_cost(usage: Usage, target: Target) -> str | None:
    """Return why a bill is impossible, given the list price; None if it is possible, or if there is no bill."""
    bill = usage.billed_usd
    if bill is None:
        return _NO_AMOUNT if usage.has_odd_bill else None
    list_usd = usage.list_usd(target.card)
    if bill > _most_usd(usage, list_usd):
        return _TOO_HIGH
    if list_usd is None or _is_free(target):
        return None
    return None if bill >= list_usd * _LEAST_SHARE else _TOO_LOW


def _most_usd(usage: Usage, list_usd: float | None) -> float:
    """Return the most that a call can be billed at, in USD."""
    if list_usd is None:
        return (usage.input_tokens + usage.output_tokens) * _DEAREST_USD_A_TOKEN + _MOST_FEES_USD
    return list_usd * _MOST_TIMES + _MOST_FEES_USD


def _bounds(told: Usage, shown: Shown, card: ModelCard | None) -> _Bounds:
    """Return the most tokens a call can have; its request is parsed only where its bytes do not explain the report."""
    window = card.context_window if card and card.context_window else _LARGEST_WINDOW
    most_input = max(window, shown.sent.n_bytes)
    if told.input_tokens <= most_input and told.output_tokens <= shown.n_bytes_written:
        return _Bounds(most_input, shown.n_bytes_written)
    body = shown.sent.fields
    n_rounds = _ROUNDS if _has_tools_of_the_provider(body) else 1
    config = body.get("generationConfig") or body.get("generation_config")
    limits = {**body, **config} if isinstance(config, dict) else body
    n_answers = min(_largest(limits, _N_ANSWERS) or 1, _MOST_ANSWERS)
    of_model = window if card is None or card.max_output_tokens is None else card.max_output_tokens * _TIMES_THE_LIMIT
    most_output = of_model * n_answers
    asked = _largest(limits, _LIMITS)
    if asked is not None:
        said = asked * n_answers * _TIMES_THE_LIMIT + _TOKENS_OVER_THE_LIMIT
        most_output = min(most_output, said + told.reasoning_tokens)
    return _Bounds(most_input * n_rounds, max(most_output * n_rounds, shown.n_bytes_written))


def _has_tools_of_the_provider(body: Mapping[str, Any]) -> bool:
    """Tell whether a request has tools that the provider runs, such as web search."""
    if any(body.get(name) for name in _SWITCHES):
        return True
    tools = body.get("tools")
    return any(
        isinstance(tool, dict) and tool.get("type") not in _OUR_TOOLS and _TOOL_SCHEMAS.isdisjoint(tool)
        for tool in (tools if isinstance(tools, list) else ())
    )


def _largest(fields: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """Return the largest of the counts that some fields hold; None if none holds one."""
    values = [fields.get(name) for name in names]
    return max((value for value in values if type(value) is int and value > 0), default=None)


def _estimated_output(shown: Shown) -> int:
    return math.ceil(shown.n_bytes_written / _BYTES_A_TOKEN) or int(shown.has_content)


def _greatest_usd(told: Usage, usage: Usage, cost_usd: float | None, target: Target, bounds: _Bounds) -> float | None:
    """Return the greater cost: of what is believed now, and of what was reported, as far as that is within bounds.

    A model that is free by its id costs no more than its bill, whatever the catalog says of its list price.
    """
    bill = told.billed_usd
    if bill is not None and usage.billed_usd is not None and _is_free(target):
        return cost_usd
    reported = _with_output(
        _with_input(told, min(told.input_tokens, bounds.most_input)), min(told.output_tokens, bounds.most_output)
    )
    list_usd = usage.list_usd(target.card)
    if bill is not None and bill > _most_usd(usage, list_usd):
        bill = None
    costs = (cost_usd, list_usd, reported.list_usd(target.card), bill)
    return max((usd for usd in costs if usd is not None), default=None)


def _is_free(target: Target) -> bool:
    return target.served_model.endswith(_FREE) or target.upstream_model.endswith(_FREE)


def _with_input(usage: Usage, n_tokens: int) -> Usage:
    """Return a usage with other input; what the cache had of an input that is not believed is not believed either."""
    if n_tokens == usage.input_tokens:
        return usage
    return replace(usage, input_tokens=n_tokens, cached_input_tokens=0, cache_write_tokens=0, cache_write_1h_tokens=0)


def _with_output(usage: Usage, n_tokens: int) -> Usage:
    return replace(usage, output_tokens=n_tokens, reasoning_tokens=min(usage.reasoning_tokens, n_tokens))


def _estimated_input(sent: Sent, card: ModelCard | None) -> int:
    n_tokens = math.ceil(sent.n_words_bytes / _BYTES_A_TOKEN) + sent.n_data * _DATA_TOKENS
    window = None if card is None else card.context_window
    return n_tokens if window is None else min(n_tokens, window)
