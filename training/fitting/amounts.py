"""Fit the residuals of predicted amounts (tokens, seconds): their quantiles, and the factor from a median to a mean."""

import numpy as np
import numpy.typing as npt

from router_model.prediction.amounts import QUANTILES

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

_PRIOR_ROWS = 20


def residual_quantiles(error: npt.NDArray[np.float64], known: BoolArray) -> FloatArray:
    """Return `QUANTILES` of each model's errors, shape (n_models, 3), shrunk to those of all models.

    Parameters
    ----------
    error : shape (n, n_models)
        Observed minus predicted logarithm; any value if not `known`.
    """
    n_models = error.shape[1]
    if not known.any():
        return np.zeros((n_models, len(QUANTILES)), dtype=np.float32)
    overall = np.quantile(error[known], QUANTILES)
    found = np.tile(overall, (n_models, 1))
    for column in np.flatnonzero(known.any(axis=0)):
        own = error[known[:, column], column]
        trust = len(own) / (len(own) + _PRIOR_ROWS)
        found[column] = trust * np.quantile(own, QUANTILES) + (1 - trust) * overall
    return found.astype(np.float32)


def smearing(predicted: npt.NDArray[np.float64], observed: npt.NDArray[np.float64], known: BoolArray) -> FloatArray:
    """Return each model's mean observed amount divided by its mean predicted one, shape (n_models,).

    It is 1 where nothing is known, or nothing but zeros: a provider in the same process answers in no measurable time.

    Parameters
    ----------
    predicted, observed : shape (n, n_models)
        On the log scale, as ``log(1 + amount)``.
    """
    observed_sum = np.where(known, np.expm1(np.where(known, observed, 0)), 0).sum(axis=0)
    predicted_sum = np.where(known, np.expm1(np.clip(predicted, 0, 15)), 0).sum(axis=0)
    has_both = (observed_sum > 0) & (predicted_sum > 0)
    ratio = np.divide(observed_sum, predicted_sum, out=np.ones_like(predicted_sum), where=has_both)
    return np.asarray(ratio, dtype=np.float32)
