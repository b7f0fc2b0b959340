"""Methods with a linear head for each model on the prompt's vector: least squares and logistic regression.

Least squares comes with the models' mean costs or with costs predicted for each prompt.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from router_model.training.benchmark.method import MethodCard, Routing
from router_model.training.benchmark.methods.learned import (
    Advance,
    Learned,
    Settings,
    Targets,
    answer_by_value,
    best_on_validation,
    vectors_of,
)
from router_model.training.benchmark.methods.logistic import cross_entropy, log_odds, minimise
from router_model.training.benchmark.methods.ridge import PENALTIES, Heads, fit_costs, ridge_path
from router_model.training.benchmark.methods.simple import record
from router_model.training.benchmark.trial import Trial

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Linear(Learned):
    """Ridge regression of outcomes on the vector.

    Attributes
    ----------
    with_cost : bool
        Whether costs are predicted too; otherwise every model has its mean cost.
    penalties : penalties to choose from
    """

    with_cost: bool = False
    penalties: tuple[float, ...] = PENALTIES

    @property
    def card(self) -> MethodCard:
        """What it is."""
        if self.with_cost:
            origin = "linear heads for quality and log cost (as CARROT, Somerstep et al. 2025)"
            return MethodCard("linear + cost", "learned", origin, "value of a success")
        return MethodCard("linear", "learned", "linear heads for quality (ridge regression)", "value of a success")

    def fit(self, trial: Trial, advance: Advance) -> tuple[Callable[[Float64Array], Routing], Settings]:
        """Fit at every penalty."""
        targets = Targets.of(trial.train)
        path = ridge_path(vectors_of(trial.train), targets.values, self.penalties)
        held_out = vectors_of(trial.validation)
        settings, heads = best_on_validation(
            (
                ({"penalty": penalty}, heads, heads.predict(held_out))
                for penalty, heads in zip(self.penalties, path, strict=True)
            ),
            targets,
            trial.validation,
        )
        if not self.with_cost:
            return answer_by_value(trial, targets, heads.predict, record(trial.train)[0]), settings
        costs = fit_costs(trial)
        advance("costs")
        settings = {**settings, "cost_penalty": costs.penalty}
        return answer_by_value(trial, targets, heads.predict, costs.predict), settings


@dataclass(frozen=True, slots=True)
class Logistic(Learned):
    """Logistic regression of outcomes on the vector, costs by ridge.

    Attributes
    ----------
    penalties : penalties to choose from, descending
        Factors of half the squared weights, on vectors of unit length.
    """

    penalties: tuple[float, ...] = (10.0, 4.0, 2.0, 1.0, 0.5, 0.25)

    @property
    def card(self) -> MethodCard:
        """What it is."""
        return MethodCard("logistic", "learned", "logistic regression, costs by ridge", "value of a success")

    def fit(self, trial: Trial, advance: Advance) -> tuple[Callable[[Float64Array], Routing], Settings]:
        """Fit at every penalty, each from the solution of the one before."""
        targets, held_out = Targets.of(trial.train), vectors_of(trial.validation)
        path = self._path(vectors_of(trial.train), targets)
        settings, heads = best_on_validation(
            (({"penalty": penalty}, heads, expit(heads.predict(held_out))) for penalty, heads in path),
            targets,
            trial.validation,
        )
        costs = fit_costs(trial)
        advance("costs")
        settings = {**settings, "cost_penalty": costs.penalty}
        return answer_by_value(trial, targets, lambda vectors: expit(heads.predict(vectors)), costs.predict), settings

    def _path(self, vectors: Float64Array, targets: Targets) -> Iterator[tuple[float, Heads]]:
        centre = vectors.mean(axis=0)
        x = (vectors - centre).astype(np.float32)
        weights, bias = np.zeros((x.shape[1], targets.values.shape[1])), log_odds(targets.means)
        for penalty in self.penalties:

            def loss(parts: list[Float64Array], penalty: float = penalty) -> tuple[float, list[Float64Array]]:
                of_weights, of_bias = parts
                total, slope = cross_entropy(x @ of_weights.astype(np.float32) + of_bias, targets.values)
                backward = x.T @ slope.astype(np.float32) + penalty * of_weights
                return total + penalty / 2 * float((of_weights**2).sum()), [backward, slope.sum(axis=0)]

            weights, bias = minimise(loss, [weights, bias])
            yield penalty, Heads(weights, bias - centre @ weights)
