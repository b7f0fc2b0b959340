"""Exploration: sometimes choose another candidate, with a known probability, so that logs cover it, too.

With probability `share` (ε) the answer is drawn among the candidates whose expected cost is within a bound
(epsilon-greedy on a restricted set). Most draws go to candidates that seem nearly as likely to succeed as the one that
the rule chose. The others within the bound are drawn less often, but they are drawn: a model that never answers cannot
show that it was underrated, and off-policy evaluation cannot say anything about it. Off-policy evaluation weighs each
answer by the probability with which it was chosen. Therefore the propensities are exact.

Exploration may also be targeted (`Rival`): where a challenger would choose another model, its choice is taken with a
probability. A log shows the difference between two routers only there, so it takes fewer requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from router_model.catalog import ModelCard
from router_model.decision import PlanStep

_FAR_DRAWS = 0.2
"""Share of the draws for candidates within the cost bound that are less likely to succeed than near ones."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """The settings of exploration: how often, and how far from the rule's choice.

    Attributes
    ----------
    share : float
        ε, the probability to draw.
    max_p_drop : float
        A near candidate's probability of success is at most this much lower than the chosen one's. Within the cost
        bound, all candidates that are less likely share a fifth of the draws.
    max_cost_ratio : float
        The cost bound. A candidate is only drawn if its expected cost is at most this many times the chosen one's.

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

    def propensities(self, plan: Sequence[PlanStep]) -> list[float]:
        """Return the probability of each candidate to be the answer; they add up to 1."""
        near, far = self._within_cost(plan)
        if self.share <= 0 or not near + far:
            return certain(len(plan))
        far_share = self.share * _FAR_DRAWS if far else 0.0
        found = [0.0] * len(plan)
        for position in far:
            found[position] = far_share / len(far)
        for position in (0, *near):
            found[position] = (self.share - far_share) / (1 + len(near))
        found[0] += 1 - self.share
        return found

    def _within_cost(self, plan: Sequence[PlanStep]) -> tuple[list[int], list[int]]:
        """Return the positions of the near and of the far candidates within the cost bound, without the first."""
        chosen = plan[0]
        least, most = chosen.p_success - self.max_p_drop, chosen.expected_cost_usd * self.max_cost_ratio
        affordable = [i for i in range(1, len(plan)) if plan[i].expected_cost_usd <= most]
        near = [i for i in affordable if plan[i].p_success >= least]
        return near, [i for i in affordable if plan[i].p_success < least]


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


def with_rival(
    plan: Sequence[PlanStep], propensities: Sequence[float], rival: Rival
) -> tuple[Sequence[PlanStep], list[float]]:
    """Return the plan and the propensities where the rival's choice is taken with its share, and else drawn as before.

    A model that is not in the plan comes last. Where the plan begins with the rival's choice, nothing changes.

    Examples
    --------
    The challenger prefers the third, with a share of 0.5; the first two were drawn with 0.9 and 0.1:

    >>> plan = [PlanStep(model, 0.5, 0.0, 1.0) for model in "abc"]
    >>> with_rival(plan, [0.9, 0.1, 0.0], Rival(plan[2], None, 0.5))[1]
    [0.45, 0.05, 0.5]
    >>> with_rival(plan, [0.9, 0.1, 0.0], Rival(plan[0], None, 0.5))[1]
    [0.9, 0.1, 0.0]
    """
    if plan[0].model == rival.step.model:
        return plan, [*propensities]
    position = next((i for i, step in enumerate(plan) if step.model == rival.step.model), len(plan))
    mixed = [(1 - rival.share) * propensity for propensity in propensities]
    if position == len(plan):
        plan, mixed = (*plan, rival.step), [*mixed, 0.0]
    mixed[position] += rival.share
    return plan, mixed


def draw(propensities: Sequence[float], rng: Random) -> int:
    """Return the position of the answer."""
    return rng.choices(range(len(propensities)), weights=propensities)[0]


def certain(n: int) -> list[float]:
    """Return the propensities of a plan whose first candidate was certain."""
    return [1.0, *[0.0] * (n - 1)]


def put_first(plan: Sequence[PlanStep], position: int) -> tuple[PlanStep, ...]:
    """Return the plan with one candidate first and the others in their order.

    >>> [step.model for step in put_first([PlanStep(m, 0.5, 0.0, 1.0) for m in "abc"], 2)]
    ['c', 'a', 'b']
    """
    return (plan[position], *plan[:position], *plan[position + 1 :])
