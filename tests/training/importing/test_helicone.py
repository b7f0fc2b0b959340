"""Helicone's exports of requests become rows."""

import json

import pytest

from router_model.training.importing.adapters import NOWHERE
from router_model.training.importing.adapters.helicone import helicone
from router_model.training.importing.problems import RecordError

ASKED = [{"role": "user", "content": "Hi"}]
REQUEST = {
    "request_id": "r1",
    "request_created_at": "2025-01-31 08:30:00",
    "request_path": "https://api.openai.com/v1/chat/completions",
    "request_body": {"model": "gpt-4o", "messages": ASKED, "user": "secret"},
    "request_user_id": "secret",
    "country_code": "secret",
    "response_status": 200,
    "response_model": "gpt-4o-2024-11-20",
    "response_body": {"usage": {"prompt_tokens": 8, "completion_tokens": 5}, "choices": ["secret"]},
    "prompt_tokens": 2,
    "completion_tokens": 5,
    "costUSD": 0.002,
    "delay_ms": 1500,
    "properties": {"Helicone-Session-Id": "s1", "Email": "secret"},
    "scores": {"correct": {"value": 1, "valueType": "boolean"}},
    "cache_reference_id": "00000000-0000-0000-0000-000000000000",
}
COLUMNS = {
    key: json.dumps(value) if isinstance(value, dict) else str(value)
    for key, value in REQUEST.items()
    if key not in ("response_model", "properties")
} | {
    "response_body": json.dumps(REQUEST["response_body"] | {"model": "gpt-4o-2024-11-20"}),
    "request_properties": '{"helicone-session-id": "s1"}',
}


@pytest.mark.parametrize(("record", "cost"), [(REQUEST, 0.002), (COLUMNS, "0.002")])
def test_request_becomes_a_row(record, cost):
    """The usage in the answer knows of cached tokens; the column leaves them out."""
    (row,) = helicone(record, NOWHERE).rows
    assert "secret" not in json.dumps(row)
    del row["extra"]
    assert row == {
        "messages": ASKED,
        "model": "gpt-4o-2024-11-20",
        "quality": 1.0,
        "input_tokens": 8,
        "output_tokens": 5,
        "cost_usd": cost,
        "latency_s": 1.5,
        "timestamp": 1738312200.0,
        "session_id": "s1",
    }


@pytest.mark.parametrize(
    ("changes", "quality"),
    [
        ({"scores": None}, None),
        ({"scores": {}, "feedback_rating": True}, 1.0),
        ({"scores": None, "feedback": {"rating": False}}, 0.0),
        ({"scores": {"helicone-score-feedback": 1}}, 1.0),
        ({"scores": {"quality": 80, "tone": 1}}, 80.0),
        ({"scores": {"correct": 1}, "feedback_rating": False}, 1.0),
    ],
)
def test_quality_is_the_score_and_else_the_feedback(changes, quality):
    assert helicone(REQUEST | changes, NOWHERE).rows[0]["quality"] == quality


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"response_status": 500}, "failed calls"),
        ({"response_status": -3}, "failed calls"),
        ({"cache_reference_id": "f3a1"}, "calls answered by a cache"),
        ({"request_path": "/v1/embeddings"}, "embedding calls"),
        ({"request_path": "/v1/images/generations"}, "image calls"),
    ],
)
def test_what_is_no_answered_chat_is_skipped_and_counted(changes, what):
    assert dict(helicone(REQUEST | changes, NOWHERE).skipped) == {what: 1}


@pytest.mark.parametrize("body", [None, "", {}])
def test_request_without_its_body_says_how_to_export_it(body):
    with pytest.raises(RecordError, match="a call of Helicone without its prompt") as caught:
        helicone(REQUEST | {"request_body": body}, NOWHERE)
    assert "--include-body" in caught.value.problem.advice
