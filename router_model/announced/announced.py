"""Announced models as candidates: predicted from the known ones, with an interval as wide as their level's.

The router decides by the *lower end* of an announced model's level (`router_model.decision.PredictionTable.cautious`).
The best of 400 estimates is too high, so a router that believed them would choose whichever was overrated most. The
lower ends of n models hold for all of them at once with 95 % (`router_model.announced.level.luckiest`). One model's is
1.6 standard errors below its level, and those of 395 are 3.7 below.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from router_model.announced.estimated_levels import estimate_levels
from router_model.announced.level import Level
from router_model.announced.reference import Reference
from router_model.catalog import Catalog
from router_model.prediction.calibration import logit, sigmoid
from router_model.prediction.predictor import Prediction
from router_model.prediction.uncertainty import Z

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

_LEAST_SPREAD: Final = 0.3
"""Least standard deviation of an unknown model's log output tokens or latency around those of known models."""
_SIDE: Final = 1.2815516
"""Standard deviations from the middle to the 10 % and 90 % quantiles."""


@dataclass(frozen=True, slots=True, eq=False)
class AnnouncedModels:
    """Models that the catalog announces, as mixtures of the known ones.

    Attributes
    ----------
    levels : model -> Level
        In the order of the columns.
    weights : float32 array, shape (n_known, n)
        Of the known models' log odds; see `Reference.mixture`.
    shift : float32 array, shape (n,)
    usual_information : model -> float
        Mean of p (1 - p) over typical prompts: what an answer tells of the level.
    """

    levels: Mapping[str, Level]
    weights: FloatArray
    shift: FloatArray
    usual_information: Mapping[str, float]

    @classmethod
    def of(cls, reference: Reference, known: tuple[str, ...], cards: Catalog) -> "AnnouncedModels | None":
        """Read the announced models of a catalog; None if there are none.

        Parameters
        ----------
        reference : of the known models
        known : their ids, in the order of the reference
        cards : of the announced models, and of known ones for their prices and scores
        """
        wanted = [card.model for card in cards.cards.values() if card.says_level and card.model not in known]
        if not wanted:
            return None
        return cls.of_levels(
            reference, estimate_levels(cards, dict(zip(known, reference.levels.tolist(), strict=True)), wanted)
        )

    @classmethod
    def of_levels(cls, reference: Reference, levels: Mapping[str, Level]) -> "AnnouncedModels":
        """Return models of some levels as mixtures of the reference's."""
        weights, shift = reference.mixture(np.array([level.log_odds for level in levels.values()]))
        p = expit(reference.log_odds @ weights + shift)
        information = dict(zip(levels, (p * (1 - p)).mean(axis=0).tolist(), strict=True))
        return cls(levels, weights.astype(np.float32), shift.astype(np.float32), information)

    @property
    def models(self) -> tuple[str, ...]:
        """Ids in the order of the columns."""
        return tuple(self.levels)

    @property
    def errors(self) -> Float64Array:
        """Standard error of each level, shape (n,)."""
        return np.array([level.error for level in self.levels.values()])

    def extend(self, prediction: Prediction) -> Prediction:
        """Return the prediction with a column for each announced model after those of the known ones.

        Parameters
        ----------
        prediction : of the known models
        """
        p = self._mixed(prediction.p_success)
        quality = self._mixed(prediction.expected_quality)
        ends = logit(prediction.p_interval)
        share = self.weights / self.weights.sum(axis=0)
        half = np.hypot(((ends[..., 1] - ends[..., 0]) / 2) @ share, (Z * self.errors).astype(np.float32))
        middle = logit(p)
        interval = np.stack([sigmoid(middle - half), sigmoid(middle + half)], axis=-1)
        tokens, quantiles = self._tokens(prediction, share)
        latency = None
        if prediction.latency_s is not None:
            latency = np.concatenate([prediction.latency_s, np.expm1(np.log1p(prediction.latency_s) @ share)], axis=1)
        return replace(
            prediction,
            p_success=np.concatenate([prediction.p_success, p], axis=1),
            expected_quality=np.concatenate([prediction.expected_quality, quality], axis=1),
            p_interval=np.concatenate([prediction.p_interval, interval], axis=1),
            output_tokens=tokens,
            output_token_quantiles=quantiles,
            latency_s=latency,
        )

    def _mixed(self, p: FloatArray) -> FloatArray:
        """Return probabilities of the announced models from those of the known ones, shape (n_prompts, n)."""
        return sigmoid(logit(p) @ self.weights + self.shift)

    def _tokens(self, prediction: Prediction, share: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return output tokens and their quantiles, which are wide: known models differ, and this one is unknown."""
        medians = np.log1p(prediction.output_token_quantiles[..., 1].astype(np.float64))
        spread = np.sqrt(_LEAST_SPREAD**2 + ((medians**2) @ share - (medians @ share) ** 2).clip(0))
        logs = np.log1p(prediction.output_token_quantiles.astype(np.float64))
        middle = medians @ share
        sides = [np.hypot((logs[..., end] - medians) @ share, _SIDE * spread) for end in (0, 2)]
        quantiles = np.expm1(np.stack([(middle - sides[0]).clip(0), middle, middle + sides[1]], axis=-1))
        usual = np.expm1(np.log1p(prediction.output_tokens.astype(np.float64)) @ share) * np.exp(spread**2 / 2)
        return (
            np.concatenate([prediction.output_tokens, usual.astype(np.float32)], axis=1),
            np.concatenate([prediction.output_token_quantiles, quantiles.astype(np.float32)], axis=1),
        )
