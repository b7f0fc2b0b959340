"""What a key has spent: the sums of hours that are over, and the calls of those that are not summed up yet."""

import math
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from router_model.serving.decision_log.rolled_hours import HOUR, KEPT, hour_of, rolled_until
from router_model.serving.decision_log.rows import Kind
from router_model.serving.decision_log.summaries import ALL, NO_KEY
from router_model.serving.decision_log.tables import HOURS, TABLES


async def spent_usd(connection: AsyncConnection, key_id: str, since: Sequence[datetime], now: datetime) -> list[float]:
    """Return what a key's calls that were made here cost, since each of some times."""
    first, until = hour_of(min(since)), rolled_until(now)
    of_hours = await _of_hours(connection, max(first, until - KEPT), until, key_id or NO_KEY)
    for time in since:  # an hour that begins before a time is not added as a whole
        if time != hour_of(time):
            of_hours.pop(hour_of(time), None)
    calls = TABLES[Kind.ATTEMPT].c
    sums = [func.sum(case((calls.created_at >= time, calls.cost_usd))) for time in since]
    gaps = [
        and_(calls.created_at >= begin, *([] if end is None else [calls.created_at < end]))
        for begin, end in _gaps(first, until, of_hours)
    ]
    own = (calls.created_at >= min(since), calls.key_id == key_id, calls.authority.is_(None), or_(*gaps))
    read = (await connection.execute(select(*sums).where(*own))).one()
    return [
        math.fsum([amount or 0.0, *(usd for hour, usd in of_hours.items() if hour >= time)])
        for time, amount in zip(since, read, strict=True)
    ]


async def _of_hours(connection: AsyncConnection, since: datetime, until: datetime, key: str) -> dict[datetime, float]:
    """Return what a key spent in each hour of a period; hours that are not summed up yet are missing."""
    hours = [since + n * HOUR for n in range(max(math.ceil((until - since) / HOUR), 0))]
    # Each hour is named, so that the index finds two rows of it, however many keys there are.
    chosen = select(HOURS.c.hour, HOURS.c.key_id, HOURS.c.spent_usd).where(
        HOURS.c.hour.in_(hours), HOURS.c.key_id.in_([ALL, key]), HOURS.c.spent_usd.is_not(None)
    )
    rows = (await connection.execute(chosen)).all()
    done = dict.fromkeys((hour for hour, of, _ in rows if of == ALL), 0.0)
    return done | {hour: spent for hour, of, spent in rows if of == key and hour in done}


def _gaps(since: datetime, until: datetime, known: Collection[datetime]) -> Iterator[tuple[datetime, datetime | None]]:
    """Yield the runs of hours that are not known, and at last all that comes after `until`; None: no end.

    >>> from datetime import UTC
    >>> at = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(5)]
    >>> [(since.hour, until and until.hour) for since, until in _gaps(at[0], at[4], {at[0], at[3]})]
    [(1, 3), (4, None)]
    """
    begin: datetime | None = None
    hour = since
    while hour < until:
        if hour in known and begin is not None:
            yield begin, hour
        begin = None if hour in known else begin or hour
        hour += HOUR
    yield begin or hour, None
