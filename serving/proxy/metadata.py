"""``openrouter_metadata``: how a call was routed, for who asks by ``X-OpenRouter-Metadata: enabled``."""

from collections.abc import Sequence
from typing import Any

from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.engine.query import Routed
from router_model.serving.providers.provider import Target


def openrouter_metadata(
    requested: str, targets: Sequence[Target], attempts: Sequence[AttemptRecord], routed: Routed | None
) -> dict[str, Any]:
    """Return the object.

    Parameters
    ----------
    requested : the model that was asked for
    targets : the candidates
    attempts : so far, the one that answered included
    routed : the decision; None of a model that was forwarded as asked
    """
    last = attempts[-1] if attempts else None
    return {
        "requested": requested,
        "strategy": "direct" if routed is None else "auto",
        "attempt": len(attempts),
        "endpoints": {
            "total": len(targets),
            "available": [
                {
                    "provider": target.provider.name,
                    "model": target.model,
                    "selected": last is not None
                    and (last.provider, last.model) == (target.provider.name, target.model),
                }
                for target in targets
            ],
        },
        "attempts": [{"provider": one.provider, "model": one.model, "status": one.status} for one in attempts],
        "pipeline": [] if routed is None else [{"name": "decision", "id": routed.decision_id, "reason": routed.reason}],
    }
