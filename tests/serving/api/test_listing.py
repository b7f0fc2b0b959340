from decimal import Decimal

import pytest
from fake_service import client_of, fake_parts
from hypothesis import given
from hypothesis import strategies as st

from router_model import ModelCard
from router_model.serving.api.answer_models import LoggedDecisionAnswer, ModelsAnswer
from router_model.serving.api.listing import model_dict, pricing
from router_model.serving.common.callers import Caller, Role

BODY = {"messages": [{"role": "user", "content": "hi"}]}


def test_models_are_listed_with_prices_per_token(client):
    """'small' costs 0.1 USD a million tokens in: 0.0000001 USD a token."""
    answer = client.get("/v1/models").json()
    listed = {model.id: model for model in ModelsAnswer.model_validate(answer).data}
    assert sorted(listed) == ["auto", "coder", "large", "small", "text-embedding-3-small"]
    assert listed["small"].pricing == {"prompt": "0.0000001", "completion": "0.0000003"}
    assert (listed["small"].context_length, listed["small"].owned_by) == (4000, "simulated")
    assert "tools" not in listed["small"].supported_parameters


def test_what_a_card_says_is_listed():
    card = ModelCard(
        "openai/gpt",
        Decimal("2.5"),
        Decimal(10),
        usd_per_mtok_cached_input=Decimal("1.25"),
        usd_per_request=Decimal("0.01"),
        max_output_tokens=100,
        vision=True,
        tools=True,
        structured_output=True,
    )
    listed = model_dict(card)
    assert listed["pricing"]["input_cache_read"] == "0.00000125"
    assert listed["pricing"]["request"] == "0.01"
    assert listed["architecture"]["input_modalities"] == ["text", "image"]
    assert listed["top_provider"]["max_completion_tokens"] == 100
    assert {"tools", "response_format"} <= set(listed["supported_parameters"])


@given(st.decimals(0, 10_000, places=6))
def test_prices_are_exact_decimal_text(price):
    """USD per million tokens, divided by a million: exactly, and without an exponent."""
    written = pricing(ModelCard("m", price, price))["prompt"]
    assert Decimal(written) * 1_000_000 == price
    assert "E" not in written


def test_a_decision_can_be_read_back(client):
    made = client.post("/v1/route", json=BODY).json()
    read = client.get(f"/v1/decisions/{made['id']}").json()
    assert LoggedDecisionAnswer.model_validate(read).decision_id == made["id"]
    assert [one["model"] for one in read["candidates"]] == [step["model"] for step in made["plan"]]


@pytest.mark.parametrize("decision_id", ["dec_no", "x" * 5000, "..", "%C3%A9"])
def test_an_unknown_decision_is_not_found(client, decision_id):
    response = client.get(f"/v1/decisions/{decision_id}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


def test_decisions_of_others_are_not_found_except_by_admins(router):
    """Whether there is one is not told, either: the answer is the same as for an unknown id."""
    keys = {name: Caller(name, frozenset({Role.DECIDE})) for name in ("k1", "k2")}
    keys["k3"] = Caller("k3", frozenset({Role.FEEDBACK}))
    keys["boss"] = Caller("boss", frozenset({Role.ADMIN}))
    with client_of(fake_parts(router, keys=keys)) as client:
        auth = {key: {"authorization": f"Bearer {key}"} for key in keys}
        made = client.post("/v1/route", json=BODY, headers=auth["k1"]).json()["id"]
        own, other, boss = (client.get(f"/v1/decisions/{made}", headers=auth[key]) for key in ("k1", "k2", "boss"))
        unknown = client.get("/v1/decisions/dec_no", headers=auth["k2"])
        told = client.get(f"/v1/decisions/{made}", headers=auth["k3"]).json()["error"]["message"]
    assert "this needs: decide" in told
    assert (own.status_code, other.status_code, boss.status_code) == (200, 404, 200)
    assert other.json() == unknown.json()


def test_openrouters_clients_read_the_budget_of_their_key(client):
    """Ten dollars a month; two and a half are spent (`fake_service.FakeAccess`)."""
    key = client.get("/api/v1/key").json()["data"]
    assert (key["limit"], key["limit_remaining"], key["limit_reset"], key["usage"]) == (10.0, 7.5, "monthly", 2.5)
    assert key["expires_at"] == "2027-01-31T00:00:00+00:00"
    assert client.get("/api/v1/credits").json()["data"] == {"total_credits": 10.0, "total_usage": 2.5}
