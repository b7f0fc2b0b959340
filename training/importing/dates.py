"""Read local dates: 31/01/2025 9:30 PM, 31.01.2025, Jan 31, 2025.

It never guesses: if day and month could be swapped, the user must state their order. Two simplifications: month names
are English, and a time without a zone is in UTC.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, Literal, TypeAlias

DateOrder: TypeAlias = Literal["day-first", "month-first"]
DATE_ORDERS: Final[tuple[DateOrder, ...]] = ("day-first", "month-first")

_MAX_CHARS: Final = 60
_N_MONTHS: Final = 12
_NOON: Final = 12
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME: Final = rf"(?P<name>{'|'.join(_MONTHS)})[a-z]*\.?"
_TIME: Final = (
    r"(?:(?:,\s*|T|\s+)(?:at\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?P<zone>z|utc|gmt|[+-]\d{2}:?\d{2})?)?"
)
_NUMERIC: Final = re.compile(
    rf"(?P<first>\d{{1,2}})(?P<mark>[./-])(?P<second_number>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}|\d{{2}}){_TIME}",
    re.ASCII | re.IGNORECASE,
)
_DATED: Final = tuple(
    re.compile(rf"(?:[a-z]{{3,9}},?\s+)?{date}{_TIME}", re.ASCII | re.IGNORECASE)
    for date in (
        r"(?P<year>\d{4})(?P<mark>[./-])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})",
        rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[ -]{_NAME}[ -](?P<year>\d{{4}})",
        rf"{_NAME}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})",
    )
)


class AmbiguousDateError(ValueError):
    """Raised if day and month of a date could be swapped."""


def read_date(text: str, order: DateOrder | None = None) -> datetime:
    """Read a date that is not ISO 8601.

    >>> str(read_date("31/01/2025 9:30 PM")), str(read_date("03.04.2025", "day-first"))
    ('2025-01-31 21:30:00+00:00', '2025-04-03 00:00:00+00:00')

    Raises
    ------
    AmbiguousDateError
        If the date depends on the order of day and month, and the order is not known.
    ValueError
        If the text is not a date.
    """
    if len(text) > _MAX_CHARS:
        raise ValueError(f"no date: {text[:_MAX_CHARS]!r}…")
    numeric = _NUMERIC.fullmatch(text)
    if numeric:
        year = int(numeric["year"])
        first, second = int(numeric["first"]), int(numeric["second_number"])
        order = order or _order_of(first, second, year)
        day, month = (first, second) if order == "day-first" else (second, first)
        return _moment(numeric, year if year > 99 else 2000 + year, month, day)  # noqa: PLR2004 two digits
    for pattern in _DATED:
        match = pattern.fullmatch(text)
        if match:
            return _moment(match, int(match["year"]), _month_of(match), int(match["day"]))
    raise ValueError(f"no date: {text!r}")


def order_of(values: Iterable[object]) -> DateOrder | None:
    """Tell the order of day and month from dates in which one number is above 12.

    >>> order_of(["03/04/2025", "31/01/2025"]), order_of(["03/04/2025"])
    ('day-first', None)
    """
    matches = (_NUMERIC.fullmatch(value) for value in values if isinstance(value, str) and len(value) <= _MAX_CHARS)
    orders: set[DateOrder] = set()
    for match in matches:
        if match and int(match["first"]) > _N_MONTHS:
            orders.add("day-first")
        elif match and int(match["second_number"]) > _N_MONTHS:
            orders.add("month-first")
    return orders.pop() if len(orders) == 1 else None


def is_ambiguous(value: object) -> bool:
    """Whether a value is a date in which day and month could be swapped.

    >>> is_ambiguous("03/04/2025"), is_ambiguous("31/01/2025"), is_ambiguous("soon")
    (True, False, False)
    """
    if not isinstance(value, str):
        return False
    try:
        read_date(value.strip())
    except AmbiguousDateError:
        return True
    except ValueError:
        return False
    return False


def _order_of(first: int, second: int, year: int) -> DateOrder:
    # A year of two digits could be a day too. If both numbers are equal, the order does not matter.
    is_open = max(first, second) <= _N_MONTHS and first != second
    if is_open or year <= 99:  # noqa: PLR2004 two digits
        raise AmbiguousDateError(f"{first}, {second}")
    return "day-first" if first > _N_MONTHS else "month-first"


def _month_of(match: re.Match[str]) -> int:
    fields = match.groupdict()
    return int(fields["month"]) if fields.get("month") else 1 + _MONTHS.index(match["name"].lower())


def _moment(match: re.Match[str], year: int, month: int, day: int) -> datetime:
    if match["hour"] is None:
        return datetime(year, month, day, tzinfo=UTC)
    fraction = (match["fraction"] or "").ljust(6, "0")[:6]
    moment = datetime(
        year, month, day, _hour(match), int(match["minute"]), int(match["second"] or 0), int(fraction), _zone(match)
    )
    return moment.astimezone(UTC)


def _hour(match: re.Match[str]) -> int:
    hour = int(match["hour"])
    if not match["half"]:
        return hour
    if not 1 <= hour <= _NOON:
        raise ValueError(f"no hour of half a day in {match[0]!r}")
    return hour % _NOON + (_NOON if match["half"].lower().startswith("p") else 0)


def _zone(match: re.Match[str]) -> timezone:
    zone = (match["zone"] or "").lower()
    if not zone or zone in ("z", "utc", "gmt"):
        return UTC
    digits = zone[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if zone[0] == "-" else offset)
