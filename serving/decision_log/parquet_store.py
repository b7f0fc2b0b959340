"""The log as Parquet files: one folder for each kind of record, one file for each segment.

Records gather in the spool until a segment is due, so a file is written once and whole. Its name is that of the
spool's segment it was made of: what a crash interrupts is written again under the same name. Simplifies: looking one
record up reads files, newest first; a log that is looked into often belongs into a database.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Final, TypeVar

import polars as pl

from router_model.serving.common.service_errors import SettingsError
from router_model.serving.decision_log.folders import ARCHIVED_DAY, Folder, LocalFolder
from router_model.serving.decision_log.rows import ID_FIELD, NEWEST_COUNTS, TIME_FIELD, Batch, Kind, Row
from router_model.serving.decision_log.segments import frame_of, parquet_bytes, rows_of, scan
from router_model.serving.decision_log.session_keys import remembered_sessions, with_answers
from router_model.serving.decision_log.store import (
    LogReader,
    Period,
    RefusedError,
    Selection,
    SpoolBatching,
    StoreError,
)

T = TypeVar("T")

SPOOL_BATCHING: Final = SpoolBatching(seconds=60.0, n_bytes=32 * 2**20)
FOLDERS: Final = {
    Kind.DECISION: "decisions",
    Kind.ATTEMPT: "attempts",
    Kind.FEEDBACK: "feedback",
    Kind.SESSION: "sessions",
    Kind.RESPONSE: "responses",
}
_NONE: Final = pl.lit(value=False)


class ParquetStore:
    """A log of Parquet files.

    Parameters
    ----------
    folder : Folder
    """

    rows_at_once = 200_000
    reader: LogReader | None = None
    spool_batching: SpoolBatching | None = SPOOL_BATCHING

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    async def open(self, *, create: bool = True) -> None:
        """Make the folder; refuse one with the outcome tables of an archive, among which records would be lost."""
        await self._in_thread(lambda: self._check(create=create))

    async def write(self, batch: Batch, name: str) -> None:
        """Write one file a kind."""
        for kind, rows in batch.items():
            await self._in_thread(lambda kind=kind, rows=rows: self._write_file(kind, rows, name))  # type: ignore[misc]

    async def read(self, kind: Kind, row_id: str) -> Row | None:
        """Look a row up, newest files first; of a session, the newest row."""
        return await self.find(kind, {ID_FIELD[kind]: row_id})

    async def find(self, kind: Kind, equal: Mapping[str, str | None]) -> Row | None:
        """Look for a row that has these values, newest files first."""
        return await self._in_thread(lambda: self._find(kind, equal))

    async def chain(self, response_key: str, most: int) -> list[Row]:
        """Refuse: what gathers for a minute before it is written cannot be gone on from."""
        del response_key, most
        raise StoreError("Parquet files keep no responses; use a database for the log")

    async def spent_usd(self, key_id: str, since: Sequence[datetime]) -> list[float]:
        """Refuse: every file would have to be read."""
        del key_id, since
        raise StoreError("what a key has spent is not looked up in Parquet files; use a database for the log")

    async def first_decision(self, since: datetime | None = None) -> datetime | None:
        """Return the first time in all files."""
        return await self._in_thread(lambda: self._first(since))

    async def stage(
        self, kind: Kind, period: Period, folder: Path, *, fields: Collection[str] | None = None
    ) -> list[Path]:
        """Return the files of a kind, fetched into `folder` if they are far away."""
        del (
            period,
            fields,
        )  # the reader filters; a file's name says when its first record came, not when its last was made
        return await self._in_thread(lambda: self._local_files(kind, folder))

    async def delete(self, selection: Selection) -> Mapping[Kind, int]:
        """Write every file that has such rows again, without them."""
        return await self._in_thread(lambda: self._delete(selection))

    async def count(self) -> Mapping[Kind, int]:
        """Count rows."""
        return await self._in_thread(lambda: {kind: self._count(kind) for kind in Kind})

    async def close(self) -> None:
        """Do nothing, because this store has no connections."""

    def _check(self, *, create: bool) -> None:
        self.folder.check(create=create)
        found = self.folder.folders()
        if any(ARCHIVED_DAY.fullmatch(name) for name in found) and not set(FOLDERS.values()) & set(found):
            raise SettingsError(
                "this folder holds the outcome tables of an archive ('router-model log archive') and no decision log, "
                "so a service cannot go on with it; give the service's own log. 'train', 'ope' and 'drift' read the "
                "archive by its plain path, without 'parquet:'"
            )

    async def _in_thread(self, work: Callable[[], T]) -> T:
        async with _failures():
            return await asyncio.to_thread(work)

    def _write_file(self, kind: Kind, rows: list[Row], name: str) -> None:
        try:
            frame = frame_of(kind, rows)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as exc:
            raise RefusedError(f"rows do not have the fields of {kind} records: {exc}") from exc
        if kind in NEWEST_COUNTS:
            frame = frame.sort("updated_at").unique(ID_FIELD[kind], keep="last", maintain_order=True)
        self.folder.write(f"{FOLDERS[kind]}/{name}.parquet", parquet_bytes(frame))

    def _find(self, kind: Kind, equal: Mapping[str, str | None]) -> Row | None:
        wanted = [pl.col(name).eq_missing(pl.lit(value)) for name, value in equal.items()]
        for name in reversed(self._names(kind)):
            found = self._scan(kind, name).filter(*wanted).collect()
            if not found.is_empty():
                return rows_of(kind, found.sort(TIME_FIELD[kind]).tail(1))[0]
        return None

    def _first(self, since: datetime | None) -> datetime | None:
        scans = [self._scan(Kind.DECISION, name).select("created_at") for name in self._names(Kind.DECISION)]
        parts = [(one if since is None else one.filter(pl.col("created_at") >= since)).collect() for one in scans]
        first: datetime | None = pl.concat(parts)["created_at"].min() if parts else None  # type: ignore[assignment]
        return first

    def _names(self, kind: Kind) -> list[str]:
        return self.folder.names(FOLDERS[kind])

    def _scan(self, kind: Kind, name: str) -> pl.LazyFrame:
        if isinstance(self.folder, LocalFolder):
            return scan(kind, [self.folder.path / name])
        return scan(kind, [BytesIO(self.folder.read(name))])

    def _local_files(self, kind: Kind, folder: Path) -> list[Path]:
        names = self._names(kind)
        if isinstance(self.folder, LocalFolder):
            return [self.folder.path / name for name in names]
        files = []
        for name in names:
            files.append(folder / name.replace("/", "-"))
            files[-1].write_bytes(self.folder.read(name))
        return files

    def _count(self, kind: Kind) -> int:
        ids = [self._scan(kind, name).select(ID_FIELD[kind]).collect() for name in self._names(kind)]
        # A record may be in two files, because a batch can reach the store twice.
        return pl.concat(ids).n_unique() if ids else 0

    def _delete(self, selection: Selection) -> Mapping[Kind, int]:
        if selection.before is not None:
            older = {kind: pl.col(TIME_FIELD[kind]) < selection.before for kind in Kind}
            return {kind: self._rewrite(kind, older[kind]) for kind in Kind}
        chosen = (
            pl.col("user_id") == selection.user_id
            if selection.user_id is not None
            else pl.col("session_id") == selection.session_id
        )
        decisions = self._distinct(Kind.DECISION, chosen, "decision_id", "key_id", "session_id")
        of_them = pl.col("decision_id").is_in(decisions["decision_id"].implode())
        answers = self._distinct(Kind.ATTEMPT, of_them, "response_id")["response_id"].drop_nulls()
        remembered = remembered_sessions(decisions.select("key_id", "session_id").iter_rows())
        unwanted = {
            Kind.RESPONSE: chosen,
            # Of an answer, the session's key stands in the place of the model.
            Kind.SESSION: pl.col("session_key").is_in(remembered) | pl.col("model").is_in(with_answers(remembered)),
            Kind.FEEDBACK: of_them | pl.col("response_id").is_in(answers.implode()),
            Kind.ATTEMPT: of_them,
            Kind.DECISION: chosen,  # last, so that after an interruption the same command still finds the rest
        }
        return {kind: self._rewrite(kind, rows) for kind, rows in unwanted.items()}

    def _distinct(self, kind: Kind, chosen: pl.Expr, *columns: str) -> pl.DataFrame:
        parts = [self._scan(kind, name).filter(chosen).select(columns).collect() for name in self._names(kind)]
        empty = scan(kind, []).select(columns).collect()
        return pl.concat([empty, *parts]).unique(maintain_order=True)

    def _rewrite(self, kind: Kind, unwanted: pl.Expr) -> int:
        n_deleted = 0
        for name in self._names(kind):
            part = self._scan(kind, name)
            n = part.select(unwanted.fill_null(_NONE).sum()).collect().item()
            if not n:
                continue
            kept = part.filter(~unwanted.fill_null(_NONE)).collect()
            if kept.is_empty():
                self.folder.delete(name)
            else:
                self.folder.write(name, parquet_bytes(kept))
            n_deleted += n
        return n_deleted


@asynccontextmanager
async def _failures() -> AsyncIterator[None]:
    """Map what files and polars raise to `StoreError`."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as exc:
        raise StoreError(f"the log's Parquet files: {type(exc).__name__}: {exc}") from exc
