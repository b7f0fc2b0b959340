"""The method of Avengers-Pro: cluster the prompts and rank models by how they did in the nearest clusters."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from router_model.training.benchmark.method import MethodCard, Routing, sweep
from router_model.training.benchmark.methods.learned import (
    Advance,
    Learned,
    Settings,
    Targets,
    best_on_validation,
    extra,
    vectors_of,
)
from router_model.training.benchmark.methods.simple import record
from router_model.training.benchmark.trial import Trial

Float64Array = npt.NDArray[np.float64]

ODDS = (0.0, *np.geomspace(1e-3, 1e4, 200).tolist())
"""alpha / (1 - alpha): the best model by ``alpha q + (1 - alpha) (1 - c)`` is the best by ``odds q - c``."""

_N_STARTS = 3


@dataclass(frozen=True, slots=True)
class Clusters(Learned):
    """k-means; a prompt reads the profiles of its nearest clusters, weighted by closeness.

    A cluster's profile is each model's mean quality and mean cost on its prompts, scaled to [0, 1] between the models.
    One outcome at the model's overall mean is added to each cluster. A cluster without outcomes has only this one.

    Attributes
    ----------
    sizes : numbers of clusters to choose from
    n_nearest, sharpness : as published
        Number of nearest clusters, which have weights ``softmax(-sharpness * distance)``.
    """

    sizes: tuple[int, ...] = (4, 8, 16, 25, 40, 64, 100)
    n_nearest: int = 3
    sharpness: float = 9.0

    @property
    def card(self) -> MethodCard:
        """What it is."""
        return MethodCard("k-means clusters", "learned", "Avengers-Pro (Zhang et al. 2025)", "alpha: quality or cost")

    def fit(self, trial: Trial, advance: Advance) -> tuple[Callable[[Float64Array], Routing], Settings]:
        """Cluster the training prompts into every number of clusters."""
        targets, held_out = Targets.of(trial.train), vectors_of(trial.validation)
        candidates = []
        for size in sorted({min(size, len(trial.train)) for size in self.sizes}):
            profiles = self._profiles(trial, targets, size)
            candidates.append(({"clusters": size}, profiles, profiles.weights(held_out) @ profiles.values))
            advance(f"{size} clusters")
        settings, chosen = best_on_validation(candidates, targets, trial.validation)
        scaled_quality, scaled_cost = _scaled(targets.quality(chosen.values)), _scaled(chosen.cost_usd)

        def answer(vectors: Float64Array) -> Routing:
            weights = chosen.weights(vectors)
            return Routing(
                sweep(weights @ scaled_quality, weights @ scaled_cost, ODDS),
                p_success=targets.p_success(weights @ chosen.values),
                expected_cost_usd=weights @ chosen.cost_usd,
            )

        return answer, settings

    def _profiles(self, trial: Trial, targets: Targets, size: int) -> "Profiles":
        k_means = extra("sklearn.cluster").KMeans(size, n_init=_N_STARTS, random_state=trial.seed)
        labels = k_means.fit_predict(vectors_of(trial.train))
        return Profiles(
            centres=np.asarray(k_means.cluster_centers_),
            values=cluster_means(targets.values, labels, size, targets.means),
            cost_usd=cluster_means(trial.train.cost_usd, labels, size, record(trial.train)[0]),
            n_nearest=min(self.n_nearest, size),
            sharpness=self.sharpness,
        )


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles of k clusters.

    Attributes
    ----------
    centres : float64 array, shape (k, dimension)
    values : float64 array, shape (k, n_columns)
        Mean outcomes, with the columns of `Targets`.
    cost_usd : float64 array, shape (k, m)
    n_nearest, sharpness : as `Clusters`
    """

    centres: Float64Array
    values: Float64Array
    cost_usd: Float64Array
    n_nearest: int
    sharpness: float

    def weights(self, vectors: Float64Array) -> Float64Array:
        """Return the weight of each cluster for each prompt, shape (n, k); rows sum to 1."""
        distance = cdist(vectors, self.centres)
        nearest = np.argsort(distance, axis=1, kind="stable")[:, : self.n_nearest]
        closeness = -self.sharpness * np.take_along_axis(distance, nearest, axis=1)
        share = np.exp(closeness - closeness.max(axis=1, keepdims=True))
        found = np.zeros_like(distance)
        np.put_along_axis(found, nearest, share / share.sum(axis=1, keepdims=True), axis=1)
        return found


def cluster_means(
    values: Float64Array, labels: npt.NDArray[np.intp], n_clusters: int, prior: Float64Array
) -> Float64Array:
    """Return means of known values by cluster with one value at `prior` added, shape (n_clusters, n_columns).

    >>> values = np.array([[1.0, np.nan], [0.0, np.nan], [1.0, 1.0]])
    >>> cluster_means(values, np.array([0, 0, 1]), 2, np.array([0.5, 1.0])).tolist()
    [[0.5, 1.0], [0.75, 1.0]]
    """
    known = ~np.isnan(values)
    member = (labels == np.arange(n_clusters)[:, None]).astype(np.float64)
    return np.asarray((member @ np.where(known, values, 0) + prior) / (member @ known + 1))


def _scaled(profile: Float64Array) -> Float64Array:
    """Scale each cluster's models to [0, 1]; if all are equal, they are 0."""
    low, high = profile.min(axis=1, keepdims=True), profile.max(axis=1, keepdims=True)
    return np.asarray(np.divide(profile - low, high - low, out=np.zeros_like(profile), where=high > low))
