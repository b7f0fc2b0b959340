"""Logistic loss over known outcomes, minimised by L-BFGS."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

Float64Array = npt.NDArray[np.float64]
Parts = list[Float64Array]

_MARGIN = 0.01
_MAX_ITERATIONS = 100
_TOLERANCE = 1e-6  # tolerance of the loss, which is much smaller than differences between penalties


def log_odds(p: Float64Array) -> Float64Array:
    """Return the log odds of probabilities, which are clipped to stay a little away from 0 and 1."""
    inside = np.clip(p, _MARGIN, 1 - _MARGIN)
    return np.asarray(np.log(inside / (1 - inside)))


def cross_entropy(scores: Float64Array, values: Float64Array) -> tuple[float, Float64Array]:
    """Return the summed cross-entropy of known values in [0, 1] and its slope in the scores.

    Parameters
    ----------
    scores : log odds, shape (n, n_columns)
    values : shape (n, n_columns); NaN where unknown

    Examples
    --------
    Even odds cost log 2 for each known value. A success pulls the score up by 1/2, an unknown value does not pull:

    >>> loss, slope = cross_entropy(np.zeros((1, 3)), np.array([[1.0, 0.0, np.nan]]))
    >>> round(loss, 4), slope.tolist()
    (1.3863, [[-0.5, 0.5, 0.0]])
    """
    known = ~np.isnan(values)
    outcome = np.where(known, values, 0.0)
    loss = np.where(known, np.logaddexp(0, scores) - outcome * scores, 0.0)
    return float(loss.sum()), np.where(known, expit(scores) - outcome, 0.0)


def minimise(loss: Callable[[Parts], tuple[float, Parts]], start: Parts) -> Parts:
    """Return the arrays at which a loss has its minimum.

    Parameters
    ----------
    loss : function from arrays shaped like `start` to the loss and its gradient
    start : arrays at which to start
    """
    edges = np.cumsum([part.size for part in start])[:-1]

    def unpacked(flat: Float64Array) -> Parts:
        return [part.reshape(like.shape) for part, like in zip(np.split(flat, edges), start, strict=True)]

    def packed_loss(flat: Float64Array) -> tuple[float, Float64Array]:
        value, slopes = loss(unpacked(flat))
        return value, np.concatenate([slope.ravel() for slope in slopes], dtype=np.float64)

    found = minimize(
        packed_loss,
        np.concatenate([part.ravel() for part in start]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MAX_ITERATIONS, "ftol": _TOLERANCE},
    )
    return unpacked(found.x)
