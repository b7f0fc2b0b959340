"""The nearest-neighbour method: average the outcomes of the most similar training prompts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.training.benchmark.method import MethodCard, Routing
from router_model.training.benchmark.methods.learned import (
    Advance,
    Learned,
    Settings,
    Targets,
    answer_by_value,
    best_on_validation,
    columns_alike,
    vectors_of,
)
from router_model.training.benchmark.methods.simple import record
from router_model.training.benchmark.trial import Trial

Float64Array = npt.NDArray[np.float64]

_PAIRS_AT_ONCE = 8_000_000  # similarities held at once, 64 MB


@dataclass(frozen=True, slots=True)
class KNearest(Learned):
    """Mean outcome of the k nearest prompts by cosine; only prompts with a known outcome count.

    Attributes
    ----------
    with_cost : bool
        Whether costs are the mean of the nearest prompts, with a separate k; otherwise the model's overall mean cost.
    sizes : numbers of neighbours to choose from
    """

    with_cost: bool = False
    sizes: tuple[int, ...] = (5, 10, 20, 40, 60, 100, 150, 200)

    @property
    def card(self) -> MethodCard:
        """What it is."""
        if self.with_cost:
            return MethodCard("kNN + cost", "learned", "CARROT (Somerstep et al. 2025)", "value of a success")
        return MethodCard("kNN", "learned", "RouterBench (Hu et al. 2024)", "value of a success")

    def fit(self, trial: Trial, advance: Advance) -> tuple[Callable[[Float64Array], Routing], Settings]:
        """Store the training prompts and choose k."""
        targets = Targets.of(trial.train)
        vectors, held_out = vectors_of(trial.train), vectors_of(trial.validation)
        means = nearest_means(held_out, vectors, targets.values, self.sizes)
        settings, size = best_on_validation(
            (({"k": size}, size, predicted) for size, predicted in zip(self.sizes, means, strict=True)),
            targets,
            trial.validation,
        )

        def predict(queries: Float64Array) -> Float64Array:
            return nearest_means(queries, vectors, targets.values, [size])[0]

        if not self.with_cost:
            return answer_by_value(trial, targets, predict, record(trial.train)[0]), settings
        mean_cost, cost = record(trial.train)[0], trial.train.cost_usd
        cost = np.where(np.isnan(cost).all(axis=0), mean_cost, cost)
        wanted = trial.validation.cost_usd
        scale = np.maximum(mean_cost, np.finfo(np.float64).tiny)
        errors = [
            np.nanmean(((expected - wanted) / scale) ** 2)
            for expected in nearest_means(held_out, vectors, cost, self.sizes)
        ]
        cost_size = self.sizes[int(np.argmin(errors))]
        advance("costs")

        def expect(queries: Float64Array) -> Float64Array:
            return nearest_means(queries, vectors, cost, [cost_size])[0]

        return answer_by_value(trial, targets, predict, expect), {**settings, "cost_k": cost_size}


def nearest_means(
    queries: Float64Array, vectors: Float64Array, values: Float64Array, sizes: Sequence[int]
) -> list[Float64Array]:
    """Return the mean value of the k nearest vectors that have one, for each k, of shape (n_queries, n_columns).

    If fewer than k vectors have a value, all of these count; if none has, the result is 0.

    Parameters
    ----------
    queries, vectors : shapes (n_queries, dimension), (n, dimension); rows of unit length
    values : shape (n, n_columns); NaN where unknown
    sizes : values of k
    """
    found = [np.zeros((len(queries), values.shape[1])) for _ in sizes]
    for rows, columns in columns_alike(~np.isnan(values)):
        known, of_rows = vectors[rows], values[np.ix_(rows, columns)]
        counts = np.minimum(sizes, len(rows))
        step = max(_PAIRS_AT_ONCE // len(rows), 1)
        for start in range(0, len(queries), step):
            nearest = _nearest(queries[start : start + step] @ known.T, int(counts.max()))
            totals = np.cumsum(of_rows[nearest], axis=1)
            for index, count in enumerate(counts):
                found[index][start : start + step, columns] = totals[:, count - 1] / count
    return found


def _nearest(similarity: Float64Array, count: int) -> npt.NDArray[np.intp]:
    """Return the columns of the `count` highest in each row, highest first."""
    if count < similarity.shape[1]:
        top = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    else:
        top = np.tile(np.arange(similarity.shape[1]), (len(similarity), 1))
    order = np.argsort(-np.take_along_axis(similarity, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1)
