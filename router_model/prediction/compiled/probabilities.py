"""Compute the probabilities and amounts of one prompt from its scores by compiled code.

The formulas and their sources are in `router_model.prediction.calibration`, `router_model.prediction.uncertainty` and
`router_model.prediction.amounts`, whose results this code repeats.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from router_model.prediction.amounts import LONGEST_LOG, AmountModel
from router_model.prediction.calibration import P_FLOOR, Blend, Calibration
from router_model.prediction.compiled.evidence import PromptEvidence
from router_model.prediction.compiled.jit import compiled
from router_model.prediction.uncertainty import Uncertainty, Z

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]


class Calibrated(NamedTuple):
    """Calibrated probabilities.

    Attributes
    ----------
    p : float32 array, shape (n_models, n_bars)
    trust : float
    """

    p: FloatArray
    trust: float


@dataclass(frozen=True, slots=True)
class ProbabilityModel:
    """The blend and its calibration.

    Attributes
    ----------
    record : float32 array, shape (n_models, n_bars)
    weights : float64 array, shape (n_members,)
    slopes : float64 array, shape (4, n_bars)
    intercept : float64 array, shape (n_models, n_bars)
    trust_weights : float64 array, shape (4,)
    trust_floor : float
    """

    record: FloatArray
    weights: DoubleArray
    slopes: DoubleArray
    intercept: DoubleArray
    trust_weights: DoubleArray
    trust_floor: float

    @classmethod
    def of(cls, record: FloatArray, blend: Blend, calibration: Calibration) -> "ProbabilityModel":
        """Lay out a blend and its calibration."""
        return cls(
            record=np.array(record, dtype=np.float32, order="C"),
            weights=_double(blend.weights),
            slopes=_double(calibration.slopes),
            intercept=_double(calibration.model_intercept),
            trust_weights=_double(calibration.trust_weights),
            trust_floor=float(calibration.trust_floor),
        )

    def calibrate(self, evidence: PromptEvidence, scores: DoubleArray) -> Calibrated:
        """Blend the members and correct the result.

        Parameters
        ----------
        scores : shape (n_models * n_bars,)
            The boosters' scores.
        """
        p, trust = _calibrate(
            evidence.values,
            evidence.familiarity,
            scores.reshape(self.record.shape),
            self.record,
            self.weights,
            self.slopes,
            self.intercept,
            self.trust_weights,
            self.trust_floor,
            P_FLOOR,
        )
        return Calibrated(p, trust)


@dataclass(frozen=True, slots=True)
class PromptUncertainty:
    """Intervals of one prompt's probabilities.

    Attributes
    ----------
    parts : float64 array, shape (5,)
        The numbers of an `Uncertainty`, in order.
    """

    parts: DoubleArray

    @classmethod
    def of(cls, uncertainty: Uncertainty) -> "PromptUncertainty":
        """Lay out the numbers."""
        part = uncertainty
        numbers = [part.spread_alike, part.spread_unlike, part.sampling, part.trust_alike, part.trust_unlike]
        return cls(np.array(numbers, dtype=np.float64))

    def interval(self, p: FloatArray, trust: float) -> FloatArray:
        """Return lower and upper ends, shape (n_models, 2), of probabilities of shape (n_models,)."""
        return np.asarray(_interval(p, trust, self.parts, Z))


class Amount(NamedTuple):
    """Predicted amounts.

    Attributes
    ----------
    expected : float32 array, shape (n_models,)
    quantiles : float32 array, shape (n_models, n_quantiles)
    """

    expected: FloatArray
    quantiles: FloatArray


@dataclass(frozen=True, slots=True)
class PromptAmounts:
    """One kind of amounts, of one prompt.

    Attributes
    ----------
    mean_log, smearing : float64 array, shape (n_models,)
    residual_quantiles : float64 array, shape (n_models, n_quantiles)
    """

    mean_log: DoubleArray
    smearing: DoubleArray
    residual_quantiles: DoubleArray

    @classmethod
    def of(cls, amount: AmountModel) -> "PromptAmounts":
        """Lay out an amount."""
        return cls(_double(amount.mean_log), _double(amount.smearing), _double(amount.residual_quantiles))

    def amount(self, scores: DoubleArray) -> Amount:
        """Return the amounts from booster scores of shape (n_models,)."""
        return Amount(*_amount(scores, self.mean_log, self.smearing, self.residual_quantiles, LONGEST_LOG))


def _double(array: FloatArray) -> DoubleArray:
    return np.array(array, dtype=np.float64, order="C")


@compiled
def _inside(p, floor):
    return min(max(p, floor), 1 - floor)


@compiled
def _logit(p):
    inside = _inside(p, 1e-6)
    return np.log(inside) - np.log1p(-inside)


@compiled
def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


@compiled
def _calibrate(values, familiarity, scores, record, weights, slopes, intercept, trust_weights, trust_floor, floor):
    n_models, n_bars = record.shape
    n_kinds = values.shape[2]
    weight = trust_weights[0]
    for each in range(len(familiarity)):
        weight += trust_weights[1 + each] * familiarity[each]
    trust = float(np.float32(_sigmoid(weight)))  # the bits of `Calibration.trust`: same side of the floor
    trust = 0.0 if trust < trust_floor else trust
    p = np.empty((n_models, n_bars), dtype=np.float32)
    change = np.empty(n_models)
    for bar in range(n_bars):
        constant, of_record, of_difficulty, of_edge = slopes[:, bar]
        difficulty = 0.0
        for model in range(n_models):
            blended = weights[0] * _inside(record[model, bar], floor)
            for kind in range(n_kinds):
                blended += weights[1 + kind] * _inside(values[model, bar, kind], floor)
            blended += weights[1 + n_kinds] * _inside(_sigmoid(scores[model, bar]), floor)
            change[model] = _logit(_inside(blended, floor / 2)) - _logit(record[model, bar])
            difficulty += change[model] / n_models
        for model in range(n_models):
            level = constant + intercept[model, bar] + of_record * _logit(record[model, bar])
            edge = of_edge * trust * (change[model] - difficulty)
            corrected = _sigmoid(level + of_difficulty * difficulty + edge)
            p[model, bar] = corrected if bar == 0 else min(np.float32(corrected), p[model, bar - 1])
    return p, trust


@compiled
def _interval(p, trust, parts, z):
    alike, unlike, sampling, trust_alike, trust_unlike = parts
    share = min(max((trust_alike - trust) / max(trust_alike - trust_unlike, 1e-6), 0.0), 1.0)
    between = alike + share * (unlike - alike)
    ends = np.empty((len(p), 2), dtype=np.float32)
    for model in range(len(p)):
        odds = np.float64(p[model])
        half = z * np.sqrt(between**2 + sampling / max(odds * (1 - odds), 1e-3))
        ends[model, 0] = _sigmoid(_logit(odds) - half)
        ends[model, 1] = _sigmoid(_logit(odds) + half)
    return ends


@compiled
def _amount(scores, mean_log, smearing, residual_quantiles, longest):
    n_models, n_quantiles = residual_quantiles.shape
    expected = np.empty(n_models, dtype=np.float32)
    quantiles = np.empty((n_models, n_quantiles), dtype=np.float32)
    for model in range(n_models):
        median = scores[model] + mean_log[model]
        expected[model] = np.expm1(min(max(median, 0.0), longest)) * smearing[model]
        for each in range(n_quantiles):
            log = min(max(median + residual_quantiles[model, each], 0.0), longest)
            quantiles[model, each] = np.expm1(log)
    return expected, quantiles
