"""The engine's interface for the surfaces: the query that it takes and the answer that it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from router_model.catalog import ModelCard
from router_model.certificate import Certificate
from router_model.decision import Exclusion
from router_model.explanation_records import Explanation
from router_model.goal import OWN_TRADEOFF, Goal
from router_model.levels import Levels
from router_model.plan import Plan
from router_model.screening.constraints import Constraints
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.engine.turn_types import WORK


@dataclass(frozen=True, slots=True)
class Query:
    """One request for a decision, read from whichever surface.

    Attributes
    ----------
    body : chat body with ``messages``
        What `features.Prompt.parse` reads.
    surface : str
    goal : Goal
        What the decision is to reach.
    constraints : Constraints
    session_id : str or None
        As the caller named the session; None: the conversation's beginning stands for it.
    user_id, key_id : str or None
    explore : bool
        False: never try another candidate for this request.
    explain : bool
    cards : mapping of model to ModelCard
        Prices and limits that stand in for the catalog's, for this request alone; empty on every surface but Not
        Diamond's.
    router : str
        The name of the router that is asked.
    """

    body: Mapping[str, Any]
    surface: str = "route"
    goal: Goal = OWN_TRADEOFF
    constraints: Constraints = field(default_factory=Constraints)
    session_id: str | None = None
    user_id: str | None = None
    key_id: str | None = None
    explore: bool = True
    explain: bool = False
    cards: Mapping[str, ModelCard] = field(default_factory=dict)
    router: str = DEFAULT_ROUTER


@dataclass(frozen=True, slots=True)
class Trial:
    """What a decision had to do with a challenger.

    Attributes
    ----------
    challenger : str
        Name of the router in its place.
    model : str or None
        Beside a champion that decided: what the challenger would have chosen; None if it did not decide.
    arm : str or None
        Of a canary: whose choice was served, ``champion`` or ``challenger``.
    canary_share : float or None
        Of a canary: the share of sessions that are the challenger's.
    """

    challenger: str
    model: str | None = None
    arm: str | None = None
    canary_share: float | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """The answer: a plan that is never empty.

    Attributes
    ----------
    decision_id : ``dec_`` and a UUIDv7 in hex
    created_at : UTC
    reason : str
        A `router_model.decision.Reason`, or one of ``session``, ``explored``, ``fallback_default``.
    plan : best first; the first is the answer
    propensities : of the plan's candidates, adding up to 1
    cards : of the plan's candidates; None where the catalog has none
    excluded : models that are not candidates, and why
    predicted : bool
        False: the default plan, whose steps carry NaN for what nothing predicted.
    policy_version, artifact : str
    quality_bar : float
    target_success, threshold, success_value_usd, quality_value_usd : float or None
    certificate : Certificate or None
    explored, degraded : bool
    degraded_by : str or None
        ``predictor_error``, ``deadline``, ``no_router``.
    n_input_tokens : int
    session_id : the caller's, or the hash of the conversation's beginning
    decision_s : float
    explanation : Explanation or None
    trial : Trial or None
        None where no challenger was involved before the answer.
    levels : Levels or None
        What the predictions were shifted by.
    turn : str
        As of `router_model.serving.engine.turn_types`.
    best_single : str or None
        The model to call if one had to answer everything; None where no router says.
    """

    decision_id: str
    created_at: datetime
    reason: str
    plan: Plan
    propensities: Sequence[float]
    cards: Sequence[ModelCard | None]
    excluded: Sequence[Exclusion]
    predicted: bool
    policy_version: str
    artifact: str
    quality_bar: float
    target_success: float | None
    threshold: float | None
    success_value_usd: float | None
    quality_value_usd: float | None
    certificate: Certificate | None
    explored: bool
    degraded: bool
    degraded_by: str | None
    n_input_tokens: int
    session_id: str | None
    decision_s: float
    explanation: Explanation | None = None
    trial: Trial | None = None
    levels: Levels | None = None
    turn: str = WORK
    best_single: str | None = None

    @property
    def model(self) -> str:
        """The model to call."""
        return self.plan.models[0]

    @property
    def providers(self) -> list[str | None]:
        """Of the plan's candidates, as far as the catalog names them."""
        return [None if card is None else card.provider for card in self.cards]
