"""Decisions as JSON: built by hand, as this is on every request's path."""

from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.responses import Response

from router_model.serving.engine.query import Routed

JSON: Final = "application/json"


def decision_dict(routed: Routed) -> dict[str, Any]:
    """Return the answer to one request; see `router_model.serving.api.answers.DecisionAnswer`.

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
                "provider": provider,
                "p_success": step.p_success,
                "p_interval": step.p_interval,
                "expected_cost_usd": step.expected_cost_usd,
                "expected_output_tokens": step.expected_output_tokens,
                "expected_latency_s": step.expected_latency_s,
                "expected_quality": step.expected_quality,
                "propensity": propensity,
            }
            for step, provider, propensity in zip(routed.plan, routed.providers, routed.propensities, strict=True)
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


@lru_cache(maxsize=4096)
def header_text(text: str) -> str:
    """Percent-encode what a header may not hold; model ids are free text."""
    return quote(text, safe="!#$&'()*+,/:;=?@[]~ ")


def json_response(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return JSON; dataclasses, datetimes and NaN (null) are written, too."""
    return Response(orjson.dumps(content), status_code=status, headers=headers, media_type=JSON)
