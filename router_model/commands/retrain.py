"""The command ``router-model retrain``: train a router again, on its tables and on what its service logged."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.commands.log_source import LogSource, log_options
from router_model.help_pages import Command
from router_model.progress import Steps, working
from router_model.terminal import figures_table, plain_console, print_table
from router_model.training.distributed.options import engine_option, max_prompts_option

if TYPE_CHECKING:
    from rich.console import Console

    from router_model.training.retrain import RetrainReport


@click.command(
    "retrain",
    cls=Command,
    examples=r"""
    router-model retrain --log sqlite:///router-log.db --base my-router \
      --table outcomes.parquet --out challenger
    """,
    sections={
        "Which log": "--log",
        "What is trained": "--base",
        "Large tables": "--max-prompts",
        "Output": "--json",
    },
)
@log_options
@click.option("--base", required=True, type=click.Path(path_type=Path), help="The router that serves.")
@click.option(
    "--table",
    "tables",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Outcome table with full evaluations, such as the one --base was trained on; repeatable.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the new router.")
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices and capabilities (TOML) [those of --base].")
@click.option("--accept-moves", is_flag=True, help="Save it even if it moves more traffic than the new grades support.")
@click.option(
    "--track/--no-track", default=True, help="Record the run in MLflow, here or at MLFLOW_TRACKING_URI [track]."
)
@max_prompts_option
@engine_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    *,
    source: LogSource,
    base: Path,
    tables: tuple[Path, ...],
    out: Path,
    catalog: Path | None,
    accept_moves: bool,
    track: bool,
    max_prompts: int,
    as_json: bool,
) -> None:
    """Train the router in --base again: on its tables, and on a decision log.

    A starter ('router-model start') needs no tables: its log is enough, once
    some of its answers are graded.
    The settings are those of --base, which stays as it is. The new router is
    not saved if it moves more traffic than the new grades support. To serve it,
    promote it.
    """
    from router_model.catalog import Catalog
    from router_model.interrupts import after_saving
    from router_model.training.commands.train import show_report
    from router_model.training.retrain import retrain
    from router_model.training.table.prices import look_up
    from router_model.training.tracking import track_run
    from router_model.training.train import STEPS

    cards = None if catalog is None else Catalog.load(catalog, look_up=look_up)
    with working("reading the log") as work, source.table() as log:
        advance = Steps(work, STEPS)
        report = retrain(
            log,
            base,
            out,
            tables=tables,
            catalog=cards,
            accept_moves=accept_moves,
            max_prompts=max_prompts,
            advance=advance,
        )
    with after_saving(out):
        tracked = track_run(report.training, report.config) if track else "not tracked (--no-track)"
        if as_json:
            click.echo(json.dumps({**report.as_dict(), "tracking": tracked}, ensure_ascii=False))
            return

        _show_logged(report, plain_console())
        show_report(report.training, tracked)


def _show_logged(report: "RetrainReport", console: "Console") -> None:

    table = figures_table("in the log", "calls", "graded", "effective")
    for one in report.logged:
        table.add_row(one.model, f"{one.n_calls:,}", f"{one.n_graded:,}", f"{one.n_effective:,.0f}")
    print_table(console, table)
