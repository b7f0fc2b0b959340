"""Measure how far success rates of kinds of prompts lie from what was predicted."""

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2

from router_model.calibration import Calibration
from router_model.uncertainty import Uncertainty
from training.calibrate import HeldOut

FloatArray = npt.NDArray[np.float32]

_PROMPTS_PER_KIND = 50
_PRIOR_KINDS = 10
_PRIOR_SPREAD = 0.3


def kinds_of(embedding: FloatArray, *, seed: int, prompts_per_kind: int = _PROMPTS_PER_KIND) -> npt.NDArray[np.int64]:
    """Return small clusters of similar prompts, shape (n,)."""
    n_kinds = max(len(embedding) // prompts_per_kind, 1)
    centred = embedding.astype(np.float64) - embedding.mean(axis=0)
    _, labels = kmeans2(centred, n_kinds, minit="points", rng=np.random.default_rng(seed), missing="warn")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def spread_of(p: FloatArray, success: FloatArray, weight: FloatArray, kinds: npt.NDArray[np.int64]) -> float:
    """Return the standard deviation on the log odds between predicted and actual rates of (kind, model) pairs.

    A moment estimate: with residual sum R, variance V = sum p(1 - p) of a pair's outcomes and spread s,
    ``E[R^2] = V + s^2 V^2`` to first order (DerSimonian & Laird 1986, for binomial rates), shrunk to
    `_PRIOR_SPREAD` by `_PRIOR_KINDS` pseudo-kinds of average size.

    Parameters
    ----------
    p, success, weight : shape (n, n_models)
        Held-out probabilities of one bar; weight 0 where the outcome is unknown.
    kinds : shape (n,)
    """
    known = weight > 0
    residual = np.where(known, success - p, 0).astype(np.float64)
    variance = np.where(known, p * (1 - p), 0).astype(np.float64)
    n_kinds = int(kinds.max()) + 1
    residual_sum, variance_sum = (np.zeros((n_kinds, p.shape[1])) for _ in range(2))
    np.add.at(residual_sum, kinds, residual)
    np.add.at(variance_sum, kinds, variance)
    excess = float((residual_sum**2 - variance_sum).sum())
    size = float((variance_sum**2).sum())
    prior = _PRIOR_KINDS * p.shape[1] * float(np.mean(variance_sum**2))
    return float(np.sqrt(max(excess + prior * _PRIOR_SPREAD**2, 0.0) / max(size + prior, 1e-9)))


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
