"""Fit the blend and its logistic correction on out-of-fold predictions."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from router_model.calibration import P_FLOOR, Blend, LogisticCalibration, logit

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

_EM_ITERATIONS = 200
_PRIOR_ROWS = 50
_MIN_SLOPE = 0.05
_NEGLIGIBLE = 1e-3  # weights below this are dropped


def fit_blend(members: tuple[str, ...], p: FloatArray, success: FloatArray, weight: FloatArray) -> Blend:
    """Choose convex weights by likelihood, with a prior that all members are equally good.

    Expectation maximisation for a mixture whose components are fixed: each weight becomes the mean
    responsibility of its member, with `_PRIOR_ROWS` pseudo-rows shared by all. The start (equal weights) makes
    it deterministic. The prior matters on tables of a few hundred rows only (docs/decisions/0001).

    Parameters
    ----------
    members : names
    p : shape (n_rows, n_members), out-of-fold probabilities of success
    success, weight : shape (n_rows,)
    """
    inside = np.clip(p.astype(np.float64), P_FLOOR, 1 - P_FLOOR)
    likelihood = np.where(success[:, None] > 0, inside, 1 - inside)
    total = float(weight.sum())
    share = np.full(len(members), 1 / len(members))
    for _ in range(_EM_ITERATIONS):
        mixed = likelihood @ share
        responsibility = share * ((weight / mixed) @ likelihood)
        share = (responsibility + _PRIOR_ROWS / len(members)) / (total + _PRIOR_ROWS)
    share[share < _NEGLIGIBLE] = 0
    return Blend(members, (share / share.sum()).astype(np.float32))


def fit_logistic(p: FloatArray, success: FloatArray, weight: FloatArray) -> LogisticCalibration:
    """Fit slope and intercept for every bar by penalised likelihood.

    The penalty is one pseudo-observation's worth towards the identity, so that a handful of prompts, or a
    target that never fails, leaves the probabilities as they are.

    Parameters
    ----------
    p, success : shape (n_rows, n_bars)
    weight : shape (n_rows,)
    """
    fitted = [_fit_one(logit(p[:, bar]).astype(np.float64), success[:, bar], weight) for bar in range(p.shape[1])]
    slope, intercept = np.array(fitted, dtype=np.float32).T
    return LogisticCalibration(slope=slope, intercept=intercept)


def _fit_one(x: Float64Array, success: FloatArray, weight: FloatArray) -> tuple[float, float]:
    def loss(parameters: Float64Array) -> tuple[float, Float64Array]:
        slope, intercept = parameters
        score = slope * x + intercept
        value = weight @ (np.logaddexp(0, score) - success * score)
        error = weight * (1 / (1 + np.exp(-score)) - success)
        penalty = (slope - 1) ** 2 + intercept**2
        gradient = np.array([error @ x + 2 * (slope - 1), error.sum() + 2 * intercept])
        return float(value + penalty), gradient

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(_MIN_SLOPE, None), (None, None)])
    return float(found.x[0]), float(found.x[1])
