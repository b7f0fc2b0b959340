"""The command ``router-model promote``: the gate before a router is published."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.commands.log_source import LogSource, optional_log_options
from router_model.help_pages import Command
from router_model.pages.command_option import html_option
from router_model.progress import working
from router_model.terminal import plain_console, words_table

if TYPE_CHECKING:
    from rich.console import Console

    from router_model.training.promotion.promote import Promotion


@click.command(
    "promote",
    cls=Command,
    examples=r"""
    router-model promote challenger --to routers --table unseen.parquet
    router-model promote challenger --to routers \
      --log sqlite:///router-log.db --since 30d
    router-model serve routers --insecure
    """,
    sections={
        "On what it is compared": "--table",
        "What a router has to pass": "--retrain-check",
        "Record": "--track",
    },
)
@click.argument("challenger", type=click.Path(path_type=Path))
@click.option("--to", "place", required=True, type=click.Path(path_type=Path), help="Folder of published routers.")
@click.option("--table", type=click.Path(path_type=Path), help="Outcomes on which to compare it with the champion.")
@optional_log_options
@click.option(
    "--retrain-check", "train_again_on", type=click.Path(path_type=Path), metavar="TABLE",
    help="The table that it learned from: train it again, and compare the hashes.",
)  # fmt: skip
@click.option("--max-quality-loss", type=float, help="Loss of quality that does not matter if it is cheaper [0.01].")
@click.option("--max-calibration-error", type=float, help="Of P(success), beyond what chance alone shows [0.05].")
@click.option("--max-price-age-days", type=int, help="Older prices are refused [90].")
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices and capabilities that 'serve' is given.")
@click.option("--encoder", help="The encoder, if both were trained with your own (hub id or folder).")
@click.option(
    "--track/--no-track",
    default=None,
    help="Record it in MLflow [if MLFLOW_TRACKING_URI is set, or mlflow.db is here].",
)
@click.option("--registered-model", default="router-model", show_default=True, help="Its name in MLflow's registry.")
@click.option("--force", is_flag=True, help="Publish even if a check fails; the place's history says so.")
@click.option("--reason", help="Why, for the place's history.")
@html_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    challenger: Path,
    *,
    place: Path,
    table: Path | None,
    source: LogSource | None,
    train_again_on: Path | None,
    catalog: Path | None,
    encoder: str | None,
    track: bool | None,
    registered_model: str,
    force: bool,
    reason: str | None,
    html: Path | None,
    as_json: bool,
    **limits: float | None,
) -> None:
    """Publish the router in CHALLENGER if it is better than the champion.

    The champion is what the folder of --to serves. Both decide on prompts that
    neither was trained on: those of --table, which has the outcomes of all
    models, or those of --log, of a service that explored. With both, the table
    decides, and the log must not contradict it. The challenger must be cheaper
    and not worse, or better and not dearer; its calibration, certificates,
    origin and prices are checked, too. Services that run 'serve PLACE' load it within
    seconds. Ends with status 1 if a check fails and nothing is published.
    """
    from router_model.features import load_encoder
    from router_model.saved.place import Place
    from router_model.training.promotion.check import Limits
    from router_model.training.promotion.promote import promote
    from router_model.training.tracking import is_configured, track_promotion

    with working("comparing it with the champion"), nullcontext() if source is None else source.table() as log:
        promotion = promote(
            challenger,
            place,
            table=table,
            log=log,
            log_name="the log" if source is None else source.name,
            train_again_on=train_again_on,
            limits=Limits(**{name: value for name, value in limits.items() if value is not None}),  # type: ignore[arg-type]
            force=force,
            reason=reason,
            catalog=catalog,
            encoder=None if encoder is None else load_encoder(encoder),
        )
    if html is not None:
        from router_model.pages.render import write_page
        from router_model.training.reporting.compare_page import promotion_page

        write_page(promotion_page(promotion), html)
    if not as_json:
        show_promotion(promotion, plain_console())
    tracked = None
    if is_configured() if track is None else track:
        tracked = track_promotion(promotion, challenger, Place(place), registered=registered_model)
    if as_json:
        click.echo(json.dumps({**promotion.as_dict(), "tracking": tracked}, ensure_ascii=False))
    elif tracked is not None:
        click.echo(f"Promotion {tracked}")
    if not promotion.promoted:
        raise click.exceptions.Exit(1)


def show_promotion(promotion: "Promotion", console: "Console") -> None:
    """Print the checks as a table, and what came of it as a sentence."""
    from rich.markup import escape

    if promotion.checks:
        table = words_table("check", "result", "figures")
        for narrow in table.columns[:2]:
            narrow.no_wrap = True
        colours = {"passed": "green", "failed": "bold red", "not checked": "yellow"}
        for check in promotion.checks:
            status = f"[{colours[check.status]}]{check.status}[/]"
            table.add_row(check.name, status, escape(check.said))
        console.print(table)
    if promotion.promoted:
        console.print(f"{escape(promotion.sentence)}.", soft_wrap=True)
    else:
        said = f"[bold red]refused:[/] {escape(promotion.sentence)}"
        plain_console(stderr=True, soft_wrap=True).print(said)
