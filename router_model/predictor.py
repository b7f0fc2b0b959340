"""The predictor: prompt features to P(quality >= bar) and expected output tokens, for every model at once.

Evidence per (prompt, model) goes into pooled gradient-boosted trees (one booster a training fold, averaged);
their probability is blended with the evidence itself as far as out-of-fold likelihood trusts each, and
calibrated. Training calls the same functions on out-of-fold evidence, so what is served is what was measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from features.featuriser import PromptFeatures
from router_model.calibration import Blend, LogisticCalibration, sigmoid
from router_model.errors import RequestError
from router_model.evidence import Evidence, EvidenceModel

FloatArray = npt.NDArray[np.float32]


_BAR_TOLERANCE = 1e-6  # bars are stored as float32


@dataclass(frozen=True, slots=True)
class BarRange:
    """Quality bars that can be asked for.

    Attributes
    ----------
    low, high : float
        Inclusive, and above 0: everything meets a bar of 0. With binary outcomes any bar in (0, 1] is the
        same question, so low is 0.
    """

    low: float
    high: float

    def check(self, bar: float) -> None:
        """Refuse a bar outside the range.

        Raises
        ------
        RequestError
        """
        if not (self.low <= bar <= self.high and bar > 0):
            raise RequestError(
                f"quality_bar={bar:g} is outside {self.low:g} to {self.high:g} (above 0), the bars this router "
                "was trained for; ask within, or train with --quality-bars that span it"
            )


@dataclass(frozen=True, slots=True)
class TokenPredictor:
    """Expected output tokens from the same evidence.

    Attributes
    ----------
    booster : lightgbm.Booster or None
        Predicts ``log(1 + tokens)`` less the model's mean of it; None predicts the mean.
    mean_log_tokens : float32 array, shape (n_models,)
    smearing : float32 array, shape (n_models,)
        Mean of observed over predicted, which turns a median on the log scale into a mean (Duan 1983).
    """

    booster: lgb.Booster | None
    mean_log_tokens: FloatArray
    smearing: FloatArray

    def expected_tokens(self, rows: FloatArray, n_prompts: int) -> FloatArray:
        """Return expected output tokens, shape (n_prompts, n_models), from `pair_rows` of the token target."""
        shape = (n_prompts, len(self.mean_log_tokens))
        if self.booster is None:
            return self.from_scores(np.zeros(shape))
        return self.from_scores(raw_scores(self.booster, rows).reshape(shape))

    def from_scores(self, scores: npt.NDArray[np.float64]) -> FloatArray:
        """Turn booster scores of shape (n_prompts, n_models) into expected tokens."""
        log_tokens = np.clip(scores + self.mean_log_tokens, 0, 15)
        return np.asarray(np.expm1(log_tokens) * self.smearing, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the predictor says of n prompts.

    Attributes
    ----------
    p_success : float32 array, shape (n, n_models)
    output_tokens : float32 array, shape (n, n_models)
        Expected.
    familiarity : float32 array, shape (n, 2)
        Similarity of the nearest logged prompt, in the embedding and in the bag.
    """

    p_success: FloatArray
    output_tokens: FloatArray
    familiarity: FloatArray


@dataclass(frozen=True, slots=True)
class Predictor:
    """A trained predictor.

    Attributes
    ----------
    models : ids, in the order of every array's model axis
    bars : float32 array, shape (n_bars,), ascending
    bar_range : BarRange
    evidence_model : EvidenceModel
    boosters : one a training fold; their scores are averaged on the logit scale
    blend, calibration : fitted on out-of-fold predictions
    tokens : TokenPredictor
    """

    models: tuple[str, ...]
    bars: FloatArray
    bar_range: BarRange
    evidence_model: EvidenceModel
    boosters: tuple[lgb.Booster, ...]
    blend: Blend
    calibration: LogisticCalibration
    tokens: TokenPredictor

    def predict(self, features: PromptFeatures, *, quality_bar: float) -> Prediction:
        """Predict success at one bar, and output tokens.

        Raises
        ------
        RequestError
            If the predictor was not trained for the bar.
        """
        self.bar_range.check(quality_bar)
        evidence = self.evidence_model.evidence(features)
        n, n_bars = len(features), len(self.bars)
        rows = pair_rows(evidence, features.surface, self.bars, targets=range(n_bars))
        score = np.mean([raw_scores(booster, rows) for booster in self.boosters], axis=0)
        boosted = sigmoid(score).reshape(n, len(self.models), n_bars)
        p = self.calibration.correct(self.blend.combine(member_probabilities(evidence, boosted)))
        token_rows = rows[:0]
        if self.tokens.booster is not None:
            token_rows = pair_rows(evidence, features.surface, self.bars, targets=[n_bars])
        return Prediction(
            p_success=at_bar(p, self.bars, quality_bar),
            output_tokens=self.tokens.expected_tokens(token_rows, n),
            familiarity=evidence.familiarity,
        )


_SINGLE_THREAD_ROWS = 10_000  # waking threads costs more than it saves below, and hurts concurrent callers


def raw_scores(booster: lgb.Booster, rows: FloatArray) -> npt.NDArray[np.float64]:
    """Return a booster's scores on the logit (or log) scale, shape (n_rows,)."""
    n_threads = 1 if len(rows) < _SINGLE_THREAD_ROWS else 0  # 0: as many as there are cores
    return np.asarray(booster.predict(rows, raw_score=True, num_threads=n_threads), dtype=np.float64)


def pair_names(evidence_names: Sequence[str], surface_names: Sequence[str], n_bars: int) -> list[str]:
    """Name the columns of `pair_rows`."""
    names = ["record", "familiarity_embedding", "familiarity_bag"]
    names += ["quality_bar"] if n_bars > 1 else []
    for kind in evidence_names:
        names += [kind, f"{kind}_difficulty", f"{kind}_edge"]
    return [*names, *surface_names]


def pair_rows(evidence: Evidence, surface: FloatArray, bars: FloatArray, *, targets: Sequence[int]) -> FloatArray:
    """Lay evidence out as one row a (prompt, model, target) for the boosters.

    Every kind of evidence gives three columns: its value, its mean over models (how hard the prompt is) and
    the difference (the model's edge on this prompt). The model's identity is not a column: a new model needs
    evidence, not a new booster (and leaving it out cost nothing; docs/decisions/0001).

    Returns
    -------
    float32 array, shape (n_prompts * n_models * len(targets), n_columns), columns as `pair_names`
    """
    chosen = list(targets)
    values = evidence.values[:, :, chosen]  # (n, n_models, len(targets), n_kinds)
    n, n_models, n_targets, n_kinds = values.shape
    difficulty = values.mean(axis=1, keepdims=True)
    blocks: list[npt.NDArray[np.float32]] = [
        evidence.record[:, :, chosen, None],
        evidence.familiarity[:, None, None, :],
    ]
    if len(bars) > 1:
        bar_of_target = np.append(bars, np.float32(0))[chosen]
        blocks.append(bar_of_target[None, None, :, None])
    triples = np.stack(np.broadcast_arrays(values, difficulty, values - difficulty), axis=-1)
    blocks += [triples.reshape(n, n_models, n_targets, 3 * n_kinds), surface[:, None, None, :]]
    widths = [block.shape[-1] for block in blocks]
    rows = np.empty((n, n_models, n_targets, sum(widths)), dtype=np.float32)
    for block, end, width in zip(blocks, np.cumsum(widths), widths, strict=True):
        rows[..., end - width : end] = block
    return rows.reshape(n * n_models * n_targets, sum(widths))


def member_probabilities(evidence: Evidence, boosted: FloatArray) -> FloatArray:
    """Stack what is blended: the model's record, every kind of evidence, the booster.

    Returns
    -------
    float32 array, shape (n, n_models, n_bars, n_members)
    """
    n_bars = boosted.shape[2]
    return np.concatenate(
        [evidence.record[:, :, :n_bars, None], evidence.values[:, :, :n_bars], boosted[..., None]], axis=-1
    )


def at_bar(p: FloatArray, bars: FloatArray, bar: float) -> FloatArray:
    """Return the probabilities, of shape (n, n_models, n_bars), of meeting the next trained bar from `bar` up.

    Never too high for a bar between two trained ones, whatever levels the qualities have.

    >>> p = np.array([[[0.9, 0.5]]], dtype=np.float32)
    >>> [at_bar(p, np.array([0.5, 0.9], dtype=np.float32), bar).item() for bar in (0.4, 0.5, 0.7, 0.9)]
    [0.8999999761581421, 0.8999999761581421, 0.5, 0.5]
    """
    return p[:, :, min(int(np.searchsorted(bars, bar - _BAR_TOLERANCE)), len(bars) - 1)]
