"""The checks behind hard constraints: one a constraint, over all prompts and models at once.

Each says which models break it, as an array, and for one of them how, in words. Decides what an unknown is: a
capability, a context window or a latency that is not known breaks nothing; a provider that is not known is on
no list, so a list of allowed providers leaves it out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from features import Prompt
from router_model.catalog import ModelCard
from router_model.constraints import Constraints, Usd

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Case:
    """What n prompts and their request demand, and what is known of m models.

    Attributes
    ----------
    constraints : Constraints
    prompts : n prompts
    cards : m cards
    n_input_tokens : float64 array, shape (n, m)
        The models' own tokens, rounded.
    n_output_tokens : float64 array, shape (n,)
        The most a model may write; 0 where nothing was asked for.
    expected_cost_usd : float64 array, shape (n, m)
    expected_latency_s : float64 array, shape (n, m)
        NaN where unknown.
    """

    constraints: Constraints
    prompts: tuple[Prompt, ...]
    cards: tuple[ModelCard, ...]
    n_input_tokens: Float64Array
    n_output_tokens: Float64Array
    expected_cost_usd: Float64Array
    expected_latency_s: Float64Array


class Check(NamedTuple):
    """One constraint.

    Attributes
    ----------
    reason : str
        Its short code.
    remedy : str
        How a request relaxes it.
    broken : Case -> bool array that broadcasts to (n, m)
    detail : Case, row, column -> str
        What was asked and what the model has; meaningful where broken.
    per_prompt : bool
        Whether the detail depends on the prompt, not on the model alone.
    """

    reason: str
    remedy: str
    broken: Callable[[Case], BoolArray]
    detail: Callable[[Case, int, int], str]
    per_prompt: bool = False


def _not_allowed(case: Case) -> BoolArray:
    globs = case.constraints.allow
    return np.array([bool(globs) and not _matches(card.model, globs) for card in case.cards])


def _denied(case: Case) -> BoolArray:
    return np.array([bool(_matches(card.model, case.constraints.deny)) for card in case.cards])


def _denied_by(case: Case, _: int, column: int) -> str:
    return f"matches {', '.join(_matches(case.cards[column].model, case.constraints.deny))}"


def _not_of_providers(case: Case) -> BoolArray:
    names = case.constraints.providers
    return np.array([bool(names) and not _is_named(card.provider, names) for card in case.cards])


def _provider_of(case: Case, _: int, column: int) -> str:
    return f"provider {case.cards[column].provider or 'unknown'}, allowed {', '.join(case.constraints.providers)}"


def _ignored(case: Case) -> BoolArray:
    return np.array([_is_named(card.provider, case.constraints.ignore_providers) for card in case.cards])


def _overflows(case: Case) -> BoolArray:
    windows = np.array([_or_infinite(card.context_window) for card in case.cards])
    return np.asarray(case.n_input_tokens + case.n_output_tokens[:, None] > windows)


def _overflow(case: Case, row: int, column: int) -> str:
    read, wrote = case.n_input_tokens[row, column], case.n_output_tokens[row]
    parts = f" ({read:,.0f} in, {wrote:,.0f} out)" if wrote else ""
    return f"needs {read + wrote:,.0f} tokens{parts}, has {case.cards[column].context_window:,}"


def _writes_less(case: Case) -> BoolArray:
    limits = np.array([_or_infinite(card.max_output_tokens) for card in case.cards])
    return np.asarray(case.n_output_tokens[:, None] > limits)


def _output(case: Case, row: int, column: int) -> str:
    return f"asked for {case.n_output_tokens[row]:,.0f} tokens, writes at most {case.cards[column].max_output_tokens:,}"


def _lacks(need: str, capability: str) -> Callable[[Case], BoolArray]:
    """Return a check of what a prompt needs and a card says the model has not."""

    def broken(case: Case) -> BoolArray:
        needed = np.array([getattr(prompt, need) for prompt in case.prompts], dtype=bool)
        missing = np.array([getattr(card, capability) is False for card in case.cards], dtype=bool)
        return np.asarray(needed[:, None] & missing)

    return broken


def _costs_more(case: Case) -> BoolArray:
    cap = case.constraints.max_cost_usd
    return np.asarray(case.expected_cost_usd > (np.inf if cap is None else float(cap)))


def _cost(case: Case, row: int, column: int) -> str:
    expected = case.expected_cost_usd[row, column]
    return f"expected to cost {_usd(expected)} USD, allowed {_usd(case.constraints.max_cost_usd)}"


def _dearer(price: str, cap: str) -> Callable[[Case], BoolArray]:
    """Return a check of a list price. Exact: as floats, a price of 0.3 would be over a cap of 0.3."""

    def broken(case: Case) -> BoolArray:
        given = getattr(case.constraints, cap)
        if given is None:
            return np.zeros(1, dtype=bool)
        most = Decimal(str(given))
        return np.array([(getattr(card, price) or Decimal(0)) > most for card in case.cards])

    return broken


def _price(price: str, cap: str, unit: str) -> Callable[[Case, int, int], str]:
    def detail(case: Case, _: int, column: int) -> str:
        return f"{_usd(getattr(case.cards[column], price))} {unit}, allowed {_usd(getattr(case.constraints, cap))}"

    return detail


def _price_check(price: str, unit: str) -> Check:
    cap = f"max_{price}"
    return Check(cap, "raise it", _dearer(price, cap), _price(price, cap, unit))


def _slower(case: Case) -> BoolArray:
    cap = case.constraints.max_latency_s
    return np.asarray(case.expected_latency_s > (np.inf if cap is None else cap))  # NaN, unknown, is not


def _latency(case: Case, row: int, column: int) -> str:
    return f"expected to take {case.expected_latency_s[row, column]:.3g} s, allowed {case.constraints.max_latency_s:g}"


CHECKS: Final = (
    Check(
        "not_allowed",
        "widen allow",
        _not_allowed,
        lambda case, _, __: f"matches none of {', '.join(case.constraints.allow)}",
    ),
    Check("denied", "shorten deny", _denied, _denied_by),
    Check("provider", "widen the providers", _not_of_providers, _provider_of),
    Check(
        "ignored_provider",
        "ignore fewer providers",
        _ignored,
        lambda case, _, column: f"provider {case.cards[column].provider}",
    ),
    Check("context_window", "shorten the prompt or ask for less output", _overflows, _overflow, per_prompt=True),
    Check("max_output_tokens", "ask for less output", _writes_less, _output, per_prompt=True),
    Check(
        "tools",
        "drop the tools",
        _lacks("has_tools", "tools"),
        lambda *_: "the request has tools, the model takes none",
    ),
    Check(
        "vision",
        "drop the images",
        _lacks("has_images", "vision"),
        lambda case, row, _: f"the request has images ({case.prompts[row].n_images}), the model takes none",
        per_prompt=True,
    ),
    Check(
        "audio",
        "drop the audio",
        _lacks("has_audio", "audio"),
        lambda *_: "the request has audio, the model takes none",
    ),
    Check(
        "structured_output",
        "ask for text",
        _lacks("wants_json", "structured_output"),
        lambda *_: "the request asks for JSON, the model cannot be held to it",
    ),
    _price_check("usd_per_mtok_input", "USD per million input tokens"),
    _price_check("usd_per_mtok_output", "USD per million output tokens"),
    _price_check("usd_per_request", "USD per request"),
    Check("max_cost_usd", "raise it", _costs_more, _cost, per_prompt=True),
    Check("max_latency_s", "raise it", _slower, _latency, per_prompt=True),
)
"""All checks; a model that breaks several is left out for the first."""


def _matches(model: str, globs: Sequence[str]) -> list[str]:
    return [glob for glob in globs if fnmatchcase(model, glob)]


def _is_named(provider: str | None, names: Sequence[str]) -> bool:
    return provider is not None and provider.casefold() in {name.casefold() for name in names}


def _or_infinite(limit: int | None) -> float:
    return np.inf if limit is None else limit


def _usd(amount: Usd | None) -> str:
    """Write an amount with six digits and without an exponent.

    >>> _usd(0.00000123456789), _usd(Decimal("2.50"))
    ('0.00000123457', '2.5')
    """
    text = f"{float(amount or 0):.6g}"
    return f"{Decimal(text):f}" if "e" in text else text
