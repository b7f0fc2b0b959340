"""Read a request's limits on tokens and answers, which bound what a call can cost.

They are read before anything is reserved or sent, and go out as they were read. So a provider never sees another number
than the budget did. Numbers in texts (``"5"``) and whole floats (``5.0``) are read, as some clients send them. Null
is as if the field were missing, and so is what its format takes for "no limit": -1 of OpenAI's limits, as LM Studio
and others have it, and 0 in Google's format, because it is the default of every number. All else is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Surface

MOST_ANSWERS: Final = 128
"""The most answers that OpenAI gives to one request; no provider gives more."""
MOST_TOKENS: Final = 2**31 - 1
"""Providers keep these counts in 32 bits."""
_DIGITS: Final = re.compile(r"[+-]?[0-9]{1,12}(?:\.0{1,12})?", re.ASCII)
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class _Count:
    """A field that holds a count.

    Attributes
    ----------
    path : names of the objects it is in, and its own
        Each in all of its spellings.
    least, most : int
    unlimited : int or None
        The number that asks for nothing, so that the field is left out.
    """

    path: tuple[tuple[str, ...], ...]
    least: int = 1
    most: int = MOST_TOKENS
    unlimited: int | None = None


_CONFIG: Final = ("generationConfig", "generation_config")
_THINKING: Final = ("thinkingConfig", "thinking_config")
_FIELDS: Final[Mapping[Surface, tuple[_Count, ...]]] = {
    Surface.CHAT: (
        _Count((("max_tokens", "max_completion_tokens"),), unlimited=-1),
        _Count((("n", "best_of"),), most=MOST_ANSWERS),
        _Count((("reasoning",), ("max_tokens",)), least=0),
        _Count((("thinking",), ("budget_tokens",)), least=0),
    ),
    Surface.RESPONSES: (_Count((("max_output_tokens",),)), _Count((("reasoning",), ("max_tokens",)), least=0)),
    Surface.MESSAGES: (
        _Count((("max_tokens",),)),
        _Count((("thinking",), ("budget_tokens",)), least=0),
    ),
    Surface.GENERATE: (
        _Count((_CONFIG, ("maxOutputTokens", "max_output_tokens")), unlimited=0),
        _Count((_CONFIG, ("candidateCount", "candidate_count")), most=MOST_ANSWERS, unlimited=0),
        _Count((_CONFIG, _THINKING, ("thinkingBudget", "thinking_budget")), least=-1),
    ),
    Surface.EMBEDDINGS: (),
}


def with_counts_read(surface: Surface, body: dict[str, Any]) -> dict[str, Any]:
    """Return a body whose counts are whole numbers within their bounds; the given body is not changed.

    Raises
    ------
    InvalidRequestError
        If one is not a count; ``param`` names it.

    Examples
    --------
    >>> with_counts_read(Surface.CHAT, {"max_tokens": "100", "n": 2.0})
    {'max_tokens': 100, 'n': 2}
    >>> with_counts_read(Surface.CHAT, {"max_tokens": -1})
    {}
    >>> with_counts_read(Surface.GENERATE, {"generationConfig": {"candidateCount": "3"}})
    {'generationConfig': {'candidateCount': 3}}
    """
    for count in _FIELDS[surface]:
        body = _read(body, count, count.path, "")
    return body


def _read(fields: dict[str, Any], count: _Count, path: tuple[tuple[str, ...], ...], where: str) -> dict[str, Any]:
    """Return some fields with one kind of count read."""
    names, *inner = path
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        if inner:
            read: Any = _read(value, count, tuple(inner), f"{where}{name}.") if isinstance(value, dict) else value
        else:
            read = _count(value, count, where + name)
        if read is None:
            fields = {other: held for other, held in fields.items() if other != name}
        elif read is not value:
            fields = {**fields, name: read}
    return fields


def _count(value: object, count: _Count, param: str) -> int | None:
    number = _whole_number(value)
    if number is not None and number == count.unlimited:
        return None
    if number is None or not count.least <= number <= count.most:
        raise InvalidRequestError(
            f"{param}={_shown(value)}; expected a whole number from {count.least} to {count.most}", param=param
        )
    return number


def _whole_number(value: object) -> int | None:
    """Return a number as an integer; None for other values, and for a number with a fraction.

    >>> [_whole_number(value) for value in (7, 7.0, " 7 ", "7.0", 7.5, "7.5", True, "1e3", float("inf"), [7])]
    [7, 7, 7, 7, None, None, None, None, None, None]
    """
    if isinstance(value, str):
        text = value.strip()
        return int(text.partition(".")[0]) if _DIGITS.fullmatch(text) else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if type(value) is int else None


def _shown(value: object) -> str:
    """Return what was got: a number as it is, of all else only its kind, as texts are the caller's."""
    if isinstance(value, int | float):
        return repr(value)[:_SHOWN]
    if isinstance(value, str):
        return "(a text that is not a whole number)"
    return "(a JSON array)" if isinstance(value, list) else "(a JSON object)"
