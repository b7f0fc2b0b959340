"""``POST /v1/feedback`` and ``/v1/outcomes``: what became of decisions.

The id of a report is made from the caller's key and its ``Idempotency-Key``, so that the log keeps the first of several
with the same one, whichever worker gets them; without the header every report is one of its own.
"""

import hashlib
import secrets
from datetime import UTC, datetime
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from router_model.log_records import AttemptRecord, FeedbackRecord, LogRecord
from serving.access.callers import Role
from serving.api.answers import AcceptedAnswer
from serving.api.bodies import validated
from serving.api.endpoint import Endpoint, header
from serving.api.parts import Parts, parts_of
from serving.api.rendering import json_response
from serving.api.requests import FeedbackRequest, IdempotencyHeader, OutcomeRequest
from serving.errors import InvalidRequestError, NotReadyError

_ACCEPTED: Final = 202
_THUMBS: Final = {"up": 1.0, "down": 0.0}


async def feedback(request: Request) -> Response:
    """Say how good an answer was.

    `decision_id` or `response_id` says which; an unknown one is kept and joined when its decision turns up. The same
    `Idempotency-Key` twice changes nothing.
    """
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, Role.FEEDBACK)
    given = await parts.bodies.read(request, caller, partial(validated, FeedbackRequest))
    _check_ids(given)
    record = FeedbackRecord(
        feedback_id=report_id("fb", caller.key_id, request),
        created_at=datetime.now(UTC),
        decision_id=given.decision_id,
        response_id=given.response_id,
        score=_score(given),
        source=given.source,
        metric=given.metric,
        comment=given.comment,
        key_id=caller.key_id,
    )
    _keep(parts, record)
    parts.telemetry.count_feedback()
    return json_response(
        {"id": record.feedback_id, "object": "routing.feedback", "decision_id": record.decision_id}, status=_ACCEPTED
    )


async def outcomes(request: Request) -> Response:
    """Report what happened when you called the model yourself: tokens, cost, latency, status.

    One report a call: where the first model failed and the next was called, report both. The same `Idempotency-Key`
    twice changes nothing.
    """
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, Role.FEEDBACK)
    given = await parts.bodies.read(request, caller, partial(validated, OutcomeRequest))
    _check_ids(given)
    _check_usage(given)
    record = AttemptRecord(
        attempt_id=report_id("att", caller.key_id, request),
        created_at=datetime.now(UTC),
        key_id=caller.key_id,
        **given.model_dump(),
    )
    _keep(parts, record)
    parts.telemetry.count_outcome(record, providers=parts.providers)
    return json_response(
        {"id": record.attempt_id, "object": "routing.outcome", "decision_id": record.decision_id}, status=_ACCEPTED
    )


def _keep(parts: Parts, record: LogRecord) -> None:
    """Put a report into the log; its sender is told to come back where it would be lost."""
    if not parts.log.writable:
        raise NotReadyError("neither the log's store nor its spool takes records now; send the report again later")
    parts.log.put(record)


def report_id(prefix: str, key_id: str, request: Request) -> str:
    """Return a report's id: the same for the same caller and ``Idempotency-Key``."""
    given = request.headers.get("idempotency-key")
    if given is None:
        return f"{prefix}_{secrets.token_hex(16)}"
    key = validated(IdempotencyHeader, {"idempotency-key": given}).key
    digest = hashlib.sha256(f"{prefix}\0{key_id}\0{key}".encode()).hexdigest()
    return f"{prefix}_{digest[:32]}"


def _check_ids(given: FeedbackRequest | OutcomeRequest) -> None:
    if given.decision_id is None and given.response_id is None:
        raise InvalidRequestError("neither decision_id nor response_id; expected at least one", param="decision_id")


def _score(given: FeedbackRequest) -> float:
    if (given.score is None) == (given.thumb is None):
        raise InvalidRequestError(
            "expected exactly one of score (0 to 1) and thumb ('up' or 'down'); "
            f"got {'neither' if given.score is None else 'both'}",
            param="score",
        )
    return _THUMBS[given.thumb] if given.thumb is not None else float(given.score or 0.0)


def _check_usage(given: OutcomeRequest) -> None:
    """Refuse parts that are more than their whole: cached tokens are within the input, reasoning is output."""
    wholes = {
        "input_tokens": (given.cached_input_tokens or 0) + (given.cache_write_tokens or 0),
        "output_tokens": given.reasoning_tokens or 0,
    }
    for name, parts in wholes.items():
        whole = getattr(given, name)
        if whole is not None and parts > whole:
            raise InvalidRequestError(
                f"{name}={whole} with {parts} tokens as parts of it; expected the whole, cached and reasoning included",
                param=name,
            )


_KEY: Final = header("idempotency-key", "Makes a repeated report the same report.")
ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/feedback",
        feedback,
        "Judge an answer",
        AcceptedAnswer,
        FeedbackRequest,
        roles=(Role.FEEDBACK,),
        status=_ACCEPTED,
        parameters=(_KEY,),
    ),
    Endpoint(
        "POST",
        "/v1/outcomes",
        outcomes,
        "Report a call",
        AcceptedAnswer,
        OutcomeRequest,
        roles=(Role.FEEDBACK,),
        status=_ACCEPTED,
        parameters=(_KEY,),
    ),
)
