"""Write a decision as JSON. It is written by hand, because a model costs four times as much on every request."""

from typing import Any

from router_model.serving.engine.query import Routed
from router_model.serving.http_edge.json_response import header_text


def decision_dict(routed: Routed) -> dict[str, Any]:
    """Return the answer to one request; see `router_model.serving.api.answer_models.DecisionAnswer`.

    NaN, which stands in a default plan for what nothing predicted, becomes null when it is written (`orjson`).
    """
    certificate = routed.certificate
    answer: dict[str, Any] = {
        "id": routed.decision_id,
        "object": "routing.decision",
        "created": int(routed.created_at.timestamp()),
        "model": routed.plan[0].model,
        "reason": routed.reason,
        "plan": [
            {
                "model": step.model,
                "base_model": step.model if card is None else card.served_model,
                "parameters": {} if card is None else card.parameters,
                "provider": None if card is None else card.provider,
                "p_success": step.p_success,
                "p_interval": step.p_interval,
                "expected_cost_usd": step.expected_cost_usd,
                "expected_output_tokens": step.expected_output_tokens,
                "expected_latency_s": step.expected_latency_s,
                "expected_quality": step.expected_quality,
                "propensity": propensity,
            }
            for step, card, propensity in zip(routed.plan, routed.cards, routed.propensities, strict=True)
        ],
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


def decision_headers(routed: Routed) -> dict[str, str]:
    """Return the headers that every answer with one decision carries."""
    return {
        "x-router-decision-id": routed.decision_id,
        "x-router-model": header_text(routed.plan[0].model),
        "x-router-degraded": "true" if routed.degraded else "false",
    }
