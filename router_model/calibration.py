"""From scores to probabilities: a convex blend of predictors, then a logistic correction.

The blend's weights are those that out-of-fold likelihood chose, so no member can make the whole worse than the
best member by more than estimation noise (the super learner of van der Laan, Polley & Hubbard 2007). An
average of probabilities is too timid (Ranjan & Gneiting 2010); the logistic correction on the logit scale
(Platt 1999) undoes that.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

P_FLOOR = 0.005
"""Members' probabilities are kept inside [P_FLOOR, 1 - P_FLOOR]: none may be certain."""


@dataclass(frozen=True, slots=True)
class Blend:
    """A convex combination of member probabilities.

    Attributes
    ----------
    members : names, in the order of the weights
    weights : float32 array, shape (n_members,), non-negative, summing to 1
    """

    members: tuple[str, ...]
    weights: FloatArray

    def combine(self, probabilities: FloatArray) -> FloatArray:
        """Average member probabilities of shape (..., n_members)."""
        return np.clip(probabilities, P_FLOOR, 1 - P_FLOOR) @ self.weights


@dataclass(frozen=True, slots=True)
class LogisticCalibration:
    """``sigmoid(slope * logit(p) + intercept)``, one pair of parameters a quality bar.

    Attributes
    ----------
    slope, intercept : float32 arrays, shape (n_bars,)
        Slopes are positive, so the order of prompts never changes.
    """

    slope: FloatArray
    intercept: FloatArray

    def correct(self, p: FloatArray) -> FloatArray:
        """Correct probabilities of shape (..., n_bars), and make them non-increasing in the bar."""
        corrected = sigmoid(self.slope * logit(p) + self.intercept)
        return np.asarray(np.minimum.accumulate(corrected, axis=-1), dtype=np.float32)


def logit(p: FloatArray) -> FloatArray:
    """Return log odds; `p` is clipped to stay finite."""
    inside = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside) - np.log1p(-inside), dtype=np.float32)


def sigmoid(x: FloatArray) -> FloatArray:
    """Return the inverse of `logit`.

    >>> float(sigmoid(np.float32(0.0)))
    0.5
    """
    return np.asarray(1 / (1 + np.exp(-x)), dtype=np.float32)
