"""The command ``router-model savings``: what was spent, and what always calling one model would have cost."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.commands.log_source import LogSource, log_options
from router_model.help_pages import Command
from router_model.progress import working
from router_model.saving import saving_cell
from router_model.terminal import figures_table, plain_console, print_table
from router_model.wording import number, usd

if TYPE_CHECKING:
    from rich.console import Console

    from router_model.training.offpolicy.savings import Ledger


@click.command(
    "savings",
    cls=Command,
    examples="""
    router-model savings --log sqlite:///router-log.db --since 30d
    router-model savings --log sqlite:///router-log.db --artifact my-router
    """,
    sections={
        "Which log": "--log",
        "What is counted": "--artifact",
        "Output": "--json",
    },
)
@log_options
@click.option("--artifact", type=click.Path(path_type=Path), help="A router whose predictions narrow the intervals.")
@click.option(
    "--max-quality-loss", type=click.FloatRange(0, 1), default=0.01, show_default=True,
    help="Loss of quality that does not matter for the verdict.",
)  # fmt: skip
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices of calls that were not billed.")
@click.option(
    "--router-cost-usd-per-request", type=click.FloatRange(0), default=0.0, show_default=True,
    help="What running the router costs: the bill of its machines over the requests that it decides.",
)  # fmt: skip
@click.option("--encoder", help="The encoder, if the router was trained with your own (hub id or folder).")
@click.option("--json", "as_json", is_flag=True, help="Print the ledger as JSON.")
def command(
    *,
    source: LogSource,
    artifact: Path | None,
    max_quality_loss: float,
    catalog: Path | None,
    router_cost_usd_per_request: float,
    encoder: str | None,
    as_json: bool,
) -> None:
    """Say what a log's calls cost, and what each model alone would have.

    Costs and qualities of single models are estimated from explored choices
    and their propensities. Costs are net of what caches of prompts save, for
    which prices are needed (--artifact or --catalog), and of the router's own.
    """
    from router_model.catalog import Catalog
    from router_model.features import load_encoder
    from router_model.router import Router
    from router_model.training.offpolicy.logged import read_logged
    from router_model.training.offpolicy.savings import savings

    own = None if encoder is None else load_encoder(encoder)
    router = None if artifact is None else Router.load(artifact, encoder=own)
    cards = None if catalog is None else Catalog.load(catalog)
    with working("reading the log") as work:
        with source.table() as table:
            decisions = read_logged(table)
        work.step("estimating what each model would have cost")
        ledger = savings(
            decisions,
            router=router,
            catalog=cards,
            router_cost_usd_per_request=router_cost_usd_per_request,
            margin=max_quality_loss,
        )
    if as_json:
        click.echo(json.dumps(ledger.as_dict(), ensure_ascii=False))
    else:
        show_ledger(ledger, plain_console())


def show_ledger(ledger: "Ledger", console: "Console") -> None:
    """Print a ledger for people; the verdict comes last."""
    unknown = f" {ledger.n_without_cost:,} answers have no known cost." if ledger.n_without_cost else ""
    console.print(f"[bold]Spent[/] {usd(ledger.spent_usd)} on {ledger.n_logged:,} decisions.{unknown}")
    console.print(f"The estimates are about {ledger.n_decisions:,} of them, ± 95 %.")
    for reason, n in ledger.left_out.items():
        console.print(f"Left out: {n:,} {reason}.")
    caches = any(ledger.cache_usd.values()) or ledger.routed_cache_usd > 0
    table = figures_table("", "quality", "per 1k", *(["cache saves"] * caches), "routed saves")
    routed = ledger.routed
    for name, value, cached, saved in (
        ("routed, as it ran", routed, ledger.routed_cache_usd, ""),
        *(
            (f"{model}{' *' if model == ledger.best else ''}", value, ledger.cache_usd[model],
             saving_cell(ledger.against[model].saving.value, ledger.against[model].saving.half_width))
            for model, value in ledger.singles.items()
        ),
    ):  # fmt: skip
        quality, cost = value.quality, value.cost_usd
        cells = [number(quality.value, quality.half_width, digits=3), usd(1000 * cost.value, 1000 * cost.half_width)]
        table.add_row(name, *cells, *([usd(1000 * cached)] * caches), saved)
    print_table(console, table)
    console.print("Models: always called. * The best one, by the lower end of its interval.")
    if caches:
        console.print(
            "Cache saves: of the cost per 1k before it. A model alone is taken to read from its cache the input of the "
            "session's turn before, if it was at most 5 minutes ago."
        )
    if ledger.router_cost_usd:
        console.print(f"Routed: with the router's own cost, {usd(ledger.router_cost_usd)} for all decisions.")
    for model, why in ledger.unknown.items():
        console.print(f"Nothing can be said of {model}: {why}.", markup=False)
    console.print(f"[bold]Verdict:[/] {ledger.verdict.sentence}.")
