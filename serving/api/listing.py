"""``GET /v1/models`` and ``GET /v1/decisions/{id}``: list the models, and read a past decision."""

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from router_model.catalog import ModelCard
from router_model.serving.api.answer_models import (
    AnyAnswer,
    GoogleErrorAnswer,
    LoggedDecisionAnswer,
    ModelAnswer,
    ModelsAnswer,
)
from router_model.serving.api.parts import Parts, parts_of
from router_model.serving.common.callers import Caller, Role
from router_model.serving.common.router_names import AUTO
from router_model.serving.common.service_errors import ForbiddenError, ModelNotFoundError, NotFoundError
from router_model.serving.http_edge.endpoint import Endpoint
from router_model.serving.http_edge.json_response import json_response
from router_model.serving.http_edge.surface_errors import GOOGLE, is_openrouters
from router_model.serving.proxy.naming import not_found

_PER_TOKEN: Final = {
    "prompt": "usd_per_mtok_input",
    "completion": "usd_per_mtok_output",
    "input_cache_read": "usd_per_mtok_cached_input",
    "input_cache_write": "usd_per_mtok_cache_write",
    "internal_reasoning": "usd_per_mtok_reasoning",
}
_PER_CALL: Final = {"request": "usd_per_request", "image": "usd_per_image"}
_PARAMETERS: Final = {"tools": ("tools", "tool_choice"), "structured_output": ("response_format", "structured_outputs")}
_UNKNOWN_PRICES: Final = {"prompt": "-1", "completion": "-1"}
"""As OpenRouter writes prices that depend on who answers; its SDKs take prices for granted."""
_LONGEST_ID: Final = 256


async def models(request: Request) -> Response:
    """List the models with their prices and limits: the candidates, and what else the proxy's providers serve.

    OpenAI's list with OpenRouter's fields; prices are decimal text in USD per *token*, fees in USD a request or image;
    none if they are not known.
    """
    parts = parts_of(request)
    parts.access.authenticate(request.scope, Role.DECIDE, Role.PROXY)
    found = _cards(parts)
    if "anthropic-version" in request.headers:
        return json_response(_anthropics(list(found)))
    if "x-goog-api-key" in request.headers:  # google-genai asks here, too
        return json_response({"models": [_googles(model, card) for model, card in found.items()]})
    entries = [_entry(model, card) for model, card in found.items()]
    if is_openrouters(request.scope):
        entries = [entry | {"pricing": _UNKNOWN_PRICES | entry["pricing"]} for entry in entries]
        return json_response({"data": entries, "links": {"next": None}, "total_count": len(entries)})
    return json_response({"object": "list", "data": entries})


async def google_models(request: Request) -> Response:
    """List the models in Google's shape."""
    parts = parts_of(request)
    parts.access.authenticate(request.scope, Role.DECIDE, Role.PROXY)
    return json_response({"models": [_googles(model, card) for model, card in _cards(parts).items()]})


async def count_models(request: Request) -> Response:
    """Count the models, as OpenRouter does."""
    parts = parts_of(request)
    parts.access.authenticate(request.scope, Role.DECIDE, Role.PROXY)
    return json_response({"data": {"count": len(_cards(parts))}})


async def google_model(request: Request) -> Response:
    """Return one model of the list in Google's shape."""
    return await model(request)


async def model(request: Request) -> Response:
    """Return one model of the list, or one that a provider serves by a star; its id may have slashes in it."""
    parts = parts_of(request)
    parts.access.authenticate(request.scope, Role.DECIDE, Role.PROXY)
    model_id: str = request.path_params["model_id"]
    found = _cards(parts)
    targets = parts.proxy.providers.targets(model_id) if model_id not in found and parts.proxy is not None else ()
    if targets:
        found[model_id] = targets[0].card
    if model_id not in found:
        # The error repeats the id, which may be as long as a path.
        raise not_found(model_id[:_LONGEST_ID], list(found))
    if "anthropic-version" in request.headers:
        return json_response(_anthropics([model_id])["data"][0])
    if "x-goog-api-key" in request.headers or request.scope["path"].startswith(GOOGLE):
        return json_response(_googles(model_id, found[model_id]))
    return json_response(_entry(model_id, found[model_id]))


def _anthropics(models: Sequence[str]) -> dict[str, Any]:
    """Return the list as Anthropic's SDKs read it."""
    data = [{"type": "model", "id": one, "display_name": one, "created_at": "1970-01-01T00:00:00Z"} for one in models]
    ends = {"first_id": models[0], "last_id": models[-1]} if models else {"first_id": None, "last_id": None}
    return {"data": data, "has_more": False, **ends}


def _googles(model: str, card: ModelCard | None) -> dict[str, Any]:
    """Return a model's entry as Google's SDKs read it; limits that are not known are left out."""
    entry: dict[str, Any] = {
        "name": f"models/{model}",
        "displayName": model,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    }
    if card is not None and card.context_window is not None:
        entry["inputTokenLimit"] = card.context_window
    if card is not None and card.max_output_tokens is not None:
        entry["outputTokenLimit"] = card.max_output_tokens
    return entry


def _cards(parts: Parts) -> dict[str, ModelCard | None]:
    """Return what there is: the candidates, then the models that providers name.

    With a proxy ``auto`` and the names of several routers come first: chat programs offer their users the listed models
    only.
    """
    cards = parts.engines.cards or {}
    found: dict[str, ModelCard | None] = {model: cards[model] for model in parts.models}
    if parts.proxy is None:
        return found
    served = parts.proxy.candidates.served_models
    asked = [AUTO[0], *(f"{AUTO[0]}:{name}" for name in parts.engines if len(parts.engines) > 1)]
    return dict.fromkeys(asked) | found | {name: card for name, card in served.items() if name not in found}


def _entry(name: str, card: ModelCard | None) -> dict[str, Any]:
    """Return a model's entry; of one without a card its id is all that is known."""
    if card is not None:
        return model_dict(card)
    # The card's zeros stand for unknown prices, which must not be read as free.
    return model_dict(ModelCard(name, Decimal(0), Decimal(0))) | {"pricing": {}}


def model_dict(card: ModelCard) -> dict[str, Any]:
    """Return a model's entry; see `router_model.serving.api.answer_models.ModelAnswer`.

    >>> card = ModelCard("openai/gpt-4o", Decimal("2.5"), Decimal(10), tools=True)
    >>> model_dict(card)["pricing"]
    {'prompt': '0.0000025', 'completion': '0.00001'}
    """
    inputs = ["text", *["image"] * bool(card.vision), *["audio"] * bool(card.audio)]
    parameters = [name for flag, names in _PARAMETERS.items() if getattr(card, flag) for name in names]
    return {
        "id": card.model,
        "object": "model",
        "created": 0,
        "owned_by": card.provider or "unknown",
        "canonical_slug": card.model,
        "name": card.model,
        "context_length": card.context_window,
        "architecture": {
            "modality": f"{'+'.join(inputs)}->text",
            "input_modalities": inputs,
            "output_modalities": ["text"],
        },
        "pricing": pricing(card),
        "top_provider": {
            "context_length": card.context_window,
            "max_completion_tokens": card.max_output_tokens,
            "is_moderated": False,
        },
        "supported_parameters": ["max_tokens", *parameters],
        "supported_voices": None,
        "default_parameters": None,
        "per_request_limits": None,
        "links": {"details": f"/v1/models/{card.model}"},
    }


def pricing(card: ModelCard) -> dict[str, str]:
    """Return the prices that are known, as decimal text: USD per token, and USD per request and image."""
    prices = {name: getattr(card, field) for name, field in _PER_TOKEN.items()}
    per_token = {name: _decimal(price / 1_000_000) for name, price in prices.items() if price is not None}
    fees = {name: getattr(card, field) for name, field in _PER_CALL.items()}
    return per_token | {name: _decimal(fee) for name, fee in fees.items() if fee is not None}


def _decimal(price: Decimal) -> str:
    """Write a price without exponent and trailing zeros.

    >>> _decimal(Decimal("2.50") / 1_000_000), _decimal(Decimal(0)), _decimal(Decimal(30))
    ('0.0000025', '0', '30')
    """
    return f"{price.normalize():f}"


async def decision(request: Request) -> Response:
    """Return a decision as it is in the log, with the prompt as far as prompts are stored.

    A key reads its own decisions, a key with the role `admin` all. A decision is there as soon as it was answered.
    """
    parts = parts_of(request)
    caller = _reader(parts, request)
    decision_id: str = request.path_params["decision_id"]
    record = await parts.log.decision(decision_id) if len(decision_id) <= _LONGEST_ID else None
    own = record is not None and record.key_id == caller.key_id
    # The same answer for both: another key's decision must not be told from one that nobody made.
    if record is None or not (own or Role.ADMIN in caller.roles):
        raise NotFoundError(
            "this key has no decision with that id; decisions are kept for as long as the log's retention says"
        )
    fields = asdict(record)
    fields["excluded"] = [{"model": model, "reason": reason} for model, reason in record.excluded]
    return json_response({"object": "routing.logged_decision", **fields})


def _reader(parts: Parts, request: Request) -> Caller:
    """Return the caller, if it may read decisions: its own with the role `decide` or `proxy`, all with `admin`."""
    try:
        # The roles are not tried in one call, because its error would then ask for `admin`, too.
        return parts.access.authenticate(request.scope, Role.DECIDE, Role.PROXY)
    except ForbiddenError as no_decider:
        try:
            return parts.access.authenticate(request.scope, Role.ADMIN)
        except ForbiddenError:
            raise no_decider from None  # the lesser roles are the ones to ask for


_MODEL_ID: Final = {
    "name": "model_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
    "example": "small",
}
_ID: Final = {
    "name": "decision_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "example": "dec_019385b1c5f07cc2a1f2d0c5b8a3e411",
}
ENDPOINTS: Final = (
    Endpoint("GET", "/v1/models", models, "List the models", ModelsAnswer, roles=(Role.DECIDE, Role.PROXY)),
    Endpoint("GET", "/v1/models/count", count_models, "Count the models", AnyAnswer, roles=(Role.DECIDE, Role.PROXY)),
    Endpoint(
        "GET",
        "/v1beta/models",
        google_models,
        "List the models (Google)",
        AnyAnswer,
        roles=(Role.DECIDE, Role.PROXY),
        error=GoogleErrorAnswer,
    ),
    Endpoint(
        "GET",
        "/v1beta/models/{model_id:path}",
        google_model,
        "Read a model (Google)",
        AnyAnswer,
        roles=(Role.DECIDE, Role.PROXY),
        errors=(ModelNotFoundError,),
        parameters=(_MODEL_ID,),
        error=GoogleErrorAnswer,
    ),
    Endpoint(
        "GET",
        "/v1/models/{model_id:path}",
        model,
        "Read a model",
        ModelAnswer,
        roles=(Role.DECIDE, Role.PROXY),
        errors=(ModelNotFoundError,),
        parameters=(_MODEL_ID,),
    ),
    Endpoint(
        "GET",
        "/v1/decisions/{decision_id}",
        decision,
        "Read a decision",
        LoggedDecisionAnswer,
        roles=(Role.DECIDE, Role.PROXY, Role.ADMIN),
        errors=(NotFoundError,),
        parameters=(_ID,),
    ),
)
