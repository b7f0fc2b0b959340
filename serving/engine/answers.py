"""Answers, put together: of a prediction, or of the default plan."""

from dataclasses import dataclass, field
from datetime import datetime

from router_model.decision import Decision
from router_model.router import Router
from router_model.serving.engine.choice import Choice
from router_model.serving.engine.default_plan import CHARS_PER_TOKEN
from router_model.serving.engine.exploration import certain, put_first
from router_model.serving.engine.query import Query, Routed
from router_model.serving.engine.read_query import ReadQuery, Session
from router_model.serving.engine.reload import Served
from router_model.tradeoff import success_value_at

FALLBACK_DEFAULT = "fallback_default"
"""The reason of a default plan."""

_DEFAULT_BAR = 0.5  # said where there is no router that could have one of its own


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every answer carries.

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
    """Return the answer that was predicted."""
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
        target_success=asked.query.target_success,
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
        If the knobs are wrong: that is the caller's fault with a predictor and without.
    NoCandidateError
    """
    query, router = asked.query, served.router
    if router is not None:
        check_knobs(router, query)
    plan, excluded = served.default_plan.steps(asked.prompt, query.constraints)
    if session is not None and asked.uses_tools:
        plan = put_first(plan, next((i for i, step in enumerate(plan) if step.model == session.model), 0))
    cards = served.default_plan.cards
    bar = _DEFAULT_BAR if router is None else router.artifact.operating_point.quality_bar
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
        quality_bar=bar if query.quality_bar is None else query.quality_bar,
        target_success=query.target_success,
        threshold=None,
        success_value_usd=query.success_value_usd,
        quality_value_usd=query.quality_value_usd,
        certificate=None,
        explored=False,
        degraded=True,
        degraded_by=degraded_by,
        n_input_tokens=round(asked.prompt.n_chars / CHARS_PER_TOKEN),
        session_id=query.session_id or asked.session_key,
        decision_s=stamp.decision_s,
    )


def check_knobs(router: Router, query: Query) -> None:
    """Refuse knobs that the router would refuse, without asking it for a decision.

    Raises
    ------
    RequestError
    """
    point, value = router.artifact.operating_point, query.success_value_usd
    bar = point.quality_bar if query.quality_bar is None else query.quality_bar
    router.artifact.predictor.grid.check(bar)
    if query.cost_quality_tradeoff is not None:
        success_value_at(query.cost_quality_tradeoff, point, router.catalog)
    router.rule(
        bar, target_success=query.target_success, success_value_usd=value, quality_value_usd=query.quality_value_usd
    )
