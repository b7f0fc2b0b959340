"""How many requests come in a month: stated, or read from the times of a log."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from router_model.errors import RequestError

DAYS_A_MONTH: Final = 30.4375
"""A twelfth of 365.25 days."""

SHORTEST_DAYS: Final = 1.0
"""Of a log whose volume is projected to a month: hours of the night and of the day differ too much."""

PER_1000: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Volume:
    """A number of requests over which money is counted.

    Attributes
    ----------
    n_requests : float
    says : the time or number in words, such as "a month"
    source : where the number is from
    is_month : False where nobody knows the volume, and the figures are per 1,000 requests
    """

    n_requests: float
    says: str
    source: str
    is_month: bool


UNKNOWN: Final = Volume(PER_1000, "per 1,000 requests", "no volume is known", is_month=False)


def stated(requests_a_month: float) -> Volume:
    """Return a volume that somebody stated.

    Raises
    ------
    RequestError
        If it is not above 0.
    """
    if not 0 < requests_a_month < float("inf"):
        raise RequestError(f"requests a month: got {requests_a_month}, expected a number above 0")
    return Volume(requests_a_month, "a month", f"{requests_a_month:,.0f} requests a month, as stated", is_month=True)


def of_log(table: Path) -> Volume:
    """Return the volume of an exported log, from its first to its last time; `UNKNOWN` below a day.

    Examples
    --------
    Four requests, the last of them three days after the first: one a day.

    >>> import tempfile
    >>> from datetime import UTC
    >>> path = Path(tempfile.mkdtemp()) / "log.parquet"
    >>> pl.DataFrame({"timestamp": [datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2, 3, 4)]}).write_parquet(path)
    >>> round(of_log(path).n_requests, 1)
    30.4
    """
    schema = pl.read_parquet_schema(path := table)
    if not isinstance(schema.get("timestamp"), pl.Datetime):
        return UNKNOWN
    times = pl.read_parquet(path, columns=["timestamp"])["timestamp"].drop_nulls()
    first, last = times.min(), times.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return UNKNOWN
    days = (last - first).total_seconds() / 86_400
    if days < SHORTEST_DAYS:
        return UNKNOWN
    a_month = (len(times) - 1) / days * DAYS_A_MONTH
    says = f"{a_month:,.0f} requests a month, as in the {days:,.1f} days of the log"
    return Volume(a_month, "a month", says, is_month=True)
