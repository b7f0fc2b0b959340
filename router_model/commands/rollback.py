"""The command ``router-model rollback``: serve the router again that was served before the last promotion."""

import json
from pathlib import Path

import click


@click.command("rollback")
@click.argument("place", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(place: Path, *, as_json: bool) -> None:
    """Return to the router that PLACE served before the last promotion.

    Services that watch PLACE load it within seconds. It is verified first;
    if it is damaged, nothing is changed.
    """
    from router_model.saved.place import Place  # noqa: PLC0415  (--help stays fast)

    left, returned = Place(place).rollback()
    if as_json:
        click.echo(json.dumps({"place": str(place), "current": returned.name, "left": left.name}))
    else:
        click.echo(f"{place} serves {returned.name} again, in place of {left.name}.")
