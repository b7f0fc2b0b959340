"""The log in a database, SQLite or PostgreSQL, by SQLAlchemy Core."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, func, literal, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from router_model.serving.common.private_files import make_private
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.decision_log.database_errors import database_failures
from router_model.serving.decision_log.days import DAY, near
from router_model.serving.decision_log.deletion import delete_of, delete_older
from router_model.serving.decision_log.engines import WRITING, engine_of
from router_model.serving.decision_log.partitions import (
    AHEAD,
    PARTITIONED,
    drop_partition,
    make_days,
    partitions_before,
    without_known_reports,
)
from router_model.serving.decision_log.rolled_hours import forget_hours, late_hours, spent_usd
from router_model.serving.decision_log.rows import ID_FIELD, NEWEST_COUNTS, TIME_FIELD, Batch, Kind, Row
from router_model.serving.decision_log.schema import migrate, not_a_log
from router_model.serving.decision_log.store import LogReader, Period, Selection, SpoolBatching
from router_model.serving.decision_log.tables import TABLES, VERSION_TABLE, Insertion

logger = logging.getLogger(__name__)

ROWS_AT_ONCE: Final = 500
_ROWS_A_STATEMENT: Final = 64
"""Rows that are turned into parameters in one go: the interpreter's lock is held for about a millisecond."""
_DAYS_AGAIN: Final = timedelta(hours=1)


class SqlStore:
    """A log in a database.

    Parameters
    ----------
    url : sqlalchemy.engine.URL
        With the driver ``sqlite+aiosqlite`` or ``postgresql+asyncpg``.
    """

    spool_batching: SpoolBatching | None = None
    rows_at_once = ROWS_AT_ONCE

    def __init__(self, url: URL) -> None:
        self.url = url
        self._engine = engine_of(url)
        self._is_partitioned = url.get_backend_name() == "postgresql"
        # What reads or changes much at once may take minutes; with SQLite nothing ends a statement that is slow.
        self._patient = engine_of(url, is_patient=True) if self._is_partitioned else self._engine
        self.reader: LogReader | None = None
        """Set by `router_model.serving.decision_log.opening`."""
        self._inserts = {kind: Insertion(kind, self._engine.dialect) for kind in Kind}
        self._opening: asyncio.Task[None] | None = None
        self._days_again_at = datetime.min.replace(tzinfo=UTC)

    async def open(self, *, create: bool = True) -> None:
        """Reach the database and migrate its tables; what is not to be made has to be a log already.

        A large log may take minutes to migrate. Who gives up waiting does not stop it, and the next call waits for the
        same.
        """
        if self.url.get_backend_name() == "sqlite":
            self._prepare_file(create=create)
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open(create=create))
        await asyncio.shield(self._opening)

    async def _open(self, *, create: bool) -> None:
        with database_failures("open"):
            async with self._writing(self._patient) as connection:
                await connection.run_sync(migrate, create=create)
            await self._make_days()

    async def write(self, batch: Batch, name: str) -> None:
        """Insert rows in one transaction."""
        del name
        with database_failures("write"):
            await self._make_days()
            async with self.writing() as connection:
                if self._is_partitioned:
                    batch = await without_known_reports(connection, batch)
                for kind, rows in batch.items():
                    ordered = _newest_of_each(kind, rows) if kind in NEWEST_COUNTS else rows
                    for start in range(0, len(ordered), _ROWS_A_STATEMENT):
                        parameters = self._inserts[kind].parameters(ordered[start : start + _ROWS_A_STATEMENT])
                        await connection.exec_driver_sql(self._inserts[kind].statement, parameters)
                        # Look-ups share this event loop, and get their turn between two statements.
                        await asyncio.sleep(0)
                await forget_hours(connection, late_hours(batch, datetime.now(UTC)))

    async def read(self, kind: Kind, row_id: str) -> Row | None:
        """Select one row; of a decision first from the days that its id names."""
        if kind is Kind.DECISION and (times := near(row_id)):
            table = TABLES[kind]
            within = table.c.created_at.between(*times)
            if rows := await self._selected(select(table).where(table.c.decision_id == row_id, within)):
                return rows[0]
        return await self.find(kind, {ID_FIELD[kind]: row_id})

    async def find(self, kind: Kind, equal: Mapping[str, str | None]) -> Row | None:
        """Select the newest row that has these values."""
        table = TABLES[kind]
        chosen = select(table).where(*(table.c[name] == value for name, value in equal.items()))
        rows = await self._selected(chosen.order_by(table.c[TIME_FIELD[kind]].desc()).limit(1))
        return rows[0] if rows else None

    async def chain(self, response_key: str, most: int) -> list[Row]:
        """Select a response and those before it, in one statement."""
        table = TABLES[Kind.RESPONSE]
        first = select(table.c.response_key, table.c.previous_key, literal(1).label("place"))
        chain = first.where(table.c.response_key == response_key).cte("chain", recursive=True)
        before = select(table.c.response_key, table.c.previous_key, chain.c.place + 1)
        chain = chain.union_all(before.where(table.c.response_key == chain.c.previous_key, chain.c.place < most))
        chosen = select(table).join(chain, chain.c.response_key == table.c.response_key).order_by(chain.c.place)
        return await self._selected(chosen)

    async def spent_usd(self, key_id: str, since: Sequence[datetime]) -> list[float]:
        """Add up what hours say, and the costs of calls that no hour has yet."""
        with database_failures("read"):
            async with self._engine.connect() as connection:
                return await spent_usd(connection, key_id, since, datetime.now(UTC))

    async def first_decision(self, since: datetime | None = None) -> datetime | None:
        """Select the first time."""
        column = TABLES[Kind.DECISION].c.created_at
        chosen = select(func.min(column).label("first"))
        (row,) = await self._selected(chosen if since is None else chosen.where(column >= since))
        first: datetime | None = row["first"]
        return first

    async def _selected(self, chosen: Select[Any]) -> list[Row]:
        with database_failures("read"):
            async with self._engine.connect() as connection:
                return [dict(row) for row in (await connection.execute(chosen)).mappings()]

    async def stage(
        self, kind: Kind, period: Period, folder: Path, *, fields: Collection[str] | None = None
    ) -> list[Path]:
        """Write the rows of a period into Parquet files."""
        from router_model.serving.decision_log.segments import write_parts  # noqa: PLC0415  (polars is loaded where it is used)

        table = TABLES[kind]
        columns = table.c.values() if fields is None else [table.c[name] for name in fields]
        chosen = select(*columns).where(*_within(table, TIME_FIELD[kind], period))
        # By time, as the index has it: sorting all of them by their ids would come before the first one.
        chosen = chosen.order_by(table.c[TIME_FIELD[kind]], table.c[ID_FIELD[kind]])
        with database_failures("read"):
            return await write_parts(kind, self.rows(chosen), folder)

    async def delete(self, selection: Selection) -> Mapping[Kind, int]:
        """Delete rows, some at a time, so that writing goes on in between; in PostgreSQL old days whole."""
        with database_failures("delete from"):
            if selection.before is None:
                counts = await delete_of(selection, self.writing)
            else:
                dropped = await self._drop_days(selection.before)
                counts = await delete_older(selection.before, self.writing)
                for kind, n in dropped.items():
                    counts[kind] += n
            await self._forget()
            return counts

    async def count(self) -> Mapping[Kind, int]:
        """Count rows."""
        with database_failures("read"):
            async with self._patient.connect() as connection:
                return {
                    kind: (await connection.execute(select(func.count()).select_from(table))).scalar_one()
                    for kind, table in TABLES.items()
                }

    async def close(self) -> None:
        """Close the connections."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait({self._opening})
        await self._engine.dispose()
        if self._patient is not self._engine:
            await self._patient.dispose()

    def _prepare_file(self, *, create: bool) -> None:
        """Make a file that only its owner can read, because it holds prompts; or raise if it has to exist already."""
        path = Path(self.url.database or "")
        if not create:
            if not path.is_file():
                raise SettingsError(f"{path}: no such log; give the file the service writes, as sqlite:///path")
            _require_log(path)
            return  # who may read it is not ours to change
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise SettingsError(f"the log {path} cannot be made: {path.parent}: {exc.strerror}") from exc
        with database_failures("make"):
            make_private(path)

    def reading(self) -> AsyncConnection:
        """Open a connection that reads."""
        return self._engine.connect()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection in a transaction that may write."""
        async with self._writing(self._engine) as connection:
            yield connection

    @asynccontextmanager
    async def _writing(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async with engine.connect() as plain:
            connection = await plain.execution_options(**{WRITING: True})
            async with connection.begin():
                yield connection

    async def rows(self, chosen: Select[Any]) -> AsyncIterator[Row]:
        """Yield the rows that a statement selects, without holding them all in memory."""
        async with self._patient.connect() as connection:
            result = await connection.stream(chosen, execution_options={"yield_per": ROWS_AT_ONCE})
            async for row in result.mappings():
                yield dict(row)

    async def _make_days(self) -> None:
        """Make the partitions of the days to come, once a day; without them records go into the default one."""
        now = datetime.now(UTC)
        if not self._is_partitioned or now < self._days_again_at:
            return
        self._days_again_at = now + _DAYS_AGAIN
        try:
            # Each day for itself, and today last: records of today that have to be moved into it may take too long.
            for ahead in range(AHEAD // DAY, -1, -1):
                async with self.writing() as connection:
                    await make_days(connection, now + ahead * DAY, now + ahead * DAY)
        except (SQLAlchemyError, OSError) as exc:
            logger.warning("the log's partitions could not be made; this is tried again in an hour: %s", exc)
        else:
            self._days_again_at = now + DAY

    async def _drop_days(self, before: datetime) -> Mapping[Kind, int]:
        if not self._is_partitioned:
            return {}
        counts = dict.fromkeys(PARTITIONED, 0)
        async with self._patient.connect() as connection:
            old = await partitions_before(connection, before)
        for kind, name, n_records in old:
            async with self._writing(self._patient) as connection:
                await drop_partition(connection, name)
            counts[kind] += n_records
        return counts

    async def _forget(self) -> None:
        """Empty SQLite's write-ahead file, which still has what was deleted."""
        if self.url.get_backend_name() == "sqlite":
            async with self._engine.connect() as connection:
                plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
                await plain.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _require_log(path: Path) -> None:
    """Refuse a file that is no decision log, before connecting changes how it is written (its journal).

    Raises
    ------
    SettingsError
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)).fetchone()
    except sqlite3.Error:
        return  # what is wrong with the file is said when it is opened
    if found is None:
        raise not_a_log()


def _newest_of_each(kind: Kind, rows: Sequence[Row]) -> list[Row]:
    """Return the newest row of each id, sorted: transactions that lock rows in one order do not deadlock."""
    newest: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row["updated_at"]):
        newest[row[ID_FIELD[kind]]] = row
    return [newest[key] for key in sorted(newest)]


def _within(table: Table, name: str, period: Period) -> list[ColumnElement[bool]]:
    bounds = []
    if period.since is not None:
        bounds.append(table.c[name] >= period.since)
    if period.until is not None:
        bounds.append(table.c[name] < period.until)
    return bounds
