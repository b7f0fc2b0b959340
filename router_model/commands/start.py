"""The command ``router-model start``: make a router from a catalog alone, before there are any outcomes."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.help_pages import Command
from router_model.progress import working
from router_model.terminal import figures_table, plain_console, print_table

if TYPE_CHECKING:
    from router_model.starter import Starter

_SHOWN = 20  # models


@click.command(
    "start",
    cls=Command,
    examples=r"""
    router-model start --catalog catalog.toml --out first-router
    router-model serve first-router --insecure --providers providers.toml
    router-model retrain --log sqlite:///router-log.db --base first-router \
      --out my-router
    """,
)
@click.option("--catalog", required=True, type=click.Path(path_type=Path), help="The models and their prices (TOML).")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the router.")
@click.option(
    "--value",
    "quality_value_usd",
    type=click.FloatRange(min=0, min_open=True),
    help="What a good answer is worth over a bad one, in USD [the least that is expected to lose 0.01 of quality].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(*, catalog: Path, out: Path, quality_value_usd: float | None, as_json: bool) -> None:
    """Make a router from the models in --catalog, without any outcomes.

    How hard a prompt is was learned from public tables. How good a model is
    comes from its table in the catalog: accuracy, scores, like, or else its
    price alone. It routes if two models or more have an accuracy (accuracy,
    accuracy_prompts), and levels are so sure that routing can hardly lose;
    else it calls one model, and says so and why. It holds no certificate, and
    a service explores with it, so that its log can teach a router of your own.
    """
    from router_model.catalog import Catalog
    from router_model.interrupts import after_saving
    from router_model.saved.artifact import save_artifact
    from router_model.starter import start

    with working("making a router from the catalog"):
        started = start(Catalog.load(catalog), quality_value_usd=quality_value_usd)
        content_hash = save_artifact(started.artifact, out)
    with after_saving(out):
        if as_json:
            click.echo(json.dumps({**started.as_dict(), "content_hash": content_hash}, ensure_ascii=False))
            return
        _show(started)
        click.echo(f"Router saved to {out} ({content_hash[:19]}…)")
        for line in _next(out):
            click.echo(line)


def _next(out: Path) -> list[str]:
    """Say how the router is used, and how its log becomes a router of one's own."""
    folder = shlex.quote(str(out))
    return [
        f"serve it:    router-model serve {folder} --insecure --providers providers.toml",
        "             One decision in ten is drawn among the models (--explore-share).",
        "then train:  send feedback to some hundred answers (docs/api.md), and",
        "             router-model retrain --log sqlite:///router-log.db \\",
        f"               --base {folder} --out my-router",
    ]


def _show(started: "Starter") -> None:
    """Print what models are expected to reach, the best first, and whether the router routes."""
    from rich.markup import escape

    levels = started.as_dict()["levels"]
    ranked = sorted(levels, key=lambda model: -levels[model]["mean_quality"])
    shown = [model for n, model in enumerate(ranked) if n < _SHOWN or model == started.always_model]
    table = figures_table("model", "expected quality", "90 %")
    for model in shown:
        low, high = levels[model]["interval"]
        table.add_row(escape(model), f"{levels[model]['mean_quality']:.2f}", f"{low:.2f} to {high:.2f}")
    console = plain_console()
    print_table(console, table)
    if len(levels) > len(shown):
        console.print(f"and {len(levels) - len(shown)} more (--json has all)", style="dim")
    console.print(escape(f"It {started.why}."))
