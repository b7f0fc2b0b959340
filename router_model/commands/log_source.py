"""``--log``: where commands that learn or measure find the calls of a service.

It is the URL of a decision log, which is exported first, a table that ``router-model log export`` wrote, or an archive
of ``router-model log archive``, whose days are put together first.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router_model.errors import TableError
from router_model.missing_paths import no_such
from router_model.progress import note
from router_model.serving.commands.log import DEFAULT_SPOOL, moment, router_option, with_log

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class LogSource:
    """What the options of ``--log`` say.

    Attributes
    ----------
    log : str
        URL of a log or of an archive, or path of an exported table.
    spool : Path
    since, until : datetime or None
        Only decisions of this time; a table has to be exported with them.
    router : str or None
        Only decisions of the router with this name; a table has to be exported with it.
    """

    log: str
    spool: Path
    since: datetime | None
    until: datetime | None
    router: str | None = None

    @property
    def name(self) -> str:
        """What sentences call it: the name of a table's file. The URL of a log may hold a password."""
        return Path(self.log).name if is_table(self.log) else "the log"

    @contextmanager
    def table(self) -> Iterator[Path]:
        """Give the path of an exported table, which exists until the end.

        Raises
        ------
        click.UsageError
            If a table is given together with a time or a router, or the times are not in order.
        TableError
            If the log has no calls of this time.
        StoreError
            If the log cannot be read.
        """
        if self.since and self.until and self.since >= self.until:
            raise click.UsageError(
                f"--since {self.since.isoformat()} is not earlier than --until {self.until.isoformat()}"
            )
        if is_table(self.log):
            if self.since or self.until or self.router:
                raise click.UsageError(
                    "--since, --until and --router need the URL of a log; export a table with them instead"
                )
            yield Path(self.log)
            return
        with tempfile.TemporaryDirectory(prefix="router-log-") as folder:
            out = Path(folder) / "log.parquet"
            self._fetch(out) if is_archive(self.log) else self._export(out)
            yield out

    def _fetch(self, out: Path) -> None:
        from router_model.serving.decision_log.archive import fetch_archive
        from router_model.serving.decision_log.store import Period, StoreError

        try:
            n_days = fetch_archive(self.log, out, Period(self.since, self.until), router=self.router)
        except OSError as exc:
            raise StoreError(f"the archive cannot be read: {exc}") from exc
        note(f"Read {n_days:,} days of the archive.")

    def _export(self, out: Path) -> None:
        from router_model.serving.common.extra import needing_serve

        with needing_serve("'--log' with a URL"):
            from router_model.serving.decision_log.export import export_log
            from router_model.serving.decision_log.store import Period

            period = Period(self.since, self.until)
            report = with_log(self.log, self.spool, lambda store: export_log(store, out, period, router=self.router))
        if not report.n_rows:
            whose = "" if self.router is None else f" of router {self.router!r}"
            raise TableError(". ".join([f"the log has no call{whose} of this time", *report.lines()[1:]]))
        for line in report.lines()[1:]:  # the first line names a file that the user never sees
            note(line)


def read_log(
    log: str,
    *,
    spool: str | Path = DEFAULT_SPOOL,
    since: datetime | None = None,
    until: datetime | None = None,
    router: str | None = None,
) -> "pl.DataFrame":
    """Read the decision log of a service, in the order of time.

    Parameters
    ----------
    log : URL of a decision log or of an archive, or path of a table that ``router-model log export`` wrote
    spool : folder of records that are not in the log yet
    since, until : only decisions of this time, of a log's URL
    router : only decisions of the router with this name, of a log's URL

    Returns
    -------
    polars.DataFrame
        One row for each decision, with the columns of an outcome table.

    Raises
    ------
    TableError
        If there is no such table, or the log has no calls of this time.
    StoreError
        If the log cannot be read.
    """
    import polars as pl

    with LogSource(str(log), Path(spool), since, until, router).table() as table:
        if not table.is_file():
            raise TableError(
                f"{no_such(table)} Expected the URL of a decision log, such as sqlite:///router-log.db, or a table "
                "that 'router-model log export' wrote"
            )
        frame = pl.read_parquet(table)
    return frame.sort("timestamp", maintain_order=True, nulls_last=True) if "timestamp" in frame.columns else frame


_HELP = "Decision log of a service, a table of 'log export', or an archive of 'log archive'."
_OF_A_LOG = (
    click.option(
        "--spool", type=click.Path(path_type=Path), default=DEFAULT_SPOOL, envvar="ROUTER_LOG_SPOOL", show_default=True,
        help="Folder of records that are not in the log yet.",
    ),
    click.option("--since", type=moment, metavar="TIME", help="Decisions since then, e.g. 7d, of a log's URL [all]."),
    click.option("--until", type=moment, metavar="TIME", help="Decisions before then, of a log's URL [all]."),
    router_option,
)  # fmt: skip


def log_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a log and a period of it; they arrive as one argument, `source`."""
    named = click.option("--log", required=True, envvar="ROUTER_LOG", metavar="URL|TABLE", help=_HELP)
    return _with_source(function, named)


def optional_log_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the same options for a command that can do without a log; `source` is then None.

    It must be named: ``ROUTER_LOG``, which the service reads, does not count. A URL with a password, which a list of
    processes would show, can be given as ``ROUTER_COMPARED_LOG``.
    """
    return _with_source(function, click.option("--log", envvar="ROUTER_COMPARED_LOG", metavar="URL|TABLE", help=_HELP))


def _with_source(function: Callable[..., Any], named: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)  # the options that the function has already, too
    def with_source(
        *args: Any,
        log: str | None,
        spool: Path,
        since: datetime | None,
        until: datetime | None,
        router: str | None,
        **others: Any,
    ) -> Any:
        if log is None and (since or until or router):
            raise click.UsageError("--since, --until and --router are about --log, which is not given")
        source = None if log is None else LogSource(log, spool, since, until, router)
        return function(*args, source=source, **others)

    command: Callable[..., Any] = with_source
    for option in reversed((named, *_OF_A_LOG)):
        command = option(command)
    return command


_ARCHIVES = ("s3", "gs", "gcs", "az", "abfs", "file", "memory")
"""Schemes of places that can hold an archive; ``file://`` is a folder."""


def is_archive(log: str) -> bool:
    """Return whether ``--log`` names an archive rather than a log or a table.

    >>> is_archive("s3://bucket/outcomes"), is_archive("sqlite:///router-log.db"), is_archive("march.parquet")
    (True, False, False)
    """
    scheme, found, _ = log.partition("://")
    return bool(found) and scheme in _ARCHIVES


def is_table(log: str) -> bool:
    """Return whether ``--log`` names an exported table rather than a log.

    >>> is_table("march.parquet"), is_table("parquet:s3://bucket/log"), is_table("sqlite:///router-log.db")
    (True, False, False)
    """
    return "://" not in log and not log.startswith("parquet:")
