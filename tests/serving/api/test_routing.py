import pytest
from fake_service import client_of, fake_parts

from router_model import Constraints
from router_model.goal import SuccessValue
from router_model.serving.api.answer_models import BatchAnswer, DecisionAnswer

SUM = [{"role": "user", "content": "add subtract multiply divide number sum 12 45 7 total minus plus"}]


def test_route_answers_with_a_ranked_plan(client, parts):
    """In the simulated world 'small' does sums nine times in ten, at a fiftieth of the price of 'large'."""
    response = client.post("/v1/route", json={"messages": SUM, "router": {"target_success": 0.6}})
    answer = response.json()
    assert response.status_code == 200
    assert answer["object"] == "routing.decision"
    assert (answer["model"], answer["reason"]) == ("small", "cheapest_above_bar")
    assert sorted(step["model"] for step in answer["plan"]) == ["coder", "large", "small"]
    assert answer["plan"][0]["model"] == "small"
    assert answer["plan"][0]["p_success"] >= 0.6
    assert answer["policy"]["artifact"] == parts.engines.default.router.artifact.content_hash
    assert answer["policy"]["target_success"] == 0.6
    assert answer["decision_ms"] == 1.234  # the stand-in says 0.0012345 s
    assert answer["created"] == 1795392000  # 2026-11-23


def test_every_decision_carries_its_headers(client):
    response = client.post("/v1/route", json={"messages": SUM})
    answer = response.json()
    assert response.headers["x-router-decision-id"] == answer["id"]
    assert response.headers["x-router-model"] == answer["model"]
    assert response.headers["x-router-degraded"] == "false"


def test_the_answer_is_as_documented(client):
    body = {"messages": SUM, "router": {"explain": True, "deny": ["large"]}}
    answer = client.post("/v1/route", json=body).json()
    assert DecisionAnswer.model_validate(answer).excluded[0].reason == "denied"
    assert answer["explanation"]["neighbours"]


def test_a_default_plan_has_null_for_what_nothing_predicted():
    parts = fake_parts(None, default_plan=("large", "small"), ready=False)
    with client_of(parts) as client:
        response = client.post("/v1/route", json={"messages": SUM, "model": "anything"})
    assert "NaN" not in response.text
    answer = DecisionAnswer.model_validate(
        {**response.json(), "policy": {**response.json()["policy"], "quality_bar": 0}}
    )
    assert (answer.model, answer.degraded, answer.degraded_by) == ("large", True, "no_router")
    assert answer.plan[0].p_success is None
    assert response.headers["x-router-degraded"] == "true"


def test_everything_asked_reaches_the_engine(client, parts):
    asked = {
        "quality_bar": 0.5,
        "success_value_usd": 0.1,
        "allow": ["*"],
        "deny": ["coder"],
        "providers": ["simulated"],
        "ignore_providers": ["other"],
        "max_cost_usd": 1,
        "max_usd_per_mtok_input": 10,
        "max_usd_per_mtok_output": 100,
        "max_usd_per_request": 0,
        "max_latency_s": 9,
        "max_output_tokens": 50,
        "session_id": "s1",
        "explore": False,
        "explain": True,
    }
    client.post("/v1/route", json={"messages": SUM, "user": "u1", "router": asked, "temperature": 0})
    query = parts.engines.default.asked[0]
    assert query.constraints == Constraints(
        ("*",), ("coder",), ("simulated",), ("other",), 1.0, 10.0, 100.0, 0.0, 9.0, 50
    )
    assert (query.goal, query.explore, query.explain) == (SuccessValue(0.1, quality_bar=0.5), False, True)
    assert (query.session_id, query.user_id, query.key_id, query.surface) == ("s1", "u1", "insecure", "route")
    assert query.body["temperature"] == 0


@pytest.mark.parametrize(
    ("body", "header", "expected"),
    [
        ({"router": {"session_id": "a"}, "session_id": "b"}, "c", "a"),
        ({"session_id": "b"}, "c", "b"),
        ({}, "c", "c"),
        ({}, None, None),
    ],
)
def test_the_session_is_named_by_the_router_object_the_body_or_the_header(client, parts, body, header, expected):
    headers = {} if header is None else {"x-session-id": header}
    client.post("/v1/route", json={"messages": SUM, **body}, headers=headers)
    assert parts.engines.default.asked[0].session_id == expected


@pytest.mark.parametrize(
    ("named", "left"),
    [
        ({}, ["coder", "large", "small"]),
        ({"model": "auto"}, ["coder", "large", "small"]),
        ({"model": "openrouter/auto", "models": ["small", "large"]}, ["large", "small"]),
        ({"model": "coder"}, ["coder"]),
        ({"model": "coder", "models": ["small"]}, ["coder", "small"]),
        ({"models": ["coder", "small"], "router": {"allow": ["s*", "l*"]}}, ["small"]),
    ],
)
def test_named_models_limit_the_candidates(client, named, left):
    answer = client.post("/v1/route", json={"messages": SUM, **named}).json()
    assert sorted(step["model"] for step in answer["plan"]) == left


BAD = {
    "no messages": ({}, 400, "messages", "needs a list 'messages'"),
    "messages": ({"messages": "x"}, 400, "messages", "needs a list 'messages'; got str"),
    "message": ({"messages": ["x"]}, 400, "messages", "messages[0] is str"),
    "unknown option": (
        {"messages": SUM, "router": {"qualty": 1}},
        400,
        "router.qualty",
        "expected one of quality_bar,",
    ),
    "option": ({"messages": SUM, "router": {"quality_bar": "high"}}, 400, "router.quality_bar", "got a JSON string"),
    "range": ({"messages": SUM, "router": {"quality_bar": 2}}, 400, "router.quality_bar", "got 2; expected less than"),
    "router": ({"messages": SUM, "router": 1}, 400, "router", "got 1"),
    "flag": ({"messages": SUM, "router": {"explain": 1}}, 400, "router.explain", "got 1; expected a valid boolean"),
    "two knobs": (
        {"messages": SUM, "router": {"target_success": 0.5, "success_value_usd": 1}},
        400,
        "router",
        "not more",
    ),
    "model": (
        {"messages": SUM, "model": "gpt-9"},
        404,
        "model",
        "the service has no model 'gpt-9'; its models are coder, large, small",
    ),
    "models": ({"messages": SUM, "models": ["gpt-9"]}, 404, "models", "no model 'gpt-9'"),
    "none left": ({"messages": SUM, "router": {"deny": ["*"]}}, 404, "denied", "shorten deny"),
    "none named": ({"messages": SUM, "models": ["small"], "router": {"allow": ["l*"]}}, 404, "allow", "no model of"),
    "session": ({"messages": SUM, "session_id": "a\nb"}, 400, "session_id", "match pattern"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(client, case):
    body, status, param, message = BAD[case]
    response = client.post("/v1/route", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (status, param)
    assert message in error["message"]


def test_a_batch_is_answered_in_its_order_with_errors_in_place(client):
    bodies = [{"messages": SUM}, {"messages": SUM, "router": {"quality": 1}}, {"messages": "x"}]
    response = client.post("/v1/route/batch", json={"requests": bodies})
    answers = BatchAnswer.model_validate(response.json()).data
    assert isinstance(answers[0], DecisionAnswer)
    assert [one.error.param for one in answers[1:]] == ["router.quality", "messages"]
    assert response.headers["x-router-degraded"] == "false"


def test_a_batch_has_a_limit(client):
    response = client.post("/v1/route/batch", json={"requests": [{"messages": SUM}] * 4})
    assert response.status_code == 400
    assert "got 4; expected at most 3" in response.json()["error"]["message"]


def test_a_batch_needs_requests(client):
    assert "requests is missing" in client.post("/v1/route/batch", json={}).text
    assert "at least 1 item" in client.post("/v1/route/batch", json={"requests": []}).text
