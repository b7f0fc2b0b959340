"""Fit the reference for announced models (`router_model.announced.reference`) from out-of-fold predictions."""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from router_model.announced.reference import Reference, log_odds_of

Float64Array = npt.NDArray[np.float64]

N_PROMPTS: Final = 512
"""Prompts of a reference: evenly spread over difficulty, so that their mean is that of all to 0.2 points."""

_SLOPES: Final = np.linspace(0.5, 1.3, 17)
_EDGE: Final = 1e-3


def fit_reference(expected_quality: Float64Array, quality: Float64Array) -> Reference:
    """Choose typical prompts, and the slope with which known models predict one that is left out best.

    Parameters
    ----------
    expected_quality : shape (n_prompts, n_models), out of fold
    quality : shape (n_prompts, n_models); NaN where unknown
    """
    log_odds = log_odds_of(expected_quality).astype(np.float32)
    order = np.argsort(log_odds.mean(axis=1), kind="stable")
    n = min(N_PROMPTS, len(order))
    middle = ((np.arange(n) + 0.5) * len(order) / n).astype(np.intp)
    chosen = np.sort(order[middle])
    reference = Reference(log_odds[chosen], 1.0)
    if expected_quality.shape[1] < 2:  # noqa: PLR2004 - none is left to predict it
        return reference
    losses = [_left_out_loss(Reference(reference.log_odds, float(slope)), log_odds, quality) for slope in _SLOPES]
    return Reference(reference.log_odds, float(_SLOPES[int(np.argmin(losses))]))


def _left_out_loss(reference: Reference, log_odds: npt.NDArray[np.float32], quality: Float64Array) -> float:
    """Return the mean log-loss of each model's outcomes, predicted from the others and its own level."""
    losses = []
    for column, level in enumerate(reference.levels):
        known = np.isfinite(quality[:, column])
        if not known.any():
            continue
        weights, shift = reference.without(column).mixture(np.array([level]))
        others = np.delete(log_odds[known], column, axis=1).astype(np.float64)
        p = np.clip(expit(others @ weights + shift)[:, 0], _EDGE, 1 - _EDGE)
        y = quality[known, column]
        losses.append(float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean()))
    return float(np.mean(losses))
