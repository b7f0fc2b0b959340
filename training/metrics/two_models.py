"""Metrics for a choice between two models, a weak and a strong one (RouteLLM, Ong et al. 2024).

A configuration is a share of prompts that go to the strong model, and the mean quality at this share. The shares from 0
(the weak model's quality) to 1 (the strong one's) form a curve. Its two ends are the same for every router. Between
configurations the curve is interpolated linearly, in order of share. It need not ascend.
"""

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

_TOLERANCE = 1e-12


def apgr(strong_share: Float64Array, quality: Float64Array, *, weak: float, strong: float) -> float | None:
    """Return the average performance gap recovered (APGR); None if strong and weak are equally good.

    ``(AUC - AUC_weak) / (AUC_strong - AUC_weak)``, with areas under the curve of quality over the share of strong
    calls. A random mix has 0.5. The strong model's quality without any strong call would have 1.

    Parameters
    ----------
    strong_share, quality : float64 arrays, shape (n_configurations,)
        In any order.
    weak, strong : mean quality of the two models

    Examples
    --------
    Half of the calls recover all of the gap: areas 0.25 and 0.5.

    >>> apgr(np.array([0.5]), np.array([0.9]), weak=0.5, strong=0.9)
    0.75
    """
    if strong == weak:
        return None
    share, recovered = _curve(strong_share, quality, weak, strong)
    return float(np.trapezoid(recovered, share))


def cpt(
    strong_share: Float64Array, quality: Float64Array, *, weak: float, strong: float, recovered: float
) -> float | None:
    """Return the call-performance threshold: the least share of strong calls that recovers a part of the gap.

    This is where the curve first reaches ``weak + recovered x (strong - weak)``. None if strong and weak are equally
    good.

    Parameters
    ----------
    strong_share, quality, weak, strong : as in `apgr`
    recovered : part of the gap, above 0 and up to 1; RouteLLM reports 0.5 and 0.8

    Examples
    --------
    >>> cpt(np.array([0.4]), np.array([0.9]), weak=0.5, strong=0.9, recovered=0.5)
    0.2
    """
    if strong == weak:
        return None
    share, curve = _curve(strong_share, quality, weak, strong)
    after = int(np.argmax(curve >= recovered - _TOLERANCE))
    if after == 0 or curve[after] <= recovered:
        return float(share[after])
    before = after - 1
    part = (recovered - curve[before]) / (curve[after] - curve[before])
    return float(share[before] + part * (share[after] - share[before]))


def _curve(
    strong_share: Float64Array, quality: Float64Array, weak: float, strong: float
) -> tuple[Float64Array, Float64Array]:
    """Return shares of strong calls, ascending from 0 to 1, and the part of the gap that each recovers."""
    share = np.concatenate([[0.0], strong_share, [1.0]])
    recovered = np.concatenate([[0.0], (quality - weak) / (strong - weak), [1.0]])
    order = np.lexsort((recovered, share))
    return share[order], recovered[order]
