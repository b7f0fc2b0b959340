"""The method that trains a neural network with one hidden layer and one output for each model."""

import itertools
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

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
    extra,
    vectors_of,
)
from router_model.training.benchmark.methods.ridge import fit_costs
from router_model.training.benchmark.trial import Side, Trial
from router_model.training.metrics import log_loss

Float64Array = npt.NDArray[np.float64]

_MAX_EPOCHS = 100
_PATIENCE = 8
_LEAST_GAIN = 1e-4  # least fall of the log-loss that counts as progress
_BATCHES = 32  # batches in an epoch, if batches then have between 16 and 128 prompts


@dataclass(frozen=True, slots=True)
class Mlp(Learned):
    """scikit-learn's `MLPClassifier` with logistic outputs, stopped early on validation; costs by ridge.

    The classifier needs an outcome of 0 or 1 for every pair. So outcomes are drawn again in each epoch. A graded
    quality is drawn as 1 with this probability, which has the same expected gradient. An unknown outcome is drawn with
    the probability that the network gives it at the time, which has an expected gradient of zero.

    Attributes
    ----------
    widths : numbers of hidden units to choose from
    penalties : factors of half the squared weights, added to the mean loss of a batch, to choose from
    """

    widths: tuple[int, ...] = (64, 256)
    penalties: tuple[float, ...] = (0.03, 0.08, 0.2)

    @property
    def card(self) -> MethodCard:
        """What it is."""
        origin = "MLP router (RouterBench, Hu et al. 2024), costs by ridge"
        return MethodCard("MLP", "learned", origin, "value of a success")

    def fit(self, trial: Trial, advance: Advance) -> tuple[Callable[[Float64Array], Routing], Settings]:
        """Fit every width at every penalty."""
        targets, vectors = Targets.of(trial.train), vectors_of(trial.train)
        centre = vectors.mean(axis=0)
        scale = max(float((vectors - centre).std()), 1e-9)

        def scaled(queries: Float64Array) -> Float64Array:
            return np.asarray((queries - centre) / scale)

        # Double precision: weights shrunk by a penalty become denormal in single precision, which slows products.
        x, held_out = scaled(vectors), scaled(vectors_of(trial.validation))
        candidates: list[tuple[Settings, Any, Float64Array]] = []
        for width, penalty in itertools.product(self.widths, self.penalties):
            network = _new(width, penalty, n_prompts=len(x), seed=trial.seed)
            lesson = Lesson(x, targets, held_out, trial.validation)
            network, epoch = lesson.taught(network, np.random.default_rng(trial.seed))
            settings = {"width": width, "penalty": penalty, "epochs": epoch}
            candidates.append((settings, network, network.predict_proba(held_out)))
            advance(f"{width} units")
        chosen, network = best_on_validation(candidates, targets, trial.validation)
        costs = fit_costs(trial)

        def predict(queries: Float64Array) -> Float64Array:
            return np.asarray(network.predict_proba(scaled(queries)), dtype=np.float64)

        return answer_by_value(trial, targets, predict, costs.predict), {**chosen, "cost_penalty": costs.penalty}


def _new(width: int, penalty: float, *, n_prompts: int, seed: int) -> Any:
    batch_size = min(int(np.clip(n_prompts // _BATCHES, 16, 128)), n_prompts)
    return extra("sklearn.neural_network").MLPClassifier(
        hidden_layer_sizes=(width,), alpha=penalty * batch_size, batch_size=batch_size, random_state=seed
    )


@dataclass(frozen=True, slots=True)
class Lesson:
    """The training data of a network, and the validation data for early stopping.

    Attributes
    ----------
    x : float64 array, shape (n, dimension)
        Training vectors.
    targets : Targets
        Targets of the same prompts.
    held_out : float64 array, shape (n_validation, dimension)
    validation : Side
    """

    x: Float64Array
    targets: Targets
    held_out: Float64Array
    validation: Side

    def taught(self, network: Any, rng: np.random.Generator) -> tuple[Any, int]:
        """Return the network after the epoch with the least log-loss on validation, and that epoch."""
        best, best_epoch, least = network, 0, np.inf
        values, unknown = self.targets.values, np.isnan(self.targets.values)
        chance = np.where(unknown, self.targets.means, values)
        for epoch in range(1, _MAX_EPOCHS + 1):
            _learn(network, self.x, drawn(chance, rng))
            if unknown.any():
                chance = np.where(unknown, network.predict_proba(self.x), values)
            loss = log_loss(self.targets.p_success(network.predict_proba(self.held_out)), self.validation.success)
            if loss < least - _LEAST_GAIN:
                best, best_epoch, least = deepcopy(network), epoch, loss
            elif epoch - best_epoch >= _PATIENCE:
                break
        return best, best_epoch


def _learn(network: Any, x: Float64Array, outcomes: npt.NDArray[np.int64]) -> None:
    """Learn for one epoch; raise KeyboardInterrupt on Ctrl-C, which scikit-learn turns into a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Training interrupted by user", category=UserWarning)
        try:
            network.partial_fit(x, outcomes, classes=np.arange(outcomes.shape[1]))
        except UserWarning as exc:
            raise KeyboardInterrupt from exc


def drawn(chance: Float64Array, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return 1 with each probability, else 0.

    >>> drawn(np.array([0.0, 1.0, 1.0]), np.random.default_rng(0)).tolist()
    [0, 1, 1]
    """
    return (rng.random(chance.shape) < chance).astype(np.int64)
