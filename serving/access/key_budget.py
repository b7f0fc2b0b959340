"""The budget of a key: an amount of money, and the period that it is for."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Final

NANOS: Final = 1_000_000_000
"""Nano-USD per USD. Amounts are whole nano-USD, rounded up, so that sums are exact and never too small."""
MAX_USD: Final = Decimal(1_000_000_000)
"""Sums of amounts up to this fit 64 bits."""


class Per(StrEnum):
    """The period after which the whole budget is available again, in UTC."""

    DAY = "day"
    MONTH = "month"
    TOTAL = "total"
    """Never."""


@dataclass(frozen=True, slots=True)
class KeyBudget:
    """The amount that may be spent in a period.

    Attributes
    ----------
    usd : Decimal
        More than 0, at most `MAX_USD`.
    per : Per

    Raises
    ------
    ValueError
        If `usd` is out of its range.
    """

    usd: Decimal
    per: Per = Per.MONTH

    def __post_init__(self) -> None:
        if not self.usd.is_finite() or not 0 < self.usd <= MAX_USD:
            raise ValueError(f"a budget of {self.usd} USD; expected more than 0 and at most {MAX_USD:,}")

    def __str__(self) -> str:
        """Return e.g. ``$10 a day``.

        >>> str(KeyBudget(Decimal("10.50"), Per.DAY)), str(KeyBudget(Decimal(3), Per.TOTAL))
        ('$10.5 a day', '$3 in total')
        """
        return f"{dollars(self.usd)} {'in total' if self.per is Per.TOTAL else f'a {self.per}'}"

    def begin(self, today: date) -> date:
        """Return the first day of the period that `today` is in.

        >>> KeyBudget(Decimal(1), Per.MONTH).begin(date(2026, 2, 14))
        datetime.date(2026, 2, 1)
        """
        match self.per:
            case Per.DAY:
                return today
            case Per.MONTH:
                return today.replace(day=1)
            case Per.TOTAL:
                return date.min

    def end(self, today: date) -> datetime | None:
        """Return when the period that `today` is in ends, in UTC; None: never.

        >>> KeyBudget(Decimal(1), Per.MONTH).end(date(2026, 12, 31))
        datetime.datetime(2027, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)
        """
        if self.per is Per.TOTAL:
            return None
        days = 1 if self.per is Per.DAY else 32 - today.day  # of the longest month: the first day of the next, or so
        return datetime.combine(self.begin(today + timedelta(days=days)), time(), UTC)


def nanos(usd: Decimal | float) -> int:
    """Return an amount in nano-USD, rounded up; a negative one is 0.

    Raises
    ------
    ValueError
        If it is not finite.

    Examples
    --------
    >>> nanos(0.0021), nanos(Decimal("0.0000000011"))
    (2100000, 2)
    """
    if not math.isfinite(usd):
        raise ValueError(f"an amount of {usd} USD; expected a finite one")
    # By `repr`, because a float's binary fraction may be a trace larger, and be rounded up to another nano-USD.
    exact = usd if isinstance(usd, Decimal) else Decimal(repr(float(usd)))
    return max(int((min(exact, MAX_USD) * NANOS).to_integral_value(ROUND_CEILING)), 0)


def usd_of(nano: int) -> Decimal:
    """Return nano-USD as USD, exactly.

    >>> usd_of(2_100_000)
    Decimal('0.0021')
    """
    return (Decimal(nano) / NANOS).normalize()


def dollars(usd: Decimal) -> str:
    """Format an amount for people.

    >>> dollars(Decimal("10.00")), dollars(Decimal("1E+3")), dollars(Decimal("-0.000002"))
    ('$10', '$1,000', '-$0.000002')
    """
    return f"{'-' if usd < 0 else ''}${plain(abs(usd)):,}"


def plain(usd: Decimal) -> Decimal:
    """Return an amount that prints without an exponent and without zeros at its end.

    >>> str(plain(Decimal("1E+3"))), str(plain(Decimal("0.500")))
    ('1000', '0.5')
    """
    short = usd.normalize()
    return short.quantize(Decimal(1)) if short == short.to_integral_value() else short
