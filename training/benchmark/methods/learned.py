"""The code that all learned methods share: training targets, choice of settings on validation, and answers.

A learned method predicts *targets* of a prompt from its vector: the success of each model and, if the table is graded,
its quality. The hyperparameters with the least log-loss of success on validation prompts are used.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from router_model.install_line import install_line
from router_model.training.benchmark.method import MethodCard, Routed, Routing, sweep, sweep_values
from router_model.training.benchmark.trial import Side, Trial
from router_model.training.metrics import log_loss

Float64Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Advance = Callable[[str], None]
Settings = Mapping[str, float | int | str]
Fitted = TypeVar("Fitted")

_MARGIN = 0.01
"""Probabilities stay this far from 0 and 1, which means of a few neighbours and straight lines would reach."""

_BLAS_THREADS = 1
"""More threads do not speed up products of this size, and on a busy machine they slow them (docs/decisions/0003)."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets to predict for n prompts, one per column.

    Attributes
    ----------
    values : float64 array, shape (n, n_models) or (n, 2 * n_models)
        Success of every model. If some quality is neither 0 nor 1, the qualities follow. NaN if unknown.
    n_models : int
    """

    values: Float64Array
    n_models: int

    @classmethod
    def of(cls, side: Side) -> "Targets":
        """Lay out the outcomes of a side; if quality equals success, there is only one set of columns."""
        graded = not np.array_equal(side.quality, side.success, equal_nan=True)
        values = np.hstack([side.success, side.quality]) if graded else side.success
        return cls(values, side.success.shape[1])

    def same_of(self, side: Side) -> Float64Array:
        """Return the same columns of another side."""
        graded = self.values.shape[1] > self.n_models
        return np.hstack([side.success, side.quality]) if graded else side.success

    @property
    def means(self) -> Float64Array:
        """Mean of each column over known outcomes; 0 if there are none."""
        known = ~np.isnan(self.values)
        return np.asarray(np.where(known, self.values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))

    def p_success(self, predicted: Float64Array) -> Float64Array:
        """Return the probabilities of success among predicted columns, shape (n, n_models)."""
        return np.clip(predicted[:, : self.n_models], _MARGIN, 1 - _MARGIN)

    def quality(self, predicted: Float64Array) -> Float64Array:
        """Return the qualities among predicted columns, shape (n, n_models)."""
        return predicted[:, -self.n_models :]


def columns_alike(known: npt.NDArray[np.bool_]) -> Iterator[tuple[Rows, Rows]]:
    """Yield (rows, columns) for each set of columns that are known on the same rows.

    In a full table there is one set. In logs, most columns form separate sets. Columns without any row are left out.

    >>> known = np.array([[True, True, False, False], [True, True, True, False]])
    >>> [(rows.tolist(), columns.tolist()) for rows, columns in columns_alike(known)]
    [([1], [2]), ([0, 1], [0, 1])]
    """
    masks, group = np.unique(known, axis=1, return_inverse=True)
    for index in range(masks.shape[1]):
        rows = np.flatnonzero(masks[:, index])
        if len(rows):
            yield rows, np.flatnonzero(group.ravel() == index)


def best_on_validation(
    candidates: Iterable[tuple[Settings, Fitted, Float64Array]], targets: Targets, validation: Side
) -> tuple[Settings, Fitted]:
    """Return the candidate with the least log-loss of success on validation prompts; of equals, the first.

    Parameters
    ----------
    candidates : (settings, fitted object, its predicted columns for validation prompts)
    targets : targets with the same columns as the candidates'
    """
    best: tuple[float, Settings, Fitted] | None = None
    for settings, fitted, predicted in candidates:
        loss = log_loss(targets.p_success(predicted), validation.success)
        if best is None or loss < best[0]:
            best = loss, settings, fitted
    if best is None:
        raise ValueError("no settings to choose from; expected at least one value of every hyperparameter")
    return best[1], best[2]


def answer_by_value(
    trial: Trial,
    targets: Targets,
    predict: Callable[[Float64Array], Float64Array],
    cost_usd: Callable[[Float64Array], Float64Array] | Float64Array,
) -> Callable[[Float64Array], Routing]:
    """Return a function that answers vectors by expected net value, ``quality x value - cost``.

    Parameters
    ----------
    predict : function from vectors to columns as in `targets`
    cost_usd : function from vectors to each model's expected cost, or every model's mean cost, shape (m,)
    """
    values = sweep_values(trial)

    def answer(vectors: Float64Array) -> Routing:
        predicted = predict(vectors)
        quality = targets.quality(predicted)
        if callable(cost_usd):
            cost = cost_usd(vectors)
            return Routing(sweep(quality, cost, values), targets.p_success(predicted), expected_cost_usd=cost)
        cost = np.broadcast_to(cost_usd, quality.shape)
        return Routing(sweep(quality, cost, values), targets.p_success(predicted))

    return answer


class Learned(ABC):
    """A method that learns from vectors and outcomes."""

    @property
    @abstractmethod
    def card(self) -> MethodCard:
        """The description of the method."""

    @abstractmethod
    def fit(self, trial: Trial, advance: Advance) -> tuple[Callable[[Float64Array], Routing], Settings]:
        """Learn from training and choose on validation; return a function that answers vectors, and the choice."""

    def route(self, trial: Trial, advance: Advance) -> Routed:
        """Learn from the trial, then answer its validation and test prompts.

        Raises
        ------
        ImportError
            If the extra ``benchmark`` is not installed.
        """
        with threadpool_limits(_BLAS_THREADS, user_api="blas"):
            started = time.perf_counter()
            answer, settings = self.fit(trial, advance)
            fitted = time.perf_counter()
            validation = answer(vectors_of(trial.validation))
            answered = time.perf_counter()
            test = answer(vectors_of(trial.test))
            decided = time.perf_counter()
        advance(self.card.name)
        return Routed(validation, test, settings, fitted - started, decided - answered)


def vectors_of(side: Side) -> Float64Array:
    """Return the vectors that all methods share, shape (n, dimension)."""
    return side.features.embedding.astype(np.float64)


def extra(module: str) -> Any:
    """Import a module of the extra ``benchmark``.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    from importlib import import_module  # noqa: PLC0415

    try:
        return import_module(module)
    except ImportError as exc:
        raise ImportError(
            f"this method of the benchmark needs {module.partition('.')[0]}: {install_line('benchmark')}"
        ) from exc
