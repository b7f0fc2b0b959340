"""What OpenRouter's clients ask besides answers: their key, its credits, the providers, and what an answer has cost."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from router_model.serving.access.key_budget import Per
from router_model.serving.api.answer_models import AnyAnswer
from router_model.serving.api.parts import Parts, parts_of
from router_model.serving.common.callers import Caller, Role
from router_model.serving.common.service_errors import InvalidRequestError, NotFoundError, NotReadyError
from router_model.serving.http_edge.endpoint import Endpoint
from router_model.serving.http_edge.json_response import json_response

_NANOS: Final = 1_000_000_000
_USAGE: Final = ("usage", "usage_daily", "usage_weekly", "usage_monthly")
_RESETS: Final = {Per.DAY: "daily", Per.MONTH: "monthly", Per.TOTAL: None}
_BYOK: Final = ("byok_usage", "byok_usage_daily", "byok_usage_weekly", "byok_usage_monthly")
_NO: Final = ("is_free_tier", "is_management_key", "is_provisioning_key", "include_byok_in_limit")
_UNKNOWN: Final = (
    "creator_user_id",
    "effective_budget",
    "free_model_daily_requests",
    "organization_id",
    "workspace_id",
)
_UNTOLD: Final = (
    *("api_type", "app_id", "cache_discount", "external_user", "generation_time", "http_referer", "moderation_latency"),
    *("native_tokens_completion_images", "num_fetches", "num_input_audio_prompt", "num_media_completion"),
    *(
        "num_media_prompt",
        "num_search_results",
        "preset_id",
        "provider_responses",
        "router",
        "service_tier",
        "streamed",
    ),
    *("user_agent", "cancelled"),
)
"""Fields of a generation that nothing is known of here."""


async def key(request: Request) -> Response:
    """Tell about the caller's key, in OpenRouter's shape: its budget, and what is spent of that; in USD.

    Of a key without a budget, what the log has of this month; 0 if it is not a database, or cannot be read now.
    """
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, Role.PROXY)
    name, budget, balance = parts.access.standing(caller)
    expires = parts.access.expires(caller)
    usage = await _logged_usage(parts, caller) if balance is None else dict.fromkeys(_USAGE, balance.spent / _NANOS)
    limits = {
        "limit": None if budget is None else float(budget.usd),
        "limit_remaining": None if balance is None else balance.remaining / _NANOS,
        "limit_reset": None if budget is None else _RESETS[budget.per],
    }
    rest: dict[str, Any] = {
        **dict.fromkeys(_BYOK, 0.0),
        **dict.fromkeys(_NO, False),
        **dict.fromkeys(_UNKNOWN),
        "rate_limit": {"requests": -1, "interval": "10s", "note": "see the x-ratelimit headers"},
        "allowed_data_regions": [],
        "budgets": [],
    }
    rest["expires_at"] = None if expires is None else expires.isoformat()
    return json_response({"data": {"label": name, **usage, **limits, **rest}})


async def _logged_usage(parts: Parts, caller: Caller) -> dict[str, float]:
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    month = day.replace(day=1)
    try:
        spent = await parts.log.spent_usd(caller.key_id, [month, day, day - timedelta(days=day.weekday()), month])
    except NotReadyError:
        return dict.fromkeys(_USAGE, 0.0)
    return dict(zip(_USAGE, spent, strict=True))


async def credits_left(request: Request) -> Response:
    """Tell how much the caller's budget is, and how much of it is spent, in OpenRouter's shape; in USD."""
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, Role.PROXY)
    _, budget, balance = parts.access.standing(caller)
    if budget is None or balance is None:
        raise NotFoundError("this key has no budget, so there are no credits to count")
    return json_response({"data": {"total_credits": float(budget.usd), "total_usage": balance.spent / _NANOS}})


async def generation(request: Request) -> Response:
    """Tell what an answer of this key's has cost, by its id, in OpenRouter's shape; as far back as the log goes."""
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, Role.PROXY)
    response_id = request.query_params.get("id")
    if not response_id:
        raise InvalidRequestError("id is missing; expected the id of an answer", param="id")
    # The log takes a moment to have the newest ones, and there may be none.
    record = None if parts.proxy is None else parts.proxy.recent.get(response_id, caller.key_id)
    record = record or await parts.log.attempt(response_id, caller.key_id)
    if record is None:
        raise NotFoundError(
            "this key has no answer with that id, neither among the last ones nor in the log", param="id"
        )
    cost_usd = record.cost_usd or 0.0
    return json_response(
        {
            "data": {
                **dict.fromkeys(_UNTOLD),
                "id": response_id,
                "model": record.model,
                "provider_name": record.provider,
                "created_at": record.created_at.isoformat(),
                "data_region": "global",
                "origin": "",
                "is_byok": False,
                "total_cost": cost_usd,
                "usage": cost_usd,
                "upstream_inference_cost": record.cost_usd,
                "upstream_id": record.response_id,
                "finish_reason": record.finish_reason,
                "native_finish_reason": record.finish_reason,
                "latency": None if record.latency_s is None else record.latency_s * 1000,
                "tokens_prompt": record.input_tokens,
                "tokens_completion": record.output_tokens,
                "native_tokens_prompt": record.input_tokens,
                "native_tokens_completion": record.output_tokens,
                "native_tokens_cached": record.cached_input_tokens,
                "native_tokens_reasoning": record.reasoning_tokens,
            }
        }
    )


async def providers(request: Request) -> Response:
    """List the providers, in OpenRouter's shape."""
    parts = parts_of(request)
    parts.access.authenticate(request.scope, Role.PROXY)
    names = () if parts.proxy is None else tuple(parts.proxy.providers.all)
    return json_response({"data": [{"name": one, "slug": one, "privacy_policy_url": None} for one in names]})


_ID: Final = {
    "name": "id",
    "in": "query",
    "required": True,
    "description": "The id of an answer.",
    "schema": {"type": "string", "minLength": 1},
}
ENDPOINTS: Final = (
    Endpoint("GET", "/v1/key", key, "About the key (OpenRouter)", AnyAnswer, roles=(Role.PROXY,)),
    Endpoint(
        "GET",
        "/v1/credits",
        credits_left,
        "What is left of the budget (OpenRouter)",
        AnyAnswer,
        roles=(Role.PROXY,),
        errors=(NotFoundError,),
    ),
    Endpoint(
        "GET",
        "/v1/generation",
        generation,
        "What an answer has cost (OpenRouter)",
        AnyAnswer,
        roles=(Role.PROXY,),
        errors=(NotFoundError, InvalidRequestError),
        parameters=(_ID,),
    ),
    Endpoint("GET", "/v1/providers", providers, "List the providers (OpenRouter)", AnyAnswer, roles=(Role.PROXY,)),
)
