"""The plan of a decision: candidates, best first, whose predictions stay arrays until somebody reads them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from operator import itemgetter
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from router_model.prediction_table import PredictionTable, lowered


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One candidate of a plan.

    Attributes
    ----------
    model : str
    p_success : float
        Calibrated probability that the quality of its answer meets the bar.
    expected_cost_usd : float
    expected_output_tokens : float
    p_interval : lower and upper end, or None
        With probability 0.9, the model's success rate on prompts of this kind lies in it
        (`router_model.prediction.uncertainty`).
    output_token_quantiles : 10 %, 50 % and 90 % quantile, or None
    expected_latency_s : float or None
        None if the training table had no latencies.
    expected_quality : float or None
        Expected quality of the answer; if outcomes are right or wrong, the probability of success.
    level_error : float or None
        Of an announced model, which nobody graded: the standard error of its level, in log odds. None of others.
    caution : float
        Log odds that decisions take off its level; 0 of graded models.
    """

    model: str
    p_success: float
    expected_cost_usd: float
    expected_output_tokens: float
    p_interval: tuple[float, float] | None = None
    output_token_quantiles: tuple[float, float, float] | None = None
    expected_latency_s: float | None = None
    expected_quality: float | None = None
    level_error: float | None = None
    caution: float = 0.0

    @property
    def announced(self) -> bool:
        """Whether nobody graded the model: its level is that of published scores, a sibling or an accuracy."""
        return self.level_error is not None

    @property
    def cautious_p_success(self) -> float:
        """What decisions weigh: the probability of success, and of an announced model at its level's lower end."""
        return self._cautious(self.p_success)

    @property
    def cautious_quality(self) -> float:
        """What decisions weigh: the expected quality, and of an announced model at its level's lower end."""
        return self._cautious(self.p_success if self.expected_quality is None else self.expected_quality)

    def _cautious(self, p: float) -> float:
        return float(lowered(np.array(p), np.array(self.caution))) if self.caution else p


# A frozen dataclass sets each field by a Python call. For 400 candidates that takes 0.9 ms; this way takes a third.
_FILL_FIELDS = {each.name: PlanStep.__dict__[each.name].__set__ for each in fields(PlanStep)}


class Plan(Sequence[PlanStep]):
    """Candidates, best first: a sequence of `PlanStep`, each made when it is read.

    A decision among 400 models has 400 steps, and most callers read one of them. Whoever reads one field of all
    candidates asks for `column`, which makes no steps.

    Attributes
    ----------
    models : tuple of str
        The ids of the candidates.

    Examples
    --------
    >>> plan = Plan.of([PlanStep("a", 0.9, 0.02, 100.0), PlanStep("b", 0.8, 0.01, 90.0)])
    >>> plan.column("p_success"), plan.with_first(1).models, plan[-1].model
    ([0.9, 0.8], ('b', 'a'), 'b')
    """

    __slots__ = ("_columns", "_read", "_steps", "models")

    def __init__(self, models: Iterable[str], read: Callable[[str], Sequence[Any]]) -> None:
        """Take the ids, and a function that returns the other fields of `PlanStep` for all candidates."""
        self.models: tuple[str, ...] = tuple(models)
        self._read = read
        self._columns: dict[str, Sequence[Any]] = {"model": self.models}
        self._steps: tuple[PlanStep, ...] | None = None

    @classmethod
    def of_row(cls, table: PredictionTable, row: int, order: npt.NDArray[np.intp]) -> "Plan":
        """Return the plan of one prompt of a table: the models at the columns `order`, best first."""
        return cls(map(table.models.__getitem__, order.tolist()), partial(table.values, row=row, columns=order))

    @classmethod
    def of(cls, steps: Sequence[PlanStep]) -> "Plan":
        """Return a plan of steps that are there already; a plan stays as it is."""
        if isinstance(steps, Plan):
            return steps
        return cls([step.model for step in steps], lambda name: [getattr(step, name) for step in steps])

    def column(self, name: str) -> Sequence[Any]:
        """Return one field of `PlanStep` for all candidates; not to be changed."""
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = self._read(name)
        return found

    def columns(self) -> Iterator[Sequence[Any]]:
        """Return all fields, in the order of those of `PlanStep`."""
        return map(self.column, _FILL_FIELDS)

    def take(self, places: Sequence[int]) -> "Plan":
        """Return the candidates at some places, in this order."""
        taken = [self.models[place] for place in places]
        return Plan(taken, lambda name: [self.column(name)[place] for place in places])

    def with_first(self, place: int) -> "Plan":
        """Return the plan with one candidate first and the others in their order."""
        return self.take([place, *range(place), *range(place + 1, len(self))]) if place else self

    @overload
    def __getitem__(self, index: int) -> PlanStep: ...
    @overload
    def __getitem__(self, index: slice) -> "Plan": ...
    def __getitem__(self, index: int | slice) -> "PlanStep | Plan":
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        if self._steps is not None:
            return self._steps[index]
        return PlanStep(*map(itemgetter(index), self.columns()))

    def __len__(self) -> int:
        return len(self.models)

    def __iter__(self) -> Iterator[PlanStep]:
        if self._steps is None:
            steps = tuple([PlanStep.__new__(PlanStep) for _ in self.models])
            for fill, values in zip(_FILL_FIELDS.values(), self.columns(), strict=True):
                deque(map(fill, steps, values), maxlen=0)
            self._steps = steps
        return iter(self._steps)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Plan | tuple | list) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the table, which may have the predictions of thousands of other prompts.
        return Plan.of, (tuple(self),)
