"""Models of the answers, for the OpenAPI document; tests hold the answers that are built by hand against them.

The service itself builds its answers as plain dicts (`router_model.serving.api.decision_rendering`), which costs a
fifth.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field

from router_model.serving.http_edge.error_answers import ErrorAnswer


class PlanStepAnswer(BaseModel, extra="forbid"):
    """One candidate. null: not known, or nothing predicted it (``degraded``)."""

    model: str
    base_model: str = Field(description="What to call: the model itself, or the one that it is with parameters.")
    parameters: dict[str, str] = Field(description="What to call it with, e.g. a `reasoning_effort`; mostly empty.")
    provider: str | None
    p_success: float | None = Field(description="Calibrated P(quality >= bar).")
    p_interval: list[float] | None = Field(description="The success rate on such prompts lies within, 9 times in 10.")
    expected_cost_usd: float | None
    expected_output_tokens: float | None
    expected_latency_s: float | None
    expected_quality: float | None
    propensity: float = Field(description="Probability with which it would have been chosen.")
    level_error: float | None = Field(
        description="Of an announced model, which nobody graded: error of its level in log odds; null: it is graded."
    )


class ExclusionAnswer(BaseModel, extra="forbid"):
    """A model that was not a candidate, and why."""

    model: str
    reason: str
    detail: str


class PolicyAnswer(BaseModel, extra="forbid"):
    """The router and policy that made the decision."""

    artifact: str = Field(description="Content hash of the router; empty without a router.")
    version: str = Field(description="Changes with the artifact and the settings that change choices.")
    quality_bar: float
    target_success: float | None
    threshold: float | None
    success_value_usd: float | None
    quality_value_usd: float | None
    certified: bool = Field(description="Whether the target is certified for requests like this one.")
    certified_measure: Literal["success", "quality"] | None = Field(
        description="What is certified: the share of answers that meet the bar, or mean quality."
    )


class DecisionAnswer(BaseModel, extra="forbid"):
    """A decision: the model to call, and the plan to fail over along."""

    id: str
    object: Literal["routing.decision"]
    created: int = Field(description="Seconds since 1970.")
    model: str
    reason: str
    plan: list[PlanStepAnswer]
    excluded: list[ExclusionAnswer]
    policy: PolicyAnswer
    session_id: str | None
    explored: bool
    degraded: bool
    degraded_by: str | None = Field(description="'predictor_error', 'deadline' or 'no_router'.")
    decision_ms: float
    explanation: dict[str, Any] | None = Field(None, description="Present if it was asked for.")


class BatchAnswer(BaseModel, extra="forbid"):
    """Decisions in the order of the requests; one that failed has an error in its place."""

    object: Literal["list"]
    data: list[DecisionAnswer | ErrorAnswer]


class AcceptedAnswer(BaseModel, extra="forbid"):
    """A report was taken; it is written within the log's flush interval."""

    id: str = Field(description="The same for the same Idempotency-Key.")
    object: Literal["routing.feedback", "routing.outcome"]
    decision_id: str | None


class ArchitectureAnswer(BaseModel, extra="forbid"):
    """The modalities of input and output."""

    modality: str
    input_modalities: list[str]
    output_modalities: list[str]


class TopProviderAnswer(BaseModel, extra="forbid"):
    """Limits."""

    context_length: int | None
    max_completion_tokens: int | None
    is_moderated: bool


class ModelAnswer(BaseModel, extra="forbid"):
    """A candidate, in OpenAI's list shape with OpenRouter's fields."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    canonical_slug: str
    name: str
    context_length: int | None
    architecture: ArchitectureAnswer
    pricing: dict[str, str] = Field(description="Decimal text, USD per token, per request or per image.")
    top_provider: TopProviderAnswer
    supported_parameters: list[str]
    supported_voices: None
    default_parameters: None
    per_request_limits: None
    links: dict[str, str]


class ModelsAnswer(BaseModel, extra="forbid"):
    """The candidates."""

    object: Literal["list"]
    data: list[ModelAnswer]


class LoggedDecisionAnswer(BaseModel):
    """A decision as it is in the log (`router_model.serving.decision_log.log_records.DecisionRecord`)."""

    object: Literal["routing.logged_decision"]
    decision_id: str
    created_at: str
    model: str
    reason: str


class NotDiamondChoice(BaseModel, extra="forbid"):
    """One of the providers that were given."""

    provider: str
    model: str


class NotDiamondAnswer(BaseModel, extra="forbid"):
    """The providers, best first."""

    providers: list[NotDiamondChoice]
    session_id: str


class PlanoAnswer(BaseModel, extra="forbid"):
    """The model to call."""

    model: str
    route: str | None = Field(description="The decision's reason.")
    trace_id: str


class HealthAnswer(BaseModel, extra="forbid"):
    """Alive."""

    status: Literal["ok"]


class ReadyAnswer(BaseModel, extra="forbid"):
    """Whether requests should be sent here, and what is missing."""

    ready: bool
    checks: dict[str, bool]
    reason: str | None
    routers: dict[str, bool] | None = Field(None, description="Of several routers: which are loaded.")


class ReloadAnswer(BaseModel, extra="forbid"):
    """The artifact and policy that are served after a reload."""

    object: Literal["routing.reload"]
    artifact: str
    changed: bool
    routers: dict[str, Any] | None = Field(None, description="Of several routers: `artifact` and `changed` of each.")


class StatusAnswer(BaseModel):
    """The state of one worker."""

    object: Literal["routing.status"]
    ready: bool
    artifact: str | None
    policy_version: str | None
    models: list[str]
    log: dict[str, Any]
    engine: dict[str, Any]
    proxy: dict[str, Any] | None = Field(description="Providers with their keys' states, and breakers; never a key.")
    routers: dict[str, Any] | None = Field(None, description="Of several routers: the state of each, by its name.")


class AnyAnswer(BaseModel, extra="allow"):
    """An answer in another vendor's format; of a call it has `model` and `usage.cost` (USD)."""


class AnthropicErrorAnswer(BaseModel):
    """An error in Anthropic's shape."""

    type: Literal["error"]
    error: dict[str, Any] = Field(description="`type` and `message`.")


class GoogleErrorAnswer(BaseModel):
    """An error in Google's shape."""

    error: dict[str, Any] = Field(description="`code`, `message`, `status`, `details`.")
