"""``router-model log``: export, read and delete the records of a decision log."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from router_model.help_pages import Group
from router_model.progress import note, working
from router_model.serving.common.extra import needing_serve

if TYPE_CHECKING:
    from router_model.serving.decision_log.spool import Spool
    from router_model.serving.decision_log.store import Selection, Store

T = TypeVar("T")

DEFAULT_LOG: Final = "sqlite+aiosqlite:///router-log.db"  # pinned to the settings' defaults by a test
DEFAULT_SPOOL: Final = "router-spool"
_AGO: Final = {"d": "days", "h": "hours", "m": "minutes"}


def moment(text: str) -> datetime:
    """Read a time, in UTC unless it says otherwise; ``7d``, ``12h`` and ``30m`` are ago."""
    if ago := re.fullmatch(r"(\d{1,6})([dhm])", text):
        return datetime.now(UTC) - timedelta(**{_AGO[ago[2]]: int(ago[1])})
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"got {text!r}, expected a time such as 2026-01-31, 2026-01-31T09:30:00Z or 7d (ago)"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


log_option = click.option(
    "--log", "url", default=DEFAULT_LOG, envvar="ROUTER_LOG", show_default=True, help="URL of the log."
)
spool_option = click.option(
    "--spool", type=click.Path(path_type=Path), default=DEFAULT_SPOOL, envvar="ROUTER_LOG_SPOOL", show_default=True,
    help="Folder of records that are not in the log yet.",
)  # fmt: skip


router_option = click.option("--router", metavar="NAME", help="Only decisions of this router ('serve --router') [all].")


class _Log(Group):
    def invoke(self, ctx: click.Context) -> Any:
        # Around the call, because the commands import the libraries of the extra only when they run.
        with needing_serve("'log'"):
            return super().invoke(ctx)


@click.group(
    "log",
    cls=_Log,
    examples="""
    router-model log stats --log sqlite:///router-log.db
    router-model log export --log sqlite:///router-log.db --out march.parquet
    """,
)
def command() -> None:
    """Export, delete from or look into the decision log of a service (docs/decision-log.md).

    What processes that are gone left in the spool is taken into the log first.
    """


@command.command(
    "export",
    short_help="Write an outcome table that 'train' reads.",
    examples="""
    router-model log export --since 30d --out march.parquet
    """,
)
@log_option
@spool_option
@click.option("--since", type=moment, metavar="TIME", help="Decisions since then [all].")
@click.option("--until", type=moment, metavar="TIME", help="Decisions before then [all].")
@router_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A .parquet, .csv or .jsonl file.")
@click.option(
    "--regenerated-within", type=click.FloatRange(min=0, min_open=True), metavar="MINUTES",
    help="An answer that nobody judged failed if its session asked the same again before then [never].",
)  # fmt: skip
def export(
    url: str,
    spool: Path,
    *,
    since: datetime | None,
    until: datetime | None,
    router: str | None,
    out: Path,
    regenerated_within: float | None,
) -> None:
    """Join decisions, attempts and feedback into an outcome table for 'router-model train'."""
    from router_model.serving.decision_log.export import export_log
    from router_model.serving.decision_log.store import Period

    if since and until and since >= until:
        raise click.UsageError(f"--since {since:%Y-%m-%dT%H:%MZ} is not earlier than --until {until:%Y-%m-%dT%H:%MZ}")
    within = None if regenerated_within is None else timedelta(minutes=regenerated_within)
    period = Period(since, until)
    with working("joining decisions, attempts and feedback"):
        report = with_log(
            url, spool, lambda store: export_log(store, out, period, regenerated_within=within, router=router)
        )
    click.echo("\n".join(report.lines()))


@command.command(
    "archive",
    short_help="Write each day's outcome table to a folder or S3, once.",
    examples="""
    router-model log archive --to s3://bucket/outcomes
    router-model ope other-router --log s3://bucket/outcomes --since 30d
    """,
)
@log_option
@spool_option
@click.option("--to", "place", required=True, help="A folder, or a URI such as s3://bucket/path.")
@click.option("--since", type=moment, metavar="TIME", help="Days from then on [the first].")
@click.option("--until", type=moment, metavar="TIME", help="Days before then [all that are over].")
@click.option(
    "--settled-days", type=click.FloatRange(min=0), default=1.0, show_default=True,
    help="Calls and feedback count that are reported so long after the day.",
)  # fmt: skip
def archive(
    url: str, spool: Path, *, place: str, since: datetime | None, until: datetime | None, settled_days: float
) -> None:
    """Write each day's outcome table once, in a folder or on object storage.

    Days that are there already are left alone, so it can run every day. The
    commands with --log read such an archive.
    """
    from router_model.serving.decision_log.archive import archive_log
    from router_model.serving.decision_log.store import Period, StoreError

    settled = timedelta(days=settled_days)
    try:
        report = with_log(url, spool, lambda store: archive_log(store, place, Period(since, until), settled=settled))
    except OSError as exc:
        raise StoreError(f"the archive cannot be written: {exc}") from exc
    click.echo("\n".join(report.lines()))


@command.command(
    "delete",
    short_help="Delete records of a user, of a session, or old ones.",
    examples="""
    router-model log delete --user 42
    router-model log delete --before 2026-01-01
    """,
)
@log_option
@spool_option
@click.option("--user", help="Decisions of this user, with their attempts and feedback.")
@click.option("--session", help="Decisions of this session, with their attempts and feedback.")
@click.option("--before", type=moment, metavar="TIME", help="Records of every kind from before then.")
def delete(url: str, spool: Path, user: str | None, session: str | None, before: datetime | None) -> None:
    """Delete records for good: those of a user, of a session, or old ones.

    Archives and exported tables are not changed.
    """
    from router_model.serving.decision_log.store import Selection
    from router_model.serving.decision_log.texts import bounded

    if sum(given is not None for given in (user, session, before)) != 1:
        raise click.UsageError("give one of --user, --session and --before")
    # The log keeps a long id as its hash, so that is what has to be looked for.
    _delete(url, spool, Selection(bounded(user), bounded(session), before))


@command.command(
    "prune",
    short_help="Delete records older than a number of days.",
    examples="""
    router-model log prune --days 90
    """,
)
@log_option
@spool_option
@click.option("--days", type=click.FloatRange(min=0, min_open=True), required=True, help="Keep records of these days.")
def prune(url: str, spool: Path, days: float) -> None:
    """Delete records older than a number of days; a service does this itself if log_retention_days is set.

    Days (UTC) are deleted whole, so the oldest record that stays may be up to a
    day older than said.
    """
    from router_model.serving.decision_log.days import oldest_kept
    from router_model.serving.decision_log.store import Selection

    _delete(url, spool, Selection(before=oldest_kept(datetime.now(UTC), days)))


@command.command(
    "show",
    examples="""
    router-model log show 0198f2a4-6c1e-7c1b-9f7e-2f1f5d0c7a11
    """,
)
@click.argument("decision_id")
@log_option
@spool_option
def show(decision_id: str, url: str, spool: Path) -> None:
    """Print one decision as JSON."""
    from router_model.serving.decision_log.rows import Kind, json_bytes

    row = with_log(url, spool, lambda store: store.read(Kind.DECISION, decision_id))
    if row is None:
        raise click.ClickException(f"the log has no decision {decision_id}")
    click.echo(json_bytes(row).decode())


@command.command(
    "new-key",
    short_help="Make a key that seals features of prompts.",
    examples=r"""
    router-model log new-key log.key
    router-model serve my-router --insecure --log-prompts features \
      --log-key log.key
    """,
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def new_key(file: Path) -> None:
    """Make a key that seals features of prompts, for 'serve --log-prompts features --log-key FILE'.

    In a FILE that has keys the new one comes first and seals from then on;
    the others stay to open what they sealed.
    """
    from router_model.features.logged import KEY_VARIABLE, new_key_file

    keys = new_key_file(file)
    click.echo(
        f"The key {keys.key_id} is in {file}. Keep a copy: what it seals can be read only with it. Whoever has it and "
        f"the log can read the words of prompts. For training set {KEY_VARIABLE}={file}"
    )


@command.command(
    "stats",
    examples="""
    router-model log stats --log sqlite:///router-log.db
    """,
)
@log_option
@spool_option
def stats(url: str, spool: Path) -> None:
    """Count the records of each kind, as JSON."""
    counts = with_log(url, spool, lambda store: store.count())
    click.echo(json.dumps({str(kind): n for kind, n in counts.items()}))


def _delete(url: str, spool: Path, selection: "Selection") -> None:
    from router_model.serving.decision_log.opening import open_spool

    rejects = open_spool(url, spool).rejects.path
    counts = with_log(url, spool, lambda store: store.delete(selection))
    click.echo("Deleted " + ", ".join(f"{counts[kind]:,} {kind} records" for kind in sorted(counts)))
    if rejects.is_file():
        click.echo(
            f"note: records that the log refused are in {rejects} and stay there; delete that file by hand", err=True
        )


def with_log(url: str, spool_folder: Path, work: "Callable[[Store], Awaitable[T]]") -> T:
    """Open a log, take in what dead processes left, and do something with it."""
    from router_model.serving.decision_log.opening import open_spool, open_store

    return asyncio.run(_with_store(open_store(url), open_spool(url, spool_folder), work))


async def _with_store(store: "Store", spool: "Spool", work: "Callable[[Store], Awaitable[T]]") -> T:
    try:
        # A mistyped URL must be an error, not a new and empty log.
        await store.open(create=False)
        await _take_in(store, spool)
        return await work(store)
    finally:
        spool.close()
        await store.close()


async def _take_in(store: "Store", spool: "Spool") -> None:
    from router_model.serving.decision_log.gate import StoreGate
    from router_model.serving.decision_log.replay import Replayer
    from router_model.serving.decision_log.store import StoreError

    if n_left := spool.adopt():
        await Replayer(StoreGate(store, spool.rejects), spool).replay()
        # Going on would export too little, or leave in the spool what was to be deleted.
        if spool.depth:
            raise StoreError(
                f"{spool.depth} records lie in {spool.folder}, and the log does not take them; see the warnings"
            )
        note(f"Took {n_left:,} records of processes that have ended out of {spool.folder}.")
        if spool.rejects.n:
            note(f"note: {spool.rejects.n:,} of them cannot be put into the log; see {spool.rejects.path}")
    if n_waiting := spool.n_waiting_elsewhere():
        note(
            f"note: {n_waiting:,} records of running services still wait in {spool.folder} and are not seen here; "
            "run this again when they are in the log, in about a minute"
        )
