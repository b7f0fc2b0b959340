"""The interface of a routing method, and the sweep over configurations that most methods share.

A method answers the prompts of a trial at several *configurations*: settings of its one knob, from cheap to good. The
configurations are the same on validation and on test prompts, so that one can be chosen on the first and measured on
the second.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from router_model.policy import best_by_value
from router_model.training.benchmark.trial import Trial
from router_model.training.measuring.operating_point import success_values

Float64Array = npt.NDArray[np.float64]
Choices = npt.NDArray[np.intp]
Kind = Literal["bound", "simple", "learned", "package", "ours"]


@dataclass(frozen=True, slots=True)
class MethodCard:
    """What a method is.

    Attributes
    ----------
    name : str
        Unique; how results, options and plots call it.
    kind : Kind
        ``bound`` (oracles: they read outcomes), ``simple`` (learns no difference between prompts), ``learned``,
        ``package`` (a rival as published, in an environment of its own), ``ours``.
    origin : str
        The paper or package whose idea it is.
    knob : str
        What its configurations differ in.
    """

    name: str
    kind: Kind
    origin: str
    knob: str


@dataclass(frozen=True, slots=True)
class Routing:
    """What a method did with n prompts.

    Attributes
    ----------
    choices : intp array, shape (n_configurations, n)
        The column of the chosen model.
    p_success : float64 array, shape (n, m), or None
        P(quality >= bar) of every model, where the method has such.
    expected_cost_usd, expected_output_tokens : float64 arrays, shape (n, m), or None
        Predicted for each prompt, where the method does.
    """

    choices: Choices
    p_success: Float64Array | None = None
    expected_cost_usd: Float64Array | None = None
    expected_output_tokens: Float64Array | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """What a method did in a trial.

    Attributes
    ----------
    validation, test : Routing
        With the same configurations, in the same order.
    settings : hyperparameter -> value
        What it chose on validation, JSON types only.
    fit_s, decide_s : float
        Wall-clock seconds: to learn and choose, and to answer the test prompts.
    """

    validation: Routing
    test: Routing
    settings: Mapping[str, float | int | str] = field(default_factory=dict)
    fit_s: float = 0.0
    decide_s: float = 0.0


class MethodUnavailableError(Exception):
    """Raise when a method cannot run here or on this table; the message is the reason, for the report."""


class Method(Protocol):
    """A method of routing. Hyperparameters are the arguments of its constructor; `route` is deterministic."""

    @property
    def card(self) -> MethodCard:
        """What it is."""
        ...

    def route(self, trial: Trial, advance: Callable[[str], None]) -> Routed:
        """Learn from a trial's training prompts and answer the others.

        Parameters
        ----------
        trial : with the outcomes of its test prompts taken away, except for a method of kind ``bound``
        advance : called with a few words on what has just been done, for a progress line

        Raises
        ------
        MethodUnavailableError
            If it cannot run here or on such a table.
        """
        ...


def sweep_values(trial: Trial) -> list[float]:
    """Return the values of a success, in USD, that every method with a value knob is tried at, ascending."""
    return success_values(np.nan_to_num(trial.train.cost_usd))


def sweep(p_success: Float64Array, expected_cost_usd: Float64Array, values: Sequence[float]) -> Choices:
    """Return the choices by expected net value ``p x value - cost``, a row for each value, shape (n_values, n).

    Parameters
    ----------
    p_success, expected_cost_usd : shape (n, m)
    values : USD that a success is worth

    Examples
    --------
    >>> sweep(np.array([[0.6, 0.9]]), np.array([[0.01, 0.02]]), [0.0, 1.0]).ravel().tolist()
    [0, 1]
    """
    eligible = np.ones(p_success.shape, dtype=bool)
    rows = [best_by_value(p_success, expected_cost_usd, eligible, success_value_usd=value) for value in values]
    return np.array(rows, dtype=np.intp).reshape(len(rows), len(p_success))
