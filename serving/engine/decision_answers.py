"""Build the engine's answers: from a prediction, the session and exploration, or from the default plan."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import TypeAlias

from router_model.catalog import ModelCard
from router_model.decision import Decision
from router_model.goal import Goal, QualityValue, SuccessValue, TargetSuccess
from router_model.plan import Plan
from router_model.router import Router
from router_model.serving.common.ids import IdMaker
from router_model.serving.engine.default_plan import CHARS_PER_TOKEN
from router_model.serving.engine.exploration import (
    ByRouter,
    Exploration,
    Rival,
    certain,
    draw,
    with_rival,
)
from router_model.serving.engine.query import Routed, Trial
from router_model.serving.engine.read_query import ReadQuery
from router_model.serving.engine.reload import Served
from router_model.serving.engine.sessions.keep import kept_position

SESSION = "session"
"""The reason of an answer that is the session's model."""
EXPLORED = "explored"
"""The reason of an answer that was drawn instead of chosen."""
FALLBACK_DEFAULT = "fallback_default"
"""The reason of a default plan."""

Seal: TypeAlias = Callable[[str, str | None], str]
"""Takes the id of a new decision and the id of the calling key; returns the decision's id with its owner's seal."""

_DEFAULT_BAR = 0.5  # the bar in answers of a service without a router, which would have a bar of its own


class DecisionAnswers:
    """Builds answers, and gives each its id and its time.

    Parameters
    ----------
    exploration : ByRouter
    rng : draws what is explored
    clock : returns seconds since 1970
    seal : marks the id of a decision as that of the key that asked
    """

    def __init__(self, exploration: ByRouter, *, rng: Random, clock: Callable[[], float], seal: Seal) -> None:
        self._exploration = exploration
        self._rng = rng
        self._clock = clock
        self._new_id = IdMaker("dec_", clock_ms=lambda: int(clock() * 1000))
        self._seal = seal

    def predicted(
        self,
        served: Served,
        asked: ReadQuery,
        decision: Decision,
        arrived: float,
        *,
        rival: Rival | None = None,
        trial: Trial | None = None,
    ) -> Routed:
        """Return the answer of a prediction.

        Parameters
        ----------
        arrived : when the request came, by `time.perf_counter`
        rival : what a challenger would choose, if it may be drawn
        trial : what is noted of the challenger
        """
        plan, propensities, reason = choose(
            decision,
            asked,
            exploration=self._exploration_of(served.router),
            rng=self._rng,
            safe_model=served.safe_model,
            rival=rival,
            usual_information=served.usual_information,
        )
        explored = reason == EXPLORED
        # A certificate promises something of the rule's choices, so it goes with nothing that came first otherwise.
        is_rules_choice = not explored and plan.models[0] == decision.plan.models[0]
        cards: Mapping[str, ModelCard | None] = served.default_plan.cards
        if rival is not None and rival.step.model not in decision.plan.models:
            cards = {**cards, rival.step.model: rival.card}
        return Routed(
            decision_id=self._id(asked),
            created_at=self._now(),
            reason=reason,
            plan=plan,
            propensities=propensities,
            cards=[*map(cards.__getitem__, plan.models)],
            # A model that the champion has no outcomes of is a candidate if the challenger chooses it.
            excluded=decision.excluded
            if rival is None
            else [one for one in decision.excluded if one.model != rival.step.model],
            predicted=True,
            policy_version=served.policy_version,
            artifact=decision.artifact,
            quality_bar=decision.quality_bar,
            target_success=_target(asked.query.goal),
            threshold=decision.threshold,
            success_value_usd=decision.success_value_usd,
            quality_value_usd=decision.quality_value_usd,
            certificate=decision.certificate if is_rules_choice else None,
            explored=explored,
            degraded=False,
            degraded_by=None,
            n_input_tokens=round(decision.n_input_tokens),
            session_id=asked.query.session_id or asked.session_key,
            decision_s=time.perf_counter() - arrived,
            explanation=decision.explanation,
            trial=trial,
            turn=asked.turn,
            levels=None if served.router is None else served.router.levels,
            best_single=served.default_plan.best_single,
        )

    def default(
        self, served: Served, asked: ReadQuery, degraded_by: str, arrived: float, *, trial: Trial | None = None
    ) -> Routed:
        """Return the default plan. Inside a tool loop the session's model comes first, if it is in it.

        Raises
        ------
        RequestError
            If no logged answer reached the quality bar: that is the caller's fault, with a predictor or without.
        NoCandidateError
        """
        query = asked.query
        # Checked here, too: a request that is wrong must get the same error while the predictor is away.
        bar = _quality_bar(served.router, query.goal)
        plan, excluded = served.default_plan.steps(asked.prompt, query.constraints)
        if asked.session is not None and asked.uses_tools:
            plan = plan.with_first(plan.models.index(asked.session.model) if asked.session.model in plan.models else 0)
        return Routed(
            decision_id=self._id(asked),
            created_at=self._now(),
            reason=FALLBACK_DEFAULT,
            plan=plan,
            propensities=certain(len(plan)),
            cards=[*map(served.default_plan.cards.get, plan.models)],
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
            decision_s=time.perf_counter() - arrived,
            trial=trial,
            turn=asked.turn,
        )

    def _exploration_of(self, router: Router | None) -> Exploration:
        is_starter = router is not None and router.artifact.is_starter
        return self._exploration.starter if is_starter else self._exploration.trained

    def _id(self, asked: ReadQuery) -> str:
        return self._seal(self._new_id(), asked.query.key_id)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def choose(
    decision: Decision,
    asked: ReadQuery,
    *,
    exploration: Exploration,
    rng: Random,
    safe_model: str | None = None,
    rival: Rival | None = None,
    usual_information: Mapping[str, float] | None = None,
) -> tuple[Plan, Sequence[float], str]:
    """Return the plan to answer with, the propensities of its candidates, and the reason for its first one."""
    plan, reason = ruled(decision, asked, safe_model=safe_model)
    if _is_fixed(asked, reason):
        return plan, certain(len(plan)), reason
    value_usd = decision.success_value_usd if decision.quality_value_usd is None else decision.quality_value_usd
    propensities = exploration.propensities(plan, value_usd=value_usd, usual_information=usual_information)
    if rival is not None:
        plan, propensities = with_rival(plan, propensities, rival)
    drawn = draw(propensities, rng)
    if drawn == 0:
        return plan, propensities, reason
    # Each propensity moves with its candidate, because the log pairs them by their places.
    reordered = [propensities[drawn], *propensities[:drawn], *propensities[drawn + 1 :]]
    return plan.with_first(drawn), reordered, EXPLORED


def ruled(decision: Decision, asked: ReadQuery, *, safe_model: str | None = None) -> tuple[Plan, str]:
    """Return the plan as the rule and the session order it, and the reason for its first candidate."""
    if asked.session is not None and len(decision.plan) > 1:
        position = kept_position(decision, asked.session.model, uses_tools=asked.uses_tools, safe_model=safe_model)
        if position is not None:
            return decision.plan.with_first(position), SESSION
    return decision.plan, decision.reason.value


def takes_rival(decision: Decision, asked: ReadQuery, *, safe_model: str | None = None) -> bool:
    """Tell whether a challenger's choice may be drawn instead: where exploration may draw, and nothing is promised."""
    if decision.certificate is not None and decision.certificate.certified:
        return False
    return not _is_fixed(asked, ruled(decision, asked, safe_model=safe_model)[1])


def _is_fixed(asked: ReadQuery, reason: str) -> bool:
    """Tell whether nothing may be drawn.

    That is inside a tool loop, if the request forbids it, or if the session keeps a model whose cache is warm: another
    model would lose the cache and break the conversation.
    """
    return asked.uses_tools or not asked.query.explore or (reason == SESSION and asked.is_warm)


def _quality_bar(router: Router | None, goal: Goal) -> float:
    """Return the quality at which an answer succeeds; refuse one that no logged answer reached."""
    if router is None:
        return _DEFAULT_BAR if goal.quality_bar is None else goal.quality_bar
    bar = router.quality_bar(goal)
    router.artifact.predictor.grid.check(bar)
    return bar


def _target(goal: Goal) -> float | None:
    return goal.target_success if isinstance(goal, TargetSuccess) else None
