"""The command ``router-model drift``: find out from a log what has changed since the router was trained."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.commands.log_source import LogSource, log_options
from router_model.help_pages import Command
from router_model.pages.command_option import html_option
from router_model.progress import working
from router_model.terminal import plain_console, words_table

if TYPE_CHECKING:
    from rich.console import Console

    from router_model.training.drift.watch import DriftReport

_EXIT_DRIFTED = 1
_ABOVE_0 = click.FloatRange(min=0, min_open=True)


@click.command(
    "drift",
    cls=Command,
    examples="""
    router-model drift my-router --log sqlite:///router-log.db --since 7d
    router-model drift my-router --log march.parquet --prometheus drift.prom
    """,
    sections={
        "Which log": "--log",
        "What counts as drift": "--max-traffic",
        "Output": "--prometheus",
    },
)
@click.argument("artifact", type=click.Path(path_type=Path))
@log_options
@click.option("--max-traffic", type=_ABOVE_0, help="AUC above 1/2 that counts as other traffic [0.1].")
@click.option("--max-calibration", type=_ABOVE_0, help="Deviation of success from its prediction that counts [0.03].")
@click.option("--max-ratio", type=_ABOVE_0, help="Deviation of costs, tokens and prices that counts, a share [0.15].")
@click.option("--max-price-age-days", type=_ABOVE_0, help="Age of a price that counts [90].")
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices instead of the router's.")
@click.option("--prometheus", type=click.Path(path_type=Path), help="Write metrics here, for node exporter (.prom).")
@click.option("--all", "show_all", is_flag=True, help="Print every check, not only what has drifted.")
@click.option("--encoder", help="The encoder, if the router was trained with your own (hub id or folder).")
@html_option
@click.option("--json", "as_json", is_flag=True, help="Print every check as JSON.")
def command(
    artifact: Path,
    *,
    source: LogSource,
    max_traffic: float | None,
    max_calibration: float | None,
    max_ratio: float | None,
    max_price_age_days: float | None,
    catalog: Path | None,
    prometheus: Path | None,
    show_all: bool,
    encoder: str | None,
    html: Path | None,
    as_json: bool,
) -> int:
    """Compare the calls of a log with what the router in ARTIFACT knows.

    Looks at traffic, calibration and success, cost and tokens, prices, and at
    the models that answer. The exit status is 0 if nothing has drifted, 1 if
    something has, and 2 if it cannot be told because of an error.
    """
    from router_model.features import load_encoder
    from router_model.router import Router
    from router_model.training.drift.checks import Thresholds
    from router_model.training.drift.finding import prometheus_text
    from router_model.training.drift.watch import watch

    given = {
        "traffic": max_traffic,
        "calibration": max_calibration,
        "ratio": max_ratio,
        "price_days": max_price_age_days,
    }
    limits = Thresholds(**{name: value for name, value in given.items() if value is not None})
    with working("reading the log") as work:
        router = Router.load(artifact, catalog=catalog, encoder=None if encoder is None else load_encoder(encoder))
        with source.table() as table:
            work.step("comparing the calls with what the router knows")
            report = watch(router, table, limits)
    if html is not None:
        from router_model.pages.render import write_page
        from router_model.training.reporting.drift_page import drift_page

        write_page(drift_page(report), html)
    if prometheus is not None:
        _replace(prometheus, prometheus_text(report.findings))
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        _show(report, plain_console(), everything=show_all)
    return _EXIT_DRIFTED if report.drifted else 0


def _replace(path: Path, text: str) -> None:
    """Write a file in one step, because node exporter may read it at any time."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _show(report: "DriftReport", console: "Console", *, everything: bool) -> None:
    from rich.markup import escape

    between = (
        "" if report.since is None else f" between {report.since[:16]} and {report.until[:16] if report.until else ''}"
    )
    console.print(f"[bold]Checked[/] {report.n_calls:,} calls{between}; {report.n_graded:,} are graded.")
    if report.n_other_artifact:
        console.print(f"[yellow]note:[/] another router decided {report.n_other_artifact:,} of them")
    shown = list(report.findings) if everything else report.drifted
    if shown:
        table = words_table("check", "of", "found")
        for one in shown:
            table.add_row(one.check, escape(one.subject), escape(one.says), style="yellow" if one.drifted else None)
        console.print(table)
    for advice in dict.fromkeys(one.advice for one in report.drifted):
        console.print(f"[bold]Do:[/] {escape(advice)}")
    n_checks = len(report.findings)
    verdict = (
        f"{len(report.drifted)} of {n_checks} checks found drift"
        if report.drifted
        else f"no drift in {n_checks} checks"
    )
    console.print(f"[bold]Verdict:[/] {verdict}.")
