"""Turn scores into calibrated probabilities: a convex blend of predictors, then a correction of the log odds.

The weights of the blend maximise the out-of-fold likelihood. So, up to estimation noise, the blend is at least as good
as its best member (the super learner of van der Laan, Polley & Hubbard 2007). An average of probabilities is too timid
(Ranjan & Gneiting 2010), most of all about how hard a prompt is. It is also too bold about which model is better on the
prompt. The correction stretches or shrinks each of these parts separately (Platt 1999, by parts).
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

LENGTH_EXPONENT: Final = math.log10(2)
"""Beyond the longest logged prompt, trust is multiplied by ``(length / longest) ** -LENGTH_EXPONENT``: by a half at ten
times its length."""

P_FLOOR = 0.005
"""Members' probabilities are clipped to [P_FLOOR, 1 - P_FLOOR], so that none is certain."""


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


class Parts(NamedTuple):
    """Log odds as a sum: the model's record, the prompt's difficulty, and the model's edge on the prompt."""

    record: FloatArray
    difficulty: FloatArray
    edge: FloatArray


def split_logit(p: FloatArray, record: FloatArray) -> Parts:
    """Split the log odds of probabilities of shape (n, n_models, n_bars) into their parts.

    The difficulty, shape (n, 1, n_bars), is the mean over models of the change from their records. The edge is the rest
    of a model's change; edges sum to 0.
    """
    base = logit(record)
    change = logit(np.clip(p, P_FLOOR / 2, 1 - P_FLOOR / 2)) - base
    difficulty = change.mean(axis=1, keepdims=True)
    return Parts(base, difficulty, change - difficulty)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Corrects log odds: each part is multiplied by a slope that was fitted on held-out prompts.

    With slopes ``a``, ``logit p = a0 + a1 record + a2 difficulty + a3 trust edge``. The trust falls
    from 1 towards 0 as prompts get less familiar. On tasks that a router never saw, predicted differences between
    models are mostly noise, and acting on them costs quality (docs/decisions/0006). It falls, too, for prompts longer
    than all logged ones: by half when the length is ten times theirs (docs/decisions/0072).

    Attributes
    ----------
    slopes : float32 array, shape (4, n_bars)
        Slopes of 1, record, difficulty and edge; all but the first are positive.
    model_intercept : float32 array, shape (n_models, n_bars)
        Added to a model's log odds.
    trust_weights : float32 array, shape (1 + n_familiarity,)
        ``trust = sigmoid(w0 + w . familiarity)``; only w0 may be negative, so that trust never falls with familiarity.
    trust_floor : float
        Below it the trust is 0: the router abstains from telling models apart.
    longest_log_chars : float or None
        ``log(1 + characters)`` of the longest logged prompt; None in routers of before 0.2, to which no prompt is long.
    """

    slopes: FloatArray
    model_intercept: FloatArray
    trust_weights: FloatArray
    trust_floor: float = 0.0
    longest_log_chars: float | None = None

    def trust(self, familiarity: FloatArray, log_chars: FloatArray | None = None) -> FloatArray:
        """Return the trust in edges, shape (n,).

        The floor may equal the trust in some training prompt. This prompt must be on the same side of the floor on
        every processor. So the sum has exact products, is added in one order, and is rounded to float32 last.

        Parameters
        ----------
        familiarity : shape (n, n_familiarity)
        log_chars : shape (n,), ``log(1 + characters)`` of the prompts; default: none is longer than the logged ones
        """
        first, *weights = self.trust_weights.astype(np.float64)
        log_odds = np.full(len(familiarity), first)
        for weight, column in zip(weights, familiarity.T.astype(np.float64), strict=True):
            log_odds += weight * column
        share = 1 / (1 + np.exp(-log_odds))
        if log_chars is not None and self.longest_log_chars is not None:
            beyond = np.maximum(log_chars.astype(np.float64) - self.longest_log_chars, 0)
            share *= np.exp(-LENGTH_EXPONENT * beyond)
        trust = share.astype(np.float32)
        return np.where(trust < self.trust_floor, np.float32(0), trust)

    def correct(self, p: FloatArray, record: FloatArray, trust: FloatArray) -> FloatArray:
        """Correct probabilities of shape (n, n_models, n_bars), and make them non-increasing in the bar.

        Parameters
        ----------
        p, record : shape (n, n_models, n_bars)
        trust : shape (n,)
        """
        parts = split_logit(p, record)
        constant, record_slope, difficulty_slope, edge_slope = self.slopes
        edge = edge_slope * trust[:, None, None] * parts.edge
        level = constant + self.model_intercept + record_slope * parts.record
        corrected = sigmoid(level + difficulty_slope * parts.difficulty + edge)
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
