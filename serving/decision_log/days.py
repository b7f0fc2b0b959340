"""Days (UTC), by which a log is partitioned, kept and archived, and the times that ids name."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

DAY: Final = timedelta(days=1)
_SLACK: Final = timedelta(hours=1)
_UUID7: Final = re.compile(r"[0-9a-f]{12}7[0-9a-f]{19}")


def day_of(when: datetime) -> datetime:
    """Return the beginning of the day (UTC) that a time is in."""
    return when.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def shifted(when: datetime, by: timedelta) -> datetime:
    """Return a time some time later or earlier, or the same one at an end of the calendar."""
    try:
        return when + by
    except OverflowError:
        return when


def oldest_kept(now: datetime, days: float) -> datetime:
    """Return from when on records are kept if those of some days are: from a midnight (UTC) on, as days go whole.

    A shorter retention than a day is kept to the second.

    >>> oldest_kept(datetime(2026, 11, 30, 9, tzinfo=UTC), 7).isoformat()
    '2026-11-23T00:00:00+00:00'
    """
    oldest = now - timedelta(days=days)
    return oldest if days < 1 else day_of(oldest)


def near(decision_id: str) -> tuple[datetime, datetime] | None:
    """Return the times between which a decision was made, by its id (a UUIDv7); None of an id that does not say it.

    >>> near("dec_0197b5c8e40070008000000000000001")[0].isoformat()
    '2025-06-28T08:05:31.136000+00:00'
    >>> near("dec_1"), near("dec_ffffffffffff70008000000000000001")
    (None, None)
    """
    digits = decision_id.removeprefix("dec_")
    if not _UUID7.fullmatch(digits):
        return None
    try:
        made = datetime.fromtimestamp(int(digits[:12], 16) / 1000, UTC)
        return made - _SLACK, made + _SLACK
    except (ValueError, OverflowError):  # an id that somebody made up may say the year 10889
        return None


def near_all(decision_ids: Iterable[str]) -> tuple[datetime, datetime] | None:
    """Return the times between which all of these decisions were made; None if an id does not say it."""
    times = [near(one) for one in decision_ids]
    known = [one for one in times if one is not None]
    if not known or len(known) < len(times):
        return None
    return min(since for since, _ in known), max(until for _, until in known)
