"""Baselines and upper bounds: one model for all prompts, a random mix, and oracles that know the outcomes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.training.benchmark.method import (
    MethodCard,
    MethodUnavailableError,
    Routed,
    Routing,
    sweep,
    sweep_values,
)
from router_model.training.benchmark.trial import Side, Trial, known_means
from router_model.training.metrics import Singles

Float64Array = npt.NDArray[np.float64]

_N_SHARES = 21


def record(side: Side) -> tuple[Float64Array, Float64Array]:
    """Return each model's mean cost and mean success over the prompts where they are known, each of shape (m,).

    A model without a known cost or outcome gets the highest cost and no success, so that it is never chosen.
    """
    cost, success = known_means(side.cost_usd), known_means(side.success)
    return np.where(np.isnan(cost), np.nanmax(cost, initial=0.0), cost), np.nan_to_num(success)


@dataclass(frozen=True, slots=True)
class OneModel:
    """The cheapest or the best model on the training prompts, used for all prompts."""

    best: bool

    @property
    def card(self) -> MethodCard:
        """What it is."""
        if self.best:
            return MethodCard("best single", "simple", "the zero router's end (RouterBench)", "none")
        return MethodCard("cheapest", "simple", "the zero router's end (RouterBench)", "none")

    def route(self, trial: Trial, advance: Callable[[str], None]) -> Routed:
        """Send every prompt to the model."""
        del advance
        cost, success = record(trial.train)
        singles = Singles(cost, success)
        column = singles.best if self.best else singles.cheapest

        def constant(side: Side) -> Routing:
            return Routing(np.full((1, len(side)), column, dtype=np.intp), p_success=_repeated(success, side))

        return Routed(constant(trial.validation), constant(trial.test), {"model": trial.models[column]})


@dataclass(frozen=True, slots=True)
class RandomMix:
    """A random mix of the cheapest and the best model, in every proportion."""

    @property
    def card(self) -> MethodCard:
        """What it is."""
        return MethodCard("random mix", "simple", "RouteLLM's random baseline (Ong et al. 2024)", "share of the best")

    def route(self, trial: Trial, advance: Callable[[str], None]) -> Routed:
        """Draw once for each prompt: if it goes to the best model at some share, it does at all larger shares."""
        del advance
        cost, success = record(trial.train)
        singles = Singles(cost, success)
        shares = np.linspace(0, 1, _N_SHARES)[:, None]

        def mixed(side: Side, seed: int) -> Routing:
            lot = np.random.default_rng(seed).random(len(side))
            choices = np.where(lot < shares, singles.best, singles.cheapest)
            return Routing(choices.astype(np.intp), p_success=_repeated(success, side))

        return Routed(mixed(trial.validation, 2 * trial.seed), mixed(trial.test, 2 * trial.seed + 1))


@dataclass(frozen=True, slots=True)
class Oracle:
    """The best possible choices with known outcomes: those of every prompt, or the means of every task."""

    by_task: bool

    @property
    def card(self) -> MethodCard:
        """What it is."""
        if self.by_task:
            return MethodCard("oracle by task", "bound", "the best any router of tasks could do", "value of a success")
        return MethodCard("oracle", "bound", "RouterBench's oracle (Hu et al. 2024)", "value of a success")

    def route(self, trial: Trial, advance: Callable[[str], None]) -> Routed:
        """Choose by the known outcomes."""
        del advance
        values = sweep_values(trial)
        n_incomplete = sum(int(np.isnan(side.success).any(axis=1).sum()) for side in (trial.validation, trial.test))
        if n_incomplete and not self.by_task:
            raise MethodUnavailableError(f"needs the outcome of every model, and {n_incomplete:,} prompts lack some")

        def informed(side: Side) -> Routing:
            quality, success, cost = side.mean_quality, side.mean_success, side.cost_usd
            if self.by_task:
                quality, success, cost = (_task_means(array, side.outcomes.tasks) for array in (quality, success, cost))
                success = np.clip(success, 0, 1)  # the mean of a few estimates may lie outside
            return Routing(sweep(quality, cost, values), p_success=success, expected_cost_usd=cost)

        return Routed(informed(trial.validation), informed(trial.test))


def _repeated(values: Float64Array, side: Side) -> Float64Array:
    return np.tile(values, (len(side), 1))


def _task_means(array: Float64Array, tasks: list[str]) -> Float64Array:
    labels, index = np.unique(tasks, return_inverse=True)
    means = np.array([array[index == label].mean(axis=0) for label in range(len(labels))])
    return np.asarray(means[index])
