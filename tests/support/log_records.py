"""Log records with values a test can tell apart."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from router_model.serving.decision_log.log_records import (
    AttemptRecord,
    DecisionRecord,
    FeedbackRecord,
    LoggedCandidate,
    ResponseRecord,
    SessionRecord,
)

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def candidate(model="small", propensity=1.0, p_success=0.9):
    return LoggedCandidate(
        model=model, provider="acme", p_success=p_success, p_low=0.8, p_high=0.95, expected_cost_usd=0.001,
        expected_output_tokens=300.0, expected_latency_s=1.5, expected_quality=0.85, propensity=propensity,
    )  # fmt: skip


def decision(n=0, **changes):
    """The n-th decision, n seconds after `BEGAN`: 'small' with propensity 0.75, before 'large'."""
    record = DecisionRecord(
        decision_id=f"dec_{n:032x}", created_at=BEGAN + timedelta(seconds=n), model="small",
        reason="cheapest_above_bar", candidates=(candidate("small", 0.75), candidate("large", 0.25, 0.95)),
        excluded=(("tiny", "tools"),), artifact="sha256:abc", policy_version="v1", quality_bar=0.5,
        target_success=0.9, threshold=0.87, success_value_usd=None, quality_value_usd=None, certified=True,
        explored=False, degraded=False, shadow=False, session_id=f"s{n % 10}", user_id=f"u{n % 3}", key_id="k1",
        surface="route", prompt_sha256="ab" * 32, messages='[{"role":"user","content":"Hi"}]', n_input_tokens=7,
        decision_s=0.0006,
    )  # fmt: skip
    return replace(record, **changes)


def attempt(n=0, **changes):
    """An attempt of the n-th decision, a second after it: 'small', answered."""
    record = AttemptRecord(
        attempt_id=f"att_{n}", decision_id=f"dec_{n:032x}", created_at=BEGAN + timedelta(seconds=n + 1), model="small",
        provider="acme", response_id=f"resp_{n}", response_model="small-2026", finish_reason="stop", status=200,
        input_tokens=12, output_tokens=40, cached_input_tokens=4, cost_usd=0.002, latency_s=1.25, key_id="k1",
    )  # fmt: skip
    return replace(record, **changes)


def feedback(n=0, score=1.0, **changes):
    """Feedback to the n-th decision, a minute after it."""
    record = FeedbackRecord(
        feedback_id=f"fb_{n}", created_at=BEGAN + timedelta(seconds=n + 60), decision_id=f"dec_{n:032x}",
        response_id=None, score=score, source="user", metric="quality", comment=None, key_id="k1",
    )  # fmt: skip
    return replace(record, **changes)


def response(key, previous=None, n=0, **changes):
    """A response that goes on from another one."""
    record = ResponseRecord(
        response_key=key, updated_at=BEGAN + timedelta(seconds=n), response_id=f"resp_{key}", previous_key=previous,
        key_id="k1", user_id="u0", session_id="s0", decision_id=None, input='[{"role":"user","content":"Hi"}]',
        output="[]", response='{"object":"response"}',
    )  # fmt: skip
    return replace(record, **changes)


def session(key="sess", n=0, model="small"):
    return SessionRecord(session_key=key, model=model, updated_at=BEGAN + timedelta(seconds=n), n_input_tokens=50 + n)
