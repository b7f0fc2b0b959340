"""``POST /v1/feedback`` and ``/v1/outcomes``: receive reports on how decisions turned out.

A key reports on its own decisions, a key with the role ``feedback-all`` on everybody's. The id of another key's
decision and an id that nobody made get the same answer. Whose answer a `response_id` names is known when the log is
joined (`router_model.serving.decision_log.called_models`): such a report is always taken, and counts there if it may.

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

from router_model.serving.api.answer_models import AcceptedAnswer
from router_model.serving.api.parts import Parts, parts_of
from router_model.serving.common.callers import Caller, Role
from router_model.serving.common.service_errors import InvalidRequestError, NotFoundError, NotReadyError
from router_model.serving.decision_log.log_records import ANY, OWN, AttemptRecord, FeedbackRecord, LogRecord
from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.endpoint import Endpoint, header
from router_model.serving.http_edge.json_response import json_response
from router_model.serving.http_edge.requests import FeedbackRequest, IdempotencyHeader, OutcomeRequest

_ACCEPTED: Final = 202
_ROLES: Final = (Role.FEEDBACK, Role.FEEDBACK_ALL)
_THUMBS: Final = {"up": 1.0, "down": 0.0}


async def feedback(request: Request) -> Response:
    """Report how good an answer was.

    `decision_id` or `response_id` says which; where both are given, `decision_id` counts. A decision must be one of the
    key's own, unless the key has the role `feedback-all`; a `response_id` may turn up later. The same `Idempotency-Key`
    twice changes nothing.
    """
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, *_ROLES)
    given = await parts.bodies.read(request, caller, partial(validated, FeedbackRequest))
    record = await take_feedback(parts, caller, given, report_id("fb", caller.key_id, request))
    return json_response(
        {"id": record.feedback_id, "object": "routing.feedback", "decision_id": record.decision_id}, status=_ACCEPTED
    )


async def take_feedback(parts: Parts, caller: Caller, given: FeedbackRequest, feedback_id: str) -> FeedbackRecord:
    """Keep a judgement, if the caller may give it."""
    await _check_ids(parts, caller, given)
    record = FeedbackRecord(
        feedback_id=feedback_id,
        created_at=datetime.now(UTC),
        decision_id=given.decision_id,
        response_id=given.response_id,
        score=_score(given),
        source=given.source,
        metric=given.metric,
        comment=given.comment,
        key_id=caller.key_id,
        authority=_authority(caller),
    )
    # Before the telemetry counts it: a report that is refused here is sent again, and must not count twice.
    _keep(parts, record)
    parts.telemetry.count_feedback()
    return record


async def outcomes(request: Request) -> Response:
    """Report what happened when you called the model yourself: tokens, cost, latency, status.

    One report a call: where the first model failed and the next was called, report both. Of a call that was forwarded
    here what was measured here counts, whatever is reported. The same `Idempotency-Key` twice changes nothing.
    """
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, *_ROLES)
    given = await parts.bodies.read(request, caller, partial(validated, OutcomeRequest))
    await _check_ids(parts, caller, given)
    _check_usage(given)
    record = AttemptRecord(
        attempt_id=report_id("att", caller.key_id, request),
        created_at=datetime.now(UTC),
        key_id=caller.key_id,
        authority=_authority(caller),
        **given.model_dump(),
    )
    _keep(parts, record)
    parts.telemetry.count_outcome(record, providers=parts.providers)
    return json_response(
        {"id": record.attempt_id, "object": "routing.outcome", "decision_id": record.decision_id}, status=_ACCEPTED
    )


def _keep(parts: Parts, record: LogRecord) -> None:
    """Put a report into the log; if it would be lost, its sender is told to send it again."""
    if not parts.log.writable:
        raise NotReadyError("neither the log's store nor its spool accepts records now; send the report again later")
    parts.log.put(record)


def report_id(prefix: str, key_id: str, request: Request) -> str:
    """Return a report's id: the same for the same caller and ``Idempotency-Key``."""
    given = request.headers.get("idempotency-key")
    if given is None:
        return f"{prefix}_{secrets.token_hex(16)}"
    key = validated(IdempotencyHeader, {"idempotency-key": given}).key
    # With the key's id in it, two callers may use the same Idempotency-Key. A NUL can be in none of the three.
    digest = hashlib.sha256(f"{prefix}\0{key_id}\0{key}".encode()).hexdigest()
    return f"{prefix}_{digest[:32]}"


async def _check_ids(parts: Parts, caller: Caller, given: FeedbackRequest | OutcomeRequest) -> None:
    if given.decision_id is None and given.response_id is None:
        raise InvalidRequestError("got neither decision_id nor response_id; expected at least one", param="decision_id")
    if given.decision_id is not None and not await _may_report(parts, caller, given.decision_id):
        raise NotFoundError(
            "no such decision of this key; a key reports on its own decisions, and with the role feedback-all on all",
        )


async def _may_report(parts: Parts, caller: Caller, decision_id: str) -> bool:
    """Return whether a caller may report on a decision.

    The log is asked only about ids without the caller's seal: those of before there were seals.
    """
    if _authority(caller) == ANY or parts.owners.owns(caller.key_id, decision_id):
        return True
    record = await parts.log.decision(decision_id)
    return record is not None and record.key_id == caller.key_id


def _authority(caller: Caller) -> str:
    return ANY if Role.FEEDBACK_ALL in caller.roles else OWN


def _score(given: FeedbackRequest) -> float:
    if (given.score is None) == (given.thumb is None):
        raise InvalidRequestError(
            "expected exactly one of score (0 to 1) and thumb ('up' or 'down'); "
            f"got {'neither' if given.score is None else 'both'}",
            param="score",
        )
    # `or 0.0` is for the type checker only: one of the two is given, as was checked above.
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
                f"{name}={whole} with {parts} tokens in its parts; expected a total that includes cached and "
                "reasoning tokens",
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
        roles=_ROLES,
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
        roles=_ROLES,
        status=_ACCEPTED,
        parameters=(_KEY,),
    ),
)
