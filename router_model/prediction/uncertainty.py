"""Intervals for a probability: how far the success rate on prompts of the same kind may differ from it.

Predictions are calibrated over all prompts. On one kind of prompts, a model may still do better or worse than
predicted. This deviation is modelled as normal on the log odds: ``logit(rate) = logit(p) + u``, ``u ~ N(0, s^2)``, with
``s^2 = spread^2 + sampling / (p (1 - p))``. The first term was measured on held-out kinds of prompts, and is wider if a
prompt is less familiar. The second is the error of counting successes on finitely many prompts: those of a kind, and
all those from which a model's level was learned.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.prediction.calibration import logit, sigmoid

FloatArray = npt.NDArray[np.float32]

INTERVAL = 0.9
"""Share of pairs (kind of prompts, model) for which the interval should contain the success rate."""

Z = 1.6448536
"""Standard deviations from the middle to the ends of a central 90 %."""


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """The spread of deviations of success rates, as a function of trust.

    Attributes
    ----------
    spread_alike, spread_unlike : float
        Standard deviation on the log odds: on prompts similar to the training prompts, and on other tasks.
    sampling : float
        About 1 divided by the number of logged prompts of a kind, plus 1 divided by the number of all logged prompts.
    trust_alike, trust_unlike : float
        Trust (`router_model.prediction.calibration.Calibration.trust`) that nine in ten of the familiar prompts reach,
        and mean trust on other tasks (or the first if that is less). Between them, spreads are interpolated.
    """

    spread_alike: float
    spread_unlike: float
    sampling: float
    trust_alike: float
    trust_unlike: float

    def spread(self, p: FloatArray, trust: FloatArray) -> FloatArray:
        """Return the standard deviation on the log odds, shape (n, n_models); it never falls as trust falls.

        Parameters
        ----------
        p : shape (n, n_models)
        trust : shape (n,)
        """
        gap = max(self.trust_alike - self.trust_unlike, 1e-6)
        share = np.clip((self.trust_alike - trust) / gap, 0, 1)[:, None]
        between = self.spread_alike + share * (self.spread_unlike - self.spread_alike)
        return np.asarray(np.sqrt(between**2 + self.sampling / np.clip(p * (1 - p), 1e-3, None)), dtype=np.float32)

    def interval(self, p: FloatArray, trust: FloatArray) -> FloatArray:
        """Return lower and upper ends, shape (n, n_models, 2).

        Parameters
        ----------
        p : shape (n, n_models)
        trust : shape (n,)

        Examples
        --------
        Even odds and a spread of 1: the log odds reach from -1.645 to 1.645.

        >>> sure = Uncertainty(1.0, 1.0, 0.0, 1.0, 0.0)
        >>> low, high = sure.interval(np.full((1, 1), 0.5, np.float32), np.ones(1, np.float32))[0, 0]
        >>> round(float(low), 3), round(float(high), 3)
        (0.162, 0.838)
        """
        half = Z * self.spread(p, trust)
        return np.stack([sigmoid(logit(p) - half), sigmoid(logit(p) + half)], axis=-1)
