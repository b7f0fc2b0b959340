"""Measure how far success rates of kinds of prompts lie from what was predicted."""

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2

from router_model.calibration import Calibration, logit
from router_model.uncertainty import Uncertainty
from training.calibrate import HeldOut

FloatArray = npt.NDArray[np.float32]

_PROMPTS_PER_KIND = 50
_PRIOR_KINDS = 1
_NEWTON_STEPS = 12
_PRIOR_SPREAD = 0.3


def kinds_of(embedding: FloatArray, *, seed: int, prompts_per_kind: int = _PROMPTS_PER_KIND) -> npt.NDArray[np.int64]:
    """Return small clusters of similar prompts, shape (n,)."""
    n_kinds = max(len(embedding) // prompts_per_kind, 1)
    centred = embedding.astype(np.float64) - embedding.mean(axis=0)
    _, labels = kmeans2(centred, n_kinds, minit="points", rng=np.random.default_rng(seed), missing="warn")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def spread_of(p: FloatArray, success: FloatArray, weight: FloatArray, kinds: npt.NDArray[np.int64]) -> float:
    """Return the standard deviation on the log odds between predicted and actual rates of (kind, model) pairs.

    Each pair's deviation is estimated by likelihood, with half a success and half a failure added; its sampling
    variance is taken off its square (DerSimonian & Laird 1986). `_PRIOR_KINDS` pseudo-kinds of spread
    `_PRIOR_SPREAD` stand in where there are few.

    Parameters
    ----------
    p, success, weight : shape (n, n_models)
        Held-out probabilities of one bar; weight 0 where the outcome is unknown.
    kinds : shape (n,)
    """
    known = weight > 0
    score = logit(p).astype(np.float64)
    n_kinds, n_models = int(kinds.max()) + 1, p.shape[1]

    def summed(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        sums = np.zeros((n_kinds, n_models))
        np.add.at(sums, kinds, np.where(known, values, 0))
        return sums

    succeeded, count = summed(success), summed(np.ones(p.shape))
    deviation = np.zeros((n_kinds, n_models))
    for _ in range(_NEWTON_STEPS):
        rate = 1 / (1 + np.exp(-(score + deviation[kinds])))
        shrink = 1 / (1 + np.exp(-deviation))  # of the added half success and half failure
        information = summed(rate * (1 - rate)) + shrink * (1 - shrink)
        deviation += np.clip((succeeded + 0.5 - summed(rate) - shrink) / information, -1, 1)
    seen = count > 0
    excess = (deviation**2 - 1 / information)[seen]
    # A pair of few outcomes says little: its square has a variance of about 2 (s^2 + 1/information)^2.
    trust = (1 / (_PRIOR_SPREAD**2 + 1 / information) ** 2)[seen]
    prior = _PRIOR_KINDS * n_models * float(trust.mean()) if seen.any() else 1.0
    spread = (float(trust @ excess) + prior * _PRIOR_SPREAD**2) / (float(trust.sum()) + prior)
    return float(np.sqrt(max(spread, 0.0)))


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
