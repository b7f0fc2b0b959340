"""The command ``router-model train``: train a router from an outcome table and save it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router_model.help_pages import Command
from router_model.progress import Steps, working
from router_model.terminal import plain_console
from router_model.training.distributed.options import TablePath, engine_option, max_prompts_option
from router_model.wording import percent

if TYPE_CHECKING:
    from router_model.training.train import TrainingReport


@click.command(
    "train",
    cls=Command,
    examples=r"""
    router-model train outcomes.parquet --out my-router
    # all prompts are learned from, and none is kept to measure on
    router-model train outcomes.parquet --out my-router --no-holdout
    router-model train outcomes.parquet --out my-router --catalog catalog.toml \
      --target-success 0.9
    # days of a log's archive, on the workers of a Dask cluster
    router-model train s3://bucket/outcomes --out my-router \
      --engine tcp://scheduler:8786
    """,
    sections={
        "What is learned": "--catalog",
        "Certificates and the default": "--target-success",
        "What is kept": "--keep-prompts",
        "A router that it replaces": "--former",
        "Large tables": "--max-prompts",
        "Output": "--json",
    },
)
@click.argument("table", type=TablePath())
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the trained router.")
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices and capabilities (TOML).")
@click.option(
    "--encoder",
    help="static, minilm-int8, multilingual, minilm, or a hub id or folder of a sentence-transformers model [static].",
)
@click.option("--quality-bars", metavar="B,B,...", help="Bars to learn; requests may use others too [0.5,0.7,0.9].")
@click.option("--seed", type=int, help="Seed of the split, folds and boosters [0].")
@click.option("--config", type=click.Path(path_type=Path), help="Settings (TOML); options given here win.")
@click.option("--holdout/--no-holdout", default=None, help="Keep 30 % of prompts to measure on [holdout].")
@click.option(
    "--target-success", type=float, multiple=True, help="Rate to certify; repeatable [95 and 90 % of the best model's]."
)
@click.option("--delta", type=float, help="Largest chance of an error in any certificate [0.1].")
@click.option("--max-quality-loss", type=float, help="Mean quality that the default may lose to the best model [0.01].")
@click.option("--safe-model", help="Model for prompts unlike all logged ones [the best by overall record].")
@click.option(
    "--keep-prompts/--no-keep-prompts",
    default=None,
    help="Store prompt texts in the router, so that 'route --explain' shows them; else only ids [no-keep-prompts].",
)
@click.option(
    "--track/--no-track", default=True, help="Record the run in MLflow, here or at MLFLOW_TRACKING_URI [track]."
)
@click.option(
    "--former",
    type=click.Path(path_type=Path, file_okay=False),
    help="The router that the new one replaces; decisions are compared with its [the one at --out, if any].",
)
@click.option(
    "--accept-moves",
    is_flag=True,
    help="Save the router even if it moves more traffic than the new evidence supports.",
)
@max_prompts_option
@engine_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    table: str | Path,
    *,
    out: Path,
    catalog: Path | None,
    encoder: str | None,
    quality_bars: str | None,
    seed: int | None,
    config: Path | None,
    holdout: bool | None,
    target_success: tuple[float, ...],
    delta: float | None,
    max_quality_loss: float | None,
    safe_model: str | None,
    keep_prompts: bool | None,
    track: bool,
    former: Path | None,
    accept_moves: bool,
    max_prompts: int,
    as_json: bool,
) -> None:
    """Train a router on the outcomes in TABLE (Parquet; see 'router-model import').

    TABLE is a file, or a folder, a pattern or a URI of several.
    """
    from router_model.catalog import Catalog
    from router_model.interrupts import after_saving
    from router_model.training.config import read_config
    from router_model.training.table.prices import look_up
    from router_model.training.tracking import track_run
    from router_model.training.train import STEPS, train

    overrides: dict[str, Any] = {
        "encoder": encoder,
        "quality_bars": None if quality_bars is None else _numbers(quality_bars),
        "seed": seed,
        "holdout": holdout,
        "target_success": target_success or None,
        "delta": delta,
        "max_quality_loss": max_quality_loss,
        "safe_model": safe_model,
        "keep_prompts": keep_prompts,
    }
    settings = read_config(config, {key: value for key, value in overrides.items() if value is not None})
    cards = None if catalog is None else Catalog.load(catalog, look_up=look_up)
    with working("reading the table") as work:
        report = train(
            table,
            out,
            catalog=cards,
            config=settings,
            former=former,
            accept_moves=accept_moves,
            max_prompts=max_prompts,
            advance=Steps(work, STEPS),
        )
    with after_saving(out):
        tracked = track_run(report, settings) if track else "not tracked (--no-track)"
        if as_json:
            click.echo(json.dumps({**report.as_dict(), "tracking": tracked}, ensure_ascii=False))
        else:
            show_report(report, tracked)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"got {text!r}, expected numbers separated by commas, e.g. 0.5,0.9", param_hint="--quality-bars"
        ) from None


def _dominance(report: "TrainingReport") -> str:
    """Say which models are dominated by another one on average; for single prompts they may still be best."""
    worth = [record.model for record in report.records if record.dominated_by is None]
    dominated = [f"{record.model} (by {record.dominated_by})" for record in report.records if record.dominated_by]
    said = f"On average worth their price: {', '.join(worth)}."
    return f"{said} Dominated: {', '.join(dominated)}." if dominated else said


def show_report(report: "TrainingReport", tracked: str) -> None:
    """Print what was learned, how good it is, and where it was recorded."""
    from rich.markup import escape

    from router_model.training.commands.certify import show_certificates
    from router_model.training.commands.evaluate import show_evaluation

    console = plain_console()
    console.print(
        f"[bold]Learned[/] from {report.n_train:,} prompts and {len(report.models)} models; "
        f"{report.n_calibration:,} set aside for certificates, {report.n_test:,} to measure on."
    )
    trusted = sorted(report.trust.items(), key=lambda item: -item[1])
    said = ", ".join(f"{name.replace('_', ' ')} {percent(share)}" for name, share in trusted if share >= 0.05)  # noqa: PLR2004
    console.print(f"Prediction rests on: {said}.")
    console.print(escape(_dominance(report)))
    if report.near_duplicates.n_groups:
        console.print(f"{report.near_duplicates}.")
    show_certificates(report.certificates, console)
    if report.held_out is None:
        console.print("No held-out prompts could be measured.")
    else:
        show_evaluation(report.held_out, console)
    for finding in report.findings:
        console.print(f"[yellow]left out:[/] {escape(str(finding))}")
    if report.moves is not None and report.moves.is_supported:
        console.print(f"Against the former router: {escape(str(report.moves))}.")
    for warning in report.warnings:
        console.print(f"[yellow]note:[/] {escape(warning)}")
    console.print(f"Router saved to [bold]{escape(str(report.artifact))}[/] ({report.content_hash[:19]}…)")
    console.print(escape(f"Run {tracked}"), soft_wrap=True)  # it may contain a command to copy
