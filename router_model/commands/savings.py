"""The command ``router-model savings``: what was spent, and what always calling one model would have cost."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.commands.log_source import LogSource, log_options
from router_model.help_pages import Command
from router_model.progress import working
from router_model.saving import saving_cell, say_saving
from router_model.terminal import figures_table, plain_console, print_table
from router_model.training.distributed.options import max_prompts_option
from router_model.wording import number, usd

if TYPE_CHECKING:
    from rich.console import Console

    from router_model.training.offpolicy.predicted_savings import PredictedLedger
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
        "Large logs": "--max-prompts",
        "Output": "--json",
    },
)
@log_options
@click.option(
    "--artifact", type=click.Path(path_type=Path),
    help="The router; its predictions narrow the intervals, and stand in where the log cannot tell.",
)  # fmt: skip
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
@max_prompts_option
@click.option("--json", "as_json", is_flag=True, help="Print the ledger as JSON.")
def command(
    *,
    source: LogSource,
    artifact: Path | None,
    max_quality_loss: float,
    catalog: Path | None,
    router_cost_usd_per_request: float,
    encoder: str | None,
    max_prompts: int,
    as_json: bool,
) -> None:
    """Say what a log's calls cost, and what each model alone would have.

    Costs and qualities of single models are estimated from explored choices
    and their propensities. Costs are net of what caches of prompts save, for
    which prices are needed (--artifact or --catalog), and of the router's own.

    Without grades or exploration nobody knows what other models would have
    achieved. --artifact then tells what each was predicted to cost.
    """
    from router_model.catalog import Catalog
    from router_model.errors import SupportError, TableError
    from router_model.features import load_encoder
    from router_model.router import Router
    from router_model.training.offpolicy.logged import read_logged
    from router_model.training.offpolicy.predicted_savings import predicted_savings
    from router_model.training.offpolicy.savings import Ledger, savings

    own = None if encoder is None else load_encoder(encoder)
    router = None if artifact is None else Router.load(artifact, encoder=own)
    cards = None if catalog is None else Catalog.load(catalog)
    with working("reading the log") as work:
        with source.table() as table:
            decisions = read_logged(table, max_prompts=max_prompts)
        work.step("estimating what each model would have cost")
        ledger: Ledger | PredictedLedger
        try:
            ledger = savings(
                decisions,
                router=router,
                catalog=cards,
                router_cost_usd_per_request=router_cost_usd_per_request,
                margin=max_quality_loss,
            )
        except (SupportError, TableError) as exc:
            if router is None:
                hint = "With --artifact the router says what each model alone was predicted to cost"
                raise type(exc)(f"{exc}. {hint}") from exc
            ledger = predicted_savings(decisions, router, why=str(exc), catalog=cards)
    if as_json:
        click.echo(json.dumps(ledger.as_dict(), ensure_ascii=False))
    elif isinstance(ledger, Ledger):
        show_ledger(ledger, plain_console())
    else:
        show_predicted(ledger, plain_console())


def show_ledger(ledger: "Ledger", console: "Console") -> None:
    """Print a ledger for people; the verdict comes last."""
    unknown = f" {ledger.n_without_cost:,} answers have no known cost." if ledger.n_without_cost else ""
    about = "about " if ledger.is_drawn else ""
    console.print(f"[bold]Spent[/] {about}{usd(ledger.spent_usd)} on {ledger.n_logged:,} decisions.{unknown}")
    console.print(f"The estimates are about {ledger.n_decisions:,} of them, ± 95 %.")
    for reason, n in ledger.left_out.items():
        console.print(f"Left out: {n:,} {reason}.")
    caches = any(ledger.cache_usd.values()) or ledger.routed_cache_usd > 0
    table = figures_table("", "quality", "per 1k", *(["cache saves"] * caches), "routed saves")
    routed = ledger.routed
    for name, value, cached, cell in (
        ("routed, as it ran", routed, ledger.routed_cache_usd, ""),
        *(
            (f"{model}{' *' if model == ledger.best else ''}", value, ledger.cache_usd[model],
             saving_cell(ledger.against[model].saving.value, ledger.against[model].saving.half_width))
            for model, value in ledger.singles.items()
        ),
    ):  # fmt: skip
        quality, cost = value.quality, value.cost_usd
        figures = [number(quality.value, quality.half_width, digits=3), usd(1000 * cost.value, 1000 * cost.half_width)]
        table.add_row(name, *figures, *([usd(1000 * cached)] * caches), cell)
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
        predicted = ledger.predicted_usd.get(model)
        alone = "" if predicted is None else f" By prediction it alone costs {usd(1000 * predicted)} per 1k."
        console.print(f"Nothing can be said of {model}: {why}.{alone}", markup=False)
    reference, n = ledger.verdict.reference, ledger.n_decisions
    saved = ledger.against[reference].saved_usd
    if saved is not None:
        console.print(
            f"In dollars: the {n:,} decisions cost {usd(n * ledger.routed.cost_usd.value)}, where {reference} alone "
            f"would have cost {usd(n * ledger.singles[reference].cost_usd.value)}. Routing "
            f"{'saved' if saved.value >= 0 else 'cost'} {usd(n * abs(saved.value), n * saved.half_width)}"
            f"{'' if saved.value >= 0 else ' more'}.",
            markup=False,
        )
    console.print(f"[bold]Verdict:[/] {ledger.verdict.sentence}.")


def show_predicted(ledger: "PredictedLedger", console: "Console") -> None:
    """Print what is known where the log cannot tell what other models would have achieved."""
    console.print(f"[bold]Spent[/] {usd(ledger.spent_usd)} on {ledger.n_decisions:,} decisions.")
    if ledger.n_logged > ledger.n_read:
        console.print(f"Drawn at random: {ledger.n_read:,} of {ledger.n_logged:,} decisions.")
    if ledger.n_read > ledger.n_decisions:
        console.print(f"Left out: {ledger.n_read - ledger.n_decisions:,} without a known cost or a propensity.")
    console.print(f"What other models would have achieved, this log cannot tell: {ledger.why}.")
    table = figures_table("", "predicted cost", "routed saves")
    for model, cost in ledger.alone_usd.items():
        saving = ledger.saving[model]
        table.add_row(
            f"{model}{' *' if model == ledger.best else ''}", usd(cost), saving_cell(saving.value, saving.half_width)
        )
    print_table(console, table)
    console.print(
        "Models: always called, by the router's predictions. * The one of the best predicted quality. ± 95 %, for the "
        "choice of prompts; the error of the predictions is not in it. The calls that were made were predicted to cost "
        f"{usd(ledger.predicted_usd)}."
    )
    known = "no answer is graded"
    if ledger.quality is not None:
        mean = number(ledger.quality.value, ledger.quality.half_width, digits=3)
        known = f"the mean of {ledger.n_graded:,} grades is {mean}, and nobody knows that of {ledger.best}"
    saving = ledger.saving[ledger.best]
    console.print(
        f"[bold]Verdict:[/] by prediction, routing {say_saving(saving.value, saving.half_width)} against "
        f"{ledger.best}. Whether quality is kept is not shown: {known}.",
    )
