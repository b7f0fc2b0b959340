"""Fit a whole predictor from the arrays of an outcome table.

All choices (head penalties, number of boosting rounds, blend, calibration) are made out of fold on the training
prompts. Calibration and test prompts are not used here.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from router_model.features.featuriser import PromptFeatures
from router_model.features.request import FORM_NAMES, without_unused
from router_model.prediction.amounts import AmountModel
from router_model.prediction.calibration import Blend, Calibration, sigmoid
from router_model.prediction.evidence import Evidence
from router_model.prediction.predictor import Predictor, member_probabilities, pair_names, pair_rows
from router_model.prediction.uncertainty import Uncertainty
from router_model.training.fitting.amounts import residual_quantiles, smearing
from router_model.training.fitting.boosters import (
    BoosterConfig,
    FoldBoosters,
    PairTable,
    fit_boosters,
    out_of_fold_scores,
)
from router_model.training.fitting.calibrate import HeldOut, fit_blend, fit_calibration
from router_model.training.fitting.evidence import EvidenceConfig, EvidenceFitter, bank_rows
from router_model.training.fitting.uncertainty import fit_uncertainty, small_kinds
from router_model.training.table.split import group_folds, novelty_groups, sample_rows
from router_model.training.table.targets import Targets

FloatArray = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
Advance = Callable[[str], None]

UNLIKE_PROMPTS = 8_000
"""The most prompts for which evidence from other groups is computed; it only fits the four numbers of the trust."""

LEFT_OUT = 0.3
"""The largest share of the prompts that is left out at once, to compute evidence for it from the others."""

_GROUP_FOLDS = 3


@dataclass(frozen=True, slots=True)
class FitConfig:
    """The settings for fitting a predictor."""

    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    boosters: BoosterConfig = field(default_factory=BoosterConfig)
    amount_boosters: BoosterConfig = field(default_factory=lambda: BoosterConfig(learning_rate=0.1, max_rounds=200))


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Predictions for training prompts by predictors that had not seen them.

    Attributes
    ----------
    rows : indices of these prompts among the training prompts, ascending, shape (n,)
    p_success : float32 array, shape (n, n_models, n_bars)
    output_tokens : float32 array, shape (n, n_models)
    """

    rows: Rows
    p_success: FloatArray
    output_tokens: FloatArray


def fit_predictor(
    features: PromptFeatures,
    targets: Targets,
    models: tuple[str, ...],
    *,
    folds: npt.NDArray[np.int64],
    tasks: Sequence[str],
    config: FitConfig,
    seed: int,
    advance: Advance,
    predicted: Rows | None = None,
) -> tuple[Predictor, OutOfFold]:
    """Fit evidence, boosters, blend and calibration on training prompts.

    Parameters
    ----------
    features, targets : of n prompts
    models : ids, in the order of the targets' model axis
    folds : shape (n,)
    tasks : n labels, empty where unknown
        Groups of dissimilar prompts (`router_model.training.table.split`) tell how far to trust predictions on new
        kinds of prompts.
    advance : called with the name of each finished step
    predicted : indices of the prompts that are predicted out of fold, ascending; default: all
        Boosters, blend and calibration are learned from these predictions. If they are few of all prompts, evidence is
        learned once, from the others, so that it is out of fold for them and the one that is served.
    """
    features, n = replace(features, surface=without_unused(features.surface)), len(folds)
    rows = np.arange(n) if predicted is None else predicted
    parts = parts_to_leave_out(folds, rows)
    # What other kinds of prompts say is learned from some of these and the bank's prompts.
    some = sample_rows(len(rows), UNLIKE_PROMPTS, seed=seed)
    in_bank = bank_rows(n, config.evidence, rows)
    known = np.arange(n) if len(rows) == n else np.union1d(rows[some], in_bank)
    groups = novelty_groups([tasks[row] for row in known], features.embedding[known], seed=seed)
    far_folds = group_folds(groups, n_folds=_GROUP_FOLDS)
    everywhere = (parts, far_folds) if len(rows) == n else ()
    fitter = EvidenceFitter.prepare(features, targets, folds, config.evidence, *everywhere, in_bank=in_bank)
    left_out = parts == 0
    if (
        len(rows) < n and parts.max() == 0 and not left_out[in_bank].any()
    ):  # they only teach what stands on the evidence, so it is fitted once
        served = fitter.fit_outside(left_out)
        evidence = fitter.evidence_by(served, left_out, rows)
    else:
        evidence, served = fitter.out_of_fold(parts, rows), fitter.fit()
    advance("evidence")
    fitter = fitter.take(known)  # without the largest arrays of a training; workers forget them, too, at the next step
    unlike = fitter.out_of_fold(far_folds, np.searchsorted(known, rows[some]))
    del fitter
    advance("other tasks")
    stage = _Stage(features.take(rows), targets.take(rows), folds[rows], evidence, seed, advance)
    boosters = stage.fit_success(config.boosters)
    fitted = stage.fit_probabilities(boosters, unlike, some, groups[np.searchsorted(known, rows[some])])
    amounts, output_tokens = stage.fit_amounts(config.amount_boosters)
    predictor = Predictor(
        models=models,
        grid=targets.grid,
        evidence_model=served,
        boosters=boosters.boosters,
        blend=fitted.blend,
        calibration=replace(fitted.calibration, longest_log_chars=float(features.log_chars.max())),
        uncertainty=fitted.uncertainty,
        amounts=amounts,
    )
    return predictor, OutOfFold(rows, fitted.p_success, output_tokens)


def parts_to_leave_out(folds: npt.NDArray[np.int64], rows: Rows) -> npt.NDArray[np.int64]:
    """Return the part with which each prompt is left out, shape (n,); -1 for prompts that are always learned from.

    Where all prompts are predicted, the parts are the folds. Where few are, several folds are left out at once, as
    evidence is learned once a part.

    Parameters
    ----------
    folds : shape (n,)
    rows : indices of the prompts to predict

    Examples
    --------
    >>> folds = np.arange(10) % 5
    >>> parts_to_leave_out(folds, np.arange(10)).tolist()
    [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    >>> parts_to_leave_out(folds, np.array([0, 9])).tolist()
    [0, -1, -1, -1, -1, -1, -1, -1, -1, 0]
    """
    if len(rows) == len(folds):
        return folds
    n_folds = int(folds.max(initial=0)) + 1
    most = LEFT_OUT * len(folds) / max(len(rows), 1)  # share of the folds that may be one part
    n_parts = next((k for k in range(1, n_folds) if math.ceil(n_folds / k) <= most * n_folds), n_folds)
    parts = np.full(len(folds), -1)
    parts[rows] = folds[rows] * n_parts // n_folds
    return parts


@dataclass(frozen=True, slots=True)
class _Probabilities:
    """The fitted blend and corrections, and the out-of-fold probabilities by them, shape (n, n_models, n_bars)."""

    blend: Blend
    calibration: Calibration
    uncertainty: Uncertainty
    p_success: FloatArray


@dataclass(frozen=True, slots=True)
class _Stage:
    """The data on which the boosters of success and of amounts are fitted."""

    features: PromptFeatures
    targets: Targets
    folds: npt.NDArray[np.int64]
    evidence: Evidence
    seed: int
    advance: Advance

    def pairs(self, columns: Sequence[int], folds: npt.NDArray[np.int64]) -> PairTable:
        """Return the training rows of some targets."""
        n, shown = len(self.features), list(columns)

        def part(prompts: Rows) -> Callable[[], FloatArray]:
            surface = self.features.surface[prompts]
            return partial(pair_rows, self.evidence.take(prompts), surface, self.targets.grid.bars, targets=shown)

        names, n_targets = FORM_NAMES[: self.features.surface.shape[1]], self.evidence.values.shape[2]
        return PairTable(
            part=part,
            names=pair_names(self.evidence.names, names, n_bars=self.targets.n_bars, n_targets=n_targets),
            target=self.targets.outcome[:, :, shown].reshape(n, -1),
            weight=self.targets.weight[:, :, shown].reshape(n, -1),
            folds=folds,
        )

    def fit_success(self, config: BoosterConfig) -> FoldBoosters:
        """Fit the boosters of success, shared by all models and bars."""
        return fit_boosters(
            self.pairs(range(self.targets.n_bars), self.folds),
            objective="binary",
            config=config,
            seed=self.seed,
            advance=lambda: self.advance("boosters"),
        )

    def fit_probabilities(
        self, boosters: FoldBoosters, unlike: Evidence, rows: Rows, groups: npt.NDArray[np.int64]
    ) -> "_Probabilities":
        """Fit blend, calibration and uncertainty.

        Parameters
        ----------
        boosters : fitted on the out-of-fold evidence
        unlike : evidence for the prompts `rows`, computed from other groups of prompts
        groups : of the prompts `rows`
        """
        n_bars, names = self.targets.n_bars, ("record", *self.evidence.names, "booster")
        success, weight = self.targets.outcome[:, :, :n_bars], self.targets.weight[:, :, :n_bars]
        members = member_probabilities(self.evidence, self._boosted(boosters.out_of_fold))
        known = weight > 0
        # Kernels and boosters read all features; a head reads one space, and the record reads none.
        favoured = [name for name in names if name.startswith("kernel_") or name == "booster"]
        blend = fit_blend(names, members[known], success[known], weight[known], favoured=favoured)
        alike = HeldOut(
            blend.combine(members), self.evidence.record[:, :, :n_bars], self.evidence.familiarity, success, weight
        )
        far = HeldOut(
            blend.combine(self._take(rows, unlike).members(boosters)),
            unlike.record[:, :, :n_bars],
            unlike.familiarity,
            success[rows],
            weight[rows] * np.float32(len(weight) / len(rows)),  # so that both kinds of prompts count equally
        )
        calibration = fit_calibration(alike, far)
        # One fold at a time: over all folds, deviations of a kind cancel, as each fold is predicted from the others.
        kinds = (small_kinds(self.features.embedding[rows], seed=self.seed), groups)
        in_folds = [each * (int(self.folds.max()) + 1) + self.folds[rows] for each in kinds]
        return _Probabilities(
            blend,
            calibration,
            fit_uncertainty(calibration, (alike.take(rows), in_folds), (far, groups)),
            calibration.correct(alike.p, alike.record, calibration.trust(alike.familiarity)),
        )

    def members(self, boosters: FoldBoosters) -> FloatArray:
        """Return the members of the blend; each prompt's booster is the one that did not see its fold."""
        table = self.pairs(range(self.targets.n_bars), self.folds)
        scores = out_of_fold_scores(boosters.boosters, table, folds=boosters.folds)
        return member_probabilities(self.evidence, self._boosted(scores))

    def _take(self, rows: Rows, evidence: Evidence) -> "_Stage":
        """Return the stage for some prompts, with their evidence replaced."""
        features, targets = self.features.take(rows), self.targets.take(rows)
        return replace(self, features=features, targets=targets, folds=self.folds[rows], evidence=evidence)

    def _boosted(self, scores: npt.NDArray[np.float64]) -> FloatArray:
        return sigmoid(scores.astype(np.float32)).reshape(len(scores), -1, self.targets.n_bars)

    def fit_amounts(self, config: BoosterConfig) -> tuple[dict[str, AmountModel], FloatArray]:
        """Fit every amount; return their models and the out-of-fold expected output tokens."""
        targets = self.targets
        fitted = {name: self._fit_amount(name, config) for name in targets.amounts}
        models = {name: model for name, (model, _) in fitted.items()}
        if "output_tokens" in fitted:
            return models, fitted["output_tokens"][1]
        n_models = targets.outcome.shape[1]
        flat = AmountModel(
            (), targets.mean_log["output_tokens"], np.zeros((n_models, 3), np.float32), np.ones(n_models, np.float32)
        )
        return {**models, "output_tokens": flat}, flat.expected(np.zeros(targets.outcome.shape[:2]))

    def _fit_amount(self, name: str, config: BoosterConfig) -> tuple[AmountModel, FloatArray]:
        """Fit one amount in two halves, whose boosters are both served; return it with its out-of-fold expectation."""
        column, mean_log = self.targets.column(name), self.targets.mean_log[name]
        fitted = fit_boosters(
            self.pairs([column], self.folds % 2),
            objective="regression_l1",
            config=config,
            seed=self.seed,
            advance=lambda: self.advance("amounts"),
        )
        observed, known = self.targets.outcome[:, :, column].astype(np.float64), self.targets.weight[:, :, column] > 0
        model = AmountModel(
            boosters=fitted.boosters,
            mean_log=mean_log,
            residual_quantiles=residual_quantiles(observed - fitted.out_of_fold, known),
            smearing=smearing(fitted.out_of_fold + mean_log, observed + mean_log, known),
        )
        return model, model.expected(fitted.out_of_fold)
