"""Screening: apply constraints to all models, for many prompts at once, and give reasons.

It decides which models are candidates, which constraint is named for each excluded model, and which constraint to relax
if no candidate is left.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from router_model.candidates import CardTable
from router_model.catalog import ModelCard
from router_model.decision import Exclusion
from router_model.errors import RouterModelError
from router_model.features import Prompt
from router_model.screening.constraint_checks import CHECKS, BoolArray, Case, Check
from router_model.screening.constraints import Constraints

_NAMED = 5  # most models named in a message


class NoCandidateError(RouterModelError, LookupError):
    """Raise when constraints leave no model to choose from.

    Attributes
    ----------
    excluded : tuple of Exclusion
        Every model, with the constraint that rules it out.
    relax : str or None
        The constraint to relax: removing it alone would leave most candidates. None if every model breaks several.
    room : tuple of int or None
        The tokens that are needed and those that there is room for, in the largest model that is left out for want of
        room alone; None if there is none. A shorter prompt then helps.
    """

    def __init__(
        self,
        message: str,
        *,
        excluded: tuple[Exclusion, ...] = (),
        relax: str | None = None,
        room: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.excluded = excluded
        self.relax = relax
        self.room = room


@dataclass(frozen=True, slots=True)
class Screening:
    """Which of m models each of n prompts may use, and why the others are excluded.

    Attributes
    ----------
    case : Case
        The demands, and the facts about the models.
    checks : those of `CHECKS` that the request or a prompt asks for, in their order
    broken : bool array, shape (len(checks), n, m)
        Every constraint that a model breaks, not only the first.
    eligible : bool array, shape (n, m)
        The candidates: models that break none.
    """

    case: Case
    checks: tuple[Check, ...]
    broken: BoolArray
    eligible: BoolArray = field(init=False, repr=False, compare=False)
    _shared: dict[tuple[int, int], Exclusion] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "eligible", np.logical_not(self.broken.any(axis=0)))

    def exclusions(self, row: int) -> tuple[Exclusion, ...]:
        """Return the models that are left out for one prompt, each with the first constraint it breaks."""
        if self.eligible[row].all():
            return ()
        first = self.broken[:, row].argmax(axis=0).tolist()
        left_out = np.flatnonzero(~self.eligible[row]).tolist()
        return tuple(self._exclusion(row, column, first[column]) for column in left_out)

    def require_candidate(self, row: int) -> None:
        """Raise an error if no candidate is left for some prompt.

        Raises
        ------
        NoCandidateError
            The message names the constraints, how many models each rules out, and the constraint to relax, which is
            the one whose removal would leave most candidates.
        """
        if self.eligible[row].any():
            return
        excluded = self.exclusions(row)
        relax = self._relax(row)
        counts = Counter(exclusion.reason for exclusion in excluded)
        said = ", ".join(f"{reason} ({count} of {len(excluded)})" for reason, count in sorted(counts.items()))
        which = f"prompts[{row}]: " if len(self.case.prompts) > 1 else ""
        raise NoCandidateError(
            f"{which}no candidate model is left; ruled out by {said}. {self._advice(row, relax)}",
            excluded=excluded,
            relax=None if relax is None else self.checks[relax].reason,
            room=self._room(row),
        )

    def _room(self, row: int) -> tuple[int, int] | None:
        """Return the needed and the available tokens of the largest model that only lacks room; None without one."""
        broken = self.broken[:, row]
        too_small = next(k for k, check in enumerate(self.checks) if check.reason == "context_window")
        alone = np.flatnonzero(broken[too_small] & (broken.sum(axis=0) == 1))
        if not alone.size:
            return None
        windows = self.case.table.context_window
        largest = int(alone[np.argmax(windows[alone])])
        needed = self.case.n_input_tokens[row, largest] + self.case.n_output_tokens[row]
        return int(needed), int(windows[largest])

    def _relax(self, row: int) -> int | None:
        """Return the check whose removal would leave most candidates, or None if each model breaks several."""
        alone = self.broken[:, row] & (self.broken[:, row].sum(axis=0) == 1)
        freed = alone.sum(axis=1)
        return int(freed.argmax()) if freed.any() else None

    def _advice(self, row: int, relax: int | None) -> str:
        """Say which constraint to relax, and how the models that this would allow break it."""
        broken, n_broken = self.broken[:, row], self.broken[:, row].sum(axis=0)
        if relax is not None:
            freed = np.flatnonzero(broken[relax] & (n_broken == 1)).tolist()
            named = [self._exclusion(row, column, relax) for column in freed[:_NAMED]]
            more = [f"and {len(freed) - _NAMED} more"] if len(freed) > _NAMED else []
            said = "; ".join([f"{exclusion.model}: {exclusion.detail}" for exclusion in named] + more)
            check = self.checks[relax]
            return f"Relax {check.reason} ({check.remedy}), which alone rules out {len(freed)} ({said})"
        if not self.case.cards:
            return "There are no models"
        nearest = int(n_broken.argmin())
        reasons = " and ".join(self.checks[check].reason for check in np.flatnonzero(broken[:, nearest]))
        return f"Each breaks several; {self.case.cards[nearest].model} is nearest and needs {reasons} relaxed"

    def _exclusion(self, row: int, column: int, check: int) -> Exclusion:
        """Return why one model is left out; text that does not depend on the prompt is made once."""
        found = self.checks[check]
        known = None if found.per_prompt else self._shared.get((check, column))
        if known is not None:
            return known
        exclusion = Exclusion(self.case.cards[column].model, found.reason, found.detail(self.case, row, column))
        if not found.per_prompt:
            self._shared[check, column] = exclusion
        return exclusion


def screen(
    constraints: Constraints,
    prompts: Sequence[Prompt],
    cards: Sequence[ModelCard] | CardTable,
    *,
    n_input_tokens: npt.NDArray[np.floating],
    expected_cost_usd: npt.NDArray[np.floating],
    expected_latency_s: npt.NDArray[np.floating] | None = None,
) -> Screening:
    """Apply constraints, and the needs of prompts, to models.

    Parameters
    ----------
    prompts : n prompts
    cards : m cards, or the table of them
    n_input_tokens : shape (n, m)
        Input of each prompt in each model's own tokens.
    expected_cost_usd : shape (n, m)
    expected_latency_s : shape (n, m), optional
        NaN if unknown, which excludes no model. Default: all unknown.

    Examples
    --------
    >>> from decimal import Decimal
    >>> cards = [ModelCard("a", Decimal(1), Decimal(2), context_window=1000), ModelCard("b", Decimal(1), Decimal(2))]
    >>> found = screen(Constraints(), [Prompt("…", 5000)], cards, n_input_tokens=np.full((1, 2), 1200.0),
    ...                expected_cost_usd=np.full((1, 2), 0.001))
    >>> found.eligible.tolist(), found.exclusions(0)[0].detail
    ([[False, True]], 'needs 1,200 tokens, has 1,000')
    """
    table = cards if isinstance(cards, CardTable) else CardTable.of(cards)
    shape = (len(prompts), len(table.cards))
    latency = np.full(shape, np.nan) if expected_latency_s is None else expected_latency_s
    case = Case(
        constraints=constraints,
        prompts=tuple(prompts),
        table=table,
        n_input_tokens=np.rint(np.asarray(n_input_tokens, dtype=np.float64)),
        n_output_tokens=np.array([constraints.output_limit(prompt) or 0.0 for prompt in prompts]),
        expected_cost_usd=np.asarray(expected_cost_usd, dtype=np.float64),
        expected_latency_s=np.asarray(latency, dtype=np.float64),
    )
    checks = tuple([check for check in CHECKS if check.asked(case)])
    broken = np.empty((len(checks), *shape), dtype=bool)
    for check, found in zip(checks, broken, strict=True):
        found[:] = check.broken(case)
    if checks and checks[-1] is CHECKS[-1]:  # a guess must not take the last candidate
        broken[-1, np.all(broken.any(axis=0), axis=1)] = False
    return Screening(case, checks, broken)
