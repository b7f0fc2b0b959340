"""Exploration: sometimes choose another candidate, with a known probability, so that logs cover it, too.

With probability `share` (ε) the answer is drawn uniformly among the candidates *near* the one the rule chose, itself
included (epsilon-greedy on a restricted set). What was done with which probability is what off-policy evaluation
weights by, so propensities are exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from router_model.decision import PlanStep


@dataclass(frozen=True, slots=True)
class Exploration:
    """The settings of exploration: how often, and how far from the rule's choice.

    Attributes
    ----------
    share : float
        ε, the probability to draw.
    max_p_drop : float
        A near candidate's probability of success is at most this much lower than the chosen one's ...
    max_cost_ratio : float
        ... and its expected cost at most this many times the chosen one's.

    Examples
    --------
    The second is near (0.05 less likely, 2 times the cost), the third too dear, the fourth too unlikely. A draw
    of 1 in 5 has the first with 4/5 + 1/5 x 1/2 and the second with 1/5 x 1/2:

    >>> plan = [PlanStep("a", 0.9, 0.01, 1.0), PlanStep("b", 0.85, 0.02, 1.0), PlanStep("c", 0.9, 0.04, 1.0),
    ...         PlanStep("d", 0.7, 0.01, 1.0)]
    >>> Exploration(share=0.2, max_p_drop=0.1, max_cost_ratio=3.0).propensities(plan)
    [0.9, 0.1, 0.0, 0.0]
    """

    share: float
    max_p_drop: float
    max_cost_ratio: float

    def near(self, plan: Sequence[PlanStep]) -> list[int]:
        """Return the positions of the candidates that are near the first one, which is one of them."""
        chosen = plan[0]
        least, most = chosen.p_success - self.max_p_drop, chosen.expected_cost_usd * self.max_cost_ratio
        others = range(1, len(plan))
        return [0, *(i for i in others if plan[i].p_success >= least and plan[i].expected_cost_usd <= most)]

    def propensities(self, plan: Sequence[PlanStep]) -> list[float]:
        """Return the probability of each candidate to be the answer: ``1 - ε + ε/k``, ``ε/k``, or 0 if not near."""
        near = self.near(plan) if self.share > 0 else [0]
        found = [0.0] * len(plan)
        for i in near:
            found[i] = self.share / len(near)
        found[0] += 1 - self.share
        return found if len(near) > 1 else certain(len(plan))

    def draw(self, plan: Sequence[PlanStep], rng: Random) -> int:
        """Return the position of the answer."""
        if self.share <= 0 or rng.random() >= self.share:
            return 0
        near = self.near(plan)
        return near[rng.randrange(len(near))]


def certain(n: int) -> list[float]:
    """Return the propensities of a plan whose first candidate was certain."""
    return [1.0, *[0.0] * (n - 1)]


def put_first(plan: Sequence[PlanStep], position: int) -> tuple[PlanStep, ...]:
    """Return the plan with one candidate first and the others in their order.

    >>> [step.model for step in put_first([PlanStep(m, 0.5, 0.0, 1.0) for m in "abc"], 2)]
    ['c', 'a', 'b']
    """
    return (plan[position], *plan[:position], *plan[position + 1 :])
