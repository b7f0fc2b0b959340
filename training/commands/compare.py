"""The command ``router-model compare``: two saved routers on the same prompts of an outcome table."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.help_pages import Command
from router_model.pages.command_option import html_option
from router_model.progress import working
from router_model.terminal import figures_table, plain_console, print_table
from router_model.wording import percent

if TYPE_CHECKING:
    from rich.console import Console

    from router_model.training.measuring.compare import Comparison


@click.command(
    "compare",
    cls=Command,
    examples="""
    router-model compare my-router challenger unseen.parquet
    """,
    sections={
        "Rule": "--quality-bar",
        "What is measured": "--catalog",
        "Output": "--json",
    },
)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--quality-bar", type=float, help="Quality an answer needs to succeed [default: A's].")
@click.option("--target-success", type=float, help="Success rate wanted of both.")
@click.option("--success-value-usd", type=float, help="What a success is worth, in USD [default: each router's].")
@click.option("--quality-value-usd", type=float, help="What quality 1 is worth over quality 0, in USD, instead.")
@click.option(
    "--max-quality-loss", type=click.FloatRange(0, 1), default=0.01, show_default=True,
    help="Loss of quality that does not matter for the verdict.",
)  # fmt: skip
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices and capabilities instead of the routers'.")
@click.option("--include-seen", is_flag=True, help="Count prompts that A or B was trained on, too.")
@click.option("--encoder", help="The encoder, if both were trained with your own (hub id or folder).")
@html_option
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(
    a: Path,
    b: Path,
    table: Path,
    *,
    max_quality_loss: float,
    catalog: Path | None,
    include_seen: bool,
    encoder: str | None,
    html: Path | None,
    as_json: bool,
    **knobs: float | None,
) -> None:
    """Compare the routers in A and B on the outcomes in TABLE.

    Both decide on the same prompts. Prompts that either was trained on are
    left out. Intervals are at 95 %, by conversation and text.
    """
    from router_model.features import load_encoder
    from router_model.goal import read_goal
    from router_model.router import Router
    from router_model.training.measuring.compare import compare
    from router_model.training.table.outcomes import read_outcomes

    goal = read_goal(**knobs)
    own = None if encoder is None else load_encoder(encoder)
    with working("reading the routers and the table") as work:
        first, second = (Router.load(path, catalog=catalog, encoder=own) for path in (a, b))
        outcomes = read_outcomes(table)
        work.step("deciding with both, and measuring the difference")
        comparison = compare(first, second, outcomes, goal=goal, include_seen=include_seen, margin=max_quality_loss)
    if html is not None:
        from router_model.pages.render import write_page
        from router_model.training.reporting.compare_page import compare_page

        write_page(compare_page(comparison, first=a.name, second=b.name), html)
    if as_json:
        click.echo(json.dumps({"a": str(a), "b": str(b), **comparison.as_dict()}, ensure_ascii=False))
    else:
        show_comparison(comparison, plain_console())


def show_comparison(comparison: "Comparison", console: "Console") -> None:
    """Print a comparison for people; the verdict comes last."""
    from router_model.training.measuring.moves import main_move_in_words

    notes = [
        (comparison.n_prompts - comparison.n_independent, "in a conversation or text with another, which count as one"),
        (comparison.n_seen, "of them with a text that A or B was trained on, which favours it"),
        (comparison.n_left_out, "left out because A or B was trained on them"),
        (comparison.n_incomplete, "left out because an outcome of some model is missing"),
    ]
    said = "".join(f"; {n:,} {text}" for n, text in notes if n)
    console.print(
        f"[bold]Compared[/] on {comparison.n_prompts:,} prompts{said}. Success: quality >= {comparison.quality_bar:g}."
    )
    for name, router in (("A", comparison.first), ("B", comparison.second)):
        console.print(f"{name}: {router.rule}.", markup=False)
    assumed = comparison.cost_sources["assumed"]
    if assumed:
        console.print(
            f"[yellow]note:[/] {assumed:,} of {sum(comparison.cost_sources.values()):,} costs are not in the table and "
            "are expected by the routers, which proves nothing"
        )
    _show_figures(comparison, console)
    most = main_move_in_words(comparison.main_move)
    said = f"They choose different models for {percent(comparison.share_different)} of the prompts{most}."
    console.print(said, markup=False)
    console.print(f"[bold]Verdict:[/] {comparison.verdict.sentence}.")


def _show_figures(comparison: "Comparison", console: "Console") -> None:

    first, second = comparison.first, comparison.second
    table = figures_table("", "A", "B", "B minus A", "95 % interval")
    for name, mine, theirs, estimate, scale in (
        ("quality", first.quality, second.quality, comparison.difference.quality, 1),
        ("success", first.success, second.success, comparison.success, 1),
        ("$ per 1k", first.cost_usd, second.cost_usd, comparison.cost_usd, 1000),
        ("AIQ", first.aiq, second.aiq, comparison.aiq, 1),
    ):
        bounds = f"{scale * estimate.low:+.4f} to {scale * estimate.high:+.4f}"
        values = (f"{scale * mine:.4f}", f"{scale * theirs:.4f}", f"{scale * estimate.value:+.4f}")
        table.add_row(name, *values, bounds)
    print_table(console, table)
