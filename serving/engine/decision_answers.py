"""Build the engine's answer from a prediction, or from the default plan."""

from dataclasses import dataclass, field
from datetime import datetime

from router_model.decision import Decision
from router_model.goal import Goal, QualityValue, SuccessValue, TargetSuccess
from router_model.router import Router
from router_model.serving.engine.choice import Choice
from router_model.serving.engine.default_plan import CHARS_PER_TOKEN
from router_model.serving.engine.exploration import certain, put_first
from router_model.serving.engine.query import Routed
from router_model.serving.engine.read_query import ReadQuery, Session
from router_model.serving.engine.reload import Served

FALLBACK_DEFAULT = "fallback_default"
"""The reason of a default plan."""

_DEFAULT_BAR = 0.5  # the bar in answers of a service without a router, which would have a bar of its own


@dataclass(frozen=True, slots=True)
class Stamp:
    """The values that every answer has.

    Attributes
    ----------
    decision_id : str
    created_at : UTC
    decision_s : float
    """

    decision_id: str
    created_at: datetime
    decision_s: float = field(default=0.0)


def predicted_answer(served: Served, asked: ReadQuery, decision: Decision, choice: Choice, stamp: Stamp) -> Routed:
    """Return the answer of a prediction."""
    cards = served.default_plan.cards
    return Routed(
        decision_id=stamp.decision_id,
        created_at=stamp.created_at,
        reason=choice.reason,
        plan=choice.plan,
        propensities=choice.propensities,
        providers=[cards[step.model].provider for step in choice.plan],
        excluded=decision.excluded,
        predicted=True,
        policy_version=served.policy_version,
        artifact=decision.artifact,
        quality_bar=decision.quality_bar,
        target_success=_target(asked.query.goal),
        threshold=decision.threshold,
        success_value_usd=decision.success_value_usd,
        quality_value_usd=decision.quality_value_usd,
        certificate=choice.certificate,
        explored=choice.explored,
        degraded=False,
        degraded_by=None,
        n_input_tokens=round(decision.n_input_tokens),
        session_id=asked.query.session_id or asked.session_key,
        decision_s=stamp.decision_s,
        explanation=decision.explanation,
    )


def default_answer(served: Served, asked: ReadQuery, session: Session | None, degraded_by: str, stamp: Stamp) -> Routed:
    """Return the default plan. Inside a tool loop the session's model comes first, if it is in it.

    Raises
    ------
    RequestError
        If no logged answer reached the quality bar: that is the caller's fault, with a predictor or without.
    NoCandidateError
    """
    query = asked.query
    bar = _quality_bar(served.router, query.goal)
    plan, excluded = served.default_plan.steps(asked.prompt, query.constraints)
    if session is not None and asked.uses_tools:
        plan = put_first(plan, next((i for i, step in enumerate(plan) if step.model == session.model), 0))
    cards = served.default_plan.cards
    return Routed(
        decision_id=stamp.decision_id,
        created_at=stamp.created_at,
        reason=FALLBACK_DEFAULT,
        plan=plan,
        propensities=certain(len(plan)),
        providers=[cards[step.model].provider if step.model in cards else None for step in plan],
        excluded=excluded,
        predicted=False,
        policy_version=served.policy_version,
        artifact=served.artifact,
        quality_bar=bar,
        target_success=_target(query.goal),
        threshold=None,
        success_value_usd=query.goal.success_value_usd if isinstance(query.goal, SuccessValue) else None,
        quality_value_usd=query.goal.quality_value_usd if isinstance(query.goal, QualityValue) else None,
        certificate=None,
        explored=False,
        degraded=True,
        degraded_by=degraded_by,
        n_input_tokens=round(asked.prompt.n_chars / CHARS_PER_TOKEN),
        session_id=query.session_id or asked.session_key,
        decision_s=stamp.decision_s,
    )


def _quality_bar(router: Router | None, goal: Goal) -> float:
    """Return the quality at which an answer succeeds; refuse one that no logged answer reached."""
    if router is None:
        return _DEFAULT_BAR if goal.quality_bar is None else goal.quality_bar
    bar = router.quality_bar(goal)
    router.artifact.predictor.grid.check(bar)
    return bar


def _target(goal: Goal) -> float | None:
    return goal.target_success if isinstance(goal, TargetSuccess) else None
