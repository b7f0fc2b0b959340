"""The log in a database, SQLite or PostgreSQL, by SQLAlchemy Core."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiosqlite
import orjson
from sqlalchemy import ColumnElement, Delete, Select, Table, case, delete, event, func, literal, or_, select, union_all
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from router_model.serving.common.private_files import make_private
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.decision_log.database_errors import database_failures
from router_model.serving.decision_log.rolled_hours import forget_hours, forget_older, hour_of, late_hours
from router_model.serving.decision_log.rows import ID_FIELD, NEWEST_COUNTS, TIME_FIELD, Batch, Kind, Row, json_bytes
from router_model.serving.decision_log.schema import migrate
from router_model.serving.decision_log.session_keys import remembered_sessions, with_answers
from router_model.serving.decision_log.store import LogReader, Period, Selection, SpoolBatching
from router_model.serving.decision_log.tables import TABLES, Insertion

logger = logging.getLogger(__name__)

ROWS_AT_ONCE: Final = 500
_ROWS_A_STATEMENT: Final = 64
"""Rows that are turned into parameters in one go: the interpreter's lock is held for about a millisecond."""
_DELETED_AT_ONCE: Final = 2000
_BUSY_TIMEOUT_S: Final = 5.0
_BUSY_PAUSE_S: Final = 0.02
_CONNECT_TIMEOUT_S: Final = 5.0
_COMMAND_TIMEOUT_S: Final = 8.0


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
        self._engine = _engine(url)
        self.reader: LogReader | None = None
        """Set by `router_model.serving.decision_log.opening`."""
        self._inserts = {kind: Insertion(kind, self._engine.dialect) for kind in Kind}

    async def open(self, *, create: bool = True) -> None:
        """Reach the database and migrate its tables."""
        if self.url.get_backend_name() == "sqlite":
            self._prepare_file(create=create)
        with database_failures("open"):
            async with self.writing() as connection:
                await connection.run_sync(migrate)

    async def write(self, batch: Batch, name: str) -> None:
        """Insert rows in one transaction."""
        del name
        with database_failures("write"):
            async with self.writing() as connection:
                for kind, rows in batch.items():
                    ordered = _newest_of_each(kind, rows) if kind in NEWEST_COUNTS else rows
                    for start in range(0, len(ordered), _ROWS_A_STATEMENT):
                        parameters = self._inserts[kind].parameters(ordered[start : start + _ROWS_A_STATEMENT])
                        await connection.exec_driver_sql(self._inserts[kind].statement, parameters)
                        # Look-ups share this event loop, and get their turn between two statements.
                        await asyncio.sleep(0)
                await forget_hours(connection, late_hours(batch, datetime.now(UTC)))

    async def read(self, kind: Kind, row_id: str) -> Row | None:
        """Select one row."""
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
        """Add the costs of a key's attempts up."""
        calls = TABLES[Kind.ATTEMPT].c
        sums = [
            func.sum(case((calls.created_at >= time, calls.cost_usd))).label(f"n{i}") for i, time in enumerate(since)
        ]
        own = (calls.created_at >= min(since), calls.key_id == key_id, calls.authority.is_(None))
        (row,) = await self._selected(select(*sums).where(*own))
        return [amount or 0.0 for amount in row.values()]

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
        chosen = select(*columns).where(*_within(table, TIME_FIELD[kind], period)).order_by(table.c[ID_FIELD[kind]])
        with database_failures("read"):
            return await write_parts(kind, self.rows(chosen), folder)

    async def delete(self, selection: Selection) -> Mapping[Kind, int]:
        """Delete rows, some at a time, so that writing goes on in between."""
        with database_failures("delete from"):
            if selection.before is not None:
                counts = {kind: await self._delete_older(kind, selection) for kind in Kind}
                async with self.writing() as connection:
                    await forget_older(connection, selection.before)
            else:
                counts = dict.fromkeys(Kind, 0)
                counts[Kind.RESPONSE] = await self._delete_responses(selection)
                while deleted := await self._delete_decisions(selection):
                    for kind, n in deleted.items():
                        counts[kind] += n
            await self._forget()
            return counts

    async def count(self) -> Mapping[Kind, int]:
        """Count rows."""
        with database_failures("read"):
            async with self._engine.connect() as connection:
                return {
                    kind: (await connection.execute(select(func.count()).select_from(table))).scalar_one()
                    for kind, table in TABLES.items()
                }

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.dispose()

    def _prepare_file(self, *, create: bool) -> None:
        """Make a file that only its owner can read, because it holds prompts; or raise if it has to exist already."""
        path = Path(self.url.database or "")
        if not create and not path.is_file():
            raise SettingsError(f"{path}: no such log; give the file the service writes, as sqlite:///path")
        with database_failures("make"):
            make_private(path)

    def reading(self) -> AsyncConnection:
        """Open a connection that reads."""
        return self._engine.connect()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection in a transaction that may write."""
        async with self._engine.connect() as plain:
            connection = await plain.execution_options(**{_WRITING: True})
            async with connection.begin():
                yield connection

    async def rows(self, chosen: Select[Any]) -> AsyncIterator[Row]:
        """Yield the rows that a statement selects, without holding them all in memory."""
        async with self._engine.connect() as connection:
            result = await connection.stream(chosen, execution_options={"yield_per": ROWS_AT_ONCE})
            async for row in result.mappings():
                yield dict(row)

    async def _forget(self) -> None:
        """Empty SQLite's write-ahead file, which still has what was deleted."""
        if self.url.get_backend_name() == "sqlite":
            async with self._engine.connect() as connection:
                plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
                await plain.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    async def _delete_older(self, kind: Kind, selection: Selection) -> int:
        table, row_id = TABLES[kind], TABLES[kind].c[ID_FIELD[kind]]
        older = select(row_id).where(table.c[TIME_FIELD[kind]] < selection.before).limit(_DELETED_AT_ONCE)
        return await self._repeat(delete(table).where(row_id.in_(older)))

    async def _delete_responses(self, selection: Selection) -> int:
        table = TABLES[Kind.RESPONSE]
        chosen = select(table.c.response_key).where(_of(selection, table)).limit(_DELETED_AT_ONCE)
        return await self._repeat(delete(table).where(table.c.response_key.in_(chosen)))

    async def _repeat(self, statement: Delete) -> int:
        n_deleted = 0
        while True:
            async with self.writing() as connection:
                n = (await connection.execute(statement)).rowcount
            n_deleted += n
            if n < _DELETED_AT_ONCE:
                return n_deleted

    async def _delete_decisions(self, selection: Selection) -> dict[Kind, int] | None:
        """Delete some decisions with what belongs to them; None when there are none left."""
        decisions, attempts, feedback, sessions = (TABLES[kind] for kind in _WITH_DECISIONS)
        chosen = _of(selection, decisions)
        async with self.writing() as connection:
            columns = (decisions.c.decision_id, decisions.c.key_id, decisions.c.session_id, decisions.c.created_at)
            found = (await connection.execute(select(*columns).where(chosen).limit(_DECISIONS_AT_ONCE))).all()
            if not found:
                return None
            ids = [decision_id for decision_id, *_ in found]
            remembered = remembered_sessions((key_id, session_id) for _, key_id, session_id, _ in found)
            calls = attempts.c.decision_id.in_(ids)
            answers = select(attempts.c.response_id).where(calls, attempts.c.response_id.is_not(None))
            judged = or_(feedback.c.decision_id.in_(ids), feedback.c.response_id.in_(answers))
            # Calls, and judgements even more so, may be of later hours than their decision.
            belonging = union_all(
                select(attempts.c.created_at).where(calls), select(feedback.c.created_at).where(judged)
            )
            times = [created_at for *_, created_at in found] + list((await connection.execute(belonging)).scalars())
            await forget_hours(connection, {hour_of(time) for time in times})
            statements = {
                # Of an answer, the session's key stands in the place of the model.
                Kind.SESSION: delete(sessions).where(
                    or_(sessions.c.session_key.in_(remembered), sessions.c.model.in_(with_answers(remembered)))
                ),
                # Before the attempts, because `answers` looks up there which feedback is about them.
                Kind.FEEDBACK: delete(feedback).where(judged),
                Kind.ATTEMPT: delete(attempts).where(calls),
                Kind.DECISION: delete(decisions).where(decisions.c.decision_id.in_(ids)),
            }
            return {kind: (await connection.execute(each)).rowcount for kind, each in statements.items()}


_WITH_DECISIONS: Final = (Kind.DECISION, Kind.ATTEMPT, Kind.FEEDBACK, Kind.SESSION)
_DECISIONS_AT_ONCE: Final = 500  # ids in one statement; SQLite takes 32,766 parameters
_WRITING: Final = "router_writing"


def _engine(url: URL) -> AsyncEngine:
    def dump(value: object) -> str:
        return json_bytes(value).decode()

    arguments: dict[str, Any]
    if url.get_backend_name() == "sqlite":
        logging.getLogger("aiosqlite").setLevel(logging.INFO)  # at DEBUG it logs every parameter, prompts among them
        # No transaction by the driver itself: it would leave statements that make tables outside.
        arguments = {"timeout": _BUSY_TIMEOUT_S, "isolation_level": None}
        engine = create_async_engine(
            url, json_serializer=dump, json_deserializer=orjson.loads, connect_args=arguments, hide_parameters=True
        )
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    arguments = {
        "timeout": _CONNECT_TIMEOUT_S,
        "command_timeout": _COMMAND_TIMEOUT_S,
        "server_settings": {"application_name": "router-model"},
    }
    return create_async_engine(
        url,
        json_serializer=dump,
        json_deserializer=orjson.loads,
        connect_args=arguments,
        pool_size=2,
        max_overflow=3,
        # A connection may have died in the pool, as after a restart of the database; the ping finds that out.
        pool_pre_ping=True,
        hide_parameters=True,  # prompts are among them, and sqlalchemy logs them at INFO
    )


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.run_async(_set_pragmas)


async def _set_pragmas(connection: aiosqlite.Connection) -> None:
    """Set what holds for a connection, and once for its file: a log that is written ahead.

    SQLite answers "database is locked" at once, whatever its timeout, where two connections turn a new file to WAL at
    the same time. So workers that start together ask again here.
    """
    give_up_at = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            await connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(_BUSY_PAUSE_S)
    # secure_delete overwrites what is deleted: a deleted prompt must not stay in the file's free pages.
    for pragma in ("synchronous=NORMAL", "secure_delete=ON"):
        await connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Begin; writers take the lock at once, as one that has read cannot take it later."""
    writing = connection.get_execution_options().get(_WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _newest_of_each(kind: Kind, rows: Sequence[Row]) -> list[Row]:
    """Return the newest row of each id, sorted: transactions that lock rows in one order do not deadlock."""
    newest: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row["updated_at"]):
        newest[row[ID_FIELD[kind]]] = row
    return [newest[key] for key in sorted(newest)]


def _of(selection: Selection, table: Table) -> ColumnElement[bool]:
    """Return the condition of a user's or a session's rows."""
    if selection.user_id is not None:
        return table.c.user_id == selection.user_id
    return table.c.session_id == selection.session_id


def _within(table: Table, name: str, period: Period) -> list[ColumnElement[bool]]:
    bounds = []
    if period.since is not None:
        bounds.append(table.c[name] >= period.since)
    if period.until is not None:
        bounds.append(table.c[name] < period.until)
    return bounds
