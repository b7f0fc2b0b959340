"""Ridge regression with missing outcomes, solved for many penalties at once, and costs predicted with it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.training.benchmark.methods.learned import columns_alike, vectors_of
from router_model.training.benchmark.methods.simple import record
from router_model.training.benchmark.trial import Trial

Float64Array = npt.NDArray[np.float64]

PENALTIES = tuple(float(f"{penalty:.2g}") for penalty in np.geomspace(0.1, 300, 12))
"""Penalties of squared weights, on vectors of unit length."""

_FLOOR_SHARE = 1e-3
_FLOOR_USD = 1e-12


@dataclass(frozen=True, slots=True)
class Heads:
    """A linear function of vectors for each column.

    Attributes
    ----------
    weights : float64 array, shape (dimension, n_columns)
    bias : float64 array, shape (n_columns,)
    """

    weights: Float64Array
    bias: Float64Array

    def predict(self, vectors: Float64Array) -> Float64Array:
        """Return the columns, shape (n, n_columns)."""
        return vectors @ self.weights + self.bias


def ridge_path(vectors: Float64Array, target: Float64Array, penalties: Sequence[float]) -> list[Heads]:
    """Fit ``sum (x w + b - y)^2 + penalty |w|^2`` over known targets, at each penalty.

    One eigendecomposition of ``X'X`` serves all penalties, and all columns known on the same prompts.

    Parameters
    ----------
    vectors : shape (n, dimension)
    target : shape (n, n_columns); NaN where unknown
        A column without known values is predicted as 0.
    """
    shape = (vectors.shape[1], target.shape[1])
    path = [Heads(np.zeros(shape), np.zeros(shape[1])) for _ in penalties]
    for rows, columns in columns_alike(~np.isnan(target)):
        x, y = vectors[rows], target[np.ix_(rows, columns)]
        centre, mean = x.mean(axis=0), y.mean(axis=0)
        x = x - centre
        eigenvalues, basis = np.linalg.eigh(x.T @ x)
        projected = basis.T @ (x.T @ (y - mean))
        for heads, penalty in zip(path, penalties, strict=True):
            weights = basis @ (projected / (np.maximum(eigenvalues, 0) + penalty)[:, None])
            heads.weights[:, columns] = weights
            heads.bias[columns] = mean - centre @ weights
    return path


@dataclass(frozen=True, slots=True)
class CostHeads:
    """Expected cost of a call: the exponential of a ridge on log cost, scaled to be right on average.

    Attributes
    ----------
    heads : Heads
        Heads of the logarithm of USD.
    low, high : float64 arrays, shape (m,)
        Range of log costs in training; predictions are clipped to it.
    smearing : float64 array, shape (m,)
        Mean cost divided by the mean exponential on training prompts, because the mean of a skewed amount is above the
        exponential of its mean logarithm (Duan 1983).
    penalty : float
    """

    heads: Heads
    low: Float64Array
    high: Float64Array
    smearing: Float64Array
    penalty: float

    def predict(self, vectors: Float64Array) -> Float64Array:
        """Return expected costs in USD, shape (n, m)."""
        return np.exp(np.clip(self.heads.predict(vectors), self.low, self.high)) * self.smearing


def fit_costs(trial: Trial) -> CostHeads:
    """Fit known costs of training prompts, with the penalty that has the least squared error of log cost on validation.

    A model without a known cost gets the highest mean cost, as in `record`.
    """
    vectors, cost = vectors_of(trial.train), trial.train.cost_usd
    mean, _ = record(trial.train)
    cost = np.where(np.isnan(cost).all(axis=0), mean, cost)
    floor = np.maximum(mean * _FLOOR_SHARE, _FLOOR_USD)
    logs = np.log(np.maximum(cost, floor))
    wanted = np.log(np.maximum(trial.validation.cost_usd, floor))
    path = ridge_path(vectors, logs, PENALTIES)
    errors = [np.nanmean((heads.predict(vectors_of(trial.validation)) - wanted) ** 2) for heads in path]
    chosen = int(np.argmin(errors))
    low, high = np.nanmin(logs, axis=0), np.nanmax(logs, axis=0)
    known = ~np.isnan(cost)
    fitted = np.exp(np.clip(path[chosen].predict(vectors), low, high))
    smearing = np.where(known, cost, 0).sum(axis=0) / np.where(known, fitted, 0).sum(axis=0)
    return CostHeads(path[chosen], low, high, smearing, PENALTIES[chosen])
