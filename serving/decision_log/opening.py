"""Open the log that a URL names.

==============================================  =========================================================
``sqlite+aiosqlite:///path``, ``sqlite:///path``  a file, by default; several processes of one machine may share it
``postgresql+asyncpg://user:password@host/name``  a database, for several machines (also ``postgresql://``)
``parquet:folder``, ``parquet:s3://bucket/path``  Parquet files in a folder, or wherever fsspec reaches
``none``                                          no log
==============================================  =========================================================
"""

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

from router_model.install_line import install_line
from router_model.serving.common.extra import has_console
from router_model.serving.common.masking import masked_url
from router_model.serving.common.service_errors import NotReadyError, SettingsError
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log import DecisionLog, Loggable, LogStats
from router_model.serving.decision_log.log_records import AttemptRecord, DecisionRecord, ResponseRecord, SessionRecord
from router_model.serving.decision_log.queued_log import QueuedLog
from router_model.serving.decision_log.spool import Spool, log_tag
from router_model.serving.decision_log.store import LogReader, Store

T = TypeVar("T")

NONE: Final = "none"
PARQUET: Final = "parquet:"
_EXPECTED: Final = (
    "expected sqlite:///path, postgresql://user:password@host/name, parquet:folder, parquet:s3://bucket/path or none"
)
_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_EXTRAS: Final = {"sqlalchemy": "serve", "alembic": "serve", "aiosqlite": "serve", "asyncpg": "postgres"}


def open_log(settings: Settings) -> DecisionLog:
    """Return the log that the settings ask for; it is to be started.

    Raises
    ------
    SettingsError
        If the URL is none of ours, or the log cannot look up what is to be kept in it: sessions, responses.
    ImportError
        If a package is missing; the message names the extra.
    """
    if settings.log == NONE or settings.log.startswith(PARQUET):
        where = f"the log is {masked_url(settings.log)!r}"
        if settings.session_store == "log":
            raise SettingsError(
                f"session_store is 'log', but {where}: this store needs a database. "
                "Use an sqlite or postgresql log, a redis:// session_store, or 'memory'"
            )
        if settings.store_responses:
            raise SettingsError(
                f"--store-responses (ROUTER_STORE_RESPONSES): {where}, and responses are kept in a database. Use an "
                "sqlite or postgresql log, or leave the option out"
            )
    if settings.log == NONE:
        return NoLog()
    return QueuedLog(
        open_store(settings.log),
        open_spool(settings.log, settings.log_spool),
        queue=settings.log_queue,
        flush_s=settings.log_flush_s,
        retention_days=settings.log_retention_days,
        rolls=has_console(),
    )


def open_store(url: str) -> Store:
    """Return the store at a URL; it is to be opened.

    Raises
    ------
    SettingsError
        If the URL is none of ours.
    ImportError
        If a package is missing; the message names the extra.
    """
    if url.startswith(PARQUET):
        return _parquet_store(url.removeprefix(PARQUET))
    scheme = url.split(":", 1)[0]
    if scheme not in _DRIVERS or "://" not in url:
        raise SettingsError(f"got the log {masked_url(url)!r}, {_EXPECTED}")
    _need("sqlalchemy", "alembic", _DRIVERS[scheme].split("+")[1], why=f"a log at {scheme}://")
    return _sql_store(url, _DRIVERS[scheme])


def open_spool(url: str, folder: Path) -> Spool:
    """Return the spool of the log at a URL."""
    return Spool(folder, log_tag(identity(url)))


def identity(url: str) -> str:
    """Return the part that all URLs of one log share: without driver, user, password and options.

    >>> identity("postgres://me:secret@host/log?ssl=require") == identity("postgresql+asyncpg://host/log")
    True
    """
    scheme, found, rest = url.split("?", 1)[0].partition("://")
    backend = _DRIVERS.get(scheme, scheme)
    if url.startswith(PARQUET) and not found:
        return f"{PARQUET}{Path(url.removeprefix(PARQUET)).resolve()}"
    if backend.startswith("sqlite"):
        return f"{backend}{found}{Path(rest.removeprefix('/')).resolve()}"
    # From the last "@" on, because a password may contain one that was not percent-encoded.
    return f"{backend}{found}{rest.rpartition('@')[2]}"


def _parquet_store(place: str) -> Store:
    from router_model.serving.decision_log.folders import folder_at  # noqa: PLC0415
    from router_model.serving.decision_log.parquet_store import ParquetStore  # noqa: PLC0415  (loads polars)

    if not place:
        raise SettingsError(f"got the log {PARQUET!r} without a folder, {_EXPECTED}")
    if "://" not in place:
        _check_folder(Path(place), place)
    return ParquetStore(folder_at(place))


def _sql_store(url: str, driver: str) -> Store:
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    from router_model.serving.decision_log.reading import SqlReader  # noqa: PLC0415
    from router_model.serving.decision_log.sql_store import SqlStore  # noqa: PLC0415

    try:
        parsed = make_url(url).set(drivername=driver)
    except (ArgumentError, ValueError) as exc:
        raise SettingsError(f"got the log {masked_url(url)!r}, which cannot be read; {_EXPECTED}") from exc
    if driver.startswith("sqlite"):
        _check_file(parsed.database)
    elif "sslmode" in parsed.query:  # libpq's name for what asyncpg calls ssl
        mode = parsed.query["sslmode"]
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    store = SqlStore(parsed)
    store.reader = SqlReader(store.reading, store.writing)
    return store


def _check_file(database: str | None) -> None:
    """Refuse what can never be a database's file; one that is away, or may not be written now, may come back."""
    if not database or database == ":memory:":
        raise SettingsError(
            "a log in memory is lost with the process; give a file, such as sqlite:///path, or use none"
        )
    file = Path(database)
    if file.is_dir():
        raise SettingsError(
            f"the log {database} is a folder; give a file in it, such as sqlite:///{file / 'router.db'}"
        )
    if file.exists() and not file.is_file():
        raise SettingsError(
            f"the log {database} is not a regular file; give another path, or --log none to keep nothing"
        )
    _check_folder(file.absolute().parent, database)


def _check_folder(folder: Path, place: str) -> None:
    """Refuse a folder whose place, or that of a folder above it, something else has; it is made when the log is."""
    whole = folder.absolute()
    existing = next(one for one in (whole, *whole.parents) if one.exists())
    if not existing.is_dir():
        raise SettingsError(f"the log {place} cannot be made: {existing}: not a folder")


def _need(*packages: str, why: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ImportError(f"{why} needs {missing[0]}: {install_line(_EXTRAS[missing[0]])}")


class NoLog:
    """Keeps nothing, and says so: every record counts as dropped."""

    def __init__(self) -> None:
        self._n_dropped = 0

    async def start(self) -> None:
        """Do nothing."""

    async def close(self, deadline_s: float) -> None:
        """Do nothing."""

    def put(self, record: Loggable) -> None:
        """Drop a record."""
        del record
        self._n_dropped += 1

    async def flush(self, deadline_s: float) -> None:
        """Do nothing."""

    @property
    def stats(self) -> LogStats:
        """Return the number of dropped records."""
        return LogStats(dropped=self._n_dropped)

    @property
    def writable(self) -> bool:
        """True: no log was asked for, so none is missing."""
        return True

    async def decision(self, decision_id: str) -> DecisionRecord | None:
        """Find nothing."""
        del decision_id
        return None

    async def session(self, session_key: str) -> SessionRecord | None:
        """Find nothing."""
        del session_key
        return None

    async def attempt(self, response_id: str, key_id: str | None = None) -> AttemptRecord | None:
        """Find nothing."""
        del response_id, key_id
        return None

    async def spent_usd(self, key_id: str, since: Sequence[datetime]) -> list[float]:
        """Refuse, because nobody has counted.

        Raises
        ------
        NotReadyError
        """
        del key_id, since
        raise NotReadyError("there is no decision log, so nobody has counted what was spent")

    async def responses(self, response_key: str, most: int) -> list[ResponseRecord]:
        """Find nothing."""
        del response_key, most
        return []

    async def ask(self, question: Callable[[LogReader], Coroutine[Any, Any, T]]) -> T:
        """Refuse, because nothing is kept.

        Raises
        ------
        NotReadyError
        """
        del question
        raise NotReadyError(
            "there is no decision log (--log none), so there is nothing to show; give it one with --log"
        )
