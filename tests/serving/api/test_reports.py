import pytest
from fake_service import client_of, fake_parts

from router_model.serving.common.callers import Caller, Role
from router_model.serving.decision_log.log_records import AttemptRecord, FeedbackRecord

FEEDBACK = {"decision_id": "dec_1", "thumb": "up"}
OUTCOME = {"decision_id": "dec_1", "model": "small", "status": 200, "input_tokens": 14, "cached_input_tokens": 4}


def test_feedback_is_accepted_and_logged(client, parts):
    """A thumb is 1 or 0; the metric that training reads is the default."""
    response = client.post("/v1/feedback", json={**FEEDBACK, "source": "judge", "comment": "fine"})
    (record,) = parts.log.records
    assert response.status_code == 202
    assert response.json() == {"id": record.feedback_id, "object": "routing.feedback", "decision_id": "dec_1"}
    assert isinstance(record, FeedbackRecord)
    assert (record.score, record.source, record.metric, record.comment) == (1.0, "judge", "quality", "fine")
    assert record.key_id == "insecure"


@pytest.mark.parametrize(
    ("given", "score"), [({"thumb": "down"}, 0.0), ({"score": 0.25}, 0.25), ({"score": 0}, 0.0), ({"score": 1}, 1.0)]
)
def test_scores_and_thumbs(client, parts, given, score):
    assert client.post("/v1/feedback", json={"response_id": "r", **given}).status_code == 202
    assert parts.log.records[0].score == score


@pytest.mark.parametrize(("path", "body"), [("/v1/feedback", FEEDBACK), ("/v1/outcomes", OUTCOME)])
def test_the_same_idempotency_key_is_the_same_report(client, path, body):
    send = lambda key: client.post(path, json=body, headers={"Idempotency-Key": key} if key else {}).json()["id"]  # noqa: E731
    assert send("a") == send("a") != send("b")
    assert send(None) != send(None)


@pytest.mark.parametrize(("path", "body"), [("/v1/feedback", FEEDBACK), ("/v1/outcomes", OUTCOME)])
def test_a_report_that_would_be_lost_is_not_accepted(client, parts, path, body):
    """202 means kept; a decision is answered all the same, as it must be."""
    parts.log.writable = False
    refused = client.post(path, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
    assert parts.log.records == []
    assert client.post("/v1/route", json={"messages": [{"role": "user", "content": "hi"}]}).status_code == 200


def test_idempotency_keys_of_callers_do_not_meet(router):
    keys = {name: Caller(name, frozenset({Role.FEEDBACK})) for name in ("k1", "k2")}
    with client_of(fake_parts(router, keys=keys)) as client:
        ids = {
            client.post(
                "/v1/feedback", json=FEEDBACK, headers={"Idempotency-Key": "a", "authorization": f"Bearer {key}"}
            ).json()["id"]
            for key in keys
        }
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"thumb": "up"}, "neither decision_id nor response_id"),
        ({"decision_id": "d"}, "expected exactly one of score (0 to 1) and thumb ('up' or 'down'); got neither"),
        ({**FEEDBACK, "score": 1}, "got both"),
        ({**FEEDBACK, "thumb": "maybe"}, "thumb: got a JSON string; expected 'up' or 'down'"),
        ({"decision_id": "d", "score": 1.5}, "score: got 1.5; expected less than or equal to 1"),
        ({"decision_id": "d", "score": True}, "score: got True; expected a valid number"),
        ({**FEEDBACK, "provenance": "me"}, "provenance: unknown field; expected one of decision_id, response_id,"),
        ({**FEEDBACK, "comment": "a\0b"}, "comment: got a JSON string"),
        ({**FEEDBACK, "decision_id": ""}, "decision_id: got a JSON string; expected it to have at least 1 character"),
    ],
)
def test_feedback_that_cannot_be_used_is_refused(client, parts, body, message):
    assert_refused(client, parts, "/v1/feedback", body, message)


def assert_refused(client, parts, path, body, message):
    response = client.post(path, json=body)
    assert response.status_code == 400
    assert message in response.json()["error"]["message"]
    assert parts.log.records == []


def test_outcomes_are_accepted_and_logged(client, parts):
    response = client.post("/v1/outcomes", json={**OUTCOME, "cost_usd": 0.002, "latency_s": 1.5})
    (record,) = parts.log.records
    assert response.status_code == 202
    assert response.json() == {"id": record.attempt_id, "object": "routing.outcome", "decision_id": "dec_1"}
    assert isinstance(record, AttemptRecord)
    assert (record.model, record.status, record.input_tokens, record.cost_usd) == ("small", 200, 14, 0.002)
    assert record.key_id == "insecure"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model": "small"}, "neither decision_id nor response_id"),
        ({**OUTCOME, "cached_input_tokens": 15}, "input_tokens=14 with 15 tokens in its parts"),
        ({**OUTCOME, "output_tokens": 1, "reasoning_tokens": 2}, "output_tokens=1 with 2 tokens"),
        ({**OUTCOME, "status": 20}, "status: got 20; expected greater than or equal to 100"),
        ({**OUTCOME, "cost_usd": -1}, "cost_usd: got -1"),
    ],
)
def test_outcomes_that_contradict_themselves_are_refused(client, parts, body, message):
    assert_refused(client, parts, "/v1/outcomes", body, message)
