"""The command ``router-model certify``: certify success rates, or mean quality, on prompts a router never saw."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.help_pages import Command
from router_model.progress import working
from router_model.terminal import plain_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    from rich.console import Console

    from router_model.certificate import Certificate
    from router_model.saved.artifact import Artifact
    from router_model.training.measuring.certify import Certification
    from router_model.training.table.outcomes import Outcomes


@click.command(
    "certify",
    cls=Command,
    examples="""
    router-model certify my-router unseen.parquet --target-success 0.9
    router-model route my-router "How long is the journey?" --target-success 0.9
    """,
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.argument("table", type=click.Path(path_type=Path))
@click.option(
    "--target-success",
    "targets",
    type=float,
    multiple=True,
    required=True,
    help="Success rate, or mean quality of graded answers, to certify; repeatable.",
)
@click.option("--delta", type=float, default=0.1, show_default=True, help="Largest chance of an error in any of them.")
@click.option(
    "--quality-bar",
    type=float,
    help="Certify how often answers have at least this quality [default: mean quality if the router learned from "
    "graded answers, else the router's bar].",
)
@click.option("--encoder", help="The encoder, if the router was trained with your own (hub id or folder).")
@click.option("--json", "as_json", is_flag=True, help="Print the certificates as JSON.")
def command(
    artifact: Path,
    table: Path,
    *,
    targets: tuple[float, ...],
    delta: float,
    quality_bar: float | None,
    encoder: str | None,
    as_json: bool,
) -> None:
    """Certify success rates of the router in ARTIFACT on the outcomes in TABLE.

    Of graded answers, between 0 and 1, mean quality is certified instead,
    unless a quality bar is given. If TABLE is the one it was trained on, the calibration prompts are used.
    Of another table, every prompt is used that the router was not trained on.
    A missing answer counts as a failure. Prompts of one conversation, or of
    the same text, count together. Several targets share DELTA: each is
    tested at DELTA divided by their number. The certificates replace those in
    ARTIFACT, which is saved again. Choose targets before you look at results:
    DELTA covers one run, not the best of several.
    """
    from dataclasses import replace

    from router_model.features import load_encoder
    from router_model.interrupts import after_saving
    from router_model.router import Router
    from router_model.saved.artifact import save_artifact
    from router_model.training.measuring.certify import certify, check_targets
    from router_model.training.table.outcomes import read_outcomes

    check_targets(targets, delta)
    with working("reading the router and the table") as work:
        router = Router.load(artifact, encoder=None if encoder is None else load_encoder(encoder))
        outcomes = read_outcomes(table)
        rows, source = calibration_rows(router.artifact, table, outcomes)
        work.step("testing the targets")
        found = certify(router, outcomes.take(rows), targets=targets, delta=delta, quality_bar=quality_bar)
    replaced = router.certificates
    content_hash = save_artifact(replace(router.artifact, certificates=found.certificates), artifact)
    with after_saving(artifact):
        if as_json:
            done = {**found.as_dict(), "source": source, "content_hash": content_hash}
            click.echo(json.dumps(done, ensure_ascii=False))
        else:
            _show(found, source, artifact, content_hash)
            _show_replaced(replaced)


def calibration_rows(artifact: "Artifact", table: Path, outcomes: "Outcomes") -> "tuple[npt.NDArray[np.intp], str]":
    """Return the prompts of a table that may be used to certify, and a description of them.

    The router's own training table is recognised by its hash. Only the calibration side of its split is used, because
    the test side has been measured already.
    """
    import hashlib

    import numpy as np

    from router_model.training.near_duplicates.groups import join_near_duplicates
    from router_model.training.table.split import split_prompts

    with table.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    trained_on, config = artifact.provenance.get("table", {}), artifact.provenance.get("config", {})
    if digest != trained_on.get("sha256") or not isinstance(config.get("seed"), int):
        return np.arange(len(outcomes)), "all prompts of the table the router was not trained on"
    if artifact.provenance.get("split", {}).get("near_duplicates_together"):  # older routers split without them
        outcomes = join_near_duplicates(outcomes)
    split = split_prompts(outcomes.split_keys, seed=config["seed"])
    return split.calibration, f"the calibration prompts of its training table (seed {config['seed']})"


def _show_replaced(certificates: "Sequence[Certificate]") -> None:
    """Print the certificates that this run replaced, so that nobody misses the loss of one."""
    proven = [
        one.promise + ("" if one.quality_bar is None else f" (bar {one.quality_bar:g})")
        for one in certificates
        if one.certified
    ]
    if proven:
        click.echo(f"Replaced what was certified before: {', '.join(proven)}.")


def _show(found: "Certification", source: str, artifact: Path, content_hash: str) -> None:
    from rich.markup import escape

    console = plain_console()
    notes = [
        (found.n_seen, "left out because the router was trained on them, or on near duplicates"),
        (found.n_ungraded, "left out because none of their answers is graded"),
    ]
    said = "".join(f"; {n:,} {text}" for n, text in notes if n)
    console.print(f"[bold]Tested[/] on {found.n_prompts:,} prompts: {source}{said}.")
    show_certificates(found.certificates, console)
    first = found.certificates[0]
    success = "" if first.quality_bar is None else f"Success: quality >= {first.quality_bar:g}. "
    console.print(
        f"{success}All of this holds together with probability {1 - first.delta:g} "
        f"or more; each target was tested at {first.delta / first.n_targets:.3g}. {first.assumptions}",
        style="dim",
    )
    console.print(f"Saved in [bold]{escape(str(artifact))}[/] ({content_hash[:19]}…)")


def show_certificates(certificates: "Sequence[Certificate]", console: "Console") -> None:
    """Print certificates, one per line."""
    from rich.markup import escape

    for certificate in certificates:
        style = "green" if certificate.certified else "yellow"
        console.print(f"[{style}]{escape(certificate.in_words())}[/]")
