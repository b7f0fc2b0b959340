"""Predict the output tokens and the latency of a call, as quantiles and as an expectation, for every model.

A booster shared by all models predicts the median of ``log(1 + amount)`` relative to the model's mean of it. The
residuals of out-of-fold predictions give the quantiles for each model, and the factor from the median to the mean.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import lightgbm as lgb

FloatArray = npt.NDArray[np.float32]

QUANTILES = (0.1, 0.5, 0.9)
"""The predicted quantiles."""

LONGEST_LOG = 15.0
"""Logarithms of amounts are capped at this value (3 million tokens)."""

AMOUNTS = ("output_tokens", "latency_s")
"""Columns of an outcome table that are learned as amounts, if the table has them."""


@dataclass(frozen=True, slots=True)
class AmountModel:
    """Predicts one kind of amount (output tokens or latency) for every model.

    Attributes
    ----------
    boosters : their predictions are averaged; without boosters, the model's mean is predicted
    mean_log : float32 array, shape (n_models,)
        Mean of ``log(1 + amount)``.
    residual_quantiles : float32 array, shape (n_models, 3)
        `QUANTILES` of the observed minus the predicted logarithm, so that each covers its share of answers
        (split conformal prediction on the log scale; Papadopoulos et al. 2002).
    smearing : float32 array, shape (n_models,)
        Mean of observed amounts over the mean of predicted medians (Duan 1983).
    """

    boosters: "tuple[lgb.Booster, ...]"
    mean_log: FloatArray
    residual_quantiles: FloatArray
    smearing: FloatArray

    def expected(self, scores: npt.NDArray[np.float64]) -> FloatArray:
        """Return expected amounts from booster scores, both of shape (n_prompts, n_models)."""
        return np.asarray(self._amount(scores) * self.smearing, dtype=np.float32)

    def quantiles(self, scores: npt.NDArray[np.float64]) -> FloatArray:
        """Return `QUANTILES` of the amounts, shape (n_prompts, n_models, 3)."""
        return np.asarray(self._amount(scores[..., None] + self.residual_quantiles, extra_axes=1), dtype=np.float32)

    def _amount(self, scores: npt.NDArray[np.float64], *, extra_axes: int = 0) -> npt.NDArray[np.float64]:
        mean_log = self.mean_log.reshape(-1, *(1,) * extra_axes)
        return np.expm1(np.clip(scores + mean_log, 0, LONGEST_LOG))
