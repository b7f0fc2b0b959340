"""Archive a log as outcome tables, one for each day, in a folder or on object storage, and read them back.

``<place>/day=2026-11-29/outcomes.parquet`` has the decisions of that day (UTC) with what was reported of them until a
fixed time after it. So a day has the same table whenever it is written, and is written once: a day that is there is
left alone. A table is put under its name whole; one that is not (another tool was interrupted) is known by its end, and
written again.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from router_model.errors import TableError
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.decision_log.days import DAY, day_of
from router_model.serving.decision_log.export import export_log
from router_model.serving.decision_log.folders import ARCHIVED_DAY, Folder, folder_at
from router_model.serving.decision_log.store import Period, Store

SETTLED: Final = timedelta(days=1)
"""How long after a day reports on it count, unless another time is given."""
_NAME: Final = "outcomes.parquet"
_END_OF_PARQUET: Final = b"PAR1"


@dataclass(slots=True)
class ArchiveReport:
    """What was done with the days of an archive.

    Attributes
    ----------
    place : str
    written, there, empty : days
        `there`: were in the archive. `empty`: have no row, so there is no table of them.
    n_rows : of the days that were written
    unsettled : first day that may still get reports, and is left for a later run
    """

    place: str
    unsettled: date
    written: list[date] = field(default_factory=list)
    there: list[date] = field(default_factory=list)
    empty: list[date] = field(default_factory=list)
    n_rows: int = 0

    def lines(self) -> list[str]:
        """Format the summary."""
        others = f"{len(self.there):,} were there, {len(self.empty):,} have no row"
        return [
            f"Wrote {len(self.written):,} days with {self.n_rows:,} rows to {self.place}; {others}",
            f"Days from {self.unsettled} on may still get reports, and are left for a later run",
        ]


async def archive_log(
    store: Store, place: str, period: Period, *, settled: timedelta = SETTLED, now: datetime | None = None
) -> ArchiveReport:
    """Write the days of a period that are over, and not in the archive yet.

    Parameters
    ----------
    store : Store
        Opened.
    place : a folder, or a URI that fsspec knows, such as ``s3://bucket/path``
    period : of decisions; days that are only partly in it are written whole
    settled : how long after a day reports on it count; it is written after that

    Raises
    ------
    StoreError
        If the log cannot be read.
    OSError
        If the place cannot be reached or written.
    SettingsError
        If there is no such bucket.
    """
    now = now or datetime.now(UTC)
    folder = folder_at(place)
    await asyncio.to_thread(lambda: folder.check(create=True))
    end = day_of(now - settled)
    report = ArchiveReport(place, end.date())
    if period.until is not None:
        end = min(end, day_of(period.until - timedelta(microseconds=1)) + DAY)
    begin = day_of(period.since) if period.since is not None else await _first_day(store, end)
    while begin < end:
        is_empty = not await _write_day(store, folder, begin, settled, report)
        begin += DAY
        if is_empty:  # one record whose clock said 1970 must not make this walk through 20,000 days
            begin = max(begin, await _first_day(store, end, since=begin))
    return report


async def _write_day(store: Store, folder: Folder, begin: datetime, settled: timedelta, report: ArchiveReport) -> bool:
    """Write a day if it is not there; return whether it has a table."""
    day, name = begin.date(), f"day={begin:%Y-%m-%d}/{_NAME}"
    if await asyncio.to_thread(lambda: folder.ends_with(name, _END_OF_PARQUET)):
        report.there.append(day)
        return True
    with tempfile.TemporaryDirectory(prefix="router-archive-") as made:
        out = Path(made) / _NAME
        reports = Period(begin - DAY, begin + DAY + settled)
        exported = await export_log(store, out, Period(begin, begin + DAY), reports=reports)
        if not exported.n_rows:
            report.empty.append(day)
            return False
        await asyncio.to_thread(lambda: folder.write(name, out.read_bytes()))
    report.written.append(day)
    report.n_rows += exported.n_rows
    return True


async def _first_day(store: Store, otherwise: datetime, *, since: datetime | None = None) -> datetime:
    first = await store.first_decision(since)
    return otherwise if first is None else day_of(first)


def fetch_archive(place: str, out: Path, period: Period, *, router: str | None = None) -> int:
    """Write the rows of an archive whose calls are of a period into one table; return how many days were read.

    With `router`, only those that the router of this name decided.

    Raises
    ------
    TableError
        If there are none, or a table is damaged.
    OSError
        If the place cannot be reached.
    """
    folder = folder_at(place)
    folder.check(create=False)
    with tempfile.TemporaryDirectory(prefix="router-archive-", dir=out.parent) as fetched:
        found = [_fetch(folder, name, Path(fetched)) for name in _names(folder, period)]
        files = [path for path in found if path is not None]
        if not files:
            raise TableError(
                f"{place}: there is no day=YYYY-MM-DD/{_NAME} of this time; 'router-model log archive' makes them"
            )
        # Days of a later version may have more columns, and earlier ones fewer.
        rows = pl.concat([pl.scan_parquet(path, glob=False) for path in files], how="diagonal")
        bounds = []
        if router is not None:
            decided_by = pl.col("extra").str.json_path_match("$.router").fill_null(DEFAULT_ROUTER)
            bounds.append(decided_by == router)
        if period.since is not None:
            bounds.append(pl.col("timestamp") >= period.since)
        if period.until is not None:
            bounds.append(pl.col("timestamp") < period.until)
        try:
            rows.filter(*bounds).sink_parquet(out) if bounds else rows.sink_parquet(out)
        except pl.exceptions.PolarsError as exc:
            raise TableError(
                f"{place}: a table of this archive is damaged ({exc}); delete it, and archive its day again"
            ) from exc
        return len(files)


def _names(folder: Folder, period: Period) -> Iterator[str]:
    for name in folder.folders():
        if found := ARCHIVED_DAY.fullmatch(name):
            begin = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
            # Calls may begin a day after their decisions, so the day before may have some of them.
            if (period.since is None or begin + 2 * DAY > period.since) and (
                period.until is None or begin < period.until
            ):
                yield f"{name}/{_NAME}"


def _fetch(folder: Folder, name: str, into: Path) -> Path | None:
    """Return the table of a day; None if it was not written: whoever began the day's folder was interrupted."""
    try:
        data = folder.read(name)
    except FileNotFoundError:
        return None
    if not data.endswith(_END_OF_PARQUET):
        raise TableError(f"{name}: this is not a whole Parquet file ({len(data):,} bytes); archive its day again")
    path = into / name.replace("/", "-")
    path.write_bytes(data)
    return path
