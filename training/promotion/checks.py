"""The checks of the gate, one function each."""

import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np

from router_model.certificate import Certificate
from router_model.goal import TargetSuccess
from router_model.prediction.bars import succeeds
from router_model.router import Router
from router_model.saved.artifact import load_artifact, read_manifest
from router_model.training.config import stored_config
from router_model.training.files import file_sha256
from router_model.training.measuring.evaluate import eligible_models
from router_model.training.measuring.moves import main_move_in_words
from router_model.training.measuring.verdict import MIN_INDEPENDENT, Estimate, Finding
from router_model.training.metrics import excess_calibration_error, interval
from router_model.training.promotion.check import Check, Limits, Status
from router_model.training.promotion.evidence import Evidence, HeldOut
from router_model.wording import number, percent

N_DIGITS: Final = 12
"""Digits of a content hash that are shown."""

_CONTRADICTS: Final = (Finding.WORSE, Finding.CHEAPER_WORSE, Finding.BETTER_DEARER)
_NAMED = 3  # models that are named before "and N more"


def gain(evidence: Evidence | None, limits: Limits, *, champion: Path | None, why_not: str) -> Check:
    """Pass if quality is not lower at a lower cost, or higher at a cost that is not higher."""
    name = "gain"
    if champion is None:
        return Check(name, Status.PASSED, "no champion yet: this is the first router of the place")
    if evidence is None:
        said = why_not or (
            "nothing compares the challenger with the champion; give --table with newer outcomes, or --log of a "
            "service that explores"
        )
        return Check(name, Status.FAILED, said)
    verdict = evidence.verdict(limits.max_quality_loss)
    status = Status.PASSED if verdict.finding is Finding.BETTER else Status.FAILED
    said = f"{verdict.sentence} ({evidence.in_words})"
    figures = {**verdict.as_dict(), **evidence.difference.as_dict(), "max_quality_loss": limits.max_quality_loss}
    return Check(name, status, said, figures)


def log_beside(evidence: Evidence | None, limits: Limits, why_not: str) -> Check:
    """Fail if the log shows that the challenger is worse or dearer, whatever the table shows."""
    name = "log"
    if evidence is None:
        return Check(name, Status.UNKNOWN, why_not)
    verdict = evidence.verdict(limits.max_quality_loss)
    status = Status.FAILED if verdict.finding in _CONTRADICTS else Status.PASSED
    if verdict.finding is Finding.UNCLEAR:
        status = Status.UNKNOWN
    said = f"{verdict.sentence} ({evidence.in_words})"
    return Check(name, status, said, {**verdict.as_dict(), **evidence.difference.as_dict()})


def leak_audit(challenger: Router, evidence: Evidence | None, held_out: HeldOut | None) -> Check:
    """Pass if all training prompts can be recognised in the table, so that none of them counts."""
    name, known = "leak audit", challenger.artifact
    if not len(known.seen_prompts) or known.sketches is None:
        said = (
            "the challenger does not tell its training prompts and their near duplicates, so they cannot be left out; "
            "train it with this release"
        )
        return Check(name, Status.FAILED, said)
    if held_out is None:
        return Check(name, Status.UNKNOWN, "no table and no log")
    counted = held_out if evidence is None else evidence
    n = len(held_out.outcomes) if evidence is None else evidence.difference.n_prompts
    if not n:
        return Check(name, Status.UNKNOWN, f"no prompt is left: it was trained on {counted.n_left_out:,} of them")
    either = "the challenger" if evidence is None else "either"
    left_out = f"{counted.n_left_out:,} that are were left out"
    said = f"none of {n:,} prompts is a training prompt of {either}, or nearly; {left_out}"
    figures = {"n_prompts": n, "n_left_out": counted.n_left_out}
    return Check(name, Status.PASSED, said, figures)


def calibration(challenger: Router, held_out: HeldOut | None, limits: Limits) -> Check:
    """Compare predicted with realised success over all models, by bins of equal mass."""
    name = "calibration"
    if held_out is None:
        return Check(name, Status.UNKNOWN, "no table and no log")
    if len(held_out.outcomes) < MIN_INDEPENDENT:
        return Check(name, Status.UNKNOWN, f"{len(held_out.outcomes)} prompts; {MIN_INDEPENDENT} are needed")
    bar = challenger.artifact.operating_point.quality_bar
    p_success = challenger.graded_only().predict_features(held_out.features, bar).p_success
    quality = held_out.outcomes.quality
    success = np.where(np.isnan(quality), np.nan, succeeds(quality, bar))
    error = excess_calibration_error(p_success, success)
    n = int((~np.isnan(success)).sum())
    status = Status.PASSED if error <= limits.max_calibration_error else Status.FAILED
    said = (
        f"P(success) is off by {max(error, 0):.3f} beyond chance on {n:,} {'logged ' * held_out.is_log}answers; limit "
        f"{limits.max_calibration_error:g}"
    )
    figures = {"excess_calibration_error": error, "n_answers": n, "limit": limits.max_calibration_error}
    return Check(name, status, said, figures)


def certificates(challenger: Router, held_out: HeldOut | None) -> Check:
    """Fail if a promised rate is shown not to hold: its whole interval on the table lies below the promise."""
    name, promised = "certificates", [one for one in challenger.certificates if one.certified]
    if not promised:
        return Check(name, Status.PASSED, "none, so nothing is promised")
    rates = ", ".join(one.promise for one in promised)
    if held_out is None or held_out.is_log or len(held_out.outcomes) < MIN_INDEPENDENT:
        said = f"{rates}: the counts agree; not tested on a table of newer prompts"
        return Check(name, Status.UNKNOWN, said)
    found = [_kept(challenger, one, held_out) for one in promised]
    broken = [one for one, rate in zip(promised, found, strict=True) if rate.high < one.target_success]
    shown = ", ".join(
        f"{one.promise}: {number(rate.value, rate.half_width, digits=3)}"
        for one, rate in zip(promised, found, strict=True)
    )
    figures = {
        "promised": [
            {"measure": one.measure, "target": one.target_success, "realised": rate.as_dict()}
            for one, rate in zip(promised, found, strict=True)
        ]
    }
    remedy = "; certify again on newer prompts" if broken else ""
    return Check(name, Status.FAILED if broken else Status.PASSED, f"{shown}{remedy}", figures)


def _kept(challenger: Router, certificate: Certificate, held_out: HeldOut) -> Estimate:
    """Return the promised rate by a certificate's rule, where the outcome of the chosen model is known."""
    goal = TargetSuccess(certificate.target_success, certificate.quality_bar)
    challenger = challenger.graded_only()
    table = challenger.predict_features(held_out.features, challenger.quality_bar(goal))
    eligible = eligible_models(challenger, held_out.outcomes, held_out.features, table)
    chosen = challenger.rank(challenger.rule(goal), table, eligible)[:, 0]
    quality = held_out.outcomes.quality[np.arange(len(chosen)), chosen]
    rows = np.flatnonzero(~np.isnan(quality))
    if not len(rows):
        return Estimate(np.nan, np.nan, np.nan)
    bar, found = certificate.quality_bar, quality[rows]
    reached = found if bar is None else succeeds(found, bar).astype(np.float64)
    return Estimate(float(reached.mean()), *interval(held_out.drawn(rows).means(reached)[0]))


def flips(evidence: Evidence | None) -> Check:
    """Report the share of prompts whose decision moves; a person judges it."""
    name = "flips"
    if evidence is None:
        return Check(name, Status.UNKNOWN, "nothing to compare with")
    said = f"{percent(evidence.moved)} of the prompts go to another model{main_move_in_words(evidence.main_move)}"
    return Check(name, Status.PASSED, said, {"moved": evidence.moved, "main_move": evidence.main_move})


def reproducible(challenger: Router, folder: Path, train_again_on: str | Path | None) -> Check:
    """Pass if the router states what it takes to train it again; with its table, train it and compare the hashes.

    Its own hashes held when it was loaded.
    """
    name, known = "reproducible", challenger.artifact
    data = known.provenance.get("table", {}).get("sha256")
    config = known.provenance.get("config", {})
    figures = {
        "content_hash": known.content_hash, "table_sha256": data, "seed": config.get("seed"),
        "versions": dict(known.versions), "trained_again": None,
    }  # fmt: skip
    stated = {"the hash of its table": data, "its settings and seed": "seed" in config, "versions": known.versions}
    missing = [what for what, value in stated.items() if not value]
    if missing:
        said = f"the router does not name {' and '.join(missing)}; train it from a file, with this release"
        return Check(name, Status.FAILED, said, figures)
    if train_again_on is not None:
        return _trained_again(folder, Path(train_again_on), figures)
    changes = len(known.provenance.get("changes", ()))
    since = f", and {changes} changed since" if changes else ""
    said = f"table sha256:{data[:N_DIGITS]}, settings, seed {config['seed']} and versions are named{since}"
    return Check(name, Status.PASSED, f"{said}; every hash holds ({known.content_hash[:19]})", figures)


def _trained_again(folder: Path, table: Path, figures: dict[str, Any]) -> Check:
    """Train on the table with the stored settings and catalog, and compare the content hashes."""
    from router_model.training.train import installed_versions, train  # noqa: PLC0415  (LightGBM loads only if it is needed)

    name, known = "reproducible", load_artifact(folder)  # its own catalog, not the service's
    found = file_sha256(table)
    if found != figures["table_sha256"]:
        said = f"{table.name} is sha256:{found[:N_DIGITS]}, and the router learned from "
        return Check(name, Status.FAILED, f"{said}sha256:{figures['table_sha256'][:N_DIGITS]}", figures)
    if known.provenance.get("changes"):
        said = "the router was changed since its training (certify, add-model or remove-model); training is not enough"
        return Check(name, Status.FAILED, said, figures)
    config = stored_config(known.provenance["config"], where=str(folder))
    with tempfile.TemporaryDirectory(prefix="router-again-") as beside:
        train(table, Path(beside) / "router", catalog=known.catalog, config=config)
        again = str(read_manifest(Path(beside) / "router")["content_hash"])
    figures = {**figures, "trained_again": again}
    if again == known.content_hash:
        return Check(name, Status.PASSED, f"trained again from {table.name}: the same {again[:19]}", figures)
    here = installed_versions()
    other = [
        f"{which} {was} (here {here.get(which)})" for which, was in known.versions.items() if was != here.get(which)
    ]
    why = f"; it was trained with {', '.join(other)}" if other else ""
    said = f"trained again from {table.name}: {again[:19]}, not {known.content_hash[:19]}{why}"
    return Check(name, Status.FAILED, said, figures)


def prices(challenger: Router, limits: Limits, today: date) -> Check:
    """Fail if a price is older than allowed; a price without a date is only named."""
    dated = {
        model: (today - checked).days
        for model in challenger.models
        if (checked := challenger.catalog[model].price_date) is not None
    }
    undated = [model for model in challenger.models if model not in dated]
    wrong = [model for model, days in dated.items() if not 0 <= days <= limits.max_price_age_days]
    figures = {"age_days": dated, "undated": undated, "limit_days": limits.max_price_age_days}
    if wrong:
        ages = _some([f"{model} {dated[model]} days" for model in wrong])
        said = (
            f"{ages}; limit {limits.max_price_age_days}. Check the prices, and set their price_date in a catalog "
            "(docs/catalog.md)"
        )
        return Check("prices", Status.FAILED, said, figures)
    oldest = f"the others are up to {max(dated.values())} days old" if dated else "no price has a date"
    if undated:
        return Check("prices", Status.UNKNOWN, f"no price_date for {_some(undated)}; {oldest}", figures)
    oldest = f"the oldest was checked {max(dated.values())} days ago; limit {limits.max_price_age_days}"
    return Check("prices", Status.PASSED, oldest, figures)


def _some(said: Sequence[str]) -> str:
    """Name the first few.

    >>> _some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = len(said) - _NAMED
    return ", ".join(said[:_NAMED]) + (f" and {more} more" if more > 0 else "")
