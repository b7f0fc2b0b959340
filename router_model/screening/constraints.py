"""Hard constraints: the conditions that a request sets for candidate models.

This module holds values only. `router_model.screening.screening` applies them to models and says why a model is left
out. The needs of the prompt itself (context window, tools, vision, audio, structured output) are not set here: they are
read from the chat body (`features.Prompt`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import TypeAlias

from router_model.errors import RequestError
from router_model.features import Prompt
from router_model.screening.globs import globs_of

Usd: TypeAlias = float | Decimal

_LISTS = {
    "allow": "globs, e.g. ['openai/*']",
    "deny": "globs, e.g. ['openai/*']",
    "providers": "names, e.g. ['openai']",
    "ignore_providers": "names, e.g. ['openai']",
    "unavailable": "model ids, e.g. ['openai/gpt-4o']",
}
_POSITIVE = {"max_cost_usd": "amount in USD", "max_latency_s": "number of seconds"}
_PRICE_CAPS = ("max_usd_per_mtok_input", "max_usd_per_mtok_output", "max_usd_per_request")


@dataclass(frozen=True, slots=True)
class Constraints:
    """The constraints that a request sets for candidate models.

    Attributes
    ----------
    allow, deny : globs over model ids, e.g. ``openai/gpt-*``
        An empty `allow` allows all; `deny` wins.
    providers, ignore_providers : names of providers, in any case
        An empty `providers` allows all; `ignore_providers` wins. A model of unknown provider is on neither list.
    max_cost_usd : float or None
        Largest expected cost of one call.
    max_usd_per_mtok_input, max_usd_per_mtok_output : float, Decimal or None
        Largest list price in USD per million tokens, of input and of output; 0 asks for free models.
    max_usd_per_request : float, Decimal or None
        Largest fee for a call; a model without a fee stays.
    max_latency_s : float or None
        Largest expected time to the end of the answer; a model with unknown latency stays.
    max_output_tokens : int or None
        The most tokens that a model may write, reasoning included. It counts towards context windows, and it caps
        expected output and cost. If the chat body sets a limit too, the smaller one holds.
    unavailable : model ids
        Models that cannot be called now, e.g. because no provider that the request allows serves them.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    ignore_providers: tuple[str, ...] = ()
    max_cost_usd: Usd | None = None
    max_usd_per_mtok_input: Usd | None = None
    max_usd_per_mtok_output: Usd | None = None
    max_usd_per_request: Usd | None = None
    max_latency_s: float | None = None
    max_output_tokens: int | None = None
    unavailable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, expected in _LISTS.items():
            value = getattr(self, name)
            if not _is_list_of_text(value):
                raise RequestError(f"{name}={value!r}; expected a list of {expected}")
            object.__setattr__(self, name, tuple(value))
        for globs in (self.allow, self.deny):
            if globs:
                globs_of(globs)
        for name, expected in _POSITIVE.items():
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value > 0):
                raise RequestError(f"{name}={value!r}; expected a positive {expected}")
        for name in _PRICE_CAPS:
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value >= 0):
                unit = "USD per million tokens" if "_mtok_" in name else "USD"
                raise RequestError(f"{name}={value!r}; expected {unit}, 0 or more")
        limit = self.max_output_tokens
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise RequestError(f"max_output_tokens={limit!r}; expected 1 or more, a whole number")

    def output_limit(self, prompt: Prompt) -> int | None:
        """Return the most tokens that a model may write: the smaller of this limit and the prompt's own.

        >>> Constraints(max_output_tokens=50).output_limit(Prompt("x", 1, max_output_tokens=80))
        50
        """
        given = [limit for limit in (self.max_output_tokens, prompt.max_output_tokens) if limit is not None]
        return min(given, default=None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool) and isfinite(value)


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, str) for one in value)
