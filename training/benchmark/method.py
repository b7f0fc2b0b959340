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
    """The description of a method.

    Attributes
    ----------
    name : str
        The unique name in results, options and plots.
    kind : Kind
        ``bound`` (oracles: they read outcomes), ``simple`` (learns no difference between prompts), ``learned``,
        ``package`` (a published package in its own environment), ``ours``.
    origin : str
        The paper or package that the method comes from.
    knob : str
        The setting in which its configurations differ.
    """

    name: str
    kind: Kind
    origin: str
    knob: str


@dataclass(frozen=True, slots=True)
class Routing:
    """The answers of a method for n prompts.

    Attributes
    ----------
    choices : intp array, shape (n_configurations, n)
        The column of the chosen model.
    p_success : float64 array, shape (n, m), or None
        P(quality >= bar) of every model, if the method predicts it.
    expected_cost_usd, expected_output_tokens : float64 arrays, shape (n, m), or None
        Predictions for each prompt, if the method makes them.
    """

    choices: Choices
    p_success: Float64Array | None = None
    expected_cost_usd: Float64Array | None = None
    expected_output_tokens: Float64Array | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """The answers of a method in a trial.

    Attributes
    ----------
    validation, test : Routing
        With the same configurations, in the same order.
    settings : hyperparameter -> value
        The values that it chose on validation, as JSON types.
    fit_s, decide_s : float
        Wall-clock seconds to learn and choose, and to answer the test prompts.
    """

    validation: Routing
    test: Routing
    settings: Mapping[str, float | int | str] = field(default_factory=dict)
    fit_s: float = 0.0
    decide_s: float = 0.0


class MethodUnavailableError(Exception):
    """Raise when a method cannot run here or on this table; the report shows the message as the reason."""


class Method(Protocol):
    """A routing method. Its hyperparameters are the arguments of its constructor; `route` is deterministic."""

    @property
    def card(self) -> MethodCard:
        """The description of the method."""
        ...

    def route(self, trial: Trial, advance: Callable[[str], None]) -> Routed:
        """Learn from a trial's training prompts and answer the others.

        Parameters
        ----------
        trial : without the outcomes of its test prompts, except for a method of kind ``bound``
        advance : called with a few words about the step just finished, for a progress line

        Raises
        ------
        MethodUnavailableError
            If the method cannot run here or on such a table.
        """
        ...


def sweep_values(trial: Trial) -> list[float]:
    """Return the values of a success in USD, ascending, at which every method with this knob is measured."""
    return success_values(np.nan_to_num(trial.train.cost_usd))


def sweep(p_success: Float64Array, expected_cost_usd: Float64Array, values: Sequence[float]) -> Choices:
    """Return the choices by expected net value ``p x value - cost``, one row for each value, shape (n_values, n).

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
