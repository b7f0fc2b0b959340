"""Measure how far success rates of kinds of prompts lie from what was predicted."""

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2
from scipy.special import logsumexp

from router_model.calibration import Calibration, logit
from router_model.uncertainty import Uncertainty
from training.calibrate import HeldOut

FloatArray = npt.NDArray[np.float32]

_PROMPTS_PER_KIND = 50
_PRIOR_SPREAD = 0.3
_SPREADS = np.geomspace(0.05, 3, 30)
_DEVIATIONS = np.sinh(np.linspace(-3, 3, 49)) / 2  # from -5 to 5, finest around 0


def kinds_of(embedding: FloatArray, *, seed: int, prompts_per_kind: int = _PROMPTS_PER_KIND) -> npt.NDArray[np.int64]:
    """Return small clusters of similar prompts, shape (n,)."""
    n_kinds = max(len(embedding) // prompts_per_kind, 1)
    centred = embedding.astype(np.float64) - embedding.mean(axis=0)
    _, labels = kmeans2(centred, n_kinds, minit="points", rng=np.random.default_rng(seed), missing="warn")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def spread_of(p: FloatArray, success: FloatArray, weight: FloatArray, kinds: npt.NDArray[np.int64]) -> float:
    """Return the standard deviation on the log odds between predicted and actual rates of (kind, model) pairs.

    The spread of greatest marginal likelihood, deviations integrated out on a grid; a log-normal prior around
    `_PRIOR_SPREAD` decides where there are a handful of prompts.

    Parameters
    ----------
    p, success, weight : shape (n, n_models)
        Held-out probabilities of one bar; weight 0 where the outcome is unknown.
    kinds : shape (n,)
    """
    known = weight > 0
    score = logit(p).astype(np.float64)
    likelihood = np.zeros((len(_DEVIATIONS), int(kinds.max()) + 1, p.shape[1]))
    for position, deviation in enumerate(_DEVIATIONS):
        shifted = score + deviation
        np.add.at(likelihood[position], kinds, np.where(known, success * shifted - np.logaddexp(0, shifted), 0))
    # (n_spreads, n_deviations): the density of each deviation under each spread, normalised on the grid.
    density = np.log(np.gradient(_DEVIATIONS)) - 0.5 * (_DEVIATIONS / _SPREADS[:, None]) ** 2
    density -= logsumexp(density, axis=1, keepdims=True)
    posterior = [
        logsumexp(log_density[:, None, None] + likelihood, axis=0).sum() - 0.5 * np.log(spread / _PRIOR_SPREAD) ** 2
        for spread, log_density in zip(_SPREADS, density, strict=True)
    ]
    return float(_SPREADS[int(np.argmax(posterior))])


def fit_uncertainty(
    calibration: Calibration,
    alike: tuple[HeldOut, npt.NDArray[np.int64]],
    unlike: tuple[HeldOut, npt.NDArray[np.int64]],
) -> Uncertainty:
    """Measure the spread on prompts like those learned from, by small kinds, and on other tasks, by task."""
    spreads, trusts = [], []
    for held_out, kinds in (alike, unlike):
        n = len(held_out.p)
        p = calibration.correct(held_out.p, held_out.record, held_out.familiarity).reshape(n, -1)
        spreads.append(spread_of(p, held_out.success.reshape(n, -1), held_out.weight.reshape(n, -1), kinds))
        trusts.append(float(calibration.trust(held_out.familiarity).mean()))
    return Uncertainty(spreads[0], max(spreads), trusts[0], min(trusts))
