"""Choose the model to answer with: the rule's choice, changed by the session and then by exploration."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from router_model.certificate import Certificate
from router_model.decision import Decision, PlanStep
from router_model.serving.engine.exploration import Exploration, certain, put_first
from router_model.serving.engine.read_query import ReadQuery, Session
from router_model.serving.engine.sessions.keep import kept_position

SESSION = "session"
"""The reason of an answer that is the session's model."""
EXPLORED = "explored"
"""The reason of an answer that was drawn instead of chosen."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer.

    Attributes
    ----------
    plan : best first
    propensities : of the plan's candidates
    reason : str
    explored : bool
    certificate : Certificate or None
        Only if the certified rule itself put the model first.
    """

    plan: Sequence[PlanStep]
    propensities: Sequence[float]
    reason: str
    explored: bool
    certificate: Certificate | None


def choose(
    decision: Decision,
    asked: ReadQuery,
    session: Session | None,
    *,
    exploration: Exploration,
    rng: Random,
    safe_model: str | None = None,
) -> Choice:
    """Return the answer to a request that the rule has decided.

    Nothing is explored inside a tool loop, if the request forbids it, or if the session keeps a model whose cache is
    warm: another model would lose the cache and break the conversation.
    """
    plan, reason, kept = decision.plan, decision.reason.value, False
    if session is not None:
        position = kept_position(decision, session.model, uses_tools=asked.uses_tools, safe_model=safe_model)
        if position is not None and len(plan) > 1:
            plan, reason, kept = put_first(plan, position), SESSION, True
    certificate = decision.certificate if plan[0] is decision.plan[0] else None
    if asked.uses_tools or not asked.query.explore or (session is not None and kept and session.is_warm):
        return Choice(plan, certain(len(plan)), reason, explored=False, certificate=certificate)
    propensities, drawn = exploration.propensities(plan), exploration.draw(plan, rng)
    if drawn == 0:
        return Choice(plan, propensities, reason, explored=False, certificate=certificate)
    reordered = [propensities[drawn], *propensities[:drawn], *propensities[drawn + 1 :]]
    return Choice(put_first(plan, drawn), reordered, EXPLORED, explored=True, certificate=None)
