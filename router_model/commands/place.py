"""The commands that change a folder of published routers without a gate.

``router-model rollback`` serves the router again that was served before the last promotion. ``router-model challenge``
lets services try one beside the router that they serve.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.help_pages import Command

if TYPE_CHECKING:
    from router_model.saved.place import Place


_SHARES = {"shadow": 0.1, "explore": 0.5, "canary": 0.1}


@click.command(
    "rollback",
    cls=Command,
    examples="""
    router-model rollback routers
    """,
)
@click.argument("place", type=click.Path(path_type=Path))
@click.option(
    "--track/--no-track",
    default=None,
    help="Set the aliases in MLflow's registry [if MLFLOW_TRACKING_URI is set, or mlflow.db is here].",
)
@click.option("--registered-model", default="router-model", show_default=True, help="Its name in MLflow's registry.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def rollback(place: Path, *, track: bool | None, registered_model: str, as_json: bool) -> None:
    """Return to the router that PLACE served before the last promotion.

    Services that watch PLACE load it within seconds. It is verified first;
    if it is damaged, nothing is changed.
    """
    from router_model.saved.place import Place

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
    from router_model.training.tracking import is_configured, track_rollback

    return track_rollback(place, registered=registered_model) if always or is_configured() else None


@click.command(
    "challenge",
    cls=Command,
    examples="""
    router-model challenge challenger --to routers --mode canary --share 0.1
    router-model challenge --to routers --stop --reason "too slow"
    """,
)
@click.argument("challenger", type=click.Path(path_type=Path), required=False)
@click.option("--to", "place", required=True, type=click.Path(path_type=Path), help="Folder of published routers.")
@click.option("--mode", type=click.Choice([*_SHARES]), default="shadow", show_default=True, help="What it does.")
@click.option("--share", type=float, help="See above. [shadow: 0.1, explore: 0.5, canary: 0.1]")
@click.option("--stop", is_flag=True, help="Stop the challenger that is tried; no CHALLENGER is given then.")
@click.option("--reason", help="With --stop: why, for the history.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def challenge(
    challenger: Path | None,
    *,
    place: Path,
    mode: str,
    share: float | None,
    stop: bool,
    reason: str | None,
    as_json: bool,
) -> None:
    """Let services that run 'serve PLACE' try the router in CHALLENGER.

    \b
    shadow   It decides after the answer, and its choice is only logged. --share
             is the most that it may take of a processor, in each worker.
    explore  Where it would choose another model, the choice is drawn between
             the two, with known propensities. --share is the challenger's
             probability, at most 0.5.
    canary   It decides for a --share of the sessions.

    The router is verified and copied into the folder of --to. Services follow
    within seconds; a new challenger replaces the one before.
    """  # noqa: D301  (click's mark for text that is not wrapped)
    from router_model.saved.place import Mode, Place

    if stop == (challenger is not None):
        raise click.UsageError("give a CHALLENGER to try, or --stop, and not both")
    if challenger is None:
        stopped = Place(place).stop_challenge(reason)
        if as_json:
            click.echo(json.dumps({"place": str(place), "stopped": stopped}))
        else:
            click.echo(f"{place} has no challenger{' any more' if stopped else ''}.")
        return
    done = Place(place).challenge(challenger, Mode(mode), _SHARES[mode] if share is None else share)
    if as_json:
        click.echo(done.as_line())
    else:
        click.echo(f"{done.router} challenges what {place} serves: {done.mode} with a share of {done.share:g}.")
