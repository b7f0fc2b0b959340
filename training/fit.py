"""From an outcome table's arrays to a predictor.

Everything that is chosen (head penalties, rounds, blend, calibration) is chosen out of fold on the training
prompts; calibration and test prompts are not touched here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from features import SURFACE_NAMES
from features.featuriser import PromptFeatures
from router_model.calibration import Blend, LogisticCalibration, sigmoid
from router_model.evidence import Evidence
from router_model.predictor import (
    BarRange,
    Predictor,
    TokenPredictor,
    member_probabilities,
    pair_names,
    pair_rows,
)
from training.boosters import BoosterConfig, FoldBoosters, fit_boosters
from training.calibrate import fit_blend, fit_logistic
from training.evidence import EvidenceConfig, fit_evidence
from training.targets import Targets

FloatArray = npt.NDArray[np.float32]
Advance = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How a predictor is fitted."""

    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    boosters: BoosterConfig = field(default_factory=BoosterConfig)
    token_boosters: BoosterConfig = field(default_factory=lambda: BoosterConfig(learning_rate=0.1, max_rounds=200))


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """What each training prompt was predicted by models that had not seen it.

    Attributes
    ----------
    p_success : float32 array, shape (n, n_models, n_bars)
    output_tokens : float32 array, shape (n, n_models)
    """

    p_success: FloatArray
    output_tokens: FloatArray


def fit_predictor(
    features: PromptFeatures,
    targets: Targets,
    models: tuple[str, ...],
    *,
    folds: npt.NDArray[np.int64],
    bar_range: BarRange,
    config: FitConfig,
    seed: int,
    advance: Advance,
) -> tuple[Predictor, OutOfFold]:
    """Fit evidence, boosters, blend and calibration on training prompts.

    Parameters
    ----------
    features, targets : of n prompts
    models : ids, in the order of the targets' model axis
    folds : shape (n,)
    advance : called with the name of each step that is done
    """
    evidence_model, evidence = fit_evidence(features, targets, folds, config.evidence)
    advance("evidence")
    stage = _Stage(features, targets, folds, evidence, seed, advance)
    boosters = stage.fit_success(config.boosters)
    boosted = sigmoid(boosters.out_of_fold.astype(np.float32)).reshape(len(features), len(models), targets.n_bars)
    members = member_probabilities(evidence, boosted)
    blend, calibration, p_success = _fit_probabilities(("record", *evidence.names, "booster"), members, targets)
    tokens, output_tokens = stage.fit_tokens(config.token_boosters)
    predictor = Predictor(
        models=models,
        bars=targets.bars,
        bar_range=bar_range,
        evidence_model=evidence_model,
        boosters=boosters.boosters,
        blend=blend,
        calibration=calibration,
        tokens=tokens,
    )
    return predictor, OutOfFold(p_success, output_tokens)


def _fit_probabilities(
    names: tuple[str, ...], members: FloatArray, targets: Targets
) -> tuple[Blend, LogisticCalibration, FloatArray]:
    """Fit blend and calibration; return them with the out-of-fold probabilities they give."""
    known = targets.graded
    success, weight = targets.outcome[known][:, : targets.n_bars], targets.weight[known][:, 0]
    blend = fit_blend(
        names, members[known].reshape(-1, len(names)), success.reshape(-1), np.repeat(weight, targets.n_bars)
    )
    blended = blend.combine(members)
    calibration = fit_logistic(blended[known], success, weight)
    return blend, calibration, calibration.correct(blended)


@dataclass(frozen=True, slots=True)
class _Stage:
    """What both kinds of boosters are fitted on."""

    features: PromptFeatures
    targets: Targets
    folds: npt.NDArray[np.int64]
    evidence: Evidence
    seed: int
    advance: Advance

    def rows(self, columns: Sequence[int]) -> FloatArray:
        return pair_rows(self.evidence, self.features.surface, self.targets.bars, targets=columns)

    @property
    def names(self) -> list[str]:
        return pair_names(self.evidence.names, SURFACE_NAMES, self.targets.n_bars)

    def fit_success(self, config: BoosterConfig) -> FoldBoosters:
        """Fit success at every bar, pooled over models and bars."""
        n_bars, n_models = self.targets.n_bars, self.targets.outcome.shape[1]
        return fit_boosters(
            self.rows(range(n_bars)),
            self.targets.outcome[:, :, :n_bars].reshape(-1),
            self.targets.weight[:, :, :n_bars].reshape(-1),
            np.repeat(self.folds, n_models * n_bars),
            objective="binary",
            names=self.names,
            config=config,
            seed=self.seed,
            advance=lambda: self.advance("boosters"),
        )

    def fit_tokens(self, config: BoosterConfig) -> tuple[TokenPredictor, FloatArray]:
        """Fit output tokens on the last target, in two halves; the first half's booster serves.

        Returns the predictor and the out-of-fold expected tokens.
        """
        shape = n, n_models = self.targets.outcome.shape[:2]
        targets, n_bars = self.targets, self.targets.n_bars
        if not targets.has_tokens:
            flat = TokenPredictor(None, targets.mean_log_tokens, np.ones(n_models, dtype=np.float32))
            return flat, flat.from_scores(np.zeros(shape))
        residual = targets.outcome[:, :, n_bars]
        fitted = fit_boosters(
            self.rows([n_bars]),
            residual.reshape(-1),
            targets.weight[:, :, n_bars].reshape(-1),
            np.repeat(self.folds % 2, n_models),
            objective="regression",
            names=self.names,
            config=config,
            seed=self.seed,
            advance=lambda: self.advance("tokens"),
        )
        scores = fitted.out_of_fold.reshape(n, n_models)
        smearing = _smearing(scores, residual, targets)
        tokens = TokenPredictor(fitted.boosters[0], targets.mean_log_tokens, smearing)
        return tokens, tokens.from_scores(scores)


def _smearing(predicted: npt.NDArray[np.float64], residual: FloatArray, targets: Targets) -> FloatArray:
    """Return mean observed over mean predicted tokens of each model, shape (n_models,); 1 where none is known."""
    known = targets.weight[:, :, targets.n_bars] > 0
    observed_tokens = np.where(known, np.expm1(residual + targets.mean_log_tokens), 0)
    predicted_tokens = np.where(known, np.expm1(predicted + targets.mean_log_tokens), 0)
    total = predicted_tokens.sum(axis=0)
    ratio = np.divide(observed_tokens.sum(axis=0), total, out=np.ones_like(total), where=total > 0)
    return np.asarray(ratio, dtype=np.float32)
