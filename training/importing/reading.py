"""How the values of a source are written (dates, decimal marks, words for qualities), as far as the user has said.

Without such an option, a value is read only if it can mean one thing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from router_model.errors import TableError
from router_model.training.importing.dates import DateOrder
from router_model.training.importing.number_text import DecimalMark
from router_model.training.importing.scales import Scale


@dataclass(frozen=True, slots=True)
class Reading:
    """The options that say how values are written.

    Attributes
    ----------
    scale : Scale, optional
        Scale of the qualities; 0 to 1 by default.
    words : mapping of str to (float or None)
        Qualities of words in lower case, and of single numbers; None means not graded.
    dates : {"day-first", "month-first"}, optional
    decimal : {"point", "comma"}, optional
        The mark before the decimals in numbers written as text.
    """

    scale: Scale | None = None
    words: Mapping[str, float | None] = field(default_factory=dict)
    dates: DateOrder | None = None
    decimal: DecimalMark | None = None


AS_WRITTEN: Final = Reading()
"""The reading without any options."""


def parse_words(given: Iterable[str]) -> dict[str, float | None]:
    """Parse ``good=1,bad=0,n/a=``: words with their qualities, where an empty quality means "not graded".

    >>> parse_words(["Good=1,bad=0", "n/a="])
    {'good': 1.0, 'bad': 0.0, 'n/a': None}

    Raises
    ------
    TableError
        If a text has another form.
    """
    pairs = [pair for text in given for pair in text.split(",") if pair.strip()]
    return checked_words(_parse_pair(pair) for pair in pairs)


def checked_words(pairs: Iterable[tuple[str, float | None]]) -> dict[str, float | None]:
    """Return words in lower case with their qualities.

    Raises
    ------
    TableError
        If a quality is not a number from 0 to 1.
    """
    words = {word.strip().lower(): value for word, value in pairs}
    for word, value in words.items():
        if not word or not (value is None or 0 <= value <= 1):
            raise TableError(_words_message(f"{word}={value}"))
    return words


def _parse_pair(pair: str) -> tuple[str, float | None]:
    word, equals, number = (part.strip() for part in pair.rpartition("="))
    if not equals:
        raise TableError(_words_message(pair))
    try:
        return word, float(number) if number else None
    except ValueError as exc:
        raise TableError(_words_message(pair)) from exc


def _words_message(got: str) -> str:
    return (
        f"values: got {got.strip()!r}, expected WORD=QUALITY with a quality from 0 to 1, or WORD= for 'not graded', "
        "such as good=1,bad=0,n/a=; use this form"
    )
