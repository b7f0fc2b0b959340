"""The command ``router-model ope``: evaluate a router on the log of another policy."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.commands.log_source import LogSource, log_options
from router_model.help_pages import Command
from router_model.pages.command_option import html_option
from router_model.progress import working
from router_model.terminal import figures_table, plain_console, print_table
from router_model.training.distributed.options import engine_option, max_prompts_option
from router_model.wording import number, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from router_model.training.measuring.verdict import Estimate
    from router_model.training.offpolicy.evaluate_on_log import LogEvaluation

_TASKS_SHOWN = 20


@click.command(
    "ope",
    cls=Command,
    examples="""
    router-model ope challenger --log sqlite:///router-log.db --since 30d
    router-model ope challenger --log march.parquet --against my-router
    """,
    sections={
        "Which log": "--log",
        "What is compared": "--against",
        "Large tables": "--max-prompts",
        "Output": "--track",
    },
)
@click.argument("artifact", type=click.Path(path_type=Path))
@log_options
@click.option(
    "--against", type=click.Path(path_type=Path), help="The champion [default: the policy that wrote the log]."
)
@click.option("--supported-only", is_flag=True, help="Leave out decisions that the log could not have made.")
@click.option(
    "--max-quality-loss", type=click.FloatRange(0, 1), default=0.01, show_default=True,
    help="Loss of quality that does not matter for the verdict.",
)  # fmt: skip
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices and capabilities instead of the routers'.")
@click.option("--encoder", help="The encoder, if the routers were trained with your own (hub id or folder).")
@max_prompts_option
@engine_option
@click.option(
    "--track/--no-track", default=None, help="Record it in MLflow [if MLFLOW_TRACKING_URI or mlflow.db is there]."
)
@html_option
@click.option("--json", "as_json", is_flag=True, help="Print the evaluation as JSON.")
def command(
    artifact: Path,
    *,
    source: LogSource,
    against: Path | None,
    supported_only: bool,
    max_quality_loss: float,
    catalog: Path | None,
    encoder: str | None,
    max_prompts: int,
    track: bool | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Estimate from a log what the router in ARTIFACT would have brought.

    The difference between it (the challenger) and the policy that wrote the
    log, without its exploration (the champion), is estimated from explored
    choices and their propensities. Prompts that the router was trained on are
    left out.
    """
    from router_model.features import load_encoder
    from router_model.router import Router
    from router_model.training.files import file_sha256
    from router_model.training.offpolicy.evaluate_on_log import evaluate_on_log
    from router_model.training.offpolicy.logged import read_logged
    from router_model.training.tracking import is_configured, track_log_evaluation

    own = None if encoder is None else load_encoder(encoder)
    with working("reading the log") as work:
        challenger = Router.load(artifact, catalog=catalog, encoder=own)
        champion = None if against is None else Router.load(against, catalog=catalog, encoder=own)
        with source.table() as table:
            decisions, table_sha256 = read_logged(table, max_prompts=max_prompts), file_sha256(table)
        work.step("estimating what the router would have brought")
        found = evaluate_on_log(
            challenger,
            decisions,
            against=champion,
            supported_only=supported_only,
            margin=max_quality_loss,
            progress=work.reached,
        )
    if html is not None:
        from router_model.pages.render import write_page
        from router_model.training.reporting.log_evaluation_page import log_evaluation_page

        write_page(log_evaluation_page(found, name=artifact.name), html)
    paths = {"challenger_path": str(artifact), "champion_path": None if against is None else str(against)}
    tracked = None
    if is_configured() if track is None else track:
        hashes = {"content_hash": challenger.artifact.content_hash, "table_sha256": table_sha256}
        settings = {"log": source.name, "supported_only": supported_only, "max_quality_loss": max_quality_loss}
        tracked = track_log_evaluation(found, {**paths, **settings}, hashes)
    if as_json:
        click.echo(json.dumps({**paths, **found.as_dict(), "tracking": tracked}, ensure_ascii=False))
        return
    console = plain_console()
    show_log_evaluation(found, console)
    if tracked is not None:
        console.print(f"Evaluation {tracked}", markup=False, soft_wrap=True)


def show_log_evaluation(found: "LogEvaluation", console: "Console") -> None:
    """Print an evaluation on a log for people; the verdict comes last."""
    console.print(
        f"[bold]Evaluated[/] on {found.n_decisions:,} of {found.n_logged:,} decisions, {found.n_sessions:,} sessions."
    )
    for reason, n in found.left_out.items():
        console.print(f"Left out: {n:,} {reason}.")
    console.print(f"The champion is {found.champion_name}.")
    _show_values(found, console)
    if not found.difference.same_choices:
        _show_estimators(found, console)
        _show_overlap(found, console)
        _show_tasks(found, console)
    console.print(f"[bold]Verdict:[/] {found.verdict.sentence}.")


def _table(console: "Console", titles: "Sequence[str]", rows: "Sequence[Sequence[str]]") -> None:

    table = figures_table(*titles)
    for row in rows:
        table.add_row(*row)
    print_table(console, table)


def _signed(estimate: "Estimate", scale: float, digits: int) -> str:
    return number(scale * estimate.value, digits=digits, signed=True)


def _interval(estimate: "Estimate", scale: float, digits: int) -> str:
    if not estimate.half_width < float("inf"):
        return "biased: none"
    low, high = (number(scale * end, digits=digits, signed=True) for end in (estimate.low, estimate.high))
    return f"{low} to {high}"


def _show_values(found: "LogEvaluation", console: "Console") -> None:
    summary = found.summary()
    _table(console, summary.titles, summary.rows)


def _show_estimators(found: "LogEvaluation", console: "Console") -> None:
    rows = [
        (name, _signed(quality, 100, 2), _interval(quality, 100, 2), _signed(found.cost_usd[name], 1000, 4),
         _interval(found.cost_usd[name], 1000, 4))
        for name, quality in found.quality.items()
    ]  # fmt: skip
    if found.anytime is not None:
        rows.append(("DR, anytime", _signed(found.anytime, 100, 2), _interval(found.anytime, 100, 2), "", ""))
    titles = ("challenger - champion", "points", "95 % interval", "$ per 1k", "95 % interval")
    _table(console, titles, rows)


def _show_overlap(found: "LogEvaluation", console: "Console") -> None:
    overlap = found.overlap
    mean = number(overlap.mean_weight.value, overlap.mean_weight.half_width, digits=3)
    console.print(
        f"They disagree on {percent(overlap.share_different)} of the decisions. There, {overlap.n_challenger:,} graded "
        f"answers are by the challenger's choice and {overlap.n_champion:,} by the champion's."
    )
    console.print(
        f"Weights: largest {overlap.largest_weight:.1f}, mean {mean} (1 is right); "
        f"{overlap.n_graded:,} graded answers count as {overlap.effective_size:,.0f}."
    )
    if overlap.is_off:
        console.print(
            "[yellow]note:[/] the mean weight is not 1: answers of some models are missing more often, or the "
            "propensities are wrong"
        )
    console.print(
        f"A log like this shows a difference from {100 * found.shown:.2g} points on; one of a point takes "
        f"{float(f'{found.n_to_show_a_point:.2g}'):,.0f} requests."
    )


def _show_tasks(found: "LogEvaluation", console: "Console") -> None:
    shown = sorted(found.by_task.items(), key=lambda item: -item[1][0])[:_TASKS_SHOWN]
    rows = [
        (task, f"{n:,}", _signed(quality, 100, 1), _interval(quality, 100, 1), _signed(cost, 1000, 4))
        for task, (n, quality, cost) in shown
    ]
    if rows:
        _table(console, ("task", "decisions", "points", "95 % interval", "$ per 1k"), rows)
    if len(found.by_task) > len(shown):
        console.print(f"and {len(found.by_task) - len(shown)} more tasks (--json has all)")
