"""A world in which every outcome is known, and the changes that happen to it.

A world says what a call of any model on any prompt brings: quality, cost, tokens, seconds. It never changes; a change
returns another one, in which the outcomes are as fixed as before. So what any policy would have brought is known
exactly, before a change and after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from router_model.errors import RequestError
from router_model.features import PromptLike

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class World:
    """The outcomes of m models on n prompts, all of them known.

    Attributes
    ----------
    prompts : n texts or lists of chat messages
    tasks : n labels; empty strings without a task
    models : m ids
    quality, cost_usd : float64 arrays, shape (n, m)
    input_tokens, output_tokens, latency_s : float64 arrays, shape (n, m)
        NaN if unknown.
    weights : float64 array, shape (n,)
        How often each prompt is asked, relative to the others.
    answers : int array, shape (m,)
        The column of the model that answers when a model is called; it differs where a name was redirected.
    retired : bool array, shape (m,)
        Models whose calls fail.
    """

    prompts: Sequence[PromptLike]
    tasks: Sequence[str]
    models: tuple[str, ...]
    quality: FloatArray
    cost_usd: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray
    latency_s: FloatArray
    weights: FloatArray = field(default_factory=lambda: np.empty(0))
    answers: IntArray = field(default_factory=lambda: np.empty(0, np.intp))
    retired: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))

    def __post_init__(self) -> None:
        n, m = shape = (len(self.prompts), len(self.models))
        matrices = (self.quality, self.cost_usd, self.input_tokens, self.output_tokens, self.latency_s)
        if not n or not m or len(self.tasks) != n or any(matrix.shape != shape for matrix in matrices):
            raise RequestError(
                f"got {n} prompts, {len(self.tasks)} tasks, {m} models and matrices of the shapes "
                f"{sorted({matrix.shape for matrix in matrices})}; expected matrices of one row a prompt, one column "
                "a model, and at least one of each"
            )
        if not (np.isfinite(self.quality).all() and np.isfinite(self.cost_usd).all()):
            raise RequestError("a world has to know every quality and every cost; leave incomplete prompts out")
        object.__setattr__(self, "weights", self.weights if self.weights.size else np.ones(n))
        object.__setattr__(self, "answers", self.answers if self.answers.size else np.arange(m))
        object.__setattr__(self, "retired", self.retired if self.retired.size else np.zeros(m, np.bool_))

    def column(self, model: str) -> int:
        """Return the column of a model.

        Raises
        ------
        RequestError
            If the world does not have it.
        """
        if model not in self.models:
            raise RequestError(f"there is no model {model!r} in this world; it has {', '.join(self.models)}")
        return self.models.index(model)

    def called(self, values: FloatArray) -> FloatArray:
        """Return what calls by name bring, shape (n, m), from the values of the models; 0 where calls fail."""
        return np.where(self.retired, 0.0, values[:, self.answers])


class Change(Protocol):
    """Something that happens to a world.

    Attributes
    ----------
    at : float
        When: the share of the requests that came before, from 0 to 1.
    """

    @property
    def at(self) -> float:
        """When it happens."""

    def apply(self, world: World, rng: np.random.Generator) -> World:
        """Return the world after it.

        Raises
        ------
        RequestError
            If it cannot happen to this world.
        """

    def __str__(self) -> str:
        """Return what happened, in words."""


@dataclass(frozen=True, slots=True)
class QualityChange:
    """The mean quality of one model falls or rises.

    Randomly drawn answers become wrong (quality 0), or right (quality 1), as many as the change takes.

    Attributes
    ----------
    at : float
    model : str
    by : float
        -0.2: twenty points of 100 less.
    """

    at: float
    model: str
    by: float

    def apply(self, world: World, rng: np.random.Generator) -> World:
        """Return the world with other answers of the model."""
        column = world.column(self.model)
        quality = world.quality.copy()
        room = quality[:, column] if self.by < 0 else 1 - quality[:, column]
        if abs(self.by) > room.mean():
            raise RequestError(
                f"the mean quality of {self.model} is {quality[:, column].mean():.3f}, so it cannot change by "
                f"{self.by:+g}; expected {-quality[:, column].mean():+.3f} to {1 - quality[:, column].mean():+.3f}"
            )
        drawn = rng.permutation(np.flatnonzero(room > 0))
        # As many as take the sum nearest to what was asked for.
        n_changed = int(np.abs(np.cumsum(np.append(0.0, room[drawn])) - abs(self.by) * len(room)).argmin())
        quality[drawn[:n_changed], column] = 0.0 if self.by < 0 else 1.0
        return replace(world, quality=quality)

    def __str__(self) -> str:
        return f"quality of {self.model} {self.by:+g}"


@dataclass(frozen=True, slots=True)
class PriceChange:
    """Calls that one model answers are billed at a multiple of what they were; the catalog does not know.

    Attributes
    ----------
    at : float
    model : str
    factor : float
    """

    at: float
    model: str
    factor: float

    def apply(self, world: World, rng: np.random.Generator) -> World:
        """Return the world with other costs of the model."""
        del rng
        if not 0 <= self.factor < np.inf:
            raise RequestError(f"got a price change by a factor of {self.factor:g}; expected 0 or more")
        factors = np.where(np.arange(len(world.models)) == world.column(self.model), self.factor, 1.0)
        return replace(world, cost_usd=world.cost_usd * factors)

    def __str__(self) -> str:
        return f"price of {self.model} x {self.factor:g}"


@dataclass(frozen=True, slots=True)
class TaskChange:
    """Prompts of one task are asked more or less often than before, relative to the others.

    Attributes
    ----------
    at : float
    task : str
    factor : float
        0: never any more.
    """

    at: float
    task: str
    factor: float

    def apply(self, world: World, rng: np.random.Generator) -> World:
        """Return the world with other weights of the task's prompts."""
        del rng
        if self.task not in world.tasks:
            named = ", ".join(sorted({task for task in world.tasks if task})) or "none"
            raise RequestError(f"there is no task {self.task!r} in this world; it has {named}")
        weights = np.where(np.array(world.tasks) == self.task, self.factor, 1.0) * world.weights
        if not 0 <= self.factor < np.inf or not weights.any():
            raise RequestError(
                f"got a change of the task {self.task!r} by a factor of {self.factor:g}; expected 0 or more, and "
                "some prompt that is still asked"
            )
        return replace(world, weights=weights)

    def __str__(self) -> str:
        return f"task {self.task} x {self.factor:g}"


@dataclass(frozen=True, slots=True)
class Retirement:
    """One model is retired: calls of its name fail with status 404."""

    at: float
    model: str

    def apply(self, world: World, rng: np.random.Generator) -> World:
        """Return the world without the model's answers."""
        del rng
        retired = world.retired.copy()
        retired[world.column(self.model)] = True
        return replace(world, retired=retired)

    def __str__(self) -> str:
        return f"{self.model} retired"


@dataclass(frozen=True, slots=True)
class Redirect:
    """Calls of one name are silently answered, and billed, by another model.

    Attributes
    ----------
    at : float
    model, to : str
    """

    at: float
    model: str
    to: str

    def apply(self, world: World, rng: np.random.Generator) -> World:
        """Return the world in which the other model answers."""
        del rng
        answers = world.answers.copy()
        answers[world.column(self.model)] = world.column(self.to)
        return replace(world, answers=answers)

    def __str__(self) -> str:
        return f"{self.model} answered by {self.to}"


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of requests between two changes.

    Attributes
    ----------
    first : int
        Its first request.
    world : World
    changes : what happened before it, in words
    """

    first: int
    world: World
    changes: tuple[str, ...] = ()


def phases_of(world: World, changes: Sequence[Change], n_requests: int, rng: np.random.Generator) -> list[Phase]:
    """Return the phases of a stream of requests; changes at the same time happen together, in the order given.

    Raises
    ------
    RequestError
        If a change is not within the stream, or cannot happen.
    """
    phases = [Phase(0, world)]
    for change in sorted(changes, key=lambda change: change.at):
        if not 0 <= change.at < 1:
            raise RequestError(f"{change}: got the time {change.at:g}; expected a share of the requests, from 0 to 1")
        first, last = round(change.at * n_requests), phases[-1]
        after = Phase(first, change.apply(last.world, rng), (str(change),))
        if first == last.first:
            phases[-1] = replace(after, changes=last.changes + after.changes)
        else:
            phases.append(after)
    return phases
