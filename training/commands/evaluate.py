"""The command ``router-model evaluate``: measure a saved router on an outcome table."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router_model.help_pages import Command
from router_model.progress import working
from router_model.saving import saving_cell, say_saving
from router_model.terminal import figures_table, plain_console, print_table
from router_model.training.distributed.options import TablePath, engine_option, max_prompts_option
from router_model.wording import percent, usd

if TYPE_CHECKING:
    from rich.console import Console

    from router_model.training.measuring.evaluation import Evaluation, Realised
    from router_model.training.measuring.robustness import Robustness

_TASKS_SHOWN = 20


@click.command(
    "evaluate",
    cls=Command,
    examples="""
    router-model evaluate my-router unseen.parquet
    router-model evaluate my-router unseen.parquet --success-value-usd 0.01
    router-model evaluate my-router unseen.parquet --json
    """,
    sections={
        "Rule": "--quality-bar",
        "What is measured": "--catalog",
        "Large tables": "--max-prompts",
        "Output": "--json",
    },
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.argument("table", type=TablePath())
@click.option("--quality-bar", type=float, help="Quality an answer needs to succeed [default: the router's].")
@click.option("--target-success", type=float, help="Success rate wanted; see 'inspect' for certified ones.")
@click.option("--success-value-usd", type=float, help="What a success is worth, in USD [default: the router's].")
@click.option("--quality-value-usd", type=float, help="What quality 1 is worth over quality 0, in USD, instead.")
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices and capabilities instead of the router's.")
@click.option("--include-seen", is_flag=True, help="Count prompts the router was trained on, too.")
@click.option("--robustness", is_flag=True, help="Reword up to 1,000 of the prompts and report decisions that flip.")
@click.option("--encoder", help="The encoder, if the router was trained with your own (hub id or folder).")
@max_prompts_option
@engine_option
@click.option("--json", "as_json", is_flag=True, help="Print the evaluation as JSON.")
def command(
    artifact: Path,
    table: str | Path,
    *,
    catalog: Path | None,
    encoder: str | None,
    include_seen: bool,
    robustness: bool,
    max_prompts: int,
    as_json: bool,
    **knobs: float | None,
) -> None:
    """Measure the router in ARTIFACT on the outcomes in TABLE.

    Prompts that it was trained on are left out, and their near duplicates;
    they are recognised by hashes of their text.
    """
    from router_model.features import load_encoder
    from router_model.goal import read_goal
    from router_model.router import Router
    from router_model.training.measuring.evaluate import evaluate
    from router_model.training.table.outcomes import read_outcomes
    from router_model.training.table.subsample import EVALUATION_SEED, subsample

    goal = read_goal(**knobs)
    with working("reading the router and the table") as work:
        router = Router.load(artifact, catalog=catalog, encoder=None if encoder is None else load_encoder(encoder))
        drawn = subsample(table, max_prompts, seed=EVALUATION_SEED)
        outcomes = read_outcomes(table, drawn)
        work.step("deciding, and measuring what came of it")
        evaluation = evaluate(router, outcomes, goal=goal, include_seen=include_seen, progress=work.reached)
        measured = None
        if robustness:
            from router_model.training.measuring.robustness import measure_robustness

            work.step("deciding on reworded prompts")
            bar, rule = evaluation.quality_bar, router.rule(goal)
            measured = measure_robustness(router, outcomes, rule=rule, quality_bar=bar, include_seen=include_seen)
    if as_json:
        extra: dict[str, Any] = {} if measured is None else {"robustness": measured.as_dict()}
        extra |= {} if drawn is None else {"drawn_from": drawn.n_eligible}
        click.echo(json.dumps(evaluation.as_dict() | extra, ensure_ascii=False))
        return
    console = plain_console()
    show_evaluation(evaluation, console)
    if drawn is not None:
        console.print(f"[yellow]note:[/] {drawn}")
    if measured is not None:
        show_robustness(measured, console)


def show_evaluation(evaluation: "Evaluation", console: "Console") -> None:
    """Print an evaluation for people."""
    from rich.markup import escape

    from router_model.training.measuring.verdict import describe

    notes = [
        (evaluation.n_seen, "of them with a text the router was trained on"),
        (evaluation.n_near, "of them near duplicates of texts the router was trained on"),
        (evaluation.n_left_out, "left out because the router was trained on them"),
        (evaluation.n_near_left_out, "left out because the router was trained on near duplicates of them"),
        (evaluation.n_incomplete, "of them with outcomes missing, which are estimated (doubly robust)"),
        (evaluation.n_ungraded, "left out because no outcome is known"),
        (evaluation.n_without_text, "logged without their texts: copies of training prompts are known, not near ones"),
    ]
    said = "".join(f"; {n:,} {text}" for n, text in notes if n)
    unseen = "" if evaluation.n_seen + evaluation.n_near else " the router was not trained on"
    console.print(
        f"[bold]Measured[/] on {evaluation.n_prompts:,} prompts{unseen}{said}. "
        f"Success: quality >= {evaluation.quality_bar:g}. Rule: {evaluation.rule}."
    )
    assumed = evaluation.cost_sources["assumed"]
    if assumed:
        console.print(
            f"[yellow]note:[/] {assumed:,} of {sum(evaluation.cost_sources.values()):,} costs are not in the table and "
            "are the router's own expectation; give cost_usd, or input_tokens and output_tokens, to measure savings"
        )
    if not any(single.cost_usd for single in evaluation.singles):
        console.print(
            "[yellow]note:[/] every cost is 0, so routing can save nothing; if calls are not free, import the table "
            "with --column cost_usd= to count their tokens at list prices"
        )
    if evaluation.unknown:
        console.print(
            f"[yellow]note:[/] no outcome of {escape(', '.join(evaluation.unknown))} is known on these prompts; what "
            "stands for it is the router's own expectation"
        )
    if evaluation.verdict is not None:
        console.print(f"[bold]Verdict:[/] {escape(evaluation.verdict.sentence)}.")
    _show_models(evaluation, console)
    expected, real = evaluation.expected_cost_usd, evaluation.router.cost_usd
    off = (
        f" ({percent(expected / real - 1, signed=True)}; these models on all prompts: "
        f"{percent(evaluation.cost_bias, signed=True)})"
        if real > 0
        else ""
    )
    console.print(
        f"Cost of the chosen models for 1,000 prompts: expected {usd(1000 * expected)}, real {usd(1000 * real)}{off}.",
        style="dim",
    )
    if evaluation.cheaper:
        console.print(f"Cheaper settings, by request, against {escape(evaluation.best_single)}:", style="dim")
    for position, difference in evaluation.cheaper.items():
        said = f"--cost-quality-tradeoff {position:<2} {describe(difference)}"
        console.print(f"  {said}", style="dim")
    _show_tradeoffs(evaluation, console)
    if evaluation.by_task:
        _show_tasks(evaluation, console)
    _show_metrics(evaluation, console)
    if evaluation.unseen is not None:
        fresh = evaluation.unseen
        console.print(
            f"[yellow]Without[/] prompts it was trained on, or nearly ({fresh.n_prompts:,} are left): quality "
            f"{fresh.router.quality:.3f}, {say_saving(fresh.router.saving)}, AUC {_number(fresh.metrics['auc'])}."
        )


def _show_models(evaluation: "Evaluation", console: "Console") -> None:

    table = figures_table("every prompt to", "quality", "success", "$ per 1k", "saves", "share")
    table.add_row(*_cells(evaluation.router, "the router"), "", "", style="bold green")
    for single in evaluation.singles:
        saving = evaluation.savings[single.label]
        best = " *" if single.label == evaluation.best_single else ""
        table.add_row(
            *_cells(single, f"{single.label}{best}"), saving_cell(saving), percent(evaluation.shares[single.label])
        )
    print_table(console, table)
    console.print(
        "* the best single model. Saves: what the router saves against it. Share: of prompts the router sends to it.",
        style="dim",
    )


def _show_tradeoffs(evaluation: "Evaluation", console: "Console") -> None:
    console.print(
        "On these prompts, in hindsight, the router could have kept of the best single model's quality", style="dim"
    )
    for tradeoff in evaluation.tradeoffs:
        quality = f"  {percent(tradeoff.share):>6}"
        if tradeoff.saving is None:
            console.print(f"{quality}: not at any setting", style="dim")
        else:
            said = f"{say_saving(tradeoff.saving)}  (--quality-value-usd {tradeoff.quality_value_usd:g})"
            console.print(f"{quality}: {said}", style="dim")


def _show_tasks(evaluation: "Evaluation", console: "Console") -> None:
    from rich.markup import escape

    table = figures_table("task", "prompts", "quality", "the best's", "saves")
    largest = sorted(evaluation.by_task.items(), key=lambda item: -item[1][0])
    for task, (n, router, single) in largest[:_TASKS_SHOWN]:
        table.add_row(
            escape(task), f"{n:,}", f"{router.quality:.3f}", f"{single.quality:.3f}", saving_cell(router.saving)
        )
    print_table(console, table)
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
    parts.insert(4, f"AIQ gain over single models {metrics['aiq_gain']:+.4f} (null {metrics['aiq_null']:+.4f})")
    console.print("  ".join(parts), style="dim")


def show_robustness(robustness: "Robustness", console: "Console") -> None:
    """Print how many decisions changed under rewording, and at what cost."""
    console.print(
        f"[bold]Robustness {robustness.robustness:.3f}[/]: {percent(1 - robustness.robustness)} of the decisions on "
        f"{robustness.n_prompts:,} prompts flip under rewording; {percent(robustness.chance)} would by chance."
    )
    if robustness.n_without_text:
        console.print(
            f"[yellow]note:[/] {robustness.n_without_text:,} prompts were logged without their texts, which cannot be "
            "reworded"
        )
    table = figures_table("reworded", "flips", "costly flips", "quality", "cost")
    n_rewordings = len(robustness.rewordings)
    for row, flips in enumerate((*robustness.rewordings, *robustness.kinds)):
        table.add_row(
            flips.name,
            percent(flips.flipped),
            percent(flips.costly),
            f"{flips.quality_change:+.4f}",
            percent(flips.cost_change, signed=True),
            style="bold" if row >= n_rewordings else None,
        )
    print_table(console, table)
    console.print(
        "Bold: means of a kind. Costly: gives up over 5% of the predicted net value. Quality, cost: realised change "
        "over all prompts.",
        style="dim",
    )


def _cells(realised: "Realised", label: str) -> tuple[str, str, str, str]:
    from rich.markup import escape

    return (
        escape(label),
        f"{realised.quality:.3f}",
        f"{realised.success:.3f}",
        usd(1000 * realised.cost_usd),
    )


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"
