"""Keep a summary of each hour that is over in the log's database, so that a month is read in 720 rows.

`roll` sums up one hour after the other, the newest first, in the background of each worker; the table tells which are
done. An hour is summed up a quarter of an hour after its end, when the calls that began in it have ended. If records of
such an hour come after that (a spool that was replayed, a person's records that were deleted), whoever writes them
removes the hour's summaries in the same transaction (`forget_hours`), and it is summed up again.

So that no record is missed: `roll` claims an hour first, then reads its records, and writes the summaries only if the
claim is still there. In PostgreSQL, where a claim and late records could pass each other unseen, both take a lock.
"""

import math
import secrets
import time
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import and_, case, delete, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from router_model.serving.decision_log.rows import TIME_FIELD, Batch, Kind
from router_model.serving.decision_log.summaries import ALL, MEASURED_USD, NO_KEY, Tree, is_of_router
from router_model.serving.decision_log.tables import HOURS, TABLES

HOUR: Final = timedelta(hours=1)
GRACE: Final = timedelta(minutes=15)
"""After its end an hour is summed up; calls take ten minutes at most, unless the service is told otherwise."""
KEPT: Final = timedelta(days=31)
"""How far back hours are summed up."""
_SLACK: Final = timedelta(minutes=5)
"""For clocks of several machines that differ, and for transactions that end later than they began."""
_CLAIM_S: Final = 120.0
"""After which a claim of a process that was killed no longer counts."""
_FORM: Final = ":by-router"
"""The end of a claim whose summaries have those of routers, too; an hour with an older one is summed up again."""
_LOCK: Final = 0x726F6C6C  # "roll" in ASCII; any number does that no other program uses as a lock
_COUNTED: Final = (Kind.DECISION, Kind.ATTEMPT, Kind.FEEDBACK)


def hour_of(when: datetime) -> datetime:
    """Return the beginning of the hour that a time is in."""
    return when.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def rolled_until(now: datetime) -> datetime:
    """Return the end of the last hour that may be summed up."""
    return hour_of(now - GRACE)


def late_hours(batch: Batch, now: datetime) -> set[datetime]:
    """Return the hours that a batch has records of, and that may be summed up before it is written."""
    until = rolled_until(now + _SLACK)
    times = (row[TIME_FIELD[kind]] for kind in _COUNTED for row in batch.get(kind, ()))
    return {hour_of(when) for when in times if when < until}


async def forget_hours(connection: AsyncConnection, hours: Collection[datetime]) -> None:
    """Remove the summaries of hours whose records change, in the transaction that changes them."""
    if hours:
        await _lock(connection, shared=True)
        await connection.execute(delete(HOURS).where(HOURS.c.hour.in_(list(hours))))


async def forget_older(connection: AsyncConnection, before: datetime) -> None:
    """Remove the summaries of hours that began before a time."""
    await _lock(connection, shared=True)
    await connection.execute(delete(HOURS).where(HOURS.c.hour < before))


async def next_hour(connection: AsyncConnection, now: datetime) -> datetime | None:
    """Return the newest hour that is over, by the database's clock too, and not summed up; None: all are."""
    if connection.dialect.name == "postgresql":  # a machine whose clock is ahead must not sum up hours to come
        now = min(now, (await connection.execute(select(func.now()))).scalar_one())
    first = await _first_hour(connection)
    if first is None:
        return None
    hour, oldest = rolled_until(now) - HOUR, max(first, hour_of(now - KEPT))
    chosen = select(HOURS.c.hour, HOURS.c.claim, HOURS.c.spent_usd.is_not(None)).where(
        HOURS.c.key_id == ALL, HOURS.c.hour >= oldest
    )
    done = {
        begin
        for begin, claim, is_there in (await connection.execute(chosen)).all()
        if (is_there and claim.endswith(_FORM)) or _is_fresh(claim)
    }
    while hour >= oldest:
        if hour not in done:
            return hour
        hour -= HOUR
    return None


async def claim(connection: AsyncConnection, hour: datetime) -> str:
    """Claim an hour, in a transaction of its own; return what the claim is known by."""
    claimed = f"{time.time():.0f}:{secrets.token_hex(8)}{_FORM}"
    await _lock(connection, shared=False)
    await connection.execute(delete(HOURS).where(HOURS.c.hour == hour))
    await connection.execute(insert(HOURS).values(hour=hour, key_id=ALL, claim=claimed, summary=None))
    return claimed


async def keep(connection: AsyncConnection, hour: datetime, claimed: str, by_key: dict[str, Tree]) -> bool:
    """Write the summaries of a claimed hour; False if the claim is gone, because records of the hour came meanwhile."""
    own = (HOURS.c.hour == hour, HOURS.c.key_id == ALL, HOURS.c.claim == claimed)
    together = {"summary": by_key[ALL], "spent_usd": _spent(by_key[ALL])}
    if (await connection.execute(update(HOURS).where(*own).values(**together))).rowcount != 1:
        return False
    others = [
        {"hour": hour, "key_id": key, "claim": claimed, "summary": tree, "spent_usd": _spent(tree)}
        for key, tree in by_key.items()
        if key != ALL
    ]
    if others:
        await connection.execute(insert(HOURS), others)
    return True


async def hours_done(
    connection: AsyncConnection, since: datetime, until: datetime, key: str
) -> tuple[dict[datetime, str], int]:
    """Return a key's hours of a period that are summed up, with their claims, and how many are not summed up yet.

    A claim changes when an hour is summed up again.
    """
    within = [HOURS.c.hour >= since, HOURS.c.hour < until, HOURS.c.summary.is_not(None)]
    if is_of_router(key):
        within.append(HOURS.c.claim.endswith(_FORM))
    chosen = select(HOURS.c.hour, HOURS.c.claim).where(*within, HOURS.c.key_id == key)
    found: dict[datetime, str] = {row.hour: row.claim for row in await connection.execute(chosen)}
    first = await _first_hour(connection)
    if first is None:
        return found, 0
    # Hours before the first record are not summed up, because there is nothing in them.
    begin = max(since, first)
    done = select(func.count()).where(*within, HOURS.c.hour >= begin, HOURS.c.key_id == ALL)
    n_done = (await connection.execute(done)).scalar_one()
    return found, max(int((until - begin) / HOUR) - n_done, 0)


async def read_hours(connection: AsyncConnection, hours: Collection[datetime], key: str) -> list[tuple[datetime, Tree]]:
    """Return a key's summaries of some hours, oldest first."""
    chosen = select(HOURS.c.hour, HOURS.c.summary).where(
        HOURS.c.hour.in_(list(hours)), HOURS.c.key_id == key, HOURS.c.summary.is_not(None)
    )
    # Sorted here, because PostgreSQL would write the summaries of a month into a file to sort them.
    return sorted(((hour, tree) for hour, tree in (await connection.execute(chosen)).all()), key=lambda one: one[0])


async def spent_usd(connection: AsyncConnection, key_id: str, since: Sequence[datetime], now: datetime) -> list[float]:
    """Return what a key's calls that were made here cost, since each of some times.

    Hours that are summed up are read from their summaries, and calls of the others one by one.
    """
    first, until = hour_of(min(since)), rolled_until(now)
    of_hours = await _of_hours(connection, max(first, until - KEPT), until, key_id or NO_KEY)
    for begin in since:  # an hour that begins before a time is not added as a whole
        if begin != hour_of(begin):
            of_hours.pop(hour_of(begin), None)
    calls = TABLES[Kind.ATTEMPT].c
    sums = [func.sum(case((calls.created_at >= begin, calls.cost_usd))) for begin in since]
    gaps = [
        and_(calls.created_at >= begin, *([] if end is None else [calls.created_at < end]))
        for begin, end in _gaps(first, until, of_hours)
    ]
    own = (calls.created_at >= min(since), calls.key_id == key_id, calls.authority.is_(None), or_(*gaps))
    read = (await connection.execute(select(*sums).where(*own))).one()
    return [
        math.fsum([amount or 0.0, *(usd for hour, usd in of_hours.items() if hour >= begin)])
        for begin, amount in zip(since, read, strict=True)
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


def _spent(tree: Tree) -> float:
    return float(tree.get(MEASURED_USD, 0.0))


async def _first_hour(connection: AsyncConnection) -> datetime | None:
    """Return the hour of the first record that is counted; None of an empty log."""
    firsts = [(await connection.execute(select(func.min(TABLES[kind].c.created_at)))).scalar_one() for kind in _COUNTED]
    return min((hour_of(first) for first in firsts if first is not None), default=None)


def _is_fresh(claimed: str) -> bool:
    return time.time() - float(claimed.partition(":")[0]) < _CLAIM_S


async def _lock(connection: AsyncConnection, *, shared: bool) -> None:
    """Take PostgreSQL's lock until the transaction ends; a writing transaction of SQLite is one already."""
    if connection.dialect.name == "postgresql":
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        await connection.execute(text(f"SELECT {function}(:key)"), {"key": _LOCK})
