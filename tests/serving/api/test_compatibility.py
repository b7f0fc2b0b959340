"""The decision surfaces of others' formats."""

import re

import pytest

from router_model.goal import OwnTradeoff, Tradeoff
from router_model.serving.api.answer_models import NotDiamondAnswer, PlanoAnswer

SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"
POEM = "river moon verse rhyme autumn silence wind lantern petals dusk sonnet heart"
BOTH = [{"provider": "simulated", "model": "small"}, {"provider": "simulated", "model": "large"}]


def select(client, **body):
    asked = {"messages": [{"role": "user", "content": POEM}], "llm_providers": BOTH, **body}
    return client.post("/v2/modelRouter/modelSelect", json=asked)


def test_notdiamond_ranks_the_given_providers(client, parts):
    answer = NotDiamondAnswer.model_validate(select(client, cost_quality_tradeoff=0).json())
    assert [(one.provider, one.model) for one in answer.providers] == [("simulated", "large"), ("simulated", "small")]
    assert parts.engines.default.asked[0].surface == "notdiamond"


def test_notdiamond_takes_text_for_messages(client, parts):
    assert select(client, messages=SUM).status_code == 200
    assert parts.engines.default.asked[0].body["messages"] == [{"role": "user", "content": SUM}]


@pytest.mark.parametrize(
    ("body", "goal"),
    [
        ({}, OwnTradeoff()),
        ({"tradeoff": "cost"}, Tradeoff(8.5)),
        ({"cost_quality_tradeoff": 3}, Tradeoff(3)),
        ({"tradeoff": "cost", "cost_quality_tradeoff": 2}, Tradeoff(2)),
    ],
)
def test_notdiamond_tradeoffs_are_positions_of_the_dial(client, parts, body, goal):
    assert select(client, **body).status_code == 200
    assert parts.engines.default.asked[0].goal == goal


def test_notdiamond_latency_leaves_the_faster_half(client):
    """Latencies 1, 2 and 3: the median is 2, so that 3 is out."""
    providers = [
        {"provider": "simulated", "model": model, "latency": latency}
        for model, latency in {"large": 1.0, "coder": 2.0, "small": 3.0}.items()
    ]
    answer = select(client, tradeoff="latency", llm_providers=providers).json()
    assert sorted(one["model"] for one in answer["providers"]) == ["coder", "large"]
    assert "needs the latency of providers" in select(client, tradeoff="latency").json()["error"]["message"]


def test_notdiamond_prices_of_the_request_count(client):
    """With 'large' for nothing the cheapest is not 'small' any more."""
    usual = select(client, cost_quality_tradeoff=10).json()
    free = [BOTH[0], {**BOTH[1], "input_price": 0, "output_price": 0}]
    given = select(client, cost_quality_tradeoff=10, llm_providers=free).json()
    assert (usual["providers"][0]["model"], given["providers"][0]["model"]) == ("small", "large")


def test_notdiamond_context_lengths_of_the_request_count(client):
    short = [BOTH[0], {**BOTH[1], "context_length": 5}]
    answer = select(client, cost_quality_tradeoff=0, llm_providers=short).json()
    assert [one["model"] for one in answer["providers"]] == ["small"]


def test_notdiamond_sessions_are_named_and_kept(client, parts):
    first = select(client).json()["session_id"]
    second = select(client, previous_session=first).json()["session_id"]
    assert first == second
    assert [query.session_id for query in parts.engines.default.asked] == [first, first]
    assert select(client).json()["session_id"] != first


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (
            {"llm_providers": [*BOTH, {"provider": "x", "model": "gpt-9"}]},
            "llm_providers[2]",
            "its models are coder, large",
        ),
        ({"llm_providers": []}, "llm_providers", "at least 1 item"),
        ({"llm_providers": [{"provider": "x"}]}, "llm_providers[0].model", "is missing"),
        ({"tradeoff": "speed"}, "tradeoff", "expected 'cost' or 'latency'"),
        ({"cost_quality_tradeoff": 11}, "cost_quality_tradeoff", "got 11"),
    ],
)
def test_notdiamond_says_what_is_wrong(client, body, param, message):
    response = select(client, **body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
    assert message in response.json()["error"]["message"]


def test_plano_names_the_model(client, parts):
    body = {"model": "auto", "messages": [{"role": "user", "content": SUM}], "router": {"target_success": 0.6}}
    response = client.post("/routing/v1/chat/completions", json=body)
    answer = PlanoAnswer.model_validate(response.json())
    assert (answer.model, answer.route) == ("small", "cheapest_above_bar")
    assert re.fullmatch(r"[0-9a-f]{32}", answer.trace_id)
    assert response.headers["x-router-decision-id"].startswith("dec_")
    assert parts.engines.default.asked[0].surface == "plano"


def test_plano_continues_the_trace(client):
    headers = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    body = {"messages": [{"role": "user", "content": SUM}]}
    answer = client.post("/routing/v1/chat/completions", json=body, headers=headers).json()
    assert answer["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
