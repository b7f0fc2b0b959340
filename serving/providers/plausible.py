"""Which usage and cost can be: what a provider reports is believed where it is possible, and else estimated.

What a call shows by itself is the bytes that were sent and the bytes of text that came back. These bound the tokens;
the bounds are wide on purpose, since an estimate is worse than a report that is merely unusual.

| report | cannot be if | why |
|---|---|---|
| input | it is 0 | every prompt has a token |
| | it is under a token every 128 bytes of text | the longest tokens in use (o200k: runs of spaces) have 128 bytes |
| | it is over ten context windows | a call may be several rounds with a provider's own tools; catalogs lag |
| output | it is 0 though something was said | whatever is said has a token |
| | it is under a token every 128 bytes | as above |
| | it is over ten times what the model can write, and more than the bytes | hidden thoughts are within that |
| cost | it is under a hundredth of the list price | discounts (cache, batch, another host) come to a fiftieth at most |
| | it is over $10 and a hundred times the list price | searches and other fees come on top of tokens |

So images, audio, tool schemas, other languages, base64 and thoughts that are not shown never make a report
unbelievable: they add tokens to those of the text, up to the window. A cost of 0 is believed of a model that is free:
its list price is 0, or its id ends in ``:free``. Where no list price is known, every cost is believed.

Estimates are a token every four bytes, which is English: other languages have more tokens, and more bytes. An image or
file in base64 counts as a thousand tokens of input. A stream that was cut is estimated in the same way, unless its
provider has counted more until then.

The budget counts the greater: of the estimate and of the report, as far as the report is within its bound.
"""

import math
import re
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from router_model.catalog import ModelCard
from serving.providers.provider import Target
from serving.providers.usage import Usage

INPUT: Final = "input_tokens"
OUTPUT: Final = "output_tokens"
COST: Final = "cost"
"""Names of what can be estimated."""

_BYTES_A_TOKEN: Final = 4
_MOST_BYTES_A_TOKEN: Final = 128
_ROUNDS: Final = 10
_LARGEST_WINDOW: Final = 10_000_000
"""Tokens; of a model whose window or longest answer the catalog does not know."""
_LEAST_SHARE: Final = 0.01
_MOST_TIMES: Final = 100
_MOST_FEES_USD: Final = 10.0
_DATA_TOKENS: Final = 1000
_DATA: Final = re.compile(rb"[A-Za-z0-9+/=_-]{512,}")
"""Images and files in base64, which are no text."""
_UNREAD: Final = frozenset(
    {
        *("reasoning", "reasoning_content", "reasoning_details", "thinking", "signature", "thoughtSignature"),
        *("encrypted_content", "data", "url", "file_data", "image_url", "fileUri", "file_id"),
        *("metadata", "user", "prediction", "extra_content"),
    }
)
"""Fields of a request whose texts a model does not read, or not as text: earlier thoughts, files, and notes."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a call shows without its provider's word.

    Attributes
    ----------
    sent : bytes
        The body of the request; empty where it is not known, and nothing is said of the input then.
    n_bytes_written : int
        Of the text that came, reasoning and arguments of tools included.
    has_content : bool
    is_complete : bool
    is_text : bool
        False of embeddings, which are no tokens.
    """

    sent: bytes
    n_bytes_written: int
    has_content: bool
    is_complete: bool
    is_text: bool = True


@dataclass(frozen=True, slots=True)
class Counted:
    """What is believed, or estimated, of a call.

    Attributes
    ----------
    usage : Usage or None
    cost_usd : float or None
        As billed, or else by list price; None where neither is known.
    estimated : names of what was estimated
    budget_usd : float or None
        What budgets count where something was; None: as `cost_usd`.
    """

    usage: Usage | None
    cost_usd: float | None = None
    estimated: tuple[str, ...] = ()
    budget_usd: float | None = None


def counted(reported: Usage | None, shown: Shown, target: Target) -> Counted:
    """Return what a call used and cost: as reported where that can be, and else estimated.

    Examples
    --------
    >>> from decimal import Decimal
    >>> from serving.providers.provider import Kind, Provider
    >>> provider = Provider("p", Kind.OPENAI, "https://p.example/v1")
    >>> target = Target("m", provider, "m", ModelCard("m", Decimal(1), Decimal(10)))
    >>> shown = Shown(b'{"messages": [{"role": "user", "content": "Hi"}]}', 400, has_content=True, is_complete=True)
    >>> counted(Usage(8, 90), shown, target)  # 8 x 1e-6 + 90 x 1e-5
    Counted(usage=Usage(input_tokens=8, output_tokens=90, ...), cost_usd=0.000908, estimated=(), budget_usd=None)
    >>> none = counted(Usage(0, 0), shown, target)  # 49 bytes and 400 bytes: 13 and 100 tokens
    >>> none.usage.input_tokens, none.usage.output_tokens, none.cost_usd, none.estimated
    (13, 100, 0.001013, ('input_tokens', 'output_tokens', 'cost'))
    """
    if reported is None and not (shown.has_content or shown.n_bytes_written):
        return Counted(None)
    told = reported or Usage(0, 0)
    usage, estimated = _usage(told, shown, target.card)
    list_usd = usage.list_usd(target.card)
    bill = told.billed_usd
    if bill is not None and (list_usd is None or _is_possible(bill, list_usd, target)):
        cost_usd: float | None = bill
    else:
        cost_usd = list_usd
        if list_usd is not None and (estimated or bill is not None):
            estimated = (*estimated, COST)
    if not estimated:
        return Counted(usage, cost_usd)
    usage = replace(usage, billed_usd=bill if cost_usd == bill else None)
    return Counted(usage, cost_usd, estimated, _greatest_usd(told, usage, cost_usd, target.card))


def _usage(told: Usage, shown: Shown, card: ModelCard | None) -> tuple[Usage, tuple[str, ...]]:
    """Return the counts that are believed or estimated, and the names of the latter."""
    estimated: tuple[str, ...] = ()
    if shown.sent and not _is_possible_input(told.input_tokens, shown.sent, card):
        told = _with_input(told, _estimated_input(shown.sent, card))
        estimated = (INPUT,)
    if not shown.is_text:
        return told, estimated
    n_written = math.ceil(shown.n_bytes_written / _BYTES_A_TOKEN) or int(shown.has_content)
    is_cut_short = not shown.is_complete and n_written > told.output_tokens
    if is_cut_short or not _is_possible_output(told.output_tokens, shown, card):
        told = _with_output(told, n_written)
        estimated = (*estimated, OUTPUT)
    return told, estimated


def _is_possible_input(n_tokens: int, sent: bytes, card: ModelCard | None) -> bool:
    if n_tokens < 1 or n_tokens > _most_input(card):
        return False
    most_bytes = n_tokens * _MOST_BYTES_A_TOKEN
    # The text within a body is looked for only where the whole body is too long for so few tokens.
    return len(sent) <= most_bytes or _n_bytes_of_text(sent) <= most_bytes


def _is_possible_output(n_tokens: int, shown: Shown, card: ModelCard | None) -> bool:
    if n_tokens < 1:
        return not shown.has_content
    if shown.n_bytes_written > n_tokens * _MOST_BYTES_A_TOKEN:
        return False
    return n_tokens <= max(_most_output(card), shown.n_bytes_written)


def _most_input(card: ModelCard | None) -> int:
    window = None if card is None else card.context_window
    return _LARGEST_WINDOW if window is None else window * _ROUNDS


def _most_output(card: ModelCard | None) -> int:
    most = None if card is None else card.max_output_tokens or card.context_window
    return _LARGEST_WINDOW if most is None else most * _ROUNDS


def _is_possible(bill: float, list_usd: float, target: Target) -> bool:
    """Tell whether a bill can be, given the list price."""
    if list_usd == 0 or target.upstream_model.endswith(":free") or target.model.endswith(":free"):
        return bill <= _MOST_FEES_USD
    return list_usd * _LEAST_SHARE <= bill <= list_usd * _MOST_TIMES + _MOST_FEES_USD


def _greatest_usd(told: Usage, usage: Usage, cost_usd: float | None, card: ModelCard | None) -> float | None:
    """Return the greater cost: of what is believed now, and of what was reported, as far as that is within bounds."""
    reported = _with_output(
        _with_input(told, min(told.input_tokens, _most_input(card))), min(told.output_tokens, _most_output(card))
    )
    list_usd = usage.list_usd(card)
    most_usd = math.inf if list_usd is None else list_usd * _MOST_TIMES + _MOST_FEES_USD
    bill = told.billed_usd if told.billed_usd is not None and told.billed_usd <= most_usd else None
    return max((usd for usd in (cost_usd, reported.list_usd(card), bill) if usd is not None), default=None)


def _with_input(usage: Usage, n_tokens: int) -> Usage:
    """Return a usage with other input; its parts are cut to it."""
    n_cached = min(usage.cached_input_tokens, n_tokens)
    n_written = min(usage.cache_write_tokens, n_tokens - n_cached)
    return replace(
        usage,
        input_tokens=n_tokens,
        cached_input_tokens=n_cached,
        cache_write_tokens=n_written,
        cache_write_1h_tokens=min(usage.cache_write_1h_tokens, n_written),
    )


def _with_output(usage: Usage, n_tokens: int) -> Usage:
    return replace(usage, output_tokens=n_tokens, reasoning_tokens=min(usage.reasoning_tokens, n_tokens))


def _estimated_input(sent: bytes, card: ModelCard | None) -> int:
    words, n_data = _DATA.subn(b"", sent)
    n_tokens = math.ceil(len(words) / _BYTES_A_TOKEN) + n_data * _DATA_TOKENS
    window = None if card is None else card.context_window
    return n_tokens if window is None else min(n_tokens, window)


def _n_bytes_of_text(sent: bytes) -> int:
    """Return how many bytes of a request's body are text that the model reads."""
    try:
        return _n_bytes_within(orjson.loads(_DATA.sub(b"", sent)))
    except orjson.JSONDecodeError:
        return 0


def _n_bytes_within(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, list):
        return sum(map(_n_bytes_within, value))
    if isinstance(value, dict):
        return sum(_n_bytes_within(inner) for name, inner in value.items() if name not in _UNREAD)
    return 0
