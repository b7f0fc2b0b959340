"""Add a new model to a trained router from graded prompts that it has answered, without training boosters.

A hundred graded prompts are too few to train a head, but they show which known models the new one resembles. So the new
model's outcome on every prompt of the bank is predicted from the other models' outcomes
(`router_model.training.new_model.carry_over`). Where the new model has an answer of its own, its outcome replaces the
prediction. Then the evidence of the new model is fitted on both, in the same way as for every other model.
docs/decisions/0007 has measurements.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.announced.estimated_levels import estimate_levels
from router_model.announced.level import Level
from router_model.announced.reference import log_odds_of
from router_model.catalog import Catalog, ModelCard
from router_model.cost import Prices
from router_model.errors import TrainingError
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.levels import shifted
from router_model.model_set import ModelColumn, append_model, with_column
from router_model.prediction.amounts import AmountModel
from router_model.prediction.bars import succeeds
from router_model.prediction.evidence import Bank, EvidenceModel, LinearHead
from router_model.prediction.predictor import Predictor
from router_model.prediction.similarity import Vectors
from router_model.router import Router
from router_model.saved.artifact import Artifact, hash_of
from router_model.spend_curve import SpendCurve
from router_model.training.fitting.amounts import residual_quantiles, smearing
from router_model.training.fitting.heads import Design, fit_head
from router_model.training.fitting.kernel import fit_weights, kernel_matrix
from router_model.training.fitting.preconditioner import Sketch
from router_model.training.metrics import mean_auc
from router_model.training.near_duplicates.sketches import add_sketches
from router_model.training.new_model.carry_over import CarriedOver, carry_over
from router_model.training.new_model.new_model_outcomes import (
    Answers,
    answers_of,
    bank_outcomes,
    bank_vectors,
    expected_outcomes,
    learned_amounts,
)
from router_model.training.table.outcomes import Outcomes

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]

MIN_PROMPTS = 50
"""The least number of graded prompts; with fewer, even the record would be uncertain by 7 points and more."""
MOST_PROMPTS = 2000
"""Graded prompts that are learned from, at most: time and memory grow with their product with the bank."""

_HEAD_PENALTY = 4.0  # the middle of the values that training tries; predicted outcomes have less noise than real ones
_RARE = 0.01  # records are kept this far inside (0, 1) where their log odds are compared
_N_FOLDS = 5
_FOLDS = tuple(f"predicting part {fold + 1} of {_N_FOLDS} from the others" for fold in range(_N_FOLDS))
STEPS = ("encoding prompts", "comparing them with logged ones", "learning from the grades", *_FOLDS, "measuring")
"""The steps of `add_model`, in order."""
_PRIOR_ROWS = 20  # pseudo-observations of the other models' spread of amounts
_MIN_UNSEEN = 20  # least number of prompts to measure an AUC


@dataclass(frozen=True, slots=True)
class Added:
    """The result of adding a model.

    Attributes
    ----------
    artifact : Artifact
        The artifact with the model in the last place.
    model : str
    n_prompts, n_known : int
        Numbers of graded prompts, and of those for which the router has other models' outcomes.
    record : float
        Estimated share of all the bank's prompts that it succeeds on, at the router's quality bar.
    standard_error : float
    raw_record : float
        Share of its own graded prompts that it succeeded on.
    auc : float or None
        AUC of P(success) on prompts that the router never saw, each predicted without its own answer. None if there are
        too few of them, or if all answers are equally good.
    n_unseen : int
    n_left_out : int
        Further graded prompts, beyond `MOST_PROMPTS`.
    """

    artifact: Artifact
    model: str
    n_prompts: int
    n_known: int
    record: float
    standard_error: float
    raw_record: float
    auc: float | None
    n_unseen: int
    n_left_out: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the artifact as plain JSON types."""
        names = (
            "model", "n_prompts", "n_known", "record", "standard_error", "raw_record", "auc", "n_unseen", "n_left_out",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


def add_model(
    router: Router,
    outcomes: Outcomes,
    card: ModelCard,
    *,
    table_sha256: str = "",
    advance: Callable[[str], None] = lambda _: None,
) -> Added:
    """Add a model to a router from its graded answers.

    Parameters
    ----------
    outcomes : with the new model among its models
        Prompts without a graded answer of the new model are left out. Outcomes of other models are not used.
    card : the card of the new model
        What it says of the model's level (scores, a sibling, an accuracy on other prompts) counts beside the answers.
    table_sha256 : hash of the table with the outcomes, for the provenance
    advance : called with the name of each finished step, see `STEPS`

    Raises
    ------
    TrainingError
        If the router has the model already, or the table has fewer than `MIN_PROMPTS` graded answers of it.
    """
    graded = graded_prompts(router, outcomes, card.model)
    n_left_out = max(len(graded) - MOST_PROMPTS, 0)
    if n_left_out:
        drawn = np.random.default_rng(0).choice(len(graded), MOST_PROMPTS, replace=False)
        graded = graded.take(np.sort(drawn))
    features = featurise(graded.prompts, router.encoder)
    advance(STEPS[0])
    hashes = _hashes(graded)
    seen = np.isin(hashes, router.artifact.seen_prompts)
    answers = answers_of(router.artifact.predictor, graded, features, seen=seen, card=card)
    matrix = bank_kernel(router.artifact.predictor.evidence_model)
    sketch = Sketch.of(matrix)
    prior = _prior(router, card)
    advance(STEPS[1])
    column, carried = fit_column(router.artifact.predictor, answers, matrix, sketch, prior=prior)
    advance(STEPS[2])
    p_success, amount_scores = _cross_fitted(
        router.artifact.predictor, answers, matrix, sketch, prior=prior, advance=advance
    )
    column = replace(
        column,
        amounts=_amounts(router.artifact.predictor, answers, column, amount_scores),
        tokens_per_piece=_tokens_per_piece(router.artifact, graded, features),
    )
    bar = _bar_index(router.artifact)
    change = {
        "table_sha256": table_sha256,
        "n_prompts": len(graded),
        "record": round(float(column.bank.base[0, bar]), 6),
        "standard_error": round(carried[bar].standard_error, 6),
    }
    artifact = append_model(router.artifact, card, column, spend_curve=None, change=change)
    artifact = replace(
        artifact,
        seen_prompts=np.union1d(artifact.seen_prompts, hashes),
        sketches=None if artifact.sketches is None else add_sketches(artifact.sketches, graded.prompts),
        spend_curve=_spend_curve(artifact, features),
    )
    advance(STEPS[-1])
    return Added(
        artifact=artifact,
        model=card.model,
        n_prompts=len(graded),
        n_known=sum(len(rows) > 0 for rows in answers.bank_rows),
        record=float(column.bank.base[0, bar]),
        standard_error=carried[bar].standard_error,
        raw_record=float(answers.outcome[:, bar].mean()),
        auc=_auc(answers.outcome[~seen, bar], p_success[~seen, bar]),
        n_unseen=int((~seen).sum()),
        n_left_out=n_left_out,
    )


def _prior(router: Router, card: ModelCard) -> Level | None:
    """Return the level that a card tells, or None.

    Raises
    ------
    TrainingError
        If it tells one, and the router is too old to use it.
    """
    if not card.says_level:
        return None
    artifact = router.artifact
    if artifact.reference is None:
        raise TrainingError(
            f"{card.model} has scores, a sibling or an accuracy, and this router was trained before it could use them; "
            "train it again, or leave them out of the catalog"
        )
    levels = dict(zip(artifact.predictor.models, artifact.reference.levels.tolist(), strict=True))
    cards = Catalog({**artifact.catalog.cards, **router.catalog.cards, card.model: card})
    return estimate_levels(cards, levels, [card.model])[card.model]


def graded_prompts(router: Router, outcomes: Outcomes, model: str) -> Outcomes:
    """Return the outcomes on the prompts for which the new model has a graded answer.

    Raises
    ------
    TrainingError
    """
    if model in router.artifact.predictor.models:
        raise TrainingError(
            f"the router has {model} already; train again to learn more of it, or remove it first "
            "(router-model remove-model)"
        )
    if model not in outcomes.models:
        raise TrainingError(f"the table has no outcomes of {model!r}; it has {', '.join(outcomes.models)}")
    own = outcomes.select_models([model])
    rows = np.flatnonzero(~np.isnan(own.quality[:, 0]))
    if len(rows) < MIN_PROMPTS:
        raise TrainingError(
            f"{len(rows)} graded prompts of {model}; at least {MIN_PROMPTS} are needed, 100 are better (grade more, or "
            "give no table to announce it without outcomes)"
        )
    return own.take(rows)


def fit_column(
    predictor: Predictor, answers: Answers, matrix: FloatArray, sketch: Sketch, *, prior: Level | None = None
) -> tuple[ModelColumn, list[CarriedOver]]:
    """Fit the new model's arrays from answers to some prompts, except the spread of amounts and the input tokens.

    Parameters
    ----------
    matrix : kernel of the bank's prompts with each other, see `bank_kernel`
    sketch : of the matrix
    prior : what is known of its mean quality beside the answers

    Returns
    -------
    ModelColumn
        Its amounts are those of the average model, with the new model's means.
    list of CarriedOver, one for each target
    """
    model, n_bars = predictor.evidence_model, len(predictor.grid)
    others = bank_outcomes(model)
    levels = _usual_levels(predictor)
    carried = []
    for target, level in enumerate(levels):
        known = np.isfinite(answers.outcome[:, target])
        own = answers.outcome[known, target]
        expected, answered = answers.expected[known][:, :, target], answers.others[known][:, :, target]
        likeness = answers.likeness.take(np.flatnonzero(known))
        carried.append(carry_over(expected, answered, own, others[:, :, target], likeness, level=level))
    if prior is not None:
        carried[:n_bars] = _with_prior(predictor, carried[:n_bars], prior)
    outcome = np.stack([found.values for found in carried], axis=1)
    for prompt, rows in enumerate(answers.bank_rows):
        outcome[rows] = np.where(np.isfinite(answers.outcome[prompt]), answers.outcome[prompt], outcome[rows])
    base = np.array([found.level for found in carried])
    mean_log = base[n_bars:].copy()
    outcome[:, n_bars:] -= mean_log
    base[n_bars:] = 0.0
    # Laplace's rule keeps a record of a few prompts from being certain; and a higher bar is never met more often.
    least = 1 / (len(answers) + 2)
    base[:n_bars] = np.minimum.accumulate(np.clip(base[:n_bars], least, 1 - least))
    outcome[:, :n_bars] = np.minimum.accumulate(np.clip(outcome[:, :n_bars], 0, 1), axis=1)
    bank = _one_model(outcome, base)
    heads = {label: _head(model, label, bank, answers, mean_log) for label in ("embedding", "bag")}
    amounts = _mean_amounts(predictor, dict(zip(learned_amounts(predictor), mean_log, strict=True)))
    intercept = np.zeros((1, len(predictor.grid)), dtype=np.float32)
    weights = fit_weights(matrix, bank, model.kernel.penalties, sketch=sketch)
    return ModelColumn(heads["embedding"], heads["bag"], bank, weights, amounts, 1.0, intercept), carried


def _with_prior(predictor: Predictor, carried: list[CarriedOver], prior: Level) -> list[CarriedOver]:
    """Combine the levels that answers show with what is known beside them, by the inverse of their variances.

    The level is the mean quality, and all bars move by the same log odds.
    """
    records = np.minimum.accumulate(np.clip([found.level for found in carried], _RARE, 1 - _RARE))
    shown = float(predictor.grid.mean(records.astype(np.float32)))
    bar = int(np.argmin(np.abs(records - 0.5)))  # the bar at which most is known of the level
    error = carried[bar].standard_error / float(records[bar] * (1 - records[bar]))
    gain = error**2 / (error**2 + prior.error**2)
    towards = gain * (prior.log_odds - float(log_odds_of(shown)))
    moved = shifted(records, towards)
    return [
        CarriedOver(found.values + by, found.level + by, found.standard_error * float(np.sqrt(1 - gain)))
        for found, by in zip(carried, (moved - records).tolist(), strict=True)
    ]


def bank_kernel(model: EvidenceModel) -> FloatArray:
    """Return the kernel of the bank's prompts with each other, shape (n_bank, n_bank)."""
    embedding, bags = (bank_vectors(space) for space in (model.embedding, model.bag))
    return kernel_matrix(model.kernel.kernel, embedding, bags, model.kernel.logged_form)


def _one_model(outcome: Float64Array, base: Float64Array) -> Bank:
    """Return a bank with one model from its outcomes of shape (n_bank, n_targets)."""
    values = outcome[:, None, :].astype(np.float32)
    return Bank(values, np.ones_like(values), base[None].astype(np.float32))


def _head(model: EvidenceModel, label: str, bank: Bank, answers: Answers, mean_log: Float64Array) -> LinearHead:
    """Fit the linear head of a space on the bank and on the answers to other prompts."""
    space = model.embedding if label == "embedding" else model.bag
    vectors = bank_vectors(space)
    fresh = np.flatnonzero([len(rows) == 0 for rows in answers.bank_rows])
    if len(fresh):
        mine = answers.take(fresh)
        vectors = _stacked(vectors, _vectors(model, label, mine.features))
        level = np.concatenate([np.zeros(mine.outcome.shape[1] - len(mean_log)), mean_log])
        outcome = (mine.outcome - level)[:, None, :].astype(np.float32)
        known = np.isfinite(outcome)
        bank = Bank(
            np.concatenate([bank.outcome, np.where(known, outcome, 0)]),
            np.concatenate([bank.weight, known.astype(np.float32)]),
            bank.base,
        )
    return fit_head(Design.of(vectors), bank, penalty=_HEAD_PENALTY)


def _vectors(model: EvidenceModel, label: str, features: PromptFeatures) -> Vectors:
    return features.embedding if label == "embedding" else model.vocabulary.transform(features.pieces).vectors


def _stacked(above: Any, below: Any) -> Vectors:
    if sp.issparse(above):
        blocks: Any = [above, below]
        return sp.csr_array(sp.vstack(blocks))
    return np.concatenate([above, below])


def _usual_levels(predictor: Predictor) -> list[float]:
    """Return the assumed outcome of a model without any answers: for each target, the mean of the other models."""
    n_bars = len(predictor.grid)
    records = predictor.evidence_model.bank.base[:, :n_bars].mean(axis=0)
    return [*records.tolist(), *(float(predictor.amounts[name].mean_log.mean()) for name in learned_amounts(predictor))]


def _mean_amounts(predictor: Predictor, mean_log: Mapping[str, float]) -> dict[str, AmountModel]:
    """Return amounts with the spread of the average model."""
    return {
        name: AmountModel(
            boosters=(),
            mean_log=np.array([mean_log.get(name, amount.mean_log.mean())], dtype=np.float32),
            residual_quantiles=amount.residual_quantiles.mean(axis=0, keepdims=True),
            smearing=amount.smearing.mean(keepdims=True),
        )
        for name, amount in predictor.amounts.items()
    }


def _cross_fitted(
    predictor: Predictor,
    answers: Answers,
    matrix: FloatArray,
    sketch: Sketch,
    *,
    prior: Level | None,
    advance: Callable[[str], None],
) -> tuple[Float64Array, dict[str, Float64Array]]:
    """Predict each answer from all the other answers.

    Returns
    -------
    float64 array, shape (k, n_bars)
        Probabilities of success.
    dict of amount -> float64 array, shape (k,)
        Predicted ``log(1 + amount)``.
    """
    folds = np.random.default_rng(0).permutation(len(answers)) % _N_FOLDS
    p_success = np.empty((len(answers), len(predictor.grid)))
    logs = {name: np.empty(len(answers)) for name in learned_amounts(predictor)}
    for fold in range(_N_FOLDS):
        inside = np.flatnonzero(folds == fold)
        column, _ = fit_column(predictor, answers.take(np.flatnonzero(folds != fold)), matrix, sketch, prior=prior)
        extended = with_column(predictor, "new", column)
        expected = expected_outcomes(extended, answers.features.take(inside))[:, -1]
        p_success[inside] = expected[:, : len(predictor.grid)]
        for position, name in enumerate(logs):
            mean_log = float(column.amounts[name].mean_log[0])
            logs[name][inside] = expected[:, len(predictor.grid) + position] + mean_log
        advance(_FOLDS[fold])
    return p_success, logs


def _amounts(
    predictor: Predictor, answers: Answers, column: ModelColumn, predicted: Mapping[str, Float64Array]
) -> dict[str, AmountModel]:
    """Return the amounts with the spread of the new model's own answers, shrunk to the others' if there are few."""
    amounts = dict(column.amounts)
    for position, (name, log) in enumerate(predicted.items()):
        usual = amounts[name]
        observed = answers.outcome[:, len(predictor.grid) + position][:, None]
        known = np.isfinite(observed)
        trust = known.sum() / (known.sum() + _PRIOR_ROWS)
        own = residual_quantiles(np.where(known, observed - log[:, None], 0.0), known)
        ratio = smearing(log[:, None], observed, known)
        amounts[name] = replace(
            usual,
            residual_quantiles=(trust * own + (1 - trust) * usual.residual_quantiles).astype(np.float32),
            smearing=(trust * ratio + (1 - trust) * usual.smearing).astype(np.float32),
        )
    return amounts


def _tokens_per_piece(artifact: Artifact, graded: Outcomes, features: PromptFeatures) -> float:
    """Return the new model's input tokens for one of our word pieces; if unknown, the mean of the other models."""
    known = ~np.isnan(graded.input_tokens[:, 0])
    pieces = float(features.n_input_tokens[known].sum())
    if pieces <= 0:
        return float(artifact.tokens_per_piece.mean())
    return float(graded.input_tokens[known, 0].sum()) / pieces


def _spend_curve(artifact: Artifact, features: PromptFeatures) -> SpendCurve:
    """Measure the spend curve on the new prompts, because an artifact does not hold its training prompts."""
    point = artifact.operating_point
    prediction = artifact.predictor.predict(features, quality_bar=point.quality_bar)
    cost = Prices.of(artifact.catalog, artifact.predictor.models).expected_cost_usd(
        n_input_tokens=features.n_input_tokens,
        tokens_per_piece=artifact.tokens_per_piece,
        output_tokens=prediction.output_tokens,
        n_images=features.n_images,
    )
    return SpendCurve.measure(prediction.p_success.astype(np.float64), cost)


def _bar_index(artifact: Artifact) -> int:
    """Return the index of the learned bar that is nearest to the router's default bar."""
    grid = artifact.predictor.grid
    above = np.flatnonzero(succeeds(grid.bars, artifact.operating_point.quality_bar))
    return int(above[0]) if len(above) else len(grid) - 1


def _auc(success: Float64Array, p: Float64Array) -> float | None:
    area = mean_auc(p[:, None], success[:, None]) if len(success) >= _MIN_UNSEEN else float("nan")
    return None if np.isnan(area) else area


def _hashes(outcomes: Outcomes) -> npt.NDArray[np.uint64]:
    return np.array([hash_of(prompt) for prompt in outcomes.prompts], dtype=np.uint64)
