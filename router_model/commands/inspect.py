"""The command ``router-model inspect``: verify a saved router and show what it contains."""

import json
import math
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router_model.help_pages import Command
from router_model.terminal import figures_table, plain_console, print_table
from router_model.wording import percent

if TYPE_CHECKING:
    from datetime import date

    from router_model.announced.level import Level
    from router_model.saved.artifact import Artifact

_CARRIED_OVER = (
    "* graded prompts it was added from; for the other logged prompts its outcomes are estimated from those of the\n"
    "  models that answered them, and its record is the mean over all of them"
)


@click.command(
    "inspect",
    cls=Command,
    examples="""
    router-model inspect my-router
    """,
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(artifact: Path, *, as_json: bool) -> None:
    """Verify the router in ARTIFACT and show its contents."""
    from router_model.saved.artifact import load_artifact

    description = describe(load_artifact(artifact))
    if as_json:
        click.echo(json.dumps(description, ensure_ascii=False))
    else:
        _show(description)


def describe(artifact: "Artifact") -> dict[str, Any]:
    """Return the facts about an artifact that people ask for, as plain JSON types."""
    from router_model.candidates import read_announced
    from router_model.model_set import graded_prompts_of_added

    predictor = artifact.predictor
    bank = predictor.evidence_model.bank
    added = graded_prompts_of_added(artifact)
    found = read_announced(artifact, artifact.catalog)
    announced = {} if found is None else {model: _level(level) for model, level in found.levels.items()}
    members = zip(predictor.blend.members, predictor.blend.weights, strict=True)
    return {
        "content_hash": artifact.content_hash,
        "encoder": {"name": artifact.encoder_name, "content_hash": artifact.encoder_hash},
        "models": [
            {
                "model": model,
                "n_outcomes": added.get(model, int((bank.weight[:, column, 0] > 0).sum())),
                "carried_over": model in added,
                "record": round(float(bank.base[column, 0]), 4),
                "usd_per_mtok_input": float(artifact.catalog[model].usd_per_mtok_input),
                "usd_per_mtok_output": float(artifact.catalog[model].usd_per_mtok_output),
                "context_window": artifact.catalog[model].context_window,
                "price_source": artifact.catalog[model].price_source,
                "price_date": _day(artifact.catalog[model].price_date),
            }
            for column, model in enumerate(predictor.models)
            if model not in artifact.anchors
        ],
        "announced": announced,
        "anchors": list(artifact.anchors),
        "starter": artifact.provenance.get("starter"),
        "without_outcomes": [
            model for model in artifact.catalog if model not in predictor.models and model not in announced
        ],
        "quality_bars": [round(float(bar), 6) for bar in predictor.grid.bars],
        "quality_range": [predictor.grid.low, predictor.grid.high],
        "trust_floor": predictor.calibration.trust_floor,
        "longest_prompt_chars": _chars(predictor.calibration.longest_log_chars),
        "uncertainty": asdict(predictor.uncertainty),
        "safe_model": artifact.safe_model,
        "operating_point": asdict(artifact.operating_point),
        "certificates": [certificate.as_dict() for certificate in artifact.certificates],
        "n_bank_prompts": len(bank.outcome),
        "keeps_prompt_texts": artifact.bank_prompts is not None and artifact.bank_prompts.texts is not None,
        "n_trees": [booster.num_trees() for booster in predictor.boosters],
        "trust": {member: round(float(weight), 4) for member, weight in members},
        "provenance": dict(artifact.provenance),
        "versions": dict(artifact.versions),
        "metrics": dict(artifact.metrics),
    }


def _level(level: "Level") -> dict[str, float]:
    low, high = level.interval
    return {"quality": round(level.quality, 4), "low": round(low, 4), "high": round(high, 4)}


def _chars(log_chars: float | None) -> int | None:
    """Return how many characters a prompt has, from ``log(1 + characters)``."""
    return None if log_chars is None else round(math.expm1(log_chars))


def _day(day: "date | None") -> str | None:
    return None if day is None else day.isoformat()


def _show(description: dict[str, Any]) -> None:
    from rich.markup import escape

    console = plain_console()
    no_window = all(row["context_window"] is None for row in description["models"])
    table = figures_table("model", "outcomes", "record", "$/Mtok in", "out", *([] if no_window else ["window"]))
    table.add_column("price from")
    for row in sorted(description["models"], key=lambda row: -row["record"]):
        table.add_row(
            escape(row["model"]),
            f"{row['n_outcomes']}{' *' if row['carried_over'] else ''}",
            f"{row['record']:.3f}",
            f"{row['usd_per_mtok_input']:g}",
            f"{row['usd_per_mtok_output']:g}",
            *([] if no_window else [_window(row["context_window"])]),
            escape(row["price_source"].partition(" (")[0]),
        )
    if description["models"]:
        print_table(console, table)
    if any(row["carried_over"] for row in description["models"]):
        console.print(_CARRIED_OVER, style="dim", soft_wrap=True)
    point = description["operating_point"]
    trained = description["provenance"].get("split", {})
    texts = ", with their texts" if description["keeps_prompt_texts"] else ""
    facts = {
        "content": description["content_hash"],
        "encoder": description["encoder"]["name"],
        "trained on": "public tables, without these models"
        if description["starter"]
        else f"{trained.get('train', '?')} prompts ({description['n_bank_prompts']} kept as evidence{texts})",
        "quality bars": _bars(description),
        "default rule": description["starter"]["why"] if description["starter"] else _default_rule(point),
        "unlike prompts": f"below a trust of {description['trust_floor']:.2g}: "
        + (description["safe_model"] or "overall records decide"),
        "longest prompt": "not known; train again, so that the trust falls for longer ones"
        if description["longest_prompt_chars"] is None
        else f"{description['longest_prompt_chars']:,} characters; the trust falls for longer ones",
        "rests on": ", ".join(f"{name} {percent(share)}" for name, share in description["trust"].items() if share > 0),
        "versions": ", ".join(f"{name} {text}" for name, text in description["versions"].items()),
    }
    if no_window and description["models"]:
        facts["windows"] = (
            "unknown of all these models, so none is left out for a prompt that is too long for it; write "
            "'context_window' into a catalog ('--catalog' of 'train', 'route' and 'serve')"
        )
    if description["announced"]:
        levels = (f"{model} {one['low']:.2f} to {one['high']:.2f}" for model, one in description["announced"].items())
        facts["announced"] = f"{', '.join(levels)} (mean quality, nobody graded them)"
    if description["without_outcomes"]:
        facts["no outcomes"] = f"{', '.join(description['without_outcomes'])} (never chosen; see 'add-model')"
    facts |= {f"certificate {n}": text for n, text in enumerate(_certificates(description), start=1)}
    for name, value in facts.items():
        first, *others = textwrap.wrap(value, console.width - 16, break_long_words=False, break_on_hyphens=False)
        lines = [f"[dim]{name:>14}[/]  {escape(first)}", *(f"{'':16}{escape(line)}" for line in others)]
        console.print("\n".join(lines), soft_wrap=True)


def _window(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"


def _default_rule(point: dict[str, Any]) -> str:
    if point["always_model"] is not None:
        return f"always {point['always_model']}; no other rule was shown to be as good"
    value, bar = point["quality_value_usd"], point["quality_bar"]
    return f"expected quality x ${value:g} - expected cost; an answer succeeds at quality {bar:g}"


def _certificates(description: dict[str, Any]) -> list[str]:
    """Return one line for each certified target, which says what is promised."""
    return [_certificate(certificate) for certificate in description["certificates"]]


def _certificate(c: dict[str, Any]) -> str:
    promise, priced = f"success >= {c['target_success']:g} at bar {c['quality_bar']}", "a success"
    if c["measure"] == "quality":
        promise, priced = f"mean quality >= {c['target_success']:g}", "quality 1"
    found = f"{priced} is worth ${c['success_value_usd']:g}" if c["certified"] else f"not certified: {c['reason']}"
    return f"{promise}, delta {c['delta']:g}, on {c['n_prompts']:,} prompts: {found}"


def _bars(description: dict[str, Any]) -> str:
    """Say which quality bars a request may use."""
    learned = ", ".join(f"{bar:.3g}" for bar in description["quality_bars"])
    return f"any up to {description['quality_range'][1]:g} (learned at {learned})"
