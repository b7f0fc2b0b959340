"""The predictor: from the features of prompts to P(quality >= bar), output tokens and latency of every model.

Evidence for each (prompt, model) pair goes into gradient-boosted trees that all models share (one booster for each
training fold; their scores are averaged). The trees' probability is blended with the evidence itself, with the weights
that out-of-fold likelihood chose. Then the blend is calibrated. Training calls the same functions on out-of-fold
evidence, so the predictor that is measured is the one that is served.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from router_model.features.featuriser import PromptFeatures
from router_model.prediction.amounts import AmountModel
from router_model.prediction.bars import BarGrid
from router_model.prediction.calibration import Blend, Calibration, sigmoid
from router_model.prediction.evidence import FAMILIARITY, Evidence, EvidenceModel
from router_model.prediction.uncertainty import Uncertainty

if TYPE_CHECKING:
    import lightgbm as lgb

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The predictions for n prompts.

    Attributes
    ----------
    p_success : float32 array, shape (n, n_models)
    expected_quality : float32 array, shape (n, n_models)
    output_tokens : float32 array, shape (n, n_models)
        Expected output tokens.
    output_token_quantiles : float32 array, shape (n, n_models, 3)
        `QUANTILES` of the output tokens.
    latency_s : float32 array, shape (n, n_models), or None
        Expected latency; None if the training table had no latencies.
    familiarity : float32 array, shape (n, 3)
        The three measures named in `FAMILIARITY`.
    trust : float32 array, shape (n,)
        How much the predicted differences between models on this prompt count; at 0 only their overall records count.
    p_interval : float32 array, shape (n, n_models, 2)
    """

    p_success: FloatArray
    expected_quality: FloatArray
    output_tokens: FloatArray
    output_token_quantiles: FloatArray
    latency_s: FloatArray | None
    familiarity: FloatArray
    trust: FloatArray
    p_interval: FloatArray

    def of_models(self, columns: npt.NDArray[np.intp]) -> "Prediction":
        """Return the prediction for some of its models."""
        return replace(
            self,
            p_success=self.p_success[:, columns],
            expected_quality=self.expected_quality[:, columns],
            output_tokens=self.output_tokens[:, columns],
            output_token_quantiles=self.output_token_quantiles[:, columns],
            latency_s=None if self.latency_s is None else self.latency_s[:, columns],
            p_interval=self.p_interval[:, columns],
        )

    @property
    def nearest_similarity(self) -> FloatArray:
        """Cosine similarity with the nearest logged prompt: the larger one of both spaces, shape (n,)."""
        return np.asarray(self.familiarity[:, : FAMILIARITY.index("coverage")].max(axis=1))


@dataclass(frozen=True, slots=True, repr=False)
class Predictor:
    """A trained predictor.

    Attributes
    ----------
    models : ids, in the order of every array's model axis
    grid : BarGrid
    evidence_model : EvidenceModel
    boosters : one for each training fold; their scores are averaged on the logit scale
    blend, calibration : fitted on out-of-fold predictions
    uncertainty : Uncertainty
    amounts : amount -> AmountModel
        In the order of their targets. ``output_tokens`` is always there; if it is not a target, it is last and has no
        boosters.
    """

    models: tuple[str, ...]
    grid: BarGrid
    evidence_model: EvidenceModel
    boosters: "tuple[lgb.Booster, ...]"
    blend: Blend
    calibration: Calibration
    uncertainty: Uncertainty
    amounts: Mapping[str, AmountModel]

    def __repr__(self) -> str:
        return f"<Predictor of {len(self.models):,} models, {len(self.boosters)} boosters>"

    def predict(self, features: PromptFeatures, *, quality_bar: float) -> Prediction:
        """Predict success at one bar, and output tokens.

        Raises
        ------
        RequestError
            If no logged answer reached the bar.
        """
        self.grid.check(quality_bar)
        evidence = self.evidence_model.evidence(features)
        blended = self.blend.combine(member_probabilities(evidence, self.boosted(evidence, features)))
        trust = self.calibration.trust(evidence.familiarity, features.log_chars)
        p = self.calibration.correct(blended, evidence.record[:, :, : len(self.grid)], trust)
        p_at_bar = self.grid.at(p, quality_bar)
        scores = self._amount_scores(evidence, features)
        tokens, latency = self.amounts["output_tokens"], self.amounts.get("latency_s")
        return Prediction(
            p_success=p_at_bar,
            expected_quality=self.grid.mean(p),
            output_tokens=tokens.expected(scores["output_tokens"]),
            output_token_quantiles=tokens.quantiles(scores["output_tokens"]),
            latency_s=None if latency is None else latency.expected(scores["latency_s"]),
            familiarity=evidence.familiarity,
            trust=trust,
            p_interval=self.uncertainty.interval(p_at_bar, trust),
        )

    def evidence(self, features: PromptFeatures) -> Evidence:
        """Collect the evidence for prompts, which all predictions are made of."""
        return self.evidence_model.evidence(features)

    def boosted(self, evidence: Evidence, features: PromptFeatures) -> FloatArray:
        """Return the probabilities by the boosters only, shape (n, n_models, n_bars)."""
        n_bars = len(self.grid)
        rows = pair_rows(evidence, self.evidence_model.surface_of(features), self.grid.bars, targets=range(n_bars))
        scores = mean_score(self.boosters, rows).astype(np.float32)
        return sigmoid(scores).reshape(len(features), len(self.models), n_bars)

    def _amount_scores(self, evidence: Evidence, features: PromptFeatures) -> dict[str, npt.NDArray[np.float64]]:
        """Return each amount's booster scores, shape (n, n_models)."""
        shape = (len(features), len(self.models))
        scores = {}
        for position, (name, amount) in enumerate(self.amounts.items()):
            if not amount.boosters:
                scores[name] = np.zeros(shape)
                continue
            target = len(self.grid) + position
            rows = pair_rows(evidence, self.evidence_model.surface_of(features), self.grid.bars, targets=[target])
            scores[name] = mean_score(amount.boosters, rows).reshape(shape)
        return scores


def mean_score(boosters: "Sequence[lgb.Booster]", rows: FloatArray) -> npt.NDArray[np.float64]:
    """Return the mean of the boosters' scores, shape (n_rows,)."""
    return np.asarray(np.mean([raw_scores(booster, rows) for booster in boosters], axis=0))


_SINGLE_THREAD_ROWS = 10_000  # with fewer rows, waking threads costs more than it saves and slows concurrent callers


def raw_scores(booster: "lgb.Booster", rows: FloatArray) -> npt.NDArray[np.float64]:
    """Return a booster's scores on the logit (or log) scale, shape (n_rows,)."""
    n_threads = 1 if len(rows) < _SINGLE_THREAD_ROWS else 0  # 0 means one thread for each core
    return np.asarray(booster.predict(rows, raw_score=True, num_threads=n_threads), dtype=np.float64)


def pair_names(
    evidence_names: Sequence[str], surface_names: Sequence[str], *, n_bars: int, n_targets: int
) -> list[str]:
    """Name the columns of `pair_rows`."""
    names = ["record", *(f"familiarity_{kind}" for kind in FAMILIARITY)]
    names += ["quality_bar"] if n_bars > 1 else []
    for kind in [*evidence_names, *(["kernel_length"] if n_targets > n_bars else [])]:
        names += [kind, f"{kind}_difficulty", f"{kind}_edge"]
    return [*names, *surface_names]


def pair_rows(evidence: Evidence, surface: FloatArray, bars: FloatArray, *, targets: Sequence[int]) -> FloatArray:
    """Lay out the evidence as one row for each (prompt, model, target), for the boosters.

    Every kind of evidence gives three columns: its value, its mean over models (how hard the prompt is) and the
    difference (the model's edge on this prompt). The model's identity is not a column. So a new model needs evidence
    and not a new booster, and leaving it out cost no quality (docs/decisions/0001). If amounts are learned, the first
    amount, as the first kernel machine predicts it, is one more kind of evidence for every target: prompts that are
    similar to prompts with long answers are hard.

    Returns
    -------
    float32 array, shape (n_prompts * n_models * len(targets), n_columns), columns named by `pair_names`
    """
    chosen = list(targets)
    values = evidence.values[:, :, chosen]  # (n, n_models, len(targets), n_kinds)
    if evidence.values.shape[2] > len(bars):
        length = evidence.values[:, :, [len(bars)], first_kernel(evidence.names)]
        values = np.concatenate([values, np.broadcast_to(length[..., None], (*values.shape[:3], 1))], axis=-1)
    n, n_models, n_targets, n_kinds = values.shape
    difficulty = values.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    blocks: list[npt.NDArray[np.float32]] = [
        evidence.record[:, :, chosen, None],
        evidence.familiarity[:, None, None, :],
    ]
    if len(bars) > 1:
        bar_of_target = np.array([bars[target] if target < len(bars) else 0 for target in chosen], dtype=np.float32)
        blocks.append(bar_of_target[None, None, :, None])
    triples = np.stack(np.broadcast_arrays(values, difficulty, values - difficulty), axis=-1)
    blocks += [triples.reshape(n, n_models, n_targets, 3 * n_kinds), surface[:, None, None, :]]
    widths = [block.shape[-1] for block in blocks]
    rows = np.empty((n, n_models, n_targets, sum(widths)), dtype=np.float32)
    for block, end, width in zip(blocks, np.cumsum(widths), widths, strict=True):
        rows[..., end - width : end] = block
    return rows.reshape(n * n_models * n_targets, sum(widths))


def first_kernel(evidence_names: Sequence[str]) -> int:
    """Return the index of the first kernel machine among the kinds of evidence."""
    return next(column for column, name in enumerate(evidence_names) if name.startswith("kernel_"))


def member_probabilities(evidence: Evidence, boosted: FloatArray) -> FloatArray:
    """Stack the probabilities to blend: the model's record, every kind of evidence, and the booster.

    Returns
    -------
    float32 array, shape (n, n_models, n_bars, n_members)
    """
    n_bars = boosted.shape[2]
    return np.concatenate(
        [evidence.record[:, :, :n_bars, None], evidence.values[:, :, :n_bars], boosted[..., None]], axis=-1
    )
