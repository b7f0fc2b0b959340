"""Predict a new model's outcomes on thousands of prompts, from a hundred known ones and the other models' outcomes.

The new model's outcomes are regressed on those of the other models, in two parts. The first part is what the others
were expected to do on such a prompt (from similar prompts). It shows which models the new one resembles. The second
part is how much better or worse they did on this very prompt. It removes noise, because some prompts are hard for all
models. The weights of the first part are then applied to the others' outcomes on every prompt, which equal their
expectations on average over prompts of a kind.

Behaviour that no mixture of the other models explains is a Gaussian process over prompts. The answers determine its
variance, which is zero if they show no such behaviour. If an outcome of a regressor is unknown, its expectation takes
its place. This adds an independent error, which does not bias a linear fit (Berkson 1950).

The mean over all prompts is the regression estimator of survey sampling (Cochran 1977, chapter 7). If the new model was
given easier prompts than the others, its record is corrected for that.
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

PENALTIES = (1.0, 5.0, 25.0, 125.0, 1000.0)
"""Penalties to try for the weights of single models' expectations; with the last, almost only their mean counts."""

SURPRISE_PENALTIES = (30.0, 300.0)
"""Penalties to try for the weights of single models' deviations from their expectations."""

OWN_VARIANCES = (0.0, 0.1, 0.5, 2.0)
"""Variances to try for the new model's own behaviour, relative to the noise."""

_MEAN_PENALTY = 1.0  # keeps the weight of the mean over models near 1, which is a model like the average one


@dataclass(frozen=True, slots=True)
class CarriedOver:
    """The predicted outcomes of the new model on n prompts, for one target.

    Attributes
    ----------
    values : float64 array, shape (n,)
        Expected outcome on each prompt; for success it may leave [0, 1] a little.
    level : float
        Mean of the values: the model's record over all prompts.
    standard_error : float
        Standard error of the level, from leave-one-out residuals; NaN without answers.
    """

    values: Float64Array
    level: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class Likeness:
    """The similarity of prompts as a covariance.

    Attributes
    ----------
    within : float64 array, shape (k, k)
        Covariance of the answered prompts.
    to_all : float64 array, shape (n, k)
        Covariance of all prompts with the answered ones.
    """

    within: Float64Array
    to_all: Float64Array

    def take(self, rows: npt.NDArray[np.intp]) -> "Likeness":
        """Return the likeness of some of the answered prompts."""
        return Likeness(self.within[np.ix_(rows, rows)], self.to_all[:, rows])

    def centred(self) -> "Likeness":
        """Return the covariances of functions whose mean over the answered prompts is 0."""
        column, mean = self.within.mean(axis=0), self.within.mean()
        return Likeness(
            self.within - column - column[:, None] + mean,
            self.to_all - self.to_all.mean(axis=1, keepdims=True) - column + mean,
        )


def carry_over(
    expected: Float64Array,
    answered: Float64Array,
    outcome: Float64Array,
    others: Float64Array,
    likeness: Likeness,
    *,
    level: float,
) -> CarriedOver:
    """Predict the new model's outcomes from the other models'.

    The model is a ridge regression plus a Gaussian process over prompts. The regressors are the mean over models (with
    a weight near 1) and each model's deviation from it (with a weight near 0), for the expectations and for the
    surprises, which are outcomes minus expectations. The penalties and the variance have the greatest marginal
    likelihood.

    Parameters
    ----------
    expected : shape (k, n_models)
        Expected outcomes of the other models on the prompts that the new model answered, without using their outcomes.
    answered : shape (k, n_models)
        Their outcomes on these prompts; the expectation if unknown.
    outcome : shape (k,)
        Outcomes of the new model.
    others : shape (n, n_models)
        The others' outcomes on all prompts.
    likeness : of the k prompts with each other, and of all n prompts with these
    level : float
        The level to assume if ``k`` is 0.

    Examples
    --------
    Two models answered four dissimilar prompts. A third model gets only the two easy ones and succeeds once. Its record
    is put below one half, because the others do worse on the rest:

    >>> others = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    >>> alone = Likeness(np.eye(2), np.eye(4)[:, :2])
    >>> carry_over(others[:2], others[:2], np.array([1.0, 0.0]), others, alone, level=0.5).level
    0.125
    """
    centre = others.mean(axis=0)
    population = _columns(others - centre)
    if not len(outcome):
        return CarriedOver(level + population[:, 0], level, float("nan"))
    n_columns = population.shape[1]
    sample = np.concatenate([_columns(expected - centre), _columns(answered - expected)], axis=1)
    middle, mean = sample.mean(axis=0), float(outcome.mean())
    own = likeness.centred()
    off_the_mean = outcome - mean - (sample - middle)[:, [0, n_columns]].sum(axis=1)
    fit = _most_likely(sample - middle, own.within, off_the_mean)
    weights = fit.weights.copy()
    weights[[0, n_columns]] += 1
    # Over all prompts, expectations have the mean of the outcomes, and surprises have mean 0.
    values = mean - float(middle @ weights) + population @ weights[:n_columns]
    values += fit.own_variance * (own.to_all @ fit.explained)
    return CarriedOver(values, float(values.mean()), float(np.sqrt((fit.left_out**2).mean() / len(outcome))))


def _columns(outcomes: Float64Array) -> Float64Array:
    """Return the mean over models, and each model's deviation from it, shape (n, 1 + n_models)."""
    mean = outcomes.mean(axis=1, keepdims=True)
    return np.concatenate([mean, outcomes - mean], axis=1)


class _Fit(NamedTuple):
    """A fit of k residuals: ``explained`` is the inverse covariance times these, ``left_out`` leave-one-out errors."""

    weights: Float64Array
    explained: Float64Array
    own_variance: float
    left_out: Float64Array


def _most_likely(columns: Float64Array, likeness: Float64Array, target: Float64Array) -> _Fit:
    """Fit with the penalties and the variance that have the greatest marginal likelihood.

    With noise of variance s, weights of variance s / penalty and a process of variance s v, the target is Gaussian
    with covariance ``s (I + columns diag(1 / penalty) columns' + v likeness)``; s has its most likely value
    (Rasmussen & Williams 2006, chapter 5).
    """
    n, n_models = len(target), columns.shape[1] // 2 - 1
    best = np.inf
    chosen: tuple[Float64Array, Float64Array, float] | None = None
    for penalty, surprise, variance in itertools.product(PENALTIES, SURPRISE_PENALTIES, OWN_VARIANCES):
        each = np.repeat([_MEAN_PENALTY, penalty, _MEAN_PENALTY, surprise], [1, n_models, 1, n_models])
        covariance = np.eye(n) + (columns / each) @ columns.T + variance * likeness
        quadratic = float(target @ np.linalg.solve(covariance, target))
        unlikeliness = float(np.linalg.slogdet(covariance)[1]) + (n - 1) * np.log(max(quadratic, 1e-12))
        if chosen is None or unlikeliness < best:
            best, chosen = unlikeliness, (each, covariance, variance)
    assert chosen is not None  # noqa: S101  (there is at least one of each)
    each, covariance, variance = chosen
    explained = np.asarray(np.linalg.solve(covariance, target), dtype=np.float64)
    # The mean is estimated too, so leaving one out changes it.
    inverse = np.linalg.inv(covariance + 100.0)
    left_out = (inverse @ target) / np.diag(inverse)
    return _Fit(columns.T @ explained / each, explained, variance, left_out)
