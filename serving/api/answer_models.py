"""Models of the answers, for the OpenAPI document; tests hold the answers that are built by hand against them.

The service itself builds its answers as plain dicts (`router_model.serving.api.decision_rendering`), which costs a
fifth.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from router_model.serving.http_edge.error_answers import ErrorAnswer

_CLOSED = ConfigDict(extra="forbid")


class PlanStepAnswer(BaseModel):
    """One candidate. null: not known, or nothing predicted it (``degraded``)."""

    model_config = _CLOSED

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


class ExclusionAnswer(BaseModel):
    """A model that was not a candidate, and why."""

    model_config = _CLOSED

    model: str
    reason: str
    detail: str


class PolicyAnswer(BaseModel):
    """The router and policy that made the decision."""

    model_config = _CLOSED

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


class DecisionAnswer(BaseModel):
    """A decision: the model to call, and the plan to fail over along."""

    model_config = _CLOSED

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


class BatchAnswer(BaseModel):
    """Decisions in the order of the requests; one that failed has an error in its place."""

    model_config = _CLOSED

    object: Literal["list"]
    data: list[DecisionAnswer | ErrorAnswer]


class AcceptedAnswer(BaseModel):
    """A report was taken; it is written within the log's flush interval."""

    model_config = _CLOSED

    id: str = Field(description="The same for the same Idempotency-Key.")
    object: Literal["routing.feedback", "routing.outcome"]
    decision_id: str | None


class ArchitectureAnswer(BaseModel):
    """The modalities of input and output."""

    model_config = _CLOSED

    modality: str
    input_modalities: list[str]
    output_modalities: list[str]


class TopProviderAnswer(BaseModel):
    """Limits."""

    model_config = _CLOSED

    context_length: int | None
    max_completion_tokens: int | None
    is_moderated: bool


class ModelAnswer(BaseModel):
    """A candidate, in OpenAI's list shape with OpenRouter's fields."""

    model_config = _CLOSED

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


class ModelsAnswer(BaseModel):
    """The candidates."""

    model_config = _CLOSED

    object: Literal["list"]
    data: list[ModelAnswer]


class LoggedDecisionAnswer(BaseModel):
    """A decision as it is in the log (`router_model.serving.decision_log.log_records.DecisionRecord`)."""

    object: Literal["routing.logged_decision"]
    decision_id: str
    created_at: str
    model: str
    reason: str


class NotDiamondChoice(BaseModel):
    """One of the providers that were given."""

    model_config = _CLOSED

    provider: str
    model: str


class NotDiamondAnswer(BaseModel):
    """The providers, best first."""

    model_config = _CLOSED

    providers: list[NotDiamondChoice]
    session_id: str


class PlanoAnswer(BaseModel):
    """The model to call."""

    model_config = _CLOSED

    model: str
    route: str | None = Field(description="The decision's reason.")
    trace_id: str


class HealthAnswer(BaseModel):
    """Alive."""

    model_config = _CLOSED

    status: Literal["ok"]


class ReadyAnswer(BaseModel):
    """Whether requests should be sent here, and what is missing."""

    model_config = _CLOSED

    ready: bool
    checks: dict[str, bool]
    reason: str | None
    routers: dict[str, bool] | None = Field(None, description="Of several routers: which are loaded.")


class ReloadAnswer(BaseModel):
    """The artifact and policy that are served after a reload."""

    model_config = _CLOSED

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


class AnyAnswer(BaseModel):
    """An answer in another vendor's format; of a call it has `model` and `usage.cost` (USD)."""

    model_config = ConfigDict(extra="allow")


class AnthropicErrorAnswer(BaseModel):
    """An error in Anthropic's shape."""

    type: Literal["error"]
    error: dict[str, Any] = Field(description="`type` and `message`.")


class GoogleErrorAnswer(BaseModel):
    """An error in Google's shape."""

    error: dict[str, Any] = Field(description="`code`, `message`, `status`, `details`.")
