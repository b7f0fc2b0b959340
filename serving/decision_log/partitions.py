"""The tables of PostgreSQL that grow with traffic are partitioned by day (UTC), so that old days are dropped whole.

A statement with bounds on the time reads the partitions of those days alone. Days are made some time
ahead, by whoever writes (`SqlStore.write`). What is of no such day (a clock that is wrong, a spool that was replayed
after months) goes into the partition ``…_default``, so no record is ever refused; and out of it, once its day is made.
A table that had records before there were partitions is itself the partition of all days up to then.

Ids are unique within a partition alone, which is enough for ids that belong to one time. Reports, whose ids may be
made from a caller's idempotency key, can come again at another time; `without_known_reports` looks for these.
"""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import func, select, table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from router_model.serving.decision_log.days import DAY, day_of, shifted
from router_model.serving.decision_log.rows import ID_FIELD, Batch, Kind
from router_model.serving.decision_log.tables import TABLES

PARTITIONED: Final = (Kind.DECISION, Kind.ATTEMPT, Kind.FEEDBACK)
"""Sessions and responses are not: of those with one id the newest counts, whatever its time."""
AHEAD: Final = 3 * DAY
"""How far ahead days are made."""
SEEN_WITHIN: Final = 7 * DAY
"""Within this time reports of one id are one report; later ones count anew."""
_REPORTS_LOCK: Final = 0x7265706F  # "repo" in ASCII; any number does that no other program uses as a lock
_LOCK: Final = 0x64617973  # "days" in ASCII; any number does that no other program uses as a lock
_LOCK_TIMEOUT_S: Final = 5
"""How long what writes and reads may have to wait behind a change of partitions that itself waits."""
_BOUNDS: Final = re.compile(r"FROM \((.*)\) TO \((.*)\)")


class Partition(NamedTuple):
    """A partition with the times that it takes; None: no limit."""

    name: str
    since: datetime | None
    until: datetime | None


async def partitions(connection: AsyncConnection, kind: Kind) -> list[Partition]:
    """Return the partitions of a table but the default one, the oldest first."""
    asked = text(
        "SELECT child.relname, pg_get_expr(child.relpartbound, child.oid) FROM pg_inherits"
        " JOIN pg_class child ON child.oid = inhrelid WHERE inhparent = to_regclass(:parent)"
    )
    found = []
    for name, bounds in (await connection.execute(asked, {"parent": TABLES[kind].name})).all():
        if limits := _BOUNDS.search(bounds):
            found.append(Partition(name, _bound(limits[1]), _bound(limits[2])))
    return sorted(found, key=lambda one: one.since or datetime.min.replace(tzinfo=UTC))


def _bound(written: str) -> datetime | None:
    return None if written in {"MINVALUE", "MAXVALUE"} else datetime.fromisoformat(written.strip("'")).astimezone(UTC)


async def make_days(connection: AsyncConnection, first: datetime, last: datetime) -> None:
    """Make the partitions of some days that are not there, in the transaction of `connection`."""
    await _begin(connection)
    for kind in PARTITIONED:
        there = await partitions(connection, kind)
        day = day_of(first)
        while day <= last:
            if not any(_overlaps(one, day) for one in there):
                await _make_day(connection, kind, day)
            day += DAY


async def partitions_before(connection: AsyncConnection, before: datetime) -> list[tuple[Kind, str, int]]:
    """Return the partitions that have nothing newer, by kind and name, with the number of their records."""
    return [
        (kind, one.name, (await connection.execute(select(func.count()).select_from(table(one.name)))).scalar_one())
        for kind in PARTITIONED
        for one in await partitions(connection, kind)
        if one.until is not None and one.until <= before
    ]


async def drop_partition(connection: AsyncConnection, name: str) -> None:
    """Drop a partition, in the transaction of `connection`: of a year at once, PostgreSQL would run out of locks."""
    await _begin(connection)
    await connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{name}"')


async def without_known_reports(connection: AsyncConnection, batch: Batch) -> Batch:
    """Leave out reports that are in the log with another time, as those are that a caller sends once more.

    Only the weeks around a report are looked at, so that this does not take longer in a log of years.
    """
    kept = dict(batch)
    is_locked = False
    for kind in (Kind.ATTEMPT, Kind.FEEDBACK):
        row_id = ID_FIELD[kind]
        reports = [row for row in batch.get(kind, ()) if kind is Kind.FEEDBACK or row.get("authority") is not None]
        if not reports:
            continue
        if not is_locked:  # until the transaction ends, so that of two workers the second one sees what the first wrote
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _REPORTS_LOCK})
            is_locked = True
        columns = TABLES[kind].c
        times = [row["created_at"] for row in reports]
        known = select(columns[row_id]).where(
            columns[row_id].in_(sorted({row[row_id] for row in reports})),
            columns.created_at.between(shifted(min(times), -SEEN_WITHIN), shifted(max(times), SEEN_WITHIN)),
        )
        seen = set((await connection.execute(known)).scalars())
        kept[kind] = []
        for row in batch[kind]:
            is_report = kind is Kind.FEEDBACK or row.get("authority") is not None
            if not (is_report and row[row_id] in seen):
                kept[kind].append(row)
            if is_report:
                seen.add(row[row_id])
    return kept


async def _begin(connection: AsyncConnection) -> None:
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_S}s'"))


def _overlaps(one: Partition, day: datetime) -> bool:
    return (one.since is None or one.since < day + DAY) and (one.until is None or one.until > day)


async def _make_day(connection: AsyncConnection, kind: Kind, day: datetime) -> None:
    """Make a table and attach it: "CREATE TABLE … PARTITION OF" would lock out who reads."""
    parent = TABLES[kind].name
    name, since, until = f"{parent}_{day:%Y%m%d}", day.isoformat(), (day + DAY).isoformat()
    await connection.exec_driver_sql(f"""DO $$ BEGIN
        CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS);
        ALTER TABLE {name} ADD PRIMARY KEY ({ID_FIELD[kind]});
        WITH strays AS (
            DELETE FROM {parent}_default WHERE created_at >= '{since}' AND created_at < '{until}' RETURNING *
        ) INSERT INTO {name} SELECT * FROM strays;
        ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{since}') TO ('{until}');
    END $$""")  # noqa: S608  (names and times are ours)
