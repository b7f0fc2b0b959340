"""What commands share that evaluate on a decision log: where it is, and reading it."""

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router_model.serving.commands.log import DEFAULT_SPOOL, moment, with_log
from router_model.serving.common.extra import needing_serve

if TYPE_CHECKING:
    from router_model.training.offpolicy.logged import LoggedDecisions

_OPTIONS = (
    click.option("--log", "log", required=True, envvar="ROUTER_LOG", help="URL of a log, or a table exported from it."),
    click.option(
        "--spool", type=click.Path(path_type=Path), default=DEFAULT_SPOOL, envvar="ROUTER_LOG_SPOOL", show_default=True,
        help="Folder of records that are not in the log yet.",
    ),
    click.option("--since", type=moment, metavar="TIME", help="Decisions since then, of a log's URL [all]."),
    click.option("--until", type=moment, metavar="TIME", help="Decisions before then, of a log's URL [all]."),
)  # fmt: skip


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a log and a period of it."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_log(log: str, spool: Path, since: datetime | None, until: datetime | None) -> "LoggedDecisions":
    """Read a log from its URL, or from the Parquet table that was exported from it.

    Raises
    ------
    click.UsageError
        If a period is given with a table.
    TableError
        See `router_model.training.offpolicy.logged.read_logged`.
    """
    from router_model.training.offpolicy.logged import read_logged  # noqa: PLC0415  (--help stays fast)

    if "://" not in log and not log.startswith("parquet:"):
        if since or until:
            raise click.UsageError(f"--since and --until belong to the URL of a log; {log} is a table")
        return read_logged(Path(log))
    with needing_serve("a log's URL"), tempfile.TemporaryDirectory() as folder:
        from router_model.serving.decision_log.export import export_log  # noqa: PLC0415
        from router_model.serving.decision_log.store import Period  # noqa: PLC0415

        table = Path(folder) / "log.parquet"
        report = with_log(log, spool, lambda store: export_log(store, table, Period(since, until)))
        if not report.n_rows:
            raise click.ClickException(f"the log has no decision to evaluate. {report.lines()[1]}")
        return read_logged(table)
