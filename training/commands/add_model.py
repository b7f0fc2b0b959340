"""The command ``router-model add-model``: add a model to a saved router from graded prompts, or announce it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router_model.help_pages import Command
from router_model.progress import Steps, working

if TYPE_CHECKING:
    from router_model.catalog import ModelCard
    from router_model.router import Router
    from router_model.saved.artifact import Artifact
    from router_model.training.new_model.add_model import Added


@click.command(
    "add-model",
    cls=Command,
    examples=r"""
    router-model add-model my-router graded.parquet --model openai/gpt-6
    # nobody has graded it: its level comes from an accuracy
    router-model add-model my-router --model openai/gpt-6 \
      --accuracy 0.81 --accuracy-prompts 500
    """,
    sections={
        "The new model": "--model",
        "Output": "--out",
    },
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.argument("table", type=click.Path(path_type=Path), required=False)
@click.option("--model", required=True, help="Id of the new model, as in TABLE.")
@click.option("--catalog", type=click.Path(path_type=Path), help="Its price and capabilities (TOML) [looked up].")
@click.option("--accuracy", type=float, help="Share of prompts like yours, other than TABLE's, that it answers well.")
@click.option("--accuracy-prompts", type=int, help="On how many prompts that was measured [100].")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the new router [ARTIFACT is replaced].")
@click.option("--encoder", help="The encoder, if the router was trained with your own (hub id or folder).")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(
    artifact: Path,
    table: Path | None,
    *,
    model: str,
    catalog: Path | None,
    accuracy: float | None,
    accuracy_prompts: int | None,
    out: Path | None,
    encoder: str | None,
    as_json: bool,
) -> None:
    """Add a model to the router in ARTIFACT from its answers in TABLE.

    50 to 300 graded prompts are enough, if they are a fair sample of future
    ones; no booster is trained. An accuracy, or scores and siblings in the
    catalog, tell its level and count beside the grades. Without TABLE the
    model is announced: it is a candidate if they tell its level, and else
    listed as excluded (no_outcomes) and never chosen.
    Certificates and measured figures hold for the old set of models only, so
    they are dropped.
    """
    from router_model.errors import TrainingError
    from router_model.features import load_encoder
    from router_model.interrupts import after_saving
    from router_model.model_set import announce_model
    from router_model.router import Router
    from router_model.saved.artifact import save_artifact
    from router_model.training.files import file_sha256
    from router_model.training.new_model.add_model import STEPS, add_model, graded_prompts
    from router_model.training.table.outcomes import read_outcomes

    router = Router.load(artifact, encoder=None if encoder is None else load_encoder(encoder))
    if model in router.artifact.predictor.models:
        raise TrainingError(f"the router has {model} already; train again, or remove it first (remove-model)")
    # The table is read first, so that a mistyped file or id is reported before a missing price.
    outcomes = None if table is None else graded_prompts(router, read_outcomes(table), model)
    card = _with_accuracy(_card(router.artifact, model, catalog), accuracy, accuracy_prompts)
    if table is None or outcomes is None:
        announced = announce_model(router.artifact, card)
        level = _level(announced, router, model)
        content_hash = save_artifact(announced, out or artifact)
        with after_saving(out or artifact):
            _report({"announced": model, "level": level}, content_hash, as_json=as_json)
            if not as_json:
                click.echo(_announcement(model, level))
        return
    with working(STEPS[0]) as work:
        added = add_model(router, outcomes, card, table_sha256=file_sha256(table), advance=Steps(work, STEPS))
    content_hash = save_artifact(added.artifact, out or artifact)
    n_dropped = len(router.artifact.certificates)
    with after_saving(out or artifact):
        _report({**added.as_dict(), "n_certificates_dropped": n_dropped}, content_hash, as_json=as_json)
        if not as_json:
            _show(added, card, n_dropped)
            click.echo(f"Router saved to {out or artifact} ({content_hash[:19]}…)")


def _card(artifact: "Artifact", model: str, catalog: Path | None) -> "ModelCard":
    """Return the new model's card: from the file, else from its announcement, else looked up."""
    from router_model.catalog import Catalog
    from router_model.training.table.prices import complete_catalog, look_up

    cards = {} if catalog is None else dict(Catalog.load(catalog, look_up=look_up).cards)
    if model in artifact.catalog:
        cards.setdefault(model, artifact.catalog[model])
    return complete_catalog(Catalog(cards), [model])[model]


def _with_accuracy(card: "ModelCard", accuracy: float | None, n_prompts: int | None) -> "ModelCard":
    """Return the card with what the options say; they are checked like the catalog's keys."""
    from dataclasses import replace

    if accuracy is None:
        if n_prompts is not None:
            raise click.UsageError("--accuracy-prompts without --accuracy; give both, or none")
        return card
    if not 0 <= accuracy <= 1 or (n_prompts is not None and n_prompts < 1):
        said = f"--accuracy {accuracy:g}" + ("" if n_prompts is None else f" --accuracy-prompts {n_prompts}")
        raise click.UsageError(f"{said}; expected a share from 0 to 1, e.g. 0.81, and a number of prompts")
    return replace(card, accuracy=accuracy, accuracy_prompts=n_prompts)


def _level(announced: "Artifact", router: "Router", model: str) -> dict[str, float] | None:
    """Return the expected mean quality of an announced model and its 90 % interval; None if nothing tells it."""
    from router_model.router import Router

    found = Router.assemble(announced, router.encoder).announced
    if found is None or model not in found.levels:
        return None
    low, high = found.levels[model].interval
    return {"quality": found.levels[model].quality, "low": low, "high": high}


def _announcement(model: str, level: dict[str, float] | None) -> str:
    if level is None:
        return (
            f"Announced {model}: never chosen until something tells how well it answers: scores, a sibling or an "
            "accuracy in the catalog, --accuracy, or outcomes ('router-model add-model' TABLE)."
        )
    return (
        f"Announced {model}: nobody graded it; its mean quality is expected at {level['quality']:.3f}, with 90 % "
        f"between {level['low']:.3f} and {level['high']:.3f}. Decisions weigh the lower end."
    )


def _report(done: dict[str, Any], content_hash: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**done, "content_hash": content_hash}, ensure_ascii=False))


def _show(added: "Added", card: "ModelCard", n_dropped: int) -> None:
    """Print what was learned about the model."""
    click.echo(
        f"Added {added.model} from {added.n_prompts:,} graded prompts ({added.n_known:,} of them in the bank), at "
        f"${card.usd_per_mtok_input} in and ${card.usd_per_mtok_output} out per million tokens ({card.price_source})."
    )
    click.echo(
        f"It succeeded on {added.raw_record:.3f} of them; on all prompts of the bank it is expected to succeed on "
        f"{added.record:.3f} (standard error {added.standard_error:.3f})."
    )
    if added.n_left_out:
        click.echo(
            f"note: {added.n_left_out:,} more graded prompts, drawn at random, were left out; "
            "'router-model train' learns from all of them"
        )
    if added.auc is None:
        click.echo("Its AUC could not be measured: 20 graded prompts that the router was not trained on are needed.")
    else:
        click.echo(f"AUC {added.auc:.3f}, cross-validated on {added.n_unseen:,} prompts the router never saw.")
    if n_dropped:
        click.echo(f"note: {n_dropped} certificates dropped, made for the old models; run 'router-model certify'")
