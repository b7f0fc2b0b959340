"""Connections to the databases of a log, by SQLAlchemy: how long they wait, and what SQLite and PostgreSQL need."""

import asyncio
import logging
import sqlite3
import time
from typing import Any, Final

import aiosqlite
import orjson
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from router_model.serving.decision_log.rows import json_bytes

_BUSY_TIMEOUT_S: Final = 5.0
_BUSY_PAUSE_S: Final = 0.02
_CONNECT_TIMEOUT_S: Final = 5.0
_COMMAND_TIMEOUT_S: Final = 8.0
WRITING: Final = "router_writing"


def engine_of(url: URL, *, is_patient: bool = False) -> AsyncEngine:
    """Return the connections to a database; patient ones wait for an answer as long as it takes."""

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
        "command_timeout": None if is_patient else _COMMAND_TIMEOUT_S,
        "server_settings": {"application_name": "router-model", "timezone": "UTC", "datestyle": "ISO"},
    }
    engine = create_async_engine(
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
    event.listen(engine.sync_engine, "connect", _prepare_postgresql)
    return engine


def _prepare_postgresql(connection: Any, _: object) -> None:
    # Compiling a plan of many partitions takes longer than what it saves on questions that read few records.
    connection.run_async(lambda plain: plain.execute("SET jit = off"))


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
    writing = connection.get_execution_options().get(WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
