"""The checks of hard constraints: one check for each constraint, over all prompts and models at once.

Each check returns an array that says which models break the constraint, and can say in words how one of them breaks it.
The checks also decide what unknown values mean. An unknown capability, context window or latency breaks no constraint.
An unknown provider is on no list, so a list of allowed providers excludes the model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from router_model.candidates import CardTable
from router_model.catalog import ModelCard
from router_model.features import Prompt
from router_model.screening.constraints import Constraints, Usd
from router_model.screening.globs import globs_of

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_NAMED: Final = 5
UNKNOWN_WINDOW: Final = 32_768
"""Tokens of a prompt that a model is assumed to take, where the catalog does not say its context window."""


@dataclass(frozen=True, slots=True)
class Case:
    """The demands of n prompts and their request, and what is known about m models.

    Attributes
    ----------
    constraints : Constraints
    prompts : n prompts
    table : CardTable
        Cards of m models.
    n_input_tokens : float64 array, shape (n, m)
        Input in each model's own tokens, rounded.
    n_output_tokens : float64 array, shape (n,)
        The most tokens that a model may write; 0 if the request sets no limit.
    expected_cost_usd : float64 array, shape (n, m)
    expected_latency_s : float64 array, shape (n, m)
        NaN if unknown.
    """

    constraints: Constraints
    prompts: tuple[Prompt, ...]
    table: CardTable
    n_input_tokens: Float64Array
    n_output_tokens: Float64Array
    expected_cost_usd: Float64Array
    expected_latency_s: Float64Array

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """The cards of the m models."""
        return self.table.cards


class Check(NamedTuple):
    """The check of one constraint.

    Attributes
    ----------
    reason : str
        The constraint's short code.
    remedy : str
        How a request can relax the constraint.
    asked : Case -> bool
        Whether the request or a prompt demands anything that a model could break. Most demand little, which saves work.
    broken : Case -> bool array that broadcasts to (n, m)
        Which models break it; called only if `asked`.
    detail : Case, row, column -> str
        The demand and what the model offers, in words; meaningful only where the constraint is broken.
    per_prompt : bool
        Whether the detail depends on the prompt, not on the model alone.
    """

    reason: str
    remedy: str
    asked: Callable[[Case], bool]
    broken: Callable[[Case], BoolArray]
    detail: Callable[[Case, int, int], str]
    per_prompt: bool = False


def _given(name: str) -> Callable[[Case], bool]:
    """Return a function that tells whether a constraint is set: a non-empty list, or a number."""

    def asked(case: Case) -> bool:
        value = getattr(case.constraints, name)
        return bool(value) if isinstance(value, tuple) else value is not None

    return asked


def _not_allowed(case: Case) -> BoolArray:
    allowed = globs_of(case.constraints.allow)
    return np.array([not allowed.match(card.model) for card in case.cards], dtype=bool)


def _denied(case: Case) -> BoolArray:
    denied = globs_of(case.constraints.deny)
    return np.array([denied.match(card.model) for card in case.cards], dtype=bool)


def _denied_by(case: Case, _: int, column: int) -> str:
    return f"matches {globs_of(case.constraints.deny).first_match(case.cards[column].model)}"


def _not_of_providers(case: Case) -> BoolArray:
    return np.logical_not(_are_named(case.cards, case.constraints.providers))


def _provider_of(case: Case, _: int, column: int) -> str:
    return f"provider {case.cards[column].provider or 'unknown'}, allowed {', '.join(case.constraints.providers)}"


def _ignored(case: Case) -> BoolArray:
    return _are_named(case.cards, case.constraints.ignore_providers)


def _overflows(case: Case) -> BoolArray:
    return np.asarray(case.n_input_tokens + case.n_output_tokens[:, None] > case.table.context_window)


def _overflow(case: Case, row: int, column: int) -> str:
    read, wrote = case.n_input_tokens[row, column], case.n_output_tokens[row]
    parts = f" ({read:,.0f} in, {wrote:,.0f} out)" if wrote else ""
    return f"needs {read + wrote:,.0f} tokens{parts}, has {case.cards[column].context_window:,}"


def _is_long(case: Case) -> bool:
    """Tell whether a prompt is longer than a model of unknown window is trusted with, and there is such a model."""
    longest = case.n_input_tokens.max(initial=0.0)
    return bool(longest > UNKNOWN_WINDOW and np.isinf(case.table.context_window).any())


def _may_overflow(case: Case) -> BoolArray:
    # The prompt alone: agents allow 32,000 tokens of output and more for answers of a line.
    return np.asarray((case.n_input_tokens > UNKNOWN_WINDOW) & np.isinf(case.table.context_window))


def _may_be_too_small(case: Case, row: int, column: int) -> str:
    read = case.n_input_tokens[row, column]
    return f"the prompt has {read:,.0f} tokens; its window is not in the catalog, so {UNKNOWN_WINDOW:,} are assumed"


def _writes_less(case: Case) -> BoolArray:
    return np.asarray(case.n_output_tokens[:, None] > case.table.max_output_tokens)


def _output(case: Case, row: int, column: int) -> str:
    return f"asked for {case.n_output_tokens[row]:,.0f} tokens, writes at most {case.cards[column].max_output_tokens:,}"


def _capability_check(
    capability: str, need: str, remedy: str, detail: Callable[[Case, int, int], str], *, per_prompt: bool = False
) -> Check:
    """Return a check for a capability that a prompt needs and that, by its card, a model lacks."""

    def asked(case: Case) -> bool:
        return any(getattr(prompt, need) for prompt in case.prompts)

    def broken(case: Case) -> BoolArray:
        needed = np.array([getattr(prompt, need) for prompt in case.prompts], dtype=bool)
        return np.asarray(needed[:, None] & case.table.lacks[capability])

    return Check(capability, remedy, asked, broken, detail, per_prompt)


def _costs_more(case: Case) -> BoolArray:
    return np.asarray(case.expected_cost_usd > float(case.constraints.max_cost_usd or 0))


def _cost(case: Case, row: int, column: int) -> str:
    expected = case.expected_cost_usd[row, column]
    return f"expected to cost {_usd(expected)} USD, allowed {_usd(case.constraints.max_cost_usd)}"


def _dearer(price: str, cap: str) -> Callable[[Case], BoolArray]:
    """Return a check of a list price. It compares exactly: as floats, a price of 0.3 could exceed a cap of 0.3."""

    def broken(case: Case) -> BoolArray:
        most = Decimal(str(getattr(case.constraints, cap)))
        return np.array([(getattr(card, price) or Decimal(0)) > most for card in case.cards], dtype=bool)

    return broken


def _price(price: str, cap: str, unit: str) -> Callable[[Case, int, int], str]:
    def detail(case: Case, _: int, column: int) -> str:
        return f"{_usd(getattr(case.cards[column], price))} {unit}, allowed {_usd(getattr(case.constraints, cap))}"

    return detail


def _price_check(price: str, unit: str) -> Check:
    cap = f"max_{price}"
    return Check(cap, "raise it", _given(cap), _dearer(price, cap), _price(price, cap, unit))


def _slower(case: Case) -> BoolArray:
    # Unknown latencies are NaN, and NaN is not above any limit.
    return np.asarray(case.expected_latency_s > (case.constraints.max_latency_s or 0))


def _latency(case: Case, row: int, column: int) -> str:
    return f"expected to take {case.expected_latency_s[row, column]:.3g} s, allowed {case.constraints.max_latency_s:g}"


def _has_other_effort(case: Case) -> BoolArray:
    asked = [prompt.reasoning_effort for prompt in case.prompts]
    own = [card.reasoning_effort for card in case.cards]
    return np.array([[None not in (one, effort) and one != effort for effort in own] for one in asked], dtype=bool)


def _efforts(case: Case, row: int, column: int) -> str:
    return (
        f"the request asks for the effort {case.prompts[row].reasoning_effort:.32}, "
        f"this is {case.cards[column].served_model} with {case.cards[column].reasoning_effort}"
    )


def _unavailable(case: Case) -> BoolArray:
    return np.isin([card.model for card in case.cards], case.constraints.unavailable)


CHECKS: Final = (
    Check(
        "unavailable",
        "allow more providers, or serve the models",
        _given("unavailable"),
        _unavailable,
        lambda *_: "no provider that is allowed serves it",
    ),
    Check(
        "not_allowed",
        "widen allow",
        _given("allow"),
        _not_allowed,
        lambda case, _, __: f"matches none of {_some(case.constraints.allow)}",
    ),
    Check("denied", "shorten deny", _given("deny"), _denied, _denied_by),
    Check("provider", "widen the providers", _given("providers"), _not_of_providers, _provider_of),
    Check(
        "ignored_provider",
        "ignore fewer providers",
        _given("ignore_providers"),
        _ignored,
        lambda case, _, column: f"provider {case.cards[column].provider}",
    ),
    Check(
        "context_window",
        "shorten the prompt or ask for less output",
        lambda _: True,
        _overflows,
        _overflow,
        per_prompt=True,
    ),
    Check(
        "max_output_tokens",
        "ask for less output",
        lambda case: bool(case.n_output_tokens.any()),
        _writes_less,
        _output,
        per_prompt=True,
    ),
    _capability_check(
        "tools",
        "has_tools",
        "drop the tools",
        lambda *_: "the request has tools, the model takes none",
    ),
    _capability_check(
        "vision",
        "has_images",
        "drop the images",
        lambda case, row, _: f"the request has images ({case.prompts[row].n_images}), the model takes none",
        per_prompt=True,
    ),
    _capability_check(
        "audio",
        "has_audio",
        "drop the audio",
        lambda *_: "the request has audio, the model takes none",
    ),
    _capability_check(
        "structured_output",
        "wants_json",
        "ask for text",
        lambda *_: "the request asks for JSON, the model cannot be held to it",
    ),
    Check(
        "reasoning_effort",
        "leave the effort to the router",
        lambda case: any(prompt.reasoning_effort is not None for prompt in case.prompts),
        _has_other_effort,
        _efforts,
        per_prompt=True,
    ),
    _price_check("usd_per_mtok_input", "USD per million input tokens"),
    _price_check("usd_per_mtok_output", "USD per million output tokens"),
    _price_check("usd_per_request", "USD per request"),
    Check("max_cost_usd", "raise it", _given("max_cost_usd"), _costs_more, _cost, per_prompt=True),
    Check("max_latency_s", "raise it", _given("max_latency_s"), _slower, _latency, per_prompt=True),
    Check(
        "unknown_window",
        "say the models' context_window in the catalog",
        _is_long,
        _may_overflow,
        _may_be_too_small,
        per_prompt=True,
    ),
)
"""All checks; a model that breaks several is left out for the first.

The last one rests on a guess, so it leaves out no model where no other is left (`router_model.screening.screening`).
"""


def _some(names: Sequence[str]) -> str:
    """Name only the first few names, because the message for each of many models would repeat the whole list."""
    more = f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
    return f"{', '.join(names[:_NAMED])}{more}"


def _are_named(cards: Sequence[ModelCard], names: Sequence[str]) -> BoolArray:
    """Tell for each card whether its provider is among `names`, ignoring case."""
    folded = {name.casefold() for name in names}
    return np.array([card.provider is not None and card.provider.casefold() in folded for card in cards], dtype=bool)


def _usd(amount: Usd | None) -> str:
    """Format an amount with six significant digits and without an exponent.

    >>> _usd(0.00000123456789), _usd(Decimal("2.50"))
    ('0.00000123457', '2.5')
    """
    text = f"{float(amount or 0):.6g}"
    return f"{Decimal(text):f}" if "e" in text else text
