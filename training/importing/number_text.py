"""Read numbers as people and spreadsheets write them: money, thousands, decimal commas, times with a unit.

A text is read only if it can mean one number. ``1,234`` is 1234 to some people and 1.234 to others. So it is read only
if the user has said which mark stands before the decimals, or if only whole numbers make sense.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

DecimalMark: TypeAlias = Literal["point", "comma"]
DECIMAL_MARKS: Final[tuple[DecimalMark, ...]] = ("point", "comma")

MAX_CHARS: Final = 60
"""Longer texts are not numbers; the limit keeps hostile texts cheap."""

_DOLLARS: Final = re.compile(r"^(?P<sign>[+-]?)\s*(?:US\$|USD|\$)\s*|\s*(?:US\$|USD|\$)$", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WITH_MARKS: Final = re.compile(r"(?P<sign>[+-]?)(?P<digits>\d*(?:[.,]\d+)*)(?P<power>(?:[eE][+-]?\d+)?)", re.ASCII)
_SPACED: Final = re.compile(r"[+-]?\d{1,3}(?:[ \u00a0\u2009\u202f'\u2019_]\d{3})+(?:[.,]\d+)?", re.ASCII)
_SPACES: Final = re.compile(r"[ \u00a0\u2009\u202f'\u2019_]")
_GROUPED: Final = {"point": re.compile(r"\d{1,3}(?:,\d{3})+", re.ASCII), "comma": re.compile(r"\d{1,3}(?:\.\d{3})+")}
_UNIT: Final = re.compile(r"(?P<number>.*\d)\s*(?P<unit>ns|us|µs|μs|ms|msecs?|s|secs?|seconds?|min|minutes?|h|hours?)")
_SECONDS_OF: Final = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "ms": 1e-3, "s": 1.0, "mi": 60.0, "h": 3600.0}


class AmbiguousNumberError(ValueError):
    """Raised if a comma may stand before decimals or between thousands."""


def read_number(text: str, decimal: DecimalMark | None = None, *, whole: bool = False) -> float:
    """Read a number or an amount of US dollars.

    Parameters
    ----------
    text : str
    decimal : {"point", "comma"}, optional
        The mark before the decimals, if the user has said it.
    whole : bool, default False
        Whether only whole numbers make sense. Then a single comma before three digits stands between thousands.

    Examples
    --------
    >>> read_number("$0.0012"), read_number("1,234.5"), read_number("1.234,5"), read_number("0,0012")
    (0.0012, 1234.5, 1234.5, 0.0012)
    >>> read_number("1,234", whole=True), read_number("1,234", "comma"), read_number("12 345 USD")
    (1234.0, 1.234, 12345.0)

    Raises
    ------
    AmbiguousNumberError
        If it can mean two numbers.
    ValueError
        If the text is not a number, or is an amount in another currency.
    """
    if len(text) > MAX_CHARS:
        raise ValueError(f"no number: {text[:MAX_CHARS]!r}…")
    text = _DOLLARS.sub(r"\g<sign>", text.strip())
    if _SPACED.fullmatch(text):
        text = _SPACES.sub("", text)
    if decimal != "comma" and _PLAIN.fullmatch(text):
        return float(text)
    match = _WITH_MARKS.fullmatch(text)
    if not match or not match["digits"]:
        raise ValueError(f"no number: {text!r}")
    mark = decimal or _mark_of(match["digits"], whole=whole)
    return float(match["sign"] + _with_point(match["digits"], mark) + match["power"])


def _mark_of(digits: str, *, whole: bool) -> DecimalMark:
    """Find the mark before the decimals from the digits alone."""
    if "." in digits:
        # If there are two kinds of marks, the last stands before the decimals. Several points stand between thousands.
        return "comma" if digits.rfind(",") > digits.rfind(".") or "," not in digits else "point"
    if digits.count(",") > 1:
        return "point"
    looks_grouped = bool(_GROUPED["point"].fullmatch(digits)) and not digits.startswith("0")
    if looks_grouped and not whole:
        raise AmbiguousNumberError(digits)
    return "point" if looks_grouped else "comma"


def _with_point(digits: str, mark: DecimalMark) -> str:
    """Return the digits in the form that Python reads."""
    point = "." if mark == "point" else ","
    before, _, decimals = digits.partition(point)
    if not before.isdigit() and before and not _GROUPED[mark].fullmatch(before):
        raise ValueError(f"no number: {digits!r}")
    return f"{before.replace(',', '').replace('.', '')}.{decimals}"


def is_ambiguous(value: object) -> bool:
    """Whether a value is a text that `read_number` could read as two different numbers.

    >>> is_ambiguous("1,234"), is_ambiguous("1,5"), is_ambiguous("many")
    (True, False, False)
    """
    if not isinstance(value, str):
        return False
    try:
        read_number(value)
    except AmbiguousNumberError:
        return True
    except ValueError:
        return False
    return False


def mark_of(values: Iterable[object]) -> DecimalMark | None:
    """Find the mark before the decimals from those texts that can be read in only one way.

    >>> mark_of(["1,234", "0,5"]), mark_of(["1,234", "0.5"]), mark_of(["1,234"])
    ('comma', 'point', None)
    """
    marks: set[DecimalMark] = set()
    for value in values:
        fitting = [mark for mark in DECIMAL_MARKS if isinstance(value, str) and _reads_as(value, mark)]
        marks.update(fitting if len(fitting) == 1 else ())
    return marks.pop() if len(marks) == 1 else None


def _reads_as(text: str, mark: DecimalMark) -> bool:
    try:
        return read_number(text) == read_number(text, mark)
    except ValueError:
        return False


def read_seconds(text: str, decimal: DecimalMark | None = None) -> float:
    """Read a time span; a number without a unit is in seconds.

    >>> read_seconds("850 ms"), read_seconds("1.5"), read_seconds("2min")
    (0.85, 1.5, 120.0)

    Raises
    ------
    ValueError
        If the text is not a time span.
    """
    match = _UNIT.fullmatch(text.strip().lower()) if len(text) <= MAX_CHARS else None
    if not match:
        return read_number(text, decimal)
    unit = match["unit"]
    factor = _SECONDS_OF["ms" if unit.startswith("ms") else unit[:2] if unit.startswith("mi") else unit[0]]
    return read_number(match["number"], decimal) * factor
