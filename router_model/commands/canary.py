"""The command ``router-model canary``: whether the canary of a place goes on, and stop it if it is worse."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.errors import ArtifactError
from router_model.help_pages import Command
from router_model.progress import working
from router_model.serving.commands.log import DEFAULT_LOG, DEFAULT_SPOOL, router_option, with_log
from router_model.serving.common.extra import needing_serve
from router_model.terminal import plain_console, print_table, words_table
from router_model.wording import percent

if TYPE_CHECKING:
    from router_model.serving.engine.canary import CanaryReport

_EXIT_STOPPED = 1


@click.command(
    "canary",
    cls=Command,
    examples="""
    router-model canary routers --log sqlite:///router-log.db
    router-model canary routers --log sqlite:///router-log.db --dry-run
    """,
    sections={
        "Which log": "--log",
        "When it is stopped": "--alpha",
        "Output": "--json",
    },
)
@click.argument("place", type=click.Path(path_type=Path))
@click.option("--log", "url", default=DEFAULT_LOG, envvar="ROUTER_LOG", show_default=True, help="URL of the log.")
@click.option(
    "--spool", type=click.Path(path_type=Path), default=DEFAULT_SPOOL, envvar="ROUTER_LOG_SPOOL", show_default=True,
    help="Folder of records that are not in the log yet.",
)  # fmt: skip
@router_option
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True,
              help="Probability that an equal canary is ever stopped.")  # fmt: skip
@click.option("--max-quality-loss", type=click.FloatRange(0, 1), default=0.01, show_default=True,
              help="Quality that it may lose.")  # fmt: skip
@click.option("--max-cost-rise", type=click.FloatRange(0, 5), default=0.1, show_default=True,
              help="Share of the cost by which it may be dearer.")  # fmt: skip
@click.option("--max-latency-rise", type=click.FloatRange(min=0), default=0.2, show_default=True,
              help="Share of the latency by which it may be slower.")  # fmt: skip
@click.option("--window-s", type=click.FloatRange(min=0, min_open=True), default=900.0, show_default=True,
              help="When a session's grades, cost and latency count.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Stop nothing, whatever is found.")
@click.option("--json", "as_json", is_flag=True, help="Print every metric as JSON.")
def command(
    place: Path,
    *,
    url: str,
    spool: Path,
    router: str | None,
    alpha: float,
    max_quality_loss: float,
    max_cost_rise: float,
    max_latency_rise: float,
    window_s: float,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Say whether the canary of the folder PLACE goes on; if it is shown to be worse, stop it.

    A service that serves PLACE does the same by itself. You may look as often
    as you like. The exit status is 0 if the canary goes on, 1 if it is
    stopped (or was, before), and 2 if it cannot be told because of an error.
    """
    with needing_serve("'canary'"):
        from router_model.saved.place import Place
        from router_model.sequential.canary import Limits
        from router_model.serving.decision_log.canary_sessions import canary_sessions
        from router_model.serving.engine.canary import judge, last_stop, running_canary

    tried = Place(place)
    challenger = running_canary(tried)
    if challenger is None:
        return _say_none(place, last_stop(tried), as_json=as_json)
    now, window = datetime.now(UTC), timedelta(seconds=window_s)
    limits = Limits(alpha, max_quality_loss, max_cost_rise, max_latency_rise)
    with working("reading the sessions of the log") as work:
        sessions = with_log(
            url, spool, lambda store: canary_sessions(store, challenger, now=now, window=window, router=router)
        )
        work.step("comparing the canary with the others")
        report = judge(tried, challenger, sessions, limits, stop=not dry_run)
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        _show(report, dry_run=dry_run)
    return 0 if report.stopped_by is None else _EXIT_STOPPED


def _say_none(place: Path, stop: dict[str, object] | None, *, as_json: bool) -> int:
    if stop is None:
        raise ArtifactError(f"{place}: no canary runs here that could be compared; 'router-model challenge' starts one")
    click.echo(
        json.dumps(stop, ensure_ascii=False) if as_json else f"{stop['artifact']}, {stop['at']}: {stop['reason']}"
    )
    return _EXIT_STOPPED


def _show(report: "CanaryReport", *, dry_run: bool) -> None:
    from rich.markup import escape

    console = plain_console()
    challenger = report.challenger
    console.print(
        f"[bold]Canary[/] {challenger.router}, {percent(challenger.share)} of the sessions since "
        f"{challenger.since:%Y-%m-%d %H:%M} UTC: {report.n_canary:,} of {report.n_canary + report.n_others:,}."
    )
    table = words_table("metric", "shown", "found")
    for one in report.findings:
        style = {"worse": "red", "better": "green"}.get(one.shown)
        table.add_row(one.metric, one.shown, escape(one.says), style=style)
    print_table(console, table)
    done = " (not stopped: --dry-run)" if dry_run else "" if report.stopped_now else " (it was stopped already)"
    verdict = report.says if report.stopped_by is None else f"stopped{done} by {report.says}"
    console.print(f"[bold]Verdict:[/] {escape(verdict)}.")
