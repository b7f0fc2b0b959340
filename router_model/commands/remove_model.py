"""The command ``router-model remove-model``: take a model out of a saved router."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.help_pages import Command

if TYPE_CHECKING:
    from router_model.saved.artifact import Artifact


@click.command(
    "remove-model",
    cls=Command,
    examples="""
    router-model remove-model my-router --model openai/gpt-4o --out smaller-router
    """,
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="Id of the model to take out.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the new router [ARTIFACT is replaced].")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(artifact: Path, *, model: str, out: Path | None, as_json: bool) -> None:
    """Take a model out of the router in ARTIFACT; nothing is retrained.

    Certificates, measured figures and the spend curve hold for the old set
    of models only, so they are dropped.
    """
    from router_model.interrupts import after_saving
    from router_model.model_set import remove_model
    from router_model.saved.artifact import load_artifact, save_artifact

    before = load_artifact(artifact)
    after = remove_model(before, model)
    content_hash = save_artifact(after, out or artifact)
    with after_saving(out or artifact):
        _report(before, after, model, content_hash, as_json=as_json)
        if not as_json:
            click.echo(f"Router saved to {out or artifact} ({content_hash[:19]}…)")


def _report(before: "Artifact", after: "Artifact", model: str, content_hash: str, *, as_json: bool) -> None:
    """Print the removed model, the remaining ones, and what was dropped with it."""
    n_dropped = len(before.certificates) - len(after.certificates)
    if as_json:
        done = {
            "removed": model,
            "models": list(after.predictor.models),
            "n_certificates_dropped": n_dropped,
            "spend_curve_dropped": before.spend_curve is not None and after.spend_curve is None,
            "content_hash": content_hash,
        }
        click.echo(json.dumps(done, ensure_ascii=False))
        return
    click.echo(f"Removed {model}; left are {', '.join(after.predictor.models)}.")
    if n_dropped:
        click.echo(f"note: {n_dropped} certificates dropped, made for the old models; run 'router-model certify'")
    if before.spend_curve is not None and after.spend_curve is None:
        click.echo("note: the spend curve is dropped too; measure one (SpendCurve.measure) before pacing a budget")
