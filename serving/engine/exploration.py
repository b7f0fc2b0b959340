"""Exploration: sometimes choose another candidate, with a known probability, so that logs cover it, too.

With probability `share` (ε) the answer is drawn among the candidates whose expected cost is within a bound
(epsilon-greedy on a restricted set). Most draws go to candidates that seem nearly as likely to succeed as the one that
the rule chose. The others within the bound are drawn less often, but they are drawn: a model that never answers cannot
show that it was underrated, and off-policy evaluation cannot say anything about it. Off-policy evaluation weighs each
answer by the probability with which it was chosen. Therefore the propensities are exact.

Announced models, which nobody graded, are drawn apart: each with the probability that it is the best of the plan, as
far as its level is known (Thompson 1933). Of 395 of them most have next to none, so that the draws go to the few that
could be better, until feedback has shown which are. Nine tenths of the draws are theirs, or less if it is unlikely
that any is better. What an answer tells of a level is p (1 - p), so an announced model is drawn in proportion to that:
more where its success is unsure, and on the mean over prompts as often as without it.

Exploration may also be targeted (`Rival`): where a challenger would choose another model, its choice is taken with a
probability. A log shows the difference between two routers only there, so it takes fewer requests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from router_model.catalog import ModelCard
from router_model.plan import Plan, PlanStep

_FAR_DRAWS = 0.2
"""Share of the draws for candidates within the cost bound that are less likely to succeed than near ones."""
_ANNOUNCED_DRAWS = 0.9
"""Largest share of the draws for announced candidates."""
_MOST_AT_ONCE = 0.5
_MOST_TIMES = 4
"""The probability to draw an announced one where an answer tells much: at most this, and so many times `share`."""
_LEAST_ERROR = 4e-3  # of a graded model's level: narrower peaks would fall between the points
_LEAST_INFORMATION = 1e-4
_REACH = 5.0  # standard errors from the middle to the ends of what is integrated
_POINTS = 200
_MOST_HOPEFUL = 32
"""Announced candidates that may be drawn at once: those whose levels reach highest."""

STARTER_SHARE: Final = 0.1
"""The share of draws of a starter, unless the settings say another: the first router is trained on its log."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """The settings of exploration: how often, and how far from the rule's choice.

    Attributes
    ----------
    share : float
        ε, the probability to draw; of announced candidates its mean over prompts.
    max_p_drop : float
        A near candidate's probability of success is at most this much lower than the chosen one's. Within the cost
        bound, all candidates that are less likely share a fifth of the draws.
    max_cost_ratio : float
        The cost bound. A candidate is only drawn if its expected cost is at most this many times the chosen one's.
    none_graded : bool
        Whether the router is a starter, which has announced candidates alone. They are then drawn as graded ones are,
        because the first training needs outcomes of all of them.

    Examples
    --------
    The second is near (0.05 less likely, 2 times the cost), the third costs too much, the fourth is far: it costs as
    much as the first, but is 0.2 less likely. A draw of 1 in 5 has the far one with 1/5 x 1/5, and each of the two near
    ones with 1/5 x 4/5 x 1/2. The first is also chosen without a draw, with 4/5:

    >>> plan = [PlanStep("a", 0.9, 0.01, 1.0), PlanStep("b", 0.85, 0.02, 1.0), PlanStep("c", 0.9, 0.04, 1.0),
    ...         PlanStep("d", 0.7, 0.01, 1.0)]
    >>> explored = Exploration(share=0.2, max_p_drop=0.1, max_cost_ratio=3.0).propensities(plan)
    >>> [round(propensity, 6) for propensity in explored]
    [0.88, 0.08, 0.0, 0.04]
    """

    share: float
    max_p_drop: float
    max_cost_ratio: float
    none_graded: bool = False

    def propensities(
        self,
        plan: Sequence[PlanStep],
        *,
        value_usd: float | None = None,
        usual_information: Mapping[str, float] | None = None,
    ) -> list[float]:
        """Return the probability of each candidate to be the answer; they add up to 1.

        Parameters
        ----------
        value_usd : what a success, or quality 1, is worth by the rule; None if the rule does not weigh
        usual_information : model -> mean of p (1 - p) over prompts
            Of announced candidates. Without it they are drawn as often on every prompt.
        """
        if self.share <= 0:
            return certain(len(plan))
        if self.none_graded:
            plan = [replace(step, level_error=None) for step in plan]
        most = plan[0].expected_cost_usd * self.max_cost_ratio
        new = [i for i, s in enumerate(plan) if i and s.level_error is not None and s.expected_cost_usd <= most]
        hopes = chances_to_be_best(plan, new, value_usd) if new else []
        of_new = min(_ANNOUNCED_DRAWS, sum(hopes))
        found = self._of_graded(plan, self.share * (1 - of_new))
        if not of_new:
            return found
        told = np.array([_information(plan[position], usual_information) for position in new])
        drawn = self.share * of_new * np.array(hopes) / sum(hopes) * told
        most = min(found[0], max(self.share * of_new, min(_MOST_AT_ONCE, _MOST_TIMES * self.share)))
        drawn *= most / max(float(drawn.sum()), most)
        for position, by in zip(new, drawn.tolist(), strict=True):
            found[position] += by
        found[0] = max(found[0] - float(drawn.sum()), 0.0)
        return found

    def _of_graded(self, plan: Sequence[PlanStep], share: float) -> list[float]:
        """Return the probabilities of the candidates where the graded ones are drawn with a probability."""
        near, far = self._within_cost(plan)
        if not near + far:
            return certain(len(plan))
        far_share = share * _FAR_DRAWS if far else 0.0
        found = [0.0] * len(plan)
        for position in far:
            found[position] = far_share / len(far)
        for position in (0, *near):
            found[position] = (share - far_share) / (1 + len(near))
        found[0] += 1 - share
        return found

    def _within_cost(self, plan: Sequence[PlanStep]) -> tuple[list[int], list[int]]:
        """Return the positions of the near and of the far candidates within the cost bound, without the first."""
        chosen = plan[0]
        least, most = chosen.p_success - self.max_p_drop, chosen.expected_cost_usd * self.max_cost_ratio
        affordable = [i for i, s in enumerate(plan) if i and s.expected_cost_usd <= most and s.level_error is None]
        near = [i for i in affordable if plan[i].p_success >= least]
        return near, [i for i in affordable if plan[i].p_success < least]


def _information(step: PlanStep, usual: Mapping[str, float] | None) -> float:
    """Return what an answer of a candidate tells of its level here, beside what it tells on the mean over prompts."""
    if usual is None:
        return 1.0
    p = step.p_success if step.expected_quality is None else step.expected_quality
    return p * (1 - p) / max(usual[step.model], _LEAST_INFORMATION)


class ByRouter(NamedTuple):
    """How to explore with a trained router, and with a starter."""

    trained: Exploration
    starter: Exploration


def chances_to_be_best(plan: Sequence[PlanStep], new: Sequence[int], value_usd: float | None) -> list[float]:
    """Return the probability that each announced candidate is better than the plan's first and all other announced.

    Better is what has more quality less cost (in units of quality), or without a value more quality. Levels are taken
    as normal, and the first as certain unless it is announced, too.

    Parameters
    ----------
    new : positions of announced candidates

    Examples
    --------
    Two that are expected to be as good as the first, one of them uncertain by 0.5 log odds and one by 0.05. Either is
    better than the first with even odds, and the uncertain one nearly always where it is:

    >>> plan = [PlanStep("a", 0.5, 0.0, 1.0), PlanStep("b", 0.5, 0.0, 1.0, level_error=0.5),
    ...         PlanStep("c", 0.5, 0.0, 1.0, level_error=0.05)]
    >>> [round(chance, 2) for chance in chances_to_be_best(plan, [1, 2], None)]
    [0.48, 0.27]
    """
    steps = [plan[0], *(plan[i] for i in new)]
    quality = np.array([step.p_success if step.expected_quality is None else step.expected_quality for step in steps])
    cost = np.array([step.expected_cost_usd for step in steps])
    mean = quality - (cost / value_usd if value_usd else 0.0)
    error = np.maximum(np.array([step.level_error or 0.0 for step in steps]) * quality * (1 - quality), _LEAST_ERROR)
    hopeful = np.argsort(-(mean + 2 * error)[1:], kind="stable")[:_MOST_HOPEFUL] + 1
    found = np.zeros(len(steps))
    found[hopeful] = _chances(mean[[0, *hopeful]], error[[0, *hopeful]])[1:]
    return [float(chance) for chance in found[1:]]


def _chances(mean: npt.NDArray[np.float64], error: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the probability of each of some normal distributions to be the largest, shape (n,)."""
    ends = mean - _REACH * error, mean + _REACH * error
    grid = np.linspace(max(ends[0].max(), mean[0] - _REACH * error[0]), ends[1].max(), _POINTS)
    away = (grid[:, None] - mean) / error
    below = np.log(np.maximum(ndtr(away), 1e-300))
    others = np.exp(below.sum(axis=1, keepdims=True) - below)
    density = np.exp(-(away**2) / 2) / (error * np.sqrt(2 * np.pi))
    chance = (density * others).sum(axis=0) * (grid[1] - grid[0])
    return np.asarray(chance / max(chance.sum(), 1.0))


@dataclass(frozen=True, slots=True)
class Rival:
    """A challenger's choice, which is drawn instead of the champion's with a probability (targeted exploration).

    Attributes
    ----------
    step : of the challenger's plan
    card : of its model
    share : float
        The probability to take it.
    """

    step: PlanStep
    card: ModelCard | None
    share: float


def with_rival(plan: Plan, propensities: Sequence[float], rival: Rival) -> tuple[Plan, list[float]]:
    """Return the plan and the propensities where the rival's choice is taken with its share, and else drawn as before.

    A model that is not in the plan comes last. Where the plan begins with the rival's choice, nothing changes.

    Examples
    --------
    The challenger prefers the third, with a share of 0.5; the first two were drawn with 0.9 and 0.1:

    >>> plan = Plan.of([PlanStep(model, 0.5, 0.0, 1.0) for model in "abc"])
    >>> with_rival(plan, [0.9, 0.1, 0.0], Rival(plan[2], None, 0.5))[1]
    [0.45, 0.05, 0.5]
    >>> with_rival(plan, [0.9, 0.1, 0.0], Rival(plan[0], None, 0.5))[1]
    [0.9, 0.1, 0.0]
    """
    if plan.models[0] == rival.step.model:
        return plan, [*propensities]
    position = plan.models.index(rival.step.model) if rival.step.model in plan.models else len(plan)
    mixed = [(1 - rival.share) * propensity for propensity in propensities]
    if position == len(plan):
        plan, mixed = Plan.of([*plan, rival.step]), [*mixed, 0.0]
    mixed[position] += rival.share
    return plan, mixed


def draw(propensities: Sequence[float], rng: Random) -> int:
    """Return the position of the answer."""
    return rng.choices(range(len(propensities)), weights=propensities)[0]


def certain(n: int) -> list[float]:
    """Return the propensities of a plan whose first candidate was certain."""
    return [1.0, *[0.0] * (n - 1)]
