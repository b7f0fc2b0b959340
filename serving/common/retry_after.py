"""Read how long a server asks to wait, and write how long we ask.

The value is what the server says, however long; `router_model.serving.providers.health` limits it.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_RESET: Final = re.compile(r"(?:x-|anthropic-)?ratelimit-(?:(?P<what>[a-z-]+)-)?reset(?:-(?P<after>[a-z-]+))?")
_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS_S: Final = (86_400.0, 3600.0, 60.0, 1.0, 0.001)
_IN_WORDS: Final = re.compile(r"\b(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?(?:ms|d|h|m|s))+)\b", re.IGNORECASE)
_EPOCH_S: Final = 1e9
"""A number so large is a moment, not a duration; a thousand times as large in milliseconds."""
_EPOCH_MS: Final = 1e11


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds of ``retry-after-ms`` or ``retry-after`` (seconds or an HTTP date); None without either.

    Parameters
    ----------
    headers : by names in lower case
    now : datetime or None
        With a timezone; the present if it is None.

    Notes
    -----
    A date counts from the response's own ``date``, if it has one: the provider's clock need not be ours. A wait that
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
    return None if until is None else _seconds_to(until, headers, now)


def retry_after_text(seconds: float) -> str:
    """Return a ``Retry-After`` header: whole seconds, 1 or more, as 0 would mean to try again at once.

    >>> retry_after_text(0.2), retry_after_text(2.1)
    ('1', '3')
    """
    return str(max(math.ceil(seconds), 1))


def limit_ends_s(headers: Mapping[str, str], message: str = "", now: datetime | None = None) -> float | None:
    """Return the seconds until a rate limit that was reached ends; None if the provider does not say.

    Parameters
    ----------
    headers : of the answer, by names in lower case
        Besides ``retry-after``: ``x-ratelimit-reset-requests: 6m0s``, ``anthropic-ratelimit-tokens-reset: 2026-…Z``,
        ``x-ratelimit-reset: 1790000000000``. If there are several limits, the used-up one counts.
    message : words of the error: ``Please try again in 7.66s.``
    now : datetime or None
        With a timezone; the present if it is None.

    Examples
    --------
    >>> headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m30s"}
    >>> limit_ends_s(headers), limit_ends_s({}, "Slow down; please try again in 340ms.")
    (90.0, 0.34)
    """
    told_s = retry_after_s(headers, now)
    if told_s is not None:
        return told_s
    if (found := _IN_WORDS.search(message)) is not None:
        return _duration(found[1])
    # All of these limits are used up, so a call can only succeed after the one that ends last.
    resets = [_reset_s(value, headers, now) for name, value in headers.items() if _is_used_up(name, headers)]
    return max((seconds for seconds in resets if seconds is not None), default=None)


def _is_used_up(name: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a header says when a limit resets, and that limit is used up as far as the headers say."""
    if _RESET.fullmatch(name) is None:
        return False
    left = _number(headers.get(name.replace("-reset", "-remaining")))
    return left == 0.0 or (left is None and name.count("-") <= len(("x", "ratelimit")))


def _reset_s(text: str, headers: Mapping[str, str], now: datetime | None) -> float | None:
    number = _number(text)
    if number is None:
        moment = _duration(text)
        if moment is not None:
            return moment
        until = _iso(text) or _date(text)
    elif number >= _EPOCH_S:
        until = _moment(number / 1000 if number >= _EPOCH_MS else number)
    else:
        return number
    return None if until is None else _seconds_to(until, headers, now)


def _seconds_to(until: datetime, headers: Mapping[str, str], now: datetime | None) -> float:
    since = _date(headers.get("date")) or now or datetime.now(UTC)
    return max(0.0, (until - since).total_seconds())


def _duration(text: str) -> float | None:
    """Return the seconds of ``6m0s``, ``340ms``, ``1h``.

    >>> _duration("6m0s"), _duration("17ms"), _duration("1h2m3.5s"), _duration("soon")
    (360.0, 0.017, 3723.5, None)
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    return sum(float(part) * unit_s for part, unit_s in zip(found.groups(), _UNITS_S, strict=True) if part)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    # `float` reads "nan" and "inf", too, and nobody can wait for so long.
    return max(0.0, number) if math.isfinite(number) else None


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    # The parser gives no zone for "-0000", which is UTC.
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _iso(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _moment(epoch_s: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(epoch_s, UTC)
    # The number is the provider's, and may lie beyond the last year that a datetime can hold.
    except (OverflowError, ValueError, OSError):
        return None
