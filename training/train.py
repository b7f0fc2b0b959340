"""Train a router: read an outcome table, fit and measure a predictor, save the router and return a report."""

import ctypes
import math
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from router_model.candidates import read_announced
from router_model.catalog import FROM_BILLS_ALONE, Catalog, ModelCard
from router_model.certificate import Certificate
from router_model.charts.drawing import Drawing
from router_model.cost import Prices
from router_model.errors import ArtifactError, TableError, TrainingError
from router_model.features import Encoder, Prompt, load_encoder
from router_model.features.featuriser import PromptFeatures
from router_model.features.prompt import LoggedPrompt
from router_model.policy import OperatingPoint
from router_model.prediction.bars import succeeds
from router_model.prediction.predictor import Predictor
from router_model.router import Router
from router_model.saved.artifact import (
    MANIFEST,
    Artifact,
    hash_of,
    load_artifact,
    refuse_foreign,
    save_artifact,
    sealed,
)
from router_model.saved.bank_prompts import BankPrompts
from router_model.screening.constraint_checks import UNKNOWN_WINDOW
from router_model.spend_curve import SpendCurve
from router_model.summary import Summarised, Summary
from router_model.training.distributed.prompts import featurise_all
from router_model.training.fitting.calibrate import fit_reference
from router_model.training.fitting.embedding_cache import cached
from router_model.training.fitting.evidence import bank_rows
from router_model.training.fitting.fit import FitConfig, OutOfFold, fit_predictor
from router_model.training.fitting.judges import Finding, leave_out_contradicted, write_quarantine
from router_model.training.learnable import graded_prompts, read_learnable
from router_model.training.measuring.certify import DEFAULT_DELTA, certify, check_targets, default_targets
from router_model.training.measuring.evaluate import evaluate
from router_model.training.measuring.evaluation import Evaluation, Picture
from router_model.training.measuring.moves import Moves, measure_moves, same_settings
from router_model.training.measuring.operating_point import MAX_QUALITY_LOSS, choose_operating_point
from router_model.training.near_duplicates.groups import Together
from router_model.training.near_duplicates.sketches import sketch
from router_model.training.table.bills import FROM_TOKENS
from router_model.training.table.costs import fill_tokens, price_mismatches, realised_costs, tokens_per_piece
from router_model.training.table.dominance import ModelRecord, model_records
from router_model.training.table.frames import Table, sha256_of
from router_model.training.table.outcomes import Outcomes
from router_model.training.table.prices import complete_catalog
from router_model.training.table.split import N_FOLDS, Split, assign_folds, sample_whole, split_prompts
from router_model.training.table.subsample import MAX_PROMPTS, Subsample, subsample
from router_model.training.table.targets import Targets, build_targets
from router_model.wording import usd

DEFAULT_BARS = (0.5, 0.7, 0.9)
DEFAULT_BAR = 0.5
"""The quality bar for requests that name none; if the highest quality in the table is less, that is used."""
MIN_PROMPTS = 50
"""The least number of training prompts, because nothing can be learned from five folds of ten."""

STEPS = (
    "read", "features", "evidence", "other tasks", *["boosters"] * N_FOLDS, *["amounts"] * 4, "certify", "evaluate",
    "save",
)  # fmt: skip
"""The steps that `advance` is called with, in order; tables without tokens and latencies skip ``amounts``."""

PREDICTED_PAIRS = 500_000
"""From a table with more graded pairs of prompts and models, some prompts are drawn that have so many of them. They are
predicted out of fold, and boosters, blend and calibration are learned from these predictions."""

PREDICTED_PROMPTS = (20_000, 40_000)
"""The fewest and the most prompts that are drawn so."""

_BLAS_THREADS = 1
"""With more, BLAS's threads spin between the many products of a fit, and our own wait (docs/decisions/0003)."""

_LIBRARIES = ("lightgbm", "numpy", "scipy", "tokenizers")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The settings of a training run.

    Attributes
    ----------
    quality_bars : bars to learn, in (0, 1]
        Later requests may use any bar; these bars are answered without interpolation.
    encoder : name for `router_model.features.load_encoder`
    seed : seed of the split, the folds and the boosters
    holdout : bool
        If False, the test prompts are used for training too, and nothing is measured.
    target_success : success rates to certify, above 0 and below 1; of a graded table, mean quality
        Default: shares of the best single model's on training prompts, see
        `router_model.training.measuring.certify.default_targets`.
    delta : float
        Largest probability that the certificate of any target is wrong.
    safe_model : str
        The model for prompts unlike the logged ones; if empty, the models' overall records decide.
    keep_prompts : bool
        Whether the artifact stores the texts of logged prompts for explanations, or only their ids.
    max_quality_loss : float
        The mean quality that the default rule may lose against the best single model, 0 to below 1.
    fit : FitConfig
    """

    quality_bars: tuple[float, ...] = DEFAULT_BARS
    encoder: str = "static"
    seed: int = 0
    holdout: bool = True
    target_success: tuple[float, ...] = ()
    delta: float = DEFAULT_DELTA
    safe_model: str = ""
    keep_prompts: bool = False
    max_quality_loss: float = MAX_QUALITY_LOSS
    fit: FitConfig = field(default_factory=FitConfig)


@dataclass(frozen=True, slots=True, repr=False)
class TrainingReport(Summarised):
    """The result of a training run.

    Attributes
    ----------
    artifact : Path, or None if it was not saved
    content_hash : str
    n_train, n_calibration, n_test : int
        Numbers of prompts.
    models : ids
    trust : weight of each member of the blend
    records : mean results of every model over its training prompts, best first
    certificates : one for each target; none if too many answers of calibration prompts are missing
    held_out : Evaluation on test prompts, or None without them
    findings : judges whose grades were left out; also written to ``<artifact>.quarantine.json``
    moves : changes against the former router, or None without a former router of the same settings
    near_duplicates : how many prompts were kept together, and how many changed sides for it
    warnings : messages about problems that a person should check
    provenance : as stored in the artifact
    router : the trained router
    """

    artifact: Path | None
    content_hash: str
    n_train: int
    n_calibration: int
    n_test: int
    models: tuple[str, ...]
    trust: dict[str, float]
    records: tuple[ModelRecord, ...]
    certificates: tuple[Certificate, ...]
    held_out: Evaluation | None
    findings: tuple[Finding, ...]
    moves: Moves | None
    near_duplicates: Together
    warnings: tuple[str, ...]
    provenance: dict[str, Any]
    router: Router = field(compare=False)

    def summary(self) -> Summary:
        """Return what was held out, or else the models' records; then the certificates."""
        head = (
            f"Router of {len(self.models):,} models, learned from {self.n_train:,} prompts"
            f"{'' if self.artifact is None else f', saved to {self.artifact}'}"
        )
        notes = [each.summary().head for each in self.certificates[:2]] + [
            f"{len(self.warnings):,} warnings, e.g. {warning}" for warning in self.warnings[:1]
        ]
        if self.held_out is not None:
            measured = self.held_out.summary()
            return measured._replace(head=f"{head}. {measured.head}", notes=notes)
        rows = [(one.model, f"{one.quality:.3f}", usd(1000 * one.cost_usd)) for one in self.records]
        return Summary(head, ("on training prompts", "quality", "$ per 1k"), rows, notes)

    def plot(self, picture: Picture = "frontier", *, width: int = 640) -> Drawing:
        """Draw what was held out; see `router_model.training.measuring.evaluation.Evaluation.plot`."""
        if self.held_out is None:
            raise ValueError("nothing was held out to draw; train with holdout=True, or evaluate the router")
        return self.held_out.plot(picture, width=width)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        return {
            "artifact": None if self.artifact is None else str(self.artifact),
            "content_hash": self.content_hash,
            "n_train": self.n_train,
            "n_calibration": self.n_calibration,
            "n_test": self.n_test,
            "models": list(self.models),
            "trust": self.trust,
            "records": [asdict(record) | {"cost_usd": _number(record.cost_usd)} for record in self.records],
            "certificates": [certificate.as_dict() for certificate in self.certificates],
            "held_out": None if self.held_out is None else self.held_out.as_dict(),
            "judges": [finding.as_dict() for finding in self.findings],
            "moves": None if self.moves is None else self.moves.as_dict(),
            "near_duplicates": asdict(self.near_duplicates),
            "warnings": list(self.warnings),
            "provenance": self.provenance,
        }


def train(
    table: Table,
    out: str | Path | None = None,
    *,
    catalog: Catalog | None = None,
    config: TrainConfig | None = None,
    former: str | Path | None = None,
    accept_moves: bool = False,
    max_prompts: int = MAX_PROMPTS,
    advance: Callable[[str], None] = lambda _: None,
) -> TrainingReport:
    """Train a router on an outcome table and save it.

    Parameters
    ----------
    table : path of a Parquet outcome table, or a frame of polars, pandas or Arrow, or `Outcomes`
    out : folder of the artifact; an artifact there is replaced. None: the router is only in the report
    catalog : prices and capabilities; prices it lacks are looked up in genai-prices
    config : TrainConfig
    former : folder of the router that the new one replaces; default: the one at `out`, if there is one
        If it was trained with the same settings, the new router is not saved if its decisions move further than the new
        evidence supports (`router_model.training.measuring.moves`).
    accept_moves : bool
        Save the router nevertheless, with a warning.
    max_prompts : int
        From a larger table in files so many graded prompts are drawn (`router_model.training.table.subsample`).
    advance : called with the name of each finished step, see `STEPS`
        While a transformer encodes, it is also called with the progress, because this step takes longest.

    Raises
    ------
    TableError, TrainingError, CatalogError, ArtifactError
        The message says what was got, what was expected and what to do.
    """
    config = config or TrainConfig()
    _check_bars(config.quality_bars)
    if config.seed < 0:
        raise TrainingError(f"seed {config.seed}; expected 0 or more")
    if not 0 <= config.max_quality_loss < 1:
        raise TrainingError(f"max_quality_loss {config.max_quality_loss}; expected a loss of mean quality from 0 to 1")
    check_targets(config.target_success or (0.5,), config.delta)
    folder = None if out is None else Path(out)
    if folder is not None:
        refuse_foreign(folder)
    drawn = subsample(table, max_prompts, seed=config.seed)
    outcomes, warnings = read_learnable(table, drawn, seed=config.seed, holdout=config.holdout)
    _check_size(split_prompts(outcomes.split_keys, seed=config.seed, holdout=config.holdout), outcomes)
    _check_safe_model(config.safe_model, outcomes.models)
    warnings += _text_warnings(outcomes, keep_prompts=config.keep_prompts)
    cards = complete_catalog(catalog, outcomes.models, bills=outcomes)
    announced = {} if catalog is None else {one.model: one for one in catalog.cards.values() if one.says_level}
    _give_back_memory()
    advance("read")
    encoder = load_encoder(config.encoder)
    keeping = cached(encoder, advance=lambda n_done, n: advance(f"encoded {n_done:,} of {n:,}"))
    features = featurise_all(outcomes.prompts, keeping)
    outcomes, findings = leave_out_contradicted(outcomes, features.embedding, seed=config.seed)
    if findings:
        kept = graded_prompts(outcomes)
        outcomes, features = outcomes.take(kept), features.take(kept)
    split = split_prompts(outcomes.split_keys, seed=config.seed, holdout=config.holdout)
    _check_size(split, outcomes)
    run = Run(None if isinstance(table, Outcomes) else table, outcomes, features, split, cards, encoder, config, drawn)
    _give_back_memory()
    advance("features")
    warnings += _price_warnings(outcomes, cards)
    router, targets = run.fit(advance)
    moves = run.compare(router, former, folder, warnings)
    if moves is not None and not moves.is_supported:
        if not accept_moves:
            raise TrainingError(_refusal(moves, findings))
        warnings.append(f"accepted: {moves}")
    warnings += _target_warnings(targets, outcomes.models)
    certificates = run.certify(router, warnings)
    advance("certify")
    held_out = run.measure(router) if len(split.test) else None
    advance("evaluate")
    artifact = replace(
        router.artifact,
        catalog=Catalog({**announced, **cards.cards}),
        certificates=certificates,
        metrics={} if held_out is None else held_out.as_dict(),
    )
    read_announced(artifact, artifact.catalog)  # a sibling that is not known is said before anything is saved
    records = run.records()
    artifact = _saved(artifact, folder, findings)  # no step after it takes long
    advance("save")
    blend = artifact.predictor.blend
    return TrainingReport(
        artifact=folder,
        content_hash=artifact.content_hash,
        n_train=len(split.train),
        n_calibration=len(split.calibration),
        n_test=len(split.test),
        models=outcomes.models,
        trust={member: float(share) for member, share in zip(blend.members, blend.weights, strict=True)},
        records=records,
        certificates=certificates,
        held_out=held_out,
        findings=findings,
        moves=moves,
        near_duplicates=Together.of(outcomes, seed=config.seed, holdout=config.holdout),
        warnings=tuple(warnings),
        provenance=dict(artifact.provenance),
        router=Router.assemble(artifact, encoder),
    )


def _give_back_memory() -> None:
    """Return freed memory to the system, where the C library is glibc.

    glibc keeps what was freed below memory that is in use: of a million texts that were read and compared, about a
    gigabyte. Large arrays do not use it again, as they get pages of their own.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _saved(artifact: Artifact, folder: Path | None, findings: Sequence[Finding]) -> Artifact:
    """Save an artifact, if it has a folder, and return it with its content hash."""
    if folder is None:
        return sealed(artifact)
    content_hash = save_artifact(artifact, folder)
    write_quarantine(folder, findings)
    return replace(artifact, content_hash=content_hash)


@dataclass(frozen=True, slots=True)
class Run:
    """The prepared data of a training run, and its steps; `train` runs them.

    `table` is what the outcomes were read from, or None if they came as `Outcomes`; `drawn` is None if all were read.
    """

    table: Table | None
    outcomes: Outcomes
    features: PromptFeatures
    split: Split
    catalog: Catalog
    encoder: Encoder
    config: TrainConfig
    drawn: Subsample | None = None

    def targets(self) -> Targets:
        """Return the targets of the training prompts."""
        rows = self.split.train
        filled = fill_tokens(self.outcomes, self.catalog, self.features.n_input_tokens)
        return build_targets(filled, self.config.quality_bars, rows).take(rows)

    def fit(self, advance: Callable[[str], None]) -> tuple[Router, Targets]:
        """Fit a predictor on the training prompts."""
        rows, targets = self.split.train, self.targets()
        keys = [self.outcomes.split_keys[row] for row in rows]
        if len(np.unique(targets.outcome[targets.graded][:, : targets.n_bars])) < 2:  # noqa: PLR2004
            raise TrainingError(
                "every graded answer succeeds, or every one fails, at every bar; there is nothing to learn"
            )
        folds = assign_folds(keys, seed=self.config.seed)
        # Conversations and near duplicates whole, so that they stay on one side; and all folds have some of them.
        predicted = sample_whole(keys, n_predicted(targets.graded), seed=self.config.seed)
        folds[predicted] = assign_folds([keys[row] for row in predicted], seed=self.config.seed)
        with threadpool_limits(_BLAS_THREADS, user_api="blas"):
            predictor, out_of_fold = fit_predictor(
                self.features.take(rows),
                targets,
                self.outcomes.models,
                folds=folds,
                tasks=[self.outcomes.tasks[row] for row in rows],
                config=self.config.fit,
                seed=self.config.seed,
                advance=advance,
                predicted=predicted,
            )
        return Router.assemble(self._artifact(predictor, out_of_fold), self.encoder), targets

    def compare(self, router: Router, former: str | Path | None, out: Path | None, warnings: list[str]) -> Moves | None:
        """Compare with the former router; None if there is none, or if it has other settings."""
        held_out = np.concatenate([self.split.calibration, self.split.test])
        replaced = out if former is None else Path(former)
        if not len(held_out) or replaced is None or (former is None and not (replaced / MANIFEST).is_file()):
            return None
        try:
            known = load_artifact(replaced)
        except ArtifactError as exc:
            if former is not None:
                raise
            warnings.append(f"decisions were not compared with those of the former router: {exc}")
            return None
        if not same_settings(known, asdict(self.config)) or known.encoder_hash != self.encoder.content_hash:
            return None
        # Both decide at today's prices, because changed prices move traffic for a good reason and are not evidence.
        cards = self.catalog if set(known.predictor.models) <= set(self.catalog.cards) else None
        before = Router.assemble(known, self.encoder, catalog=cards)
        return measure_moves(before, router, self.outcomes.take(self.split.train), self.features.take(held_out))

    def _artifact(self, predictor: Predictor, out_of_fold: OutOfFold) -> Artifact:
        rows = self.split.train
        ratio = tokens_per_piece(self.outcomes.take(rows), self.features.n_input_tokens[rows])
        predicted = rows[out_of_fold.rows]
        known = self.outcomes.take(predicted)
        cost = Prices.of(self.catalog, predictor.models).expected_cost_usd(
            n_input_tokens=self.features.n_input_tokens[predicted],
            tokens_per_piece=ratio,
            output_tokens=out_of_fold.output_tokens,
            n_images=self.features.n_images[predicted],
        )
        return Artifact(
            predictor=predictor,
            catalog=self.catalog,
            tokens_per_piece=ratio,
            operating_point=self._operating_point(predictor, out_of_fold, known, cost),
            encoder_name=self.encoder.name,
            encoder_hash=self.encoder.content_hash,
            seen_prompts=_hashes(self.outcomes, rows),
            spend_curve=_spend_curve(predictor, out_of_fold, cost),
            safe_model=self.config.safe_model or None,
            provenance=_provenance(self),
            versions=installed_versions(),
            bank_prompts=self._bank_prompts(out_of_fold.rows),
            sketches=sketch([self.outcomes.prompts[row] for row in rows]),
            reference=fit_reference(predictor.grid.mean(out_of_fold.p_success).astype(np.float64), known.quality),
        )

    def _operating_point(
        self, predictor: Predictor, out_of_fold: OutOfFold, known: Outcomes, cost_usd: npt.NDArray[np.float64]
    ) -> OperatingPoint:
        expected = predictor.grid.mean(out_of_fold.p_success).astype(np.float64)
        return choose_operating_point(
            expected,
            cost_usd,
            known.quality,
            known.propensity,
            known.models,
            together=known.split_keys,
            bar=_default_bar(predictor),
            max_quality_loss=self.config.max_quality_loss,
        )

    def _bank_prompts(self, predicted: npt.NDArray[np.intp]) -> BankPrompts:
        rows = self.split.train
        kept = rows[bank_rows(len(rows), self.config.fit.evidence, predicted)]
        ids = tuple(self.outcomes.prompt_ids[row] for row in kept)
        if not self.config.keep_prompts or any(isinstance(self.outcomes.prompts[row], LoggedPrompt) for row in kept):
            return BankPrompts(ids)
        return BankPrompts(ids, tuple(Prompt.parse(self.outcomes.prompts[row]).text for row in kept))

    def records(self) -> tuple[ModelRecord, ...]:
        """Average every model over the training prompts."""
        known = self.outcomes.take(self.split.train)
        return model_records(known.models, known.quality, realised_costs(known, self.catalog))

    def certify(self, router: Router, warnings: list[str]) -> tuple[Certificate, ...]:
        """Certify the targets on the calibration prompts; warn if that is impossible."""
        targets = self.config.target_success or self._default_targets(router)
        rows = self.split.calibration
        # A log lacks most outcomes by design, and a certificate counts what is missing as failures.
        logged = self.outcomes.is_logged[rows]
        rows = rows if logged.all() else rows[~logged]
        known = self.outcomes.take(rows)
        if not len(rows) or not targets:
            warnings.append("nothing is certified, because there are no calibration prompts or no model ever succeeds")
            return ()
        try:
            found = certify(router, known, targets=targets, delta=self.config.delta, features=self.features.take(rows))
        except TableError as exc:
            warnings.append(f"nothing is certified: {exc}")
            return ()
        return found.certificates

    def _default_targets(self, router: Router) -> tuple[float, ...]:
        """Return shares of what the best single model reaches, in the measure that `certify` takes by default."""
        quality, bar = self.outcomes.quality[self.split.train], router.artifact.operating_point.quality_bar
        graded = router.artifact.predictor.grid.graded
        return default_targets(quality if graded else succeeds(quality, bar).astype(np.float64), ~np.isnan(quality))

    def measure(self, router: Router) -> Evaluation:
        """Evaluate on the test prompts."""
        rows = self.split.test
        # Prompts that still repeat training prompts are counted, and the figure without them stands beside (`unseen`).
        return evaluate(router, self.outcomes.take(rows), features=self.features.take(rows), include_seen=True)


def _spend_curve(predictor: Predictor, out_of_fold: OutOfFold, cost_usd: npt.NDArray[np.float64]) -> SpendCurve:
    p_success = predictor.grid.at(out_of_fold.p_success, _default_bar(predictor))
    return SpendCurve.measure(p_success.astype(np.float64), cost_usd)


def _default_bar(predictor: Predictor) -> float:
    return min(DEFAULT_BAR, predictor.grid.high)


def _text_warnings(outcomes: Outcomes, *, keep_prompts: bool) -> list[str]:
    n = int((~outcomes.has_text).sum())
    if not n:
        return []
    compared = (
        f"{n:,} of {len(outcomes):,} prompts were logged without their texts: near duplicates are compared by their "
        "word pieces, and 'evaluate' will know copies of these prompts, and not their near duplicates"
    )
    kept = ["no text is kept for explanations, because not all texts are known"] if keep_prompts else []
    return [compared, *kept]


def _price_warnings(outcomes: Outcomes, catalog: Catalog) -> list[str]:
    said = [_price_source(card) for card in catalog.cards.values() if card.price_source != "catalog"]
    windows = [card.model for card in catalog.cards.values() if card.context_window is None]
    if windows:
        said.append(
            f"context window unknown of {', '.join(windows)}: prompts of more than {UNKNOWN_WINDOW:,} tokens go to "
            "them only where no other model is left; give context_window in the catalog"
        )
    return said + [
        f"{model}: billed costs are {ratio:.2g} times the catalog's prices; check its price and units"
        for model, ratio in price_mismatches(outcomes, catalog).items()
    ]


def _price_source(card: ModelCard) -> str:
    if card.price_source == FROM_BILLS_ALONE:
        return (
            f"{card.model}: no price is known, so its expected cost is learned from the table's cost_usd; its output "
            "tokens are not known. Give its price with --catalog to book calls of a service"
        )
    how = "computed" if card.price_source == FROM_TOKENS else "looked up"
    return (
        f"{card.model}: price {how}, {card.usd_per_mtok_input} in and {card.usd_per_mtok_output} out per million "
        f"tokens, from {card.price_source}"
    )


def n_predicted(graded: npt.NDArray[np.bool_]) -> int:
    """Return the number of training prompts to predict out of fold; `graded` has the shape (n, n_models).

    >>> n_predicted(np.ones((1000, 5), bool)), n_predicted(np.ones((90_000, 10), bool))
    (1000, 40000)
    """
    fewest, most = PREDICTED_PROMPTS
    needed = math.ceil(PREDICTED_PAIRS / max(float(graded.sum(axis=1).mean()), 1.0))
    return min(max(fewest, min(needed, most)), len(graded))


def _check_size(split: Split, outcomes: Outcomes) -> None:
    if len(split.train) < MIN_PROMPTS:
        raise TrainingError(
            f"{len(split.train)} graded training prompts; at least {MIN_PROMPTS} are needed, which is about "
            f"{MIN_PROMPTS * 10 // 6} prompts in the table (some are held out to measure; --no-holdout trains on them)"
        )
    keys = outcomes.split_keys
    n_keys = len({keys[row] for row in split.train})
    if n_keys < N_FOLDS:
        raise TrainingError(
            f"the training prompts belong to {n_keys} groups of conversations (session_id) and near duplicates; "
            f"at least {N_FOLDS} are needed, as each is held out whole"
        )


def _refusal(moves: Moves, findings: Sequence[Finding]) -> str:
    left_out = f" {len(findings)} judges' grades were left out before: {findings[0]}." if findings else ""
    return (
        f"the new router is not saved, because its decisions move further than the new evidence supports: {moves}."
        f"{left_out} Look at who sent the new grades; then leave them out, or say --accept-moves"
    )


def _check_safe_model(safe_model: str, models: tuple[str, ...]) -> None:
    if safe_model and safe_model not in models:
        raise TrainingError(f"safe model {safe_model!r} is not in the table; it has {', '.join(models)}")


def _check_bars(bars: Sequence[float]) -> None:
    wrong = [bar for bar in bars if not 0 < bar <= 1]
    if wrong or not bars:
        raise TrainingError(f"quality bars {list(bars)}; expected one or more numbers above 0 and up to 1")


def _hashes(outcomes: Outcomes, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.uint64]:
    return np.unique(np.array([hash_of(outcomes.prompts[row]) for row in rows], dtype=np.uint64))


def _target_warnings(targets: Targets, models: tuple[str, ...]) -> list[str]:
    warnings = []
    for column, model in enumerate(models):
        known = targets.graded[:, column]
        values = np.unique(targets.outcome[known, column, : targets.n_bars])
        if len(values) == 1:
            word = "succeeds" if values[0] > 0 else "fails"
            warnings.append(f"{model}: {word} on every graded training prompt ({int(known.sum())})")
    return warnings


def _provenance(run: Run) -> dict[str, Any]:
    outcomes, split = run.outcomes, run.split
    table = {
        "sha256": None if run.table is None else sha256_of(run.table),
        "n_prompts": len(outcomes),
        "n_models": len(outcomes.models),
        "n_outcomes": int((~np.isnan(outcomes.quality)).sum()),
    }
    return {
        "table": table if run.drawn is None else {**table, "drawn_from": run.drawn.n_eligible},
        "split": {
            "train": len(split.train),
            "calibration": len(split.calibration),
            "test": len(split.test),
            "near_duplicates_together": bool(outcomes.groups),
        },
        "config": asdict(run.config),
    }


def installed_versions() -> dict[str, str]:
    """Return the versions of what training depends on."""
    found = {name: version(name) for name in ("router-model", *_LIBRARIES)}
    return {**found, "python": platform.python_version()}


def _number(value: float) -> float | None:
    """Return a number, or None for NaN, which JSON cannot express."""
    return None if np.isnan(value) else value
