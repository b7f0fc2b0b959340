"""What is true of a simulation: what the calls brought, and what every other choice would have brought."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np
import numpy.typing as npt

from router_model.serving.simulation.world import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Value:
    """What a way to choose models brings, on average over requests.

    Attributes
    ----------
    label : str
    quality, cost_usd : float
    """

    label: str
    quality: float
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Values:
    """What the ways to choose bring on the same requests.

    Attributes
    ----------
    logged : Value
        What answered.
    unexplored : Value
        What would have answered without exploration, in the same sessions.
    hindsight : Value
        The cheapest of the best answers to each request: no policy does better, and none that does not know the answers
        reaches it.
    singles : one for each model that the router may choose
        The best quality first, the cheapest of equal ones.
    """

    logged: Value
    unexplored: Value
    hindsight: Value
    singles: tuple[Value, ...]

    def __iter__(self) -> Iterator[Value]:
        return iter((self.logged, self.unexplored, self.hindsight, *self.singles))

    def as_dict(self) -> dict[str, Any]:
        """Return the values as plain JSON types."""
        by_label = {value.label: {"quality": value.quality, "cost_usd": value.cost_usd} for value in self}
        return {"values": by_label, "best_single": self.singles[0].label}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Requests between two changes of the world.

    Attributes
    ----------
    first, n_requests : int
        The first of the decided requests, and how many there are.
    changes : what happened before the first one, in words
    values : Values
    """

    first: int
    n_requests: int
    changes: tuple[str, ...]
    values: Values


@dataclass(frozen=True, slots=True)
class Simulated:
    """A finished simulation of n decided requests on m models, in the order of time.

    Attributes
    ----------
    models : m ids
    candidates : int array
        Columns of the models that the router may choose; the others only answer for redirected names.
    decision_ids : n ids
        As in the log.
    rows : int array, shape (n,)
        The prompt of the world.
    chosen, ruled : int arrays, shape (n,)
        Columns of the models that were decided on, and that the rule would have been decided on without exploration.
    answered, ruled_answered : int arrays, shape (n,)
        Columns of the models called last for them, after those whose calls failed; -1 where all calls failed.
    propensity : float64 array, shape (n, m)
        Logged: the probability that each model is decided on, given the request and its session.
    degraded : bool array, shape (n,)
        Default plans, whose propensities describe nothing.
    quality, cost_usd : float64 arrays, shape (n, m)
        Of a call by each name at that time; 0 where it fails.
    phase : int array, shape (n,)
    changes : for each phase, what happened before it, in words
    counts : numbers of records and events by name
    """

    models: tuple[str, ...]
    candidates: IntArray
    decision_ids: list[str]
    rows: IntArray
    chosen: IntArray
    ruled: IntArray
    answered: IntArray
    ruled_answered: IntArray
    propensity: FloatArray
    degraded: npt.NDArray[np.bool_]
    quality: FloatArray
    cost_usd: FloatArray
    phase: IntArray
    changes: tuple[tuple[str, ...], ...]
    counts: Mapping[str, int]

    def value(self, choice: IntArray, label: str = "", among: npt.NDArray[np.bool_] | None = None) -> Value:
        """Return what calls of any choice of models would have brought on these requests: the truth of a policy.

        Parameters
        ----------
        choice : int array, shape (n,)
            A column for each request; -1 calls none, which brings quality 0 and costs nothing.
        among : bool array, shape (n,), optional
            Only these requests count.
        """
        n = np.flatnonzero(np.ones(len(choice), np.bool_) if among is None else among)
        quality = np.where(choice < 0, 0.0, np.take_along_axis(self.quality, choice[:, None], axis=1)[:, 0])[n]
        cost_usd = np.where(choice < 0, 0.0, np.take_along_axis(self.cost_usd, choice[:, None], axis=1)[:, 0])[n]
        return Value(label, fsum(quality) / len(n), fsum(cost_usd) / len(n))

    def values(self, among: npt.NDArray[np.bool_] | None = None) -> Values:
        """Return what the ways to choose bring on these requests, or on some of them."""
        quality = self.quality[:, self.candidates]
        is_best = quality >= quality.max(axis=1, keepdims=True)
        hindsight = self.candidates[np.where(is_best, self.cost_usd[:, self.candidates], np.inf).argmin(axis=1)]
        always = [
            self.value(np.full(len(self.rows), column), self.models[column], among)
            for column in self.candidates.tolist()
        ]
        return Values(
            self.value(self.answered, "as logged", among),
            self.value(self.ruled_answered, "without exploration", among),
            self.value(hindsight, "in hindsight", among),
            tuple(sorted(always, key=lambda value: (-value.quality, value.cost_usd))),
        )

    def stretches(self) -> list[Stretch]:
        """Return the values between each two changes; phases without a decided request are left out."""
        found = []
        for phase, changes in enumerate(self.changes):
            among = self.phase == phase
            if among.any():
                found.append(Stretch(int(among.argmax()), int(among.sum()), changes, self.values(among)))
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as plain JSON types."""
        phases = [
            {"first": one.first, "n_requests": one.n_requests, "changes": list(one.changes), **one.values.as_dict()}
            for one in self.stretches()
        ]
        return {"counts": dict(self.counts), **self.values().as_dict(), "phases": phases}
