"""The reference: what known models do on typical prompts, from which the success of an announced model is predicted.

If only the level of a model is known, it is taken to find hard what models of a similar level find hard. With p_k the
expected quality of known model k on a prompt, that of the announced one is

    logit p = s * sum_k w_k logit p_k + b,    w_k proportional to exp(-|level_k - level| / 0.5),

with levels as log odds of the mean quality, and b such that the mean over typical prompts is the model's own level. The
slope s was learned by leaving one known model out (`router_model.training.fitting.calibrate.fit_reference`).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

Float64Array = npt.NDArray[np.float64]

REACH = 0.5
"""Log odds over which the weight of a known model falls by a factor of e."""

EDGE = 1e-4
"""Levels and expected qualities are kept this far inside (0, 1)."""

_NEWTON_STEPS = 25


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Predictions of the known models on typical prompts.

    Attributes
    ----------
    log_odds : float32 array, shape (n_prompts, n_known)
        Of the expected quality, by predictors that had not seen the prompt; spread evenly over difficulty.
    slope : float
        s above.
    """

    log_odds: npt.NDArray[np.float32]
    slope: float

    @property
    def levels(self) -> Float64Array:
        """Log odds of each known model's mean expected quality, shape (n_known,)."""
        return log_odds_of(expit(self.log_odds.astype(np.float64)).mean(axis=0))

    def mixture(self, levels: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return how the log odds of known models make those of models of some levels.

        Parameters
        ----------
        levels : shape (n,), log odds of mean quality

        Returns
        -------
        weights : shape (n_known, n), each column sums to `slope`
        shift : shape (n,), to be added

        Examples
        --------
        Two known models that succeed as often; a third that does as well answers like them:

        >>> reference = Reference(np.array([[2.0, 2.0], [-2.0, -2.0]], np.float32), 1.0)
        >>> weights, shift = reference.mixture(np.zeros(1))
        >>> weights.tolist(), abs(round(float(shift[0]), 9))
        ([[0.5], [0.5]], 0.0)
        """
        distance = np.abs(self.levels[:, None] - levels) / REACH
        nearness = np.exp(distance.min(axis=0) - distance)
        weights = self.slope * nearness / nearness.sum(axis=0)
        return weights, _shift_to(expit(levels), self.log_odds.astype(np.float64) @ weights)

    def without(self, column: int) -> "Reference":
        """Return the reference without one known model."""
        return replace(self, log_odds=np.delete(self.log_odds, column, axis=1))

    def with_level(self, level: float) -> "Reference":
        """Return the reference with one more known model in the last place; its level is all that is stored of it."""
        weights, shift = self.mixture(np.array([level]))
        added = (self.log_odds.astype(np.float64) @ weights + shift).astype(np.float32)
        return replace(self, log_odds=np.concatenate([self.log_odds, added], axis=1))


def log_odds_of(share: npt.ArrayLike) -> Float64Array:
    """Return log odds of shares, which are kept inside (0, 1)."""
    inside: Any = logit(np.clip(share, EDGE, 1 - EDGE))
    return np.asarray(inside, dtype=np.float64)


def _shift_to(mean: Float64Array, log_odds: Float64Array) -> Float64Array:
    """Return what added to log odds, shape (n_prompts, n), makes the means over prompts those wanted, shape (n,)."""
    shift = log_odds_of(mean) - log_odds.mean(axis=0)
    for _ in range(_NEWTON_STEPS):
        p = expit(log_odds + shift)
        slope = np.maximum((p * (1 - p)).mean(axis=0), 1e-9)
        shift += np.clip((mean - p.mean(axis=0)) / slope, -1, 1)
    return np.asarray(shift)
