"""``router-model evaluate``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from training.evaluate import Evaluation, Realised

_TASKS_SHOWN = 20


@click.command("evaluate")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--quality-bar", type=float, help="Quality an answer needs to succeed [default: the router's].")
@click.option("--target-success", type=float, help="Success rate wanted; see 'inspect' for certified ones.")
@click.option("--success-value-usd", type=float, help="What a success is worth, in USD [default: the router's].")
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices and capabilities instead of the router's.")
@click.option("--include-seen", is_flag=True, help="Count prompts the router was trained on, too.")
@click.option("--encoder", help="The encoder, where the router was trained with one of your own (hub id or folder).")
@click.option("--json", "as_json", is_flag=True, help="Print the evaluation as JSON.")
def command(
    artifact: Path,
    table: Path,
    *,
    quality_bar: float | None,
    target_success: float | None,
    success_value_usd: float | None,
    catalog: Path | None,
    encoder: str | None,
    include_seen: bool,
    as_json: bool,
) -> None:
    """Measure the router in ARTIFACT on the outcomes in TABLE.

    Prompts it was trained on are left out, by the hash of their text.
    """
    from rich.console import Console  # noqa: PLC0415  (--help stays fast)

    from features import load_encoder  # noqa: PLC0415
    from router_model.router import Router  # noqa: PLC0415
    from training.evaluate import evaluate  # noqa: PLC0415
    from training.outcomes import read_outcomes  # noqa: PLC0415

    router = Router.load(artifact, catalog=catalog, encoder=None if encoder is None else load_encoder(encoder))
    evaluation = evaluate(
        router,
        read_outcomes(table),
        quality_bar=quality_bar,
        target_success=target_success,
        success_value_usd=success_value_usd,
        include_seen=include_seen,
    )
    if as_json:
        click.echo(json.dumps(evaluation.as_dict(), ensure_ascii=False))
    else:
        show_evaluation(evaluation, Console())


def show_evaluation(evaluation: "Evaluation", console: "Console") -> None:
    """Print an evaluation for people."""
    notes = [
        (evaluation.n_seen, "of them with a text the router was trained on"),
        (evaluation.n_left_out, "left out as the router was trained on them"),
        (evaluation.n_incomplete, "left out for want of an outcome of every model"),
    ]
    said = "".join(f"; {n:,} {text}" for n, text in notes if n)
    unseen = "" if evaluation.n_seen else " the router was not trained on"
    console.print(
        f"[bold]Measured[/] on {evaluation.n_prompts:,} prompts{unseen}{said}. "
        f"Success: quality >= {evaluation.quality_bar:g}. Rule: {evaluation.rule}.",
        highlight=False,
    )
    assumed = evaluation.cost_sources["assumed"]
    if assumed:
        console.print(
            f"[yellow]note:[/] {assumed:,} of {sum(evaluation.cost_sources.values()):,} costs are not in the table and "
            "are the router's own expectation; give cost_usd, or input_tokens and output_tokens, to measure savings",
            highlight=False,
        )
    _show_models(evaluation, console)
    _show_tradeoffs(evaluation, console)
    if evaluation.by_task:
        _show_tasks(evaluation, console)
    _show_metrics(evaluation, console)


def _show_models(evaluation: "Evaluation", console: "Console") -> None:
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("every prompt to", overflow="fold")
    for title in ("quality", "success", "$ per 1k", "saves", "share"):
        table.add_column(title, justify="right")
    table.add_row(*_cells(evaluation.router, "the router"), "", "", style="bold green")
    for single in evaluation.singles:
        saving = evaluation.savings[single.label]
        best = " *" if single.label == evaluation.best_single else ""
        table.add_row(
            *_cells(single, f"{single.label}{best}"), _saving(saving), f"{evaluation.shares[single.label]:.1%}"
        )
    console.print(table)
    console.print(
        "* the best single model. Saves: what the router saves against it. Share: of prompts the router sends to it.",
        style="dim",
    )


def _show_tradeoffs(evaluation: "Evaluation", console: "Console") -> None:
    console.print(
        "On these prompts, in hindsight, the router could have kept of the best single model's quality", style="dim"
    )
    for tradeoff in evaluation.tradeoffs:
        quality = f"  {tradeoff.share:>4.0%}"
        if tradeoff.saving is None:
            console.print(f"{quality}: not at any setting", style="dim", highlight=False)
        else:
            said = f"{tradeoff.saving:.1%} less cost  (--success-value-usd {tradeoff.success_value_usd:g})"
            console.print(f"{quality} for {said}", style="dim", highlight=False)


def _show_tasks(evaluation: "Evaluation", console: "Console") -> None:
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("task")
    for title in ("prompts", "router quality", "best single's", "router saves"):
        table.add_column(title, justify="right")
    largest = sorted(evaluation.by_task.items(), key=lambda item: -item[1][0])
    for task, (n, router, single) in largest[:_TASKS_SHOWN]:
        table.add_row(escape(task), f"{n:,}", f"{router.quality:.3f}", f"{single.quality:.3f}", f"{router.saving:.1%}")
    console.print(table)
    if len(largest) > _TASKS_SHOWN:
        console.print(f"… and {len(largest) - _TASKS_SHOWN} smaller tasks (--json lists all)", style="dim")


def _show_metrics(evaluation: "Evaluation", console: "Console") -> None:
    metrics = evaluation.metrics
    parts = [
        f"{label} {_number(metrics[key])}"
        for label, key in (
            ("AUC", "auc"),
            ("log-loss", "log_loss"),
            ("calibration error", "calibration_error"),
            ("AIQ", "aiq"),
            ("AIQ-log", "aiq_log"),
        )
    ]
    console.print("  ".join(parts), style="dim", highlight=False, soft_wrap=True)


def _cells(realised: "Realised", label: str) -> tuple[str, str, str, str]:
    from rich.markup import escape  # noqa: PLC0415

    return (
        escape(label),
        f"{realised.quality:.3f}",
        f"{realised.success:.3f}",
        f"{realised.cost_usd * 1000:.4f}",
    )


def _saving(saving: float | None) -> str:
    """Show a share of cost saved; where the router costs more than twice as much, how many times as much."""
    if saving is None:
        return "-"
    return f"{saving:.1%}" if saving >= -1 else f"{1 - saving:.0f}x cost"


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"
