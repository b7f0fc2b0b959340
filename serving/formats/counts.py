"""Read counts and amounts of money as providers write them: as numbers, as texts, or as something else."""

import math
from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.shapes import Json

_MOST: Final = 10**15
"""Larger counts are cut to this one, so that they fit every column of the log. No call has so many tokens."""
_NOT_KNOWN: Final = -1
_ODD: Final = frozenset({"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})
_MOST_HIDDEN: Final = 1_000_000
"""No call has thought for more tokens than this, so a larger difference to the total is a slip of the provider's."""


def count_of(value: object) -> int:
    """Return a count of tokens; 0 for everything else: null, flags, negative numbers and other texts.

    >>> [count_of(value) for value in (7, "7", 7.0, "1,234", -7, True, None, "many", float("nan"))]
    [7, 7, 7, 1234, 0, 0, 0, 0, 0]
    """
    if value is None:  # what most are
        return 0
    number = _number(value)
    return 0 if number is None or number <= 0 else int(min(number, _MOST))


def first_count(counts: Mapping[str, Any], *names: str) -> int:
    """Return the first count above zero that an object has under one of these names, or else 0.

    >>> first_count({"prompt_tokens": None, "input_tokens": 9}, "prompt_tokens", "input_tokens")
    9
    """
    return next((count for name in names if (count := count_of(counts.get(name)))), 0)


def amount_of(value: object) -> float | None:
    """Return an amount of money; None for everything else: null, flags, negative numbers and other texts.

    >>> [amount_of(value) for value in (0.5, "0.5", 0, -1, True, None, "free", float("nan"))]
    [0.5, 0.5, 0.0, None, None, None, None, None]
    """
    number = _number(value)
    return None if number is None or number < 0 else float(number)


def is_no_amount(value: object) -> bool:
    """Tell whether a value that should be an amount of money is something else; a missing value is not.

    Nor is -1: OpenRouter's lists of prices use it for an unknown price.

    >>> [value for value in (0.5, "0.5", 0, -1, None, "free", -2, True, float("inf"), "nan") if is_no_amount(value)]
    [-2, True, inf, 'nan']
    """
    number = _number(value)
    if number is not None:
        return number < 0 and number != _NOT_KNOWN
    return isinstance(value, bool | int | float) or (isinstance(value, str) and value.strip().lower() in _ODD)


def later_counts(before: Json, after: Mapping[str, Any]) -> Json:
    """Return the counts of a stream so far; they are totals, so that a later one replaces the one before.

    A zero or null replaces nothing. Some servers fill in the counts of the other end of the stream with zeros.

    >>> later_counts({"input_tokens": 9, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 20})
    {'input_tokens': 9, 'output_tokens': 20}
    """
    return before | {name: value for name, value in after.items() if value or name not in before}


def hidden_tokens(n_total: int, n_counted: int) -> int:
    """Return how many tokens of a total are in no other count: thoughts, as a rule.

    >>> hidden_tokens(530, 10 + 20), hidden_tokens(0, 30), hidden_tokens(10**12, 30)
    (500, 0, 0)
    """
    n_hidden = n_total - n_counted
    return n_hidden if 0 < n_hidden <= _MOST_HIDDEN else 0


def _number(value: object) -> float | None:
    """Return a finite number; None of all else."""
    # In Python True is an int, so a flag would count as one token.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value.replace(",", "")) if isinstance(value, str) else value
        return number if math.isfinite(number) else None
    except (ValueError, OverflowError):  # no number, or an integer beyond all floats
        return None
