"""Models that check requests, and that the OpenAPI document shows.

Decides names, kinds and ranges. Only what is read is declared: a chat body may hold anything else that its provider
knows, and passes. Our own objects refuse what they do not know, so that a misspelt knob is not silently ignored.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=_PRINTABLE)]
"""Ids and names: no control characters, so that they can stand in a header, a log line and any database."""
HeaderText = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$")]
"""The characters of a name in a header: visible ASCII without spaces."""
LongText = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=_PRINTABLE)]
Comment = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")]

_STRICT = ConfigDict(extra="forbid", strict=True)


def open_body(**example: Any) -> ConfigDict:
    """Let a body hold what else its provider knows, and show an example of it in the document."""
    return ConfigDict(extra="allow", strict=True, json_schema_extra={"example": example})


class RouterOptions(BaseModel, extra="forbid", strict=True):
    """The ``router`` object: what this request asks of the router. All of it is optional."""

    quality_bar: float | None = Field(None, ge=0, le=1, description="Quality an answer needs to succeed.")
    target_success: float | None = Field(
        None, ge=0, le=1, description="Success rate, or mean quality, wanted; certified where possible."
    )
    success_value_usd: float | None = Field(None, ge=0, description="What a success is worth.")
    quality_value_usd: float | None = Field(None, ge=0, description="What quality 1 is worth over quality 0.")
    cost_quality_tradeoff: float | None = Field(None, ge=0, le=10, description="0 (quality) to 10 (cost); 7: default.")
    allow: list[ShortText] | None = Field(None, description="Globs over model ids; none: all.")
    deny: list[ShortText] | None = Field(None, description="Globs over model ids; wins over allow.")
    providers: list[ShortText] | None = Field(None, description="Only models of these providers.")
    ignore_providers: list[ShortText] | None = Field(None, description="No models of these providers.")
    max_cost_usd: float | None = Field(None, gt=0, description="Largest expected cost of the call.")
    max_usd_per_mtok_input: float | None = Field(None, ge=0, description="Largest price of a million tokens in.")
    max_usd_per_mtok_output: float | None = Field(None, ge=0, description="Largest price of a million tokens out.")
    max_usd_per_request: float | None = Field(None, ge=0, description="Largest fee for a call.")
    max_latency_s: float | None = Field(None, gt=0, description="Largest expected time to the end of the answer.")
    max_output_tokens: int | None = Field(None, ge=1, description="The most the model may write.")
    choose_effort: bool | None = Field(None, description="true: the router chooses the effort, not the body.")
    session_id: ShortText | None = Field(None, description="The conversation; it keeps its model.")
    explore: bool | None = Field(None, description="false: never try another candidate for this request.")
    explain: bool | None = Field(None, description="true: say why; takes several times as long as deciding.")


CONSTRAINTS: Final = (
    "allow",
    "deny",
    "providers",
    "ignore_providers",
    "max_cost_usd",
    "max_usd_per_mtok_input",
    "max_usd_per_mtok_output",
    "max_usd_per_request",
    "max_latency_s",
    "max_output_tokens",
)
"""The options that are `router_model.Constraints`; the names are theirs."""

MESSAGES_EXAMPLE: Final[list[JsonValue]] = [{"role": "user", "content": "Is 2027 prime? Answer yes or no."}]


class Message(BaseModel, extra="allow", strict=True):
    """A chat message; roles and tool calls pass as they are."""

    content: str | list[Any] | None = None


class Envelope(BaseModel, strict=True):
    """The fields that are read from a chat body besides the prompt. Every request is checked, so there are few."""

    model: ShortText | None = Field(
        None, description="A model's id; 'auto' or nothing: all candidates; 'auto:NAME': that router's."
    )
    models: list[ShortText] | None = Field(None, description="Only these candidates.")
    router: RouterOptions | None = None
    session_id: ShortText | None = Field(None, description="As in ``router``; also the header x-session-id.")
    user: LongText | None = Field(None, description="Who the request is for, as of OpenAI.")


class SessionHeader(BaseModel, strict=True):
    """The header that names the conversation."""

    session_id: HeaderText = Field(alias="x-session-id")


class IdempotencyHeader(BaseModel, strict=True):
    """The header that makes a repeated report the same report."""

    key: HeaderText = Field(alias="idempotency-key")


class RouteRequest(Envelope):
    """A chat body as any provider takes it, and optionally ``router``."""

    model_config = open_body(
        messages=MESSAGES_EXAMPLE,
        max_tokens=200,
        router={"quality_bar": 0.5, "max_cost_usd": 0.01, "session_id": "chat-17"},
    )

    messages: list[Message]


class BatchRequest(BaseModel):
    """Several bodies of `POST /v1/route`, decided at once."""

    model_config = ConfigDict(
        **_STRICT,
        json_schema_extra={
            "example": {"requests": [{"messages": MESSAGES_EXAMPLE}, {"messages": [], "router": {"quality": 1}}]}
        },
    )

    requests: list[dict[str, Any]] = Field(min_length=1)


class FeedbackRequest(BaseModel):
    """A judgement of an answer; exactly one of ``score`` and ``thumb``, at least one of the ids."""

    model_config = ConfigDict(
        **_STRICT,
        json_schema_extra={
            "example": {
                "decision_id": "dec_019385b1c5f07cc2a1f2d0c5b8a3e411",
                "thumb": "up",
                "source": "user",
                "comment": "right",
            }
        },
    )

    decision_id: ShortText | None = None
    response_id: ShortText | None = Field(None, description="The provider's id of the answer.")
    score: float | None = Field(None, ge=0, le=1)
    thumb: Literal["up", "down"] | None = Field(None, description="The score 1 or 0.")
    source: ShortText = Field("user", description="What kind of judge: 'user', 'judge', 'test' ...")
    metric: ShortText = Field("quality", description="'quality' is what training reads.")
    comment: Comment | None = None


class OutcomeRequest(BaseModel):
    """The outcome of a call that a gateway made itself; at least one of the ids is needed."""

    model_config = ConfigDict(
        **_STRICT,
        json_schema_extra={
            "example": {
                "decision_id": "dec_019385b1c5f07cc2a1f2d0c5b8a3e411",
                "model": "small",
                "status": 200,
                "input_tokens": 14,
                "output_tokens": 3,
                "cost_usd": 0.0000023,
                "latency_s": 0.41,
                "finish_reason": "stop",
            }
        },
    )

    decision_id: ShortText | None = None
    model: ShortText | None = Field(None, description="The model that was asked.")
    provider: ShortText | None = None
    response_id: ShortText | None = Field(None, description="The provider's id of the answer.")
    response_model: ShortText | None = Field(None, description="The model the provider says it was.")
    finish_reason: ShortText | None = None
    status: int | None = Field(None, ge=100, le=599, description="HTTP status; nothing where no answer came.")
    error_type: ShortText | None = Field(None, description="Nothing for a success.")
    input_tokens: int | None = Field(None, ge=0, le=2**53, description="Including cached ones.")
    output_tokens: int | None = Field(None, ge=0, le=2**53, description="Including reasoning.")
    cached_input_tokens: int | None = Field(None, ge=0, le=2**53)
    cache_write_tokens: int | None = Field(None, ge=0, le=2**53)
    reasoning_tokens: int | None = Field(None, ge=0, le=2**53)
    cost_usd: float | None = Field(None, ge=0, le=1e6)
    latency_s: float | None = Field(None, ge=0, le=1e6)
    first_token_s: float | None = Field(None, ge=0, le=1e6)


class NotDiamondProvider(BaseModel, extra="allow", strict=True):
    """One of the candidates of a request in Not Diamond's format."""

    provider: ShortText
    model: ShortText
    context_length: int | None = Field(None, ge=1, description="Instead of the catalog's.")
    input_price: float | None = Field(None, ge=0, le=1e9, description="USD per million tokens, instead of ours.")
    output_price: float | None = Field(None, ge=0, le=1e9, description="USD per million tokens, instead of ours.")
    latency: float | None = Field(None, ge=0, description="Seconds; what tradeoff 'latency' goes by.")
    is_custom: bool | None = None


class NotDiamondRequest(BaseModel):
    """A request in Not Diamond's format."""

    model_config = open_body(
        messages=MESSAGES_EXAMPLE,
        llm_providers=[
            {"provider": "simulated", "model": "small"},
            {"provider": "simulated", "model": "large", "input_price": 5, "output_price": 15},
        ],
        cost_quality_tradeoff=8,
    )

    messages: list[Message] | str
    llm_providers: list[NotDiamondProvider] = Field(min_length=1)
    tradeoff: Literal["cost", "latency"] | None = None
    cost_quality_tradeoff: float | None = Field(None, ge=0, le=10)
    tools: list[Any] | None = None
    previous_session: ShortText | None = None
