"""How long a provider asks to wait."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds of ``retry-after-ms`` or ``retry-after`` (seconds or an HTTP date); None without either.

    Parameters
    ----------
    headers : by names in lower case
    now : datetime or None
        With a timezone; the present where it is None.

    Notes
    -----
    A date counts from the response's own ``date``, where it has one: the provider's clock need not be ours. A wait that
    is over is 0. RFC 9110, section 10.2.3; the milliseconds are OpenAI's and Azure's.

    Examples
    --------
    >>> retry_after_s({"retry-after": "20"}), retry_after_s({"retry-after": "2", "retry-after-ms": "1500"})
    (20.0, 1.5)
    >>> said = {"date": "Wed, 21 Oct 2026 07:28:00 GMT", "retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}
    >>> retry_after_s(said), retry_after_s({"retry-after": "soon"}), retry_after_s({})
    (30.0, None, None)
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    seconds = _number(said)
    if seconds is not None:
        return seconds
    until = _date(said)
    if until is None:
        return None
    since = _date(headers.get("date")) or now or datetime.now(UTC)
    return max(0.0, (until - since).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
