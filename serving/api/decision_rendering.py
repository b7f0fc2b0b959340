"""Write a decision as JSON. It is written by hand, because a model costs four times as much on every request."""

from typing import Any, Final

from router_model.serving.engine.query import Routed
from router_model.serving.http_edge.json_response import header_text

_PREDICTED: Final = (
    "p_success", "p_interval", "expected_cost_usd", "expected_output_tokens", "expected_latency_s", "expected_quality",
    "level_error",
)  # fmt: skip


def decision_dict(routed: Routed) -> dict[str, Any]:
    """Return the answer to one request; see `router_model.serving.api.answer_models.DecisionAnswer`.

    NaN, which stands in a default plan for what nothing predicted, becomes null when it is written (`orjson`).
    """
    certificate = routed.certificate
    answer: dict[str, Any] = {
        "id": routed.decision_id,
        "object": "routing.decision",
        "created": int(routed.created_at.timestamp()),
        "model": routed.model,
        "reason": routed.reason,
        "plan": _candidates(routed),
        "excluded": [{"model": one.model, "reason": one.reason, "detail": one.detail} for one in routed.excluded],
        "policy": {
            "artifact": routed.artifact,
            "version": routed.policy_version,
            "quality_bar": routed.quality_bar,
            "target_success": routed.target_success,
            "threshold": routed.threshold,
            "success_value_usd": routed.success_value_usd,
            "quality_value_usd": routed.quality_value_usd,
            "certified": certificate is not None and certificate.certified,
            "certified_measure": certificate.measure if certificate is not None and certificate.certified else None,
        },
        "session_id": routed.session_id,
        "explored": routed.explored,
        "degraded": routed.degraded,
        "degraded_by": routed.degraded_by,
        "decision_ms": round(routed.decision_s * 1000, 3),
    }
    if routed.explanation is not None:
        answer["explanation"] = routed.explanation
    return answer


def _candidates(routed: Routed) -> list[dict[str, Any]]:
    known = map(routed.plan.column, _PREDICTED)
    return [
        {
            "model": model,
            "base_model": model if card is None else card.served_model,
            "parameters": {} if card is None else card.parameters,
            "provider": None if card is None else card.provider,
            "p_success": p_success,
            "p_interval": p_interval,
            "expected_cost_usd": cost,
            "expected_output_tokens": tokens,
            "expected_latency_s": latency,
            "expected_quality": quality,
            "propensity": propensity,
            "level_error": level_error,
        }
        for model, card, propensity, p_success, p_interval, cost, tokens, latency, quality, level_error in zip(
            routed.plan.models, routed.cards, routed.propensities, *known, strict=True
        )
    ]


def decision_headers(routed: Routed) -> dict[str, str]:
    """Return the headers that every answer with one decision carries."""
    return {
        "x-router-decision-id": routed.decision_id,
        "x-router-model": header_text(routed.model),
        "x-router-degraded": "true" if routed.degraded else "false",
    }
