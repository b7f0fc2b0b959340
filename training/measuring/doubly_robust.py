"""Doubly robust outcomes: what each model would have brought on prompts that other models answered.

The estimate of a pair is ``predicted + known / propensity * (quality - predicted)``. Its mean over prompts is unbiased
if either the propensities are right, or the predictions are (Robins, Rotnitzky & Zhao 1994; Dudik, Langford & Li 2011).
A single one may lie far outside 0 to 1: only means over many prompts say something. Weights are not clipped, because
clipping biases the mean.
"""

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]


def dr_outcomes(quality: Float64Array, propensity: Float64Array, predicted: Float64Array) -> Float64Array:
    """Return doubly robust outcomes, shape (n_prompts, n_models); a complete table comes back as it is.

    Parameters
    ----------
    quality : shape (n_prompts, n_models)
        NaN where it is unknown.
    propensity : shape (n_prompts, n_models)
        The probability with which a known pair was logged; NaN where nobody wrote it down. For a prompt without any, it
        is taken as the share of such prompts for which the model's outcome is known.
    predicted : shape (n_prompts, n_models)
        By a predictor that did not learn from the prompt.

    Examples
    --------
    The second model was asked on one prompt of two. Its success there counts twice, less what was predicted:

    >>> nan = float("nan")
    >>> dr_outcomes(np.array([[1.0, 1.0], [0.0, nan]]), np.full((2, 2), nan), np.full((2, 2), 0.75)).tolist()
    [[1.0, 1.25], [0.0, 0.75]]
    """
    known, written = np.isfinite(quality), np.isfinite(propensity)
    unwritten = ~np.any(written, axis=1, keepdims=True)
    share = np.count_nonzero(known & unwritten, axis=0) / max(np.count_nonzero(unwritten), 1)
    chance = np.where(written, propensity, np.where(unwritten, share, 1.0))
    weight = np.divide(1.0, chance, out=np.zeros_like(chance), where=known)
    return np.asarray(predicted + weight * (np.where(known, quality, predicted) - predicted))
