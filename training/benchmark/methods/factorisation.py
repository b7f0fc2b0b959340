"""Matrix factorisation: score a model by the product of a projected prompt vector and a learned model vector."""

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
from router_model.training.benchmark.methods.ridge import Heads, fit_costs
from router_model.training.benchmark.trial import Trial

Float64Array = npt.NDArray[np.float64]

_START = 0.3  # spread of the random start, because zeros are a saddle point


@dataclass(frozen=True, slots=True)
class MatrixFactorisation(Learned):
    """``logit p(x, model) = bias(model) + (x P) . v(model)``, with logistic loss; costs by ridge.

    This is the product of a projected prompt and a model vector of RouteLLM and EmbedLLM. Their last linear layer is
    left out: it adds nothing, because the model vectors are free.

    Attributes
    ----------
    ranks : numbers of columns of P to choose from
    penalties : factors of half the squared entries of P and v, to choose from
    """

    ranks: tuple[int, ...] = (2, 4, 8, 16)
    penalties: tuple[float, ...] = (40.0, 25.0, 15.0, 10.0, 6.0)

    @property
    def card(self) -> MethodCard:
        """What it is."""
        origin = "RouteLLM (Ong et al. 2024), EmbedLLM (Zhuang et al. 2024), costs by ridge"
        return MethodCard("matrix factorisation", "learned", origin, "value of a success")

    def fit(self, trial: Trial, advance: Advance) -> tuple[Callable[[Float64Array], Routing], Settings]:
        """Fit at every rank and penalty."""
        targets, held_out = Targets.of(trial.train), vectors_of(trial.validation)
        settings, heads = best_on_validation(
            (
                (settings, heads, expit(heads.predict(held_out)))
                for settings, heads in self._candidates(vectors_of(trial.train), targets, trial.seed)
            ),
            targets,
            trial.validation,
        )
        costs = fit_costs(trial)
        advance("costs")
        settings = {**settings, "cost_penalty": costs.penalty}
        return answer_by_value(trial, targets, lambda vectors: expit(heads.predict(vectors)), costs.predict), settings

    def _candidates(self, vectors: Float64Array, targets: Targets, seed: int) -> Iterator[tuple[Settings, Heads]]:
        # With more columns of P than of outcomes, the model would not change.
        for rank in sorted({min(rank, targets.values.shape[1]) for rank in self.ranks}):
            for penalty in self.penalties:
                heads = factorise(vectors, targets, rank=rank, penalty=penalty, seed=seed)
                yield {"rank": rank, "penalty": penalty}, heads


def factorise(vectors: Float64Array, targets: Targets, *, rank: int, penalty: float, seed: int) -> Heads:
    """Fit the log odds of known outcomes as a product of rank `rank`.

    Parameters
    ----------
    vectors : shape (n, dimension)
    seed : seed of the random start

    Returns
    -------
    Heads
        Heads of log odds, with weights of that rank.
    """
    centre = vectors.mean(axis=0)
    x = (vectors - centre).astype(np.float32)
    rng = np.random.default_rng(seed)
    start = [
        rng.normal(scale=_START, size=(x.shape[1], rank)),
        rng.normal(scale=_START, size=(rank, targets.values.shape[1])),
        log_odds(targets.means),
    ]

    def loss(parts: list[Float64Array]) -> tuple[float, list[Float64Array]]:
        projection, of_models, bias = parts
        projected = x @ projection.astype(np.float32)
        total, slope = cross_entropy(projected @ of_models + bias, targets.values)
        size = float((projection**2).sum() + (of_models**2).sum())
        backward = x.T @ (slope @ of_models.T).astype(np.float32)
        slopes = [backward + penalty * projection, projected.T @ slope + penalty * of_models, slope.sum(axis=0)]
        return total + penalty / 2 * size, slopes

    projection, of_models, bias = minimise(loss, start)
    weights = projection @ of_models
    return Heads(weights, bias - centre @ weights)
