"""Measure how far the success rates of kinds of prompts lie from the predicted ones.

A kind is a small cluster of similar prompts, or a task that the table names. The wider of the two decides. Tasks may
differ in what the text of a prompt does not show.
"""

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2, vq
from scipy.spatial.distance import cdist

from router_model.prediction.calibration import Calibration, logit
from router_model.prediction.uncertainty import Uncertainty
from router_model.training.fitting.calibrate import HeldOut

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

_PROMPTS_PER_KIND = 100
_MOST_CLUSTERED = 20_000  # of more prompts, so many are clustered, and the others belong to the nearest cluster
_LEAST_PER_KIND = 10
_MIN_KINDS = 20
_FAMILIAR_SHARE = 0.9
_PRIOR_SPREAD = 0.2
_PRIOR_SAMPLING = 0.01
_SAMPLINGS = np.geomspace(0.0005, 0.1, 12)
_SPREADS = np.geomspace(0.05, 3, 20)
_DEVIATIONS = np.sinh(np.linspace(-3, 3, 49)) / 2  # grid from -5 to 5, finest around 0


def small_kinds(embedding: FloatArray, *, seed: int) -> npt.NDArray[np.int64]:
    """Return clusters of 100 prompts, shape (n,); of fewer, down to 10, if there would be less than 20 clusters.

    Large clusters average out the deviations that are to be measured.
    """
    share = min(max(len(embedding) // _MIN_KINDS, _LEAST_PER_KIND), _PROMPTS_PER_KIND)
    return kinds_of(embedding, seed=seed, prompts_per_kind=share)


def kinds_of(embedding: FloatArray, *, seed: int, prompts_per_kind: int = _PROMPTS_PER_KIND) -> npt.NDArray[np.int64]:
    """Return small clusters of similar prompts, shape (n,); no more than there are different embeddings.

    Of more than `_MOST_CLUSTERED` prompts, clusters are larger, because there are no more of them.
    """
    rng, n = np.random.default_rng(seed), len(embedding)
    some = np.arange(n) if n <= _MOST_CLUSTERED else np.sort(rng.choice(n, _MOST_CLUSTERED, replace=False))
    n_kinds = max(min(len(some) // prompts_per_kind, len(np.unique(embedding[some], axis=0))), 1)
    centre = embedding.mean(axis=0)
    centred = embedding[some].astype(np.float64) - centre
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # kmeans2 warns about an empty cluster; there are fewer kinds then
        centres, labels = kmeans2(centred, _distant(centred, n_kinds, rng), minit="matrix")
    if len(some) < n:
        labels = _nearest(centres, embedding, centre)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _distant(points: Float64Array, n_kinds: int, rng: np.random.Generator) -> Float64Array:
    """Return points that k-means starts from, shape (n_kinds, dimension): k-means++ (Arthur & Vassilvitskii 2007).

    The same as scipy's, which computes all distances again for each point that it adds.
    """
    chosen = [int(rng.integers(len(points)))]
    distance = np.full(len(points), np.inf)
    for _ in range(n_kinds - 1):
        np.minimum(distance, cdist(points[chosen[-1:]], points, metric="sqeuclidean")[0], out=distance)
        chosen.append(int(np.searchsorted((distance / distance.sum()).cumsum(), rng.uniform())))
    return points[chosen]


def _nearest(centres: Float64Array, embedding: FloatArray, origin: FloatArray) -> npt.NDArray[np.int64]:
    """Return the nearest centre of each embedding less the origin, shape (n,)."""
    labels = np.empty(len(embedding), dtype=np.int64)
    for start in range(0, len(embedding), _MOST_CLUSTERED):
        rows = slice(start, start + _MOST_CLUSTERED)
        labels[rows] = vq(embedding[rows].astype(np.float64) - origin, centres)[0]
    return labels


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
        density -= _log_of_sum(density)
        prior = -0.5 * np.log(spread / _PRIOR_SPREAD) ** 2 - 0.5 * np.log(sampling / _PRIOR_SAMPLING) ** 2
        return float(_log_of_sum(density + self.log_likelihood).sum() + prior)


def _log_of_sum(logarithms: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the logarithm of the sum of each column; for arrays this small ten times as fast as scipy's.

    >>> np.exp(_log_of_sum(np.log([[1.0, 0.25], [2.0, 0.25]]))).round(6).tolist()
    [3.0, 0.5]
    """
    most = logarithms.max(axis=0)
    return np.asarray(most + np.log(np.exp(logarithms - most).sum(axis=0)))


def fit_uncertainty(
    calibration: Calibration,
    alike: tuple[HeldOut, Sequence[npt.NDArray[np.int64]]],
    unlike: tuple[HeldOut, npt.NDArray[np.int64]],
) -> Uncertainty:
    """Measure the spread of deviations: on familiar prompts by kind, and on other tasks by task.

    The spreads maximise the marginal likelihood, in which deviations are integrated out on a grid. With few prompts,
    the log-normal priors decide. The calibration fitted the models' levels on the same held-out outcomes, so these do
    not show the levels' own error. It is added: a success rate p counted on n prompts has the variance
    ``p (1 - p) / n``, which is ``1 / (n p (1 - p))`` on the log odds.

    Parameters
    ----------
    alike : predictions from other prompts of the same tasks, and ways to divide the prompts into kinds, each shape (n,)
        Of several ways, the one with the widest deviations counts.
    unlike : predictions from other tasks alone, and the tasks
    """
    (familiar, ways), (strange, tasks) = alike, unlike
    spread, sampling = max((_most_likely(_cells(calibration, familiar, kinds)) for kinds in ways), key=_variance)
    far = _cells(calibration, strange, tasks)
    other = max(_SPREADS, key=lambda found: far.evidence(found, sampling))
    # The spread was measured on all familiar prompts, so most of them get it unwidened.
    trust_alike = float(np.quantile(calibration.trust(familiar.familiarity), 1 - _FAMILIAR_SHARE))
    trust_unlike = float(calibration.trust(strange.familiarity).mean())
    return Uncertainty(
        spread_alike=float(spread),
        spread_unlike=max(float(other), float(spread)),
        sampling=float(sampling + 1 / _prompts_of_a_level(familiar.weight)),
        trust_alike=trust_alike,
        trust_unlike=min(trust_alike, trust_unlike),
    )


def _cells(calibration: Calibration, held_out: HeldOut, kinds: npt.NDArray[np.int64]) -> Cells:
    n = len(held_out.p)
    p = calibration.correct(held_out.p, held_out.record, calibration.trust(held_out.familiarity)).reshape(n, -1)
    return Cells.of(p, held_out.success.reshape(n, -1), held_out.weight.reshape(n, -1), kinds)


def _most_likely(cells: Cells) -> tuple[float, float]:
    """Return the spread and the sampling variance with the greatest evidence."""
    return max(itertools.product(_SPREADS, _SAMPLINGS), key=lambda pair: cells.evidence(*pair))


def _variance(found: tuple[float, float]) -> float:
    """Return the variance of deviations at even odds."""
    spread, sampling = found
    return spread**2 + sampling / 0.25


def _prompts_of_a_level(weight: FloatArray) -> float:
    """Return the number of prompts on which a model's success was counted: the median over models and bars.

    Unequal weights count as fewer prompts, ``(sum w)^2 / sum w^2`` (Kish 1965).

    Parameters
    ----------
    weight : shape (n, n_models, n_bars)

    Examples
    --------
    One model has 4 outcomes of equal weight. The other has 2, and one of them counts three times: (1 + 3)^2 / (1 + 9).

    >>> weight = np.array([[[1.0], [1.0]], [[1.0], [3.0]], [[1.0], [0.0]], [[1.0], [0.0]]], np.float32)
    >>> round(_prompts_of_a_level(weight), 2)  # the median of 4 and 1.6
    2.8
    """
    total, square = weight.sum(axis=0, dtype=np.float64), (weight.astype(np.float64) ** 2).sum(axis=0)
    return max(float(np.median(total**2 / np.maximum(square, 1e-12))), 1.0)
