"""Measure how far the success rates of kinds of prompts lie from the predicted ones."""

import itertools
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2
from scipy.special import logsumexp

from router_model.prediction.calibration import Calibration, logit
from router_model.prediction.uncertainty import Uncertainty
from router_model.training.fitting.calibrate import HeldOut

FloatArray = npt.NDArray[np.float32]

_PROMPTS_PER_KIND = 100
_PRIOR_SPREAD = 0.2
_PRIOR_SAMPLING = 0.01
_SAMPLINGS = np.geomspace(0.0005, 0.1, 12)
_SPREADS = np.geomspace(0.05, 3, 20)
_DEVIATIONS = np.sinh(np.linspace(-3, 3, 49)) / 2  # grid from -5 to 5, finest around 0


def kinds_of(embedding: FloatArray, *, seed: int, prompts_per_kind: int = _PROMPTS_PER_KIND) -> npt.NDArray[np.int64]:
    """Return small clusters of similar prompts, shape (n,)."""
    n_kinds = max(len(embedding) // prompts_per_kind, 1)
    centred = embedding.astype(np.float64) - embedding.mean(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # kmeans2 warns about an empty cluster; there are fewer kinds then
        _, labels = kmeans2(centred, n_kinds, minit="++", rng=np.random.default_rng(seed))
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, slots=True)
class Cells:
    """Held-out outcomes, grouped into cells of one model and one kind of prompts.

    Attributes
    ----------
    log_likelihood : float64 array, shape (n_deviations, n_cells)
        Log likelihood of the cell's outcomes if its log odds deviated by each of `_DEVIATIONS`.
    inverse_variance : float64 array, shape (n_cells,)
        Mean of ``1 / (p (1 - p))``.
    """

    log_likelihood: npt.NDArray[np.float64]
    inverse_variance: npt.NDArray[np.float64]

    @classmethod
    def of(cls, p: FloatArray, success: FloatArray, weight: FloatArray, kinds: npt.NDArray[np.int64]) -> "Cells":
        """Group outcomes into cells.

        Parameters
        ----------
        p, success, weight : shape (n, n_models)
            Held-out probabilities; the weight is 0 if the outcome is unknown.
        kinds : shape (n,)
        """
        kinds = np.unique(kinds, return_inverse=True)[1]
        known, score = weight > 0, logit(p).astype(np.float64)

        def summed(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
            sums = np.zeros((int(kinds.max()) + 1, p.shape[1]))
            np.add.at(sums, kinds, np.where(known, values, 0))
            return sums.ravel()

        count = summed(np.ones(p.shape))
        likelihood = [
            summed(success * (score + deviation) - np.logaddexp(0, score + deviation)) for deviation in _DEVIATIONS
        ]
        inverse = summed(1 / np.clip(p * (1 - p), 1e-3, None)) / np.maximum(count, 1)
        return cls(np.array(likelihood)[:, count > 0], inverse[count > 0])

    def evidence(self, spread: float, sampling: float) -> float:
        """Return the log marginal likelihood of deviations of variance ``spread^2 + sampling / (p (1 - p))``."""
        variance = spread**2 + sampling * self.inverse_variance
        density = np.log(np.gradient(_DEVIATIONS))[:, None] - 0.5 * _DEVIATIONS[:, None] ** 2 / variance
        density -= logsumexp(density, axis=0)
        prior = -0.5 * np.log(spread / _PRIOR_SPREAD) ** 2 - 0.5 * np.log(sampling / _PRIOR_SAMPLING) ** 2
        return float(logsumexp(density + self.log_likelihood, axis=0).sum() + prior)


def fit_uncertainty(
    calibration: Calibration,
    alike: tuple[HeldOut, npt.NDArray[np.int64]],
    unlike: tuple[HeldOut, npt.NDArray[np.int64]],
) -> Uncertainty:
    """Measure the spread of deviations: on familiar prompts by small kinds, and on other tasks by task.

    The spreads maximise the marginal likelihood, in which deviations are integrated out on a grid. With few prompts,
    the log-normal priors decide.
    """
    sides, trusts = [], []
    for held_out, kinds in (alike, unlike):
        n = len(held_out.p)
        p = calibration.correct(held_out.p, held_out.record, held_out.familiarity).reshape(n, -1)
        sides.append(Cells.of(p, held_out.success.reshape(n, -1), held_out.weight.reshape(n, -1), kinds))
        trusts.append(float(calibration.trust(held_out.familiarity).mean()))
    near, far = sides
    spread, sampling = max(itertools.product(_SPREADS, _SAMPLINGS), key=lambda pair: near.evidence(*pair))
    other = max(_SPREADS, key=lambda found: far.evidence(found, sampling))
    return Uncertainty(float(spread), max(float(other), float(spread)), float(sampling), trusts[0], min(trusts))
