"""The gate before a router is published: show that the challenger is better than the champion, and is sound.

The *champion* is the router that a place (`router_model.saved.place`) serves now; the *challenger* is to replace it.
`promote` examines the challenger, and publishes it if no check failed. A check that cannot be made, such as the age of
a price without a date, is `UNKNOWN`: it is said and does not refuse. Only the gain must be shown.

The gain is read from an `Evidence`, the paired difference of the two routers with its intervals:

- A table in which every model answered every prompt gives one (`Evidence.of_table`).
- The log of a service that explores gives one by off-policy evaluation (`Evidence.of_log`).
- With both, the table decides about the gain, and the log must not contradict it.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np

from router_model.catalog import Catalog
from router_model.certificate import Certificate
from router_model.errors import ArtifactError, RequestError, SupportError, TableError
from router_model.features import Encoder
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.goal import TargetSuccess
from router_model.prediction.bars import succeeds
from router_model.router import Router
from router_model.saved.artifact import hash_of, load_artifact, read_manifest
from router_model.saved.place import Place
from router_model.training.config import stored_config
from router_model.training.files import file_sha256
from router_model.training.measuring.compare import compare
from router_model.training.measuring.evaluate import eligible_models, learned_from
from router_model.training.measuring.moves import main_move_in_words
from router_model.training.measuring.paired import Resampling, independent_groups
from router_model.training.measuring.verdict import (
    MARGIN,
    MIN_INDEPENDENT,
    Difference,
    Estimate,
    Finding,
    Verdict,
    comparison_verdict,
)
from router_model.training.metrics import excess_calibration_error, interval
from router_model.training.offpolicy.evaluate_on_log import SEEN, LogEvaluation, evaluate_on_log
from router_model.training.offpolicy.logged import LoggedDecisions, read_logged
from router_model.training.table.outcomes import Outcomes, read_outcomes

MAX_CALIBRATION_ERROR: Final = 0.05
MAX_PRICE_AGE_DAYS: Final = 90
_N_DIGITS = 12
_CONTRADICTS: Final = (Finding.WORSE, Finding.CHEAPER_WORSE, Finding.BETTER_DEARER)
_NAMED = 3  # models that are named before "and N more"


class Status(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the gate.

    Attributes
    ----------
    name : str
    status : Status
    said : what was found, in words
    figures : the same as numbers
    """

    name: str
    status: Status
    said: str
    figures: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self) | {"status": self.status.value}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gate allows.

    Attributes
    ----------
    max_quality_loss : the loss of mean quality that does not matter, if cost falls
    max_calibration_error : of predicted success, above what chance alone would show
    max_price_age_days : int
    """

    max_quality_loss: float = MARGIN
    max_calibration_error: float = MAX_CALIBRATION_ERROR
    max_price_age_days: int = MAX_PRICE_AGE_DAYS


@dataclass(frozen=True, slots=True)
class Evidence:
    """The paired difference of challenger minus champion on prompts that neither was trained on.

    Attributes
    ----------
    source : what it was measured on
    difference : Difference
        In quality and cost.
    moved : share of the prompts whose model changes
    main_move : (from, to, share) of the most frequent change; None if nothing changes
    n_left_out : prompts of the source that either was trained on, or on near duplicates of
    log : the evaluation, if the source is a log: it knows whether its explored answers are enough to tell
    """

    source: str
    difference: Difference
    moved: float
    main_move: tuple[str, str, float] | None
    n_left_out: int
    log: LogEvaluation | None = None

    @classmethod
    def of_table(cls, champion: Router, challenger: Router, outcomes: Outcomes, *, source: str) -> "Evidence":
        """Compare the two on a table of outcomes of all models of both.

        Raises
        ------
        TableError
            If a model is missing or no prompt is left to count.
        """
        found = compare(champion, challenger, outcomes)
        return cls(
            source=source,
            difference=found.difference,
            moved=found.share_different,
            main_move=found.main_move,
            n_left_out=found.n_left_out,
        )

    @classmethod
    def of_log(
        cls, champion: Router, challenger: Router, decisions: LoggedDecisions, *, source: str, margin: float
    ) -> "Evidence":
        """Estimate the difference from the log of a policy that explored, on prompts that neither was trained on.

        Raises
        ------
        SupportError
            If the log could not have made a choice of one of them.
        TableError
            If no decision is left, or no answer is graded or has a cost.
        """
        found = evaluate_on_log(challenger, decisions, against=champion, margin=margin)
        return cls(
            source=source,
            difference=found.difference,
            moved=found.overlap.share_different,
            main_move=found.main_move,
            n_left_out=found.left_out.get(SEEN, 0),
            log=found,
        )

    def verdict(self, margin: float) -> Verdict:
        """Return what the difference shows; a log with few explored answers cannot tell, whatever its interval."""
        if self.log is not None:
            return self.log.verdict
        return comparison_verdict(self.difference, margin=margin, first="the champion", second="the challenger")

    @property
    def in_words(self) -> str:
        """What it was measured on."""
        return f"{self.difference.n_prompts:,} {'prompts' if self.log is None else 'decisions'} of {self.source}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            **{name: getattr(self, name) for name in ("source", "moved", "main_move", "n_left_out")},
            "difference": self.difference.as_dict(),
            "log": None if self.log is None else self.log.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Promotion:
    """What came of a promotion.

    Attributes
    ----------
    place : Path
    challenger : first digits of the content hash
    champion : name of the router that was served before; None if there was none
    checks : none if the challenger is what is served already
    promoted : whether the place serves the challenger now
    forced : whether it does although a check failed
    evidence : what the gain was read from, or None
    beside : what a log shows where a table decides, or None
    """

    place: Path
    challenger: str
    champion: str | None
    checks: tuple[Check, ...]
    promoted: bool
    forced: bool = False
    evidence: Evidence | None = None
    beside: Evidence | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.status is Status.FAILED)

    @property
    def sentence(self) -> str:
        """What came of it, in a sentence."""
        if not self.checks:
            return f"{self.place} serves {self.challenger} already; nothing was changed"
        if not self.promoted and not self.failed:
            return f"{self.challenger} passes every check, and {self.place} serves {self.champion} still"
        if not self.promoted:
            more = len(self.failed) - 1
            others = f" ({more} more {'check' if more == 1 else 'checks'} failed)" if more else ""
            return f"{self.challenger} is not promoted, because of {self.failed[0].name}: {self.failed[0].said}{others}"
        instead = "" if self.champion is None else f" in place of {self.champion}"
        names = ", ".join(check.name for check in self.failed)
        overridden = f", forced against {names}" if self.forced else ""
        return f"{self.place} serves {self.challenger}{instead}{overridden}"

    def publish(self, artifact: Path) -> "Promotion":
        """Let the place serve the challenger; checks that failed are overridden, and the history names them.

        Raises
        ------
        ArtifactError
            If the place cannot be written, or serves another router than the one compared with.
        """
        failed = [check.name for check in self.failed]
        entry = {"forced": bool(failed), "overridden": failed, "checks": [check.as_dict() for check in self.checks]}
        before = None if self.champion is None else self.place / self.champion
        Place(self.place).publish(artifact, entry, instead_of=before)
        return replace(self, promoted=True, forced=bool(failed))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "place": str(self.place),
            "challenger": self.challenger,
            "champion": self.champion,
            "promoted": self.promoted,
            "forced": self.forced,
            "sentence": self.sentence,
            "checks": [check.as_dict() for check in self.checks],
            "evidence": None if self.evidence is None else self.evidence.as_dict(),
            "beside": None if self.beside is None else self.beside.as_dict(),
        }


def promote(
    artifact: str | Path,
    place: str | Path,
    *,
    table: str | Path | None = None,
    log: str | Path | None = None,
    log_name: str = "the log",
    train_again_on: str | Path | None = None,
    limits: Limits | None = None,
    force: bool = False,
    publish: bool = True,
    catalog: str | Path | Catalog | None = None,
    encoder: Encoder | None = None,
    today: date | None = None,
) -> Promotion:
    """Examine a challenger and, if no check fails, publish it.

    Parameters
    ----------
    artifact : folder of the challenger
    place : folder of published routers; made if it does not exist
    table : outcomes of prompts on which to compare the challenger with the champion
    log : a table of ``router-model log export``, of a service that explored
        Without `table`, the gain is read from it. With both, the table decides, and the log must not contradict it.
    log_name : what the sentences call the log
    train_again_on : the table that the challenger learned from: train again, and compare the hashes
    limits : Limits
    force : bool
        Publish even if checks fail; the history names them.
    publish : bool
        False examines the challenger and changes nothing; `Promotion.publish` publishes it later.
    catalog : prices that the service uses instead of the routers' own
    encoder : of both routers, if they were trained with one of your own
    today : the day to count the age of prices to; default: now, in UTC

    Raises
    ------
    ArtifactError
        If the challenger is damaged or the place cannot be written.
    TableError
        If the table lacks a model, or has no prompt that is left to count; or if the log cannot be read.
    """
    limits = limits or Limits()
    _check_limits(limits)
    target, folder = Place(Path(place)), Path(artifact)
    challenger = Router.load(folder, catalog=catalog, encoder=encoder)
    name = _short(challenger)
    before = target.current
    outcomes = None if table is None else read_outcomes(table)
    decisions = None if log is None else read_logged(Path(log))
    champion, why_not = _champion(before, catalog, encoder)
    if champion is not None and champion.artifact.content_hash == challenger.artifact.content_hash:
        return Promotion(target.folder, name, name, (), promoted=True)
    evidence = of_log = None
    if champion is not None and outcomes is not None:
        evidence = Evidence.of_table(champion, challenger, outcomes, source=Path(table or "").name)
    if champion is not None and decisions is not None:
        of_log, why_not = _of_log(champion, challenger, decisions, limits, source=log_name)
    deciding = of_log if outcomes is None else evidence
    held_out = _held_out(challenger, champion, outcomes, decisions)
    checks = [
        _gain(deciding, limits, champion=before, why_not=why_not),
        _leak_audit(challenger, deciding, held_out),
        _calibration(challenger, held_out, limits),
        _certificates(challenger, held_out),
        _flips(deciding),
        _reproducible(challenger, folder, train_again_on),
        _prices(challenger, limits, today or datetime.now(UTC).date()),
    ]
    if evidence is not None and decisions is not None:
        checks.insert(1, _log_beside(of_log, limits, why_not))
    found = Promotion(
        place=target.folder,
        challenger=name,
        champion=None if before is None else before.name,
        checks=tuple(checks),
        promoted=False,
        evidence=deciding,
        beside=None if outcomes is None else of_log,
    )
    return found.publish(folder) if publish and (force or not found.failed) else found


def _check_limits(limits: Limits) -> None:
    for name, most in (("max_quality_loss", 1.0), ("max_calibration_error", 1.0), ("max_price_age_days", np.inf)):
        value = getattr(limits, name)
        if not 0 <= value <= most:
            raise RequestError(f"{name}={value!r}; expected a number from 0 to {most:g}")


def _champion(
    folder: Path | None, catalog: str | Path | Catalog | None, encoder: Encoder | None
) -> tuple[Router | None, str]:
    """Load the champion; without one, or if it cannot be read, return the reason beside None."""
    if folder is None:
        return None, ""
    try:
        return Router.load(folder, catalog=catalog, encoder=encoder), ""
    except ArtifactError as exc:
        return None, f"the champion cannot be compared with ({exc})"


def _of_log(
    champion: Router, challenger: Router, decisions: LoggedDecisions, limits: Limits, *, source: str
) -> tuple[Evidence | None, str]:
    """Return the evidence of a log; of one that cannot tell, the reason beside None."""
    try:
        margin = limits.max_quality_loss
        return Evidence.of_log(champion, challenger, decisions, source=source, margin=margin), ""
    except (SupportError, TableError) as exc:
        return None, f"{source} cannot tell: {exc}"


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """Prompts with outcomes, on which the challenger was not trained, nor on near duplicates of them.

    `is_log` says that each has the outcome of one model alone, which a policy chose.
    """

    outcomes: Outcomes
    features: PromptFeatures
    n_left_out: int
    is_log: bool

    @classmethod
    def of(cls, challenger: Router, outcomes: Outcomes, *, champion: Router | None, is_log: bool) -> "_HeldOut":
        """Leave out what the challenger was trained on, and the champion, if it is given."""
        challenger = challenger.graded_only()
        if is_log:
            outcomes = outcomes.with_models([model for model in challenger.models if model not in outcomes.models])
        own = outcomes.select_models(challenger.models)
        seen = learned_from(challenger, own.prompts)
        if champion is not None:
            seen |= learned_from(champion, own.prompts)
        kept = own.take(np.flatnonzero(~seen & ~np.isnan(own.quality).all(axis=1)))
        return cls(kept, featurise(kept.prompts, challenger.encoder), int(seen.sum()), is_log)

    def drawn(self, rows: np.ndarray[Any, np.dtype[np.intp]]) -> Resampling:
        """Resample some of the prompts by conversation and text."""
        of = self.outcomes.take(rows)
        texts = [hash_of(prompt) for prompt in of.prompts]
        return Resampling.of(independent_groups(of.split_keys, texts))


def _held_out(
    challenger: Router, champion: Router | None, outcomes: Outcomes | None, decisions: LoggedDecisions | None
) -> _HeldOut | None:
    """Return the prompts of the table, or else those of the log that neither router was trained on."""
    if outcomes is not None:
        return _HeldOut.of(challenger, outcomes, champion=None, is_log=False)
    if decisions is not None:
        return _HeldOut.of(challenger, decisions.outcomes, champion=champion, is_log=True)
    return None


def _gain(evidence: Evidence | None, limits: Limits, *, champion: Path | None, why_not: str) -> Check:
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


def _log_beside(evidence: Evidence | None, limits: Limits, why_not: str) -> Check:
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


def _leak_audit(challenger: Router, evidence: Evidence | None, held_out: _HeldOut | None) -> Check:
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


def _calibration(challenger: Router, held_out: _HeldOut | None, limits: Limits) -> Check:
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


def _certificates(challenger: Router, held_out: _HeldOut | None) -> Check:
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
        f"{one.promise}: {rate.value:.3f} ± {rate.half_width:.3f}" for one, rate in zip(promised, found, strict=True)
    )
    figures = {
        "promised": [
            {"measure": one.measure, "target": one.target_success, "realised": rate.as_dict()}
            for one, rate in zip(promised, found, strict=True)
        ]
    }
    remedy = "; certify again on newer prompts" if broken else ""
    return Check(name, Status.FAILED if broken else Status.PASSED, f"{shown}{remedy}", figures)


def _kept(challenger: Router, certificate: Certificate, held_out: _HeldOut) -> Estimate:
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
    return Estimate(float(reached.mean()), *interval(held_out.drawn(rows).mean(reached)))


def _flips(evidence: Evidence | None) -> Check:
    """Report the share of prompts whose decision moves; a person judges it."""
    name = "flips"
    if evidence is None:
        return Check(name, Status.UNKNOWN, "nothing to compare with")
    said = f"{evidence.moved:.1%} of the prompts go to another model{main_move_in_words(evidence.main_move)}"
    return Check(name, Status.PASSED, said, {"moved": evidence.moved, "main_move": evidence.main_move})


def _reproducible(challenger: Router, folder: Path, train_again_on: str | Path | None) -> Check:
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
    said = f"table sha256:{data[:_N_DIGITS]}, settings, seed {config['seed']} and versions are named{since}"
    return Check(name, Status.PASSED, f"{said}; every hash holds ({known.content_hash[:19]})", figures)


def _trained_again(folder: Path, table: Path, figures: dict[str, Any]) -> Check:
    """Train on the table with the stored settings and catalog, and compare the content hashes."""
    from router_model.training.train import installed_versions, train  # noqa: PLC0415  (LightGBM loads only if it is needed)

    name, known = "reproducible", load_artifact(folder)  # its own catalog, not the service's
    found = file_sha256(table)
    if found != figures["table_sha256"]:
        said = f"{table.name} is sha256:{found[:_N_DIGITS]}, and the router learned from "
        return Check(name, Status.FAILED, f"{said}sha256:{figures['table_sha256'][:_N_DIGITS]}", figures)
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


def _prices(challenger: Router, limits: Limits, today: date) -> Check:
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


def _short(router: Router) -> str:
    return router.artifact.content_hash.partition(":")[2][:_N_DIGITS]
