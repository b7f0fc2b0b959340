"""The command ``router-model rollback``: serve the router again that was served before the last promotion."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from router_model.saved.place import Place


@click.command("rollback")
@click.argument("place", type=click.Path(path_type=Path))
@click.option(
    "--track/--no-track",
    default=None,
    help="Set the aliases in MLflow's registry [if MLFLOW_TRACKING_URI is set, or mlflow.db is here].",
)
@click.option("--registered-model", default="router-model", show_default=True, help="Its name in MLflow's registry.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(place: Path, *, track: bool | None, registered_model: str, as_json: bool) -> None:
    """Return to the router that PLACE served before the last promotion.

    Services that watch PLACE load it within seconds. It is verified first;
    if it is damaged, nothing is changed.
    """
    from router_model.saved.place import Place  # noqa: PLC0415  (--help stays fast)

    left, returned = Place(place).rollback()
    if not as_json:
        click.echo(f"{place} serves {returned.name} again, in place of {left.name}.")
    tracked = None if track is False else _track(Place(place), registered_model, always=bool(track))
    if as_json:
        done = {"place": str(place), "current": returned.name, "left": left.name, "tracking": tracked}
        click.echo(json.dumps(done, ensure_ascii=False))
    elif tracked is not None:
        click.echo(f"Rollback {tracked}")


def _track(place: "Place", registered_model: str, *, always: bool) -> str | None:
    """Let MLflow's registry follow, after the rollback: a server that is down must not delay it."""
    from router_model.training.tracking import is_configured, track_rollback  # noqa: PLC0415

    return track_rollback(place, registered=registered_model) if always or is_configured() else None
