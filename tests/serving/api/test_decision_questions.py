"""Choices among models, in the formats of System One and of OpenAI's Decisions."""

import math

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.goal import TargetSuccess
from router_model.plan import PlanStep
from router_model.serving.api.decision_questions import DecisionsAnswer, SystemOneAnswer, weights_of
from router_model.serving.providers.config import Alias

SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"


def choice(*options, **more):
    return {"type": "choice", "instructions": "Pick.", "criteria": dict.fromkeys(options), **more}


def ask(client, *, state=SUM, **questions):
    body = {"state": state, "model": "jev-latest", "questions": questions, "router": {"target_success": 0.6}}
    return client.post("/v1/systemone", json=body)


def step(model, p_success, cost_usd):
    return PlanStep(model, p_success, cost_usd, 1.0)


def test_weights_are_p_success_and_less_where_dearer():
    """The choice: 0.8 for 2 USD. Dearer at 4 USD: 0.9 / 2; cheaper: its 0.5; cheaper and better: as the choice."""
    plan = [step("choice", 0.8, 2.0), step("dearer", 0.9, 4.0), step("cheaper", 0.5, 1.0), step("bargain", 0.95, 1.0)]
    assert weights_of(plan) == {"choice": 0.8, "dearer": 0.45, "cheaper": 0.5, "bargain": 0.8}
    nothing_predicted = [step("a", math.nan, math.nan), step("b", math.nan, math.nan)]
    assert weights_of(nothing_predicted) == {"a": 1.0, "b": 1.0}
    assert weights_of([step("a", 0.0, 0.0), step("b", 0.9, 1.0)]) == {"a": 1.0, "b": 0.0}


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e6)), min_size=1, max_size=9))
def test_the_choice_weighs_most(steps):
    weights = list(weights_of([step(str(i), p, cost) for i, (p, cost) in enumerate(steps)]).values())
    assert weights[0] == max(weights) > 0
    assert min(weights) >= 0


def test_systemone_chooses_as_route_does(client, parts):
    response = ask(client, tier=choice("large", "small"))
    answer = SystemOneAnswer.model_validate(response.json())
    messages = [{"role": "user", "content": SUM}]
    routed = client.post("/v1/route", json={"messages": messages, "router": {"target_success": 0.6}}).json()
    by_model = {one["model"]: one for one in routed["plan"]}
    tier = answer.answers["tier"]
    assert (tier.choice, tier.confidence) == ("small", by_model["small"]["p_success"])
    ratio = by_model["small"]["expected_cost_usd"] / by_model["large"]["expected_cost_usd"]
    small, large = tier.confidence, min(tier.confidence, by_model["large"]["p_success"] * ratio)
    assert tier.probabilities == pytest.approx({"large": large / (small + large), "small": small / (small + large)})
    assert response.headers["x-router-decision-id"] == tier.decision_id == answer.id
    query = parts.engines.default.asked[0]
    assert (query.surface, query.body["messages"], query.goal) == ("systemone", messages, TargetSuccess(0.6))
    report = client.post("/v1/feedback", json={"decision_id": tier.decision_id, "thumb": "up"})
    assert report.status_code == 202


def test_each_question_is_a_decision_of_its_own(client):
    answers = SystemOneAnswer.model_validate(ask(client, a=choice("small", "large"), b=choice("large")).json()).answers
    assert (answers["b"].choice, answers["b"].probabilities) == ("large", {"large": 1.0})
    assert answers["a"].decision_id != answers["b"].decision_id


def test_states_are_texts_chats_or_json(client, parts):
    chat = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": SUM}]}
    for state in (SUM, chat, {"ticket": SUM}):
        assert ask(client, state=state, q=choice("small")).status_code == 200
    said = [query.body["messages"] for query in parts.engines.default.asked]
    assert said[1] == chat["messages"]
    assert said[2] == [{"role": "user", "content": f'{{"ticket": "{SUM}"}}'}]


def test_options_may_be_aliases_and_the_first_of_one_model_counts(client, parts):
    """Four tiers of a gateway over two models."""
    tiers = {"SIMPLE": "small", "MEDIUM": "large", "COMPLEX": "large", "REASONING": "large"}
    parts.proxy.providers.aliases = {name: Alias(name, model, {}) for name, model in tiers.items()}
    parts.proxy.providers.aliases["coder"] = Alias("coder", "auto", {})  # a model's id means the model
    assert ask(client, tier=choice("coder")).json()["answers"]["tier"]["choice"] == "coder"
    tier = SystemOneAnswer.model_validate(ask(client, tier=choice(*tiers)).json()).answers["tier"]
    assert tier.choice == "SIMPLE"
    assert sum(tier.probabilities.values()) == pytest.approx(1)
    assert tier.probabilities["MEDIUM"] > 0
    assert (tier.probabilities["COMPLEX"], tier.probabilities["REASONING"]) == (0, 0)


def test_the_model_may_be_an_alias_with_options(client, parts):
    """What a gateway cannot send, the alias says; the body's own goal counts before it."""
    parts.proxy.providers.aliases = {"careful": Alias("careful", "auto", {"target_success": 0.99})}
    body = {"state": SUM, "model": "careful", "questions": {"q": choice("small", "large")}}
    assert client.post("/v1/systemone", json=body).json()["answers"]["q"]["choice"] == "large"
    own = body | {"router": {"target_success": 0.6}}
    assert client.post("/v1/systemone", json=own).json()["answers"]["q"]["choice"] == "small"


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"type": "noul", "instructions": "Urgent?"}, "questions.q is of type 'noul'; this service answers 'choice'"),
        ({"type": "score", "criteria": ["low", "high"]}, "questions.q is of type 'score'"),
        ({"type": "choice", "criteria": {}}, "questions.q has no options"),
        ({"type": "choice", "criteria": ["small"]}, "questions.q has no options"),
        (choice("small", "billing"), "questions.q: option 'billing' is no model of this service"),
        (choice("SIMPLE"), "questions.q: option 'SIMPLE', an alias of 'auto', is no model"),
    ],
)
def test_what_is_no_choice_among_models_is_refused_by_name(client, parts, question, message):
    parts.proxy.providers.aliases = {"SIMPLE": Alias("SIMPLE", "auto", {})}
    response = ask(client, fine=choice("small"), q=question)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_request", "questions.q")
    assert message in error["message"]
    assert parts.engines.default.asked == []


def test_openai_s_client_reads_decisions(client, parts):
    with openai.OpenAI(base_url=f"{client.base_url}/v1", api_key="k", http_client=client, max_retries=0) as sdk:
        said = {"role": "user", "content": [{"type": "input_text", "text": SUM}]}
        asked = {"type": "choice", "name": "tier", "instructions": "Pick.", "choices": [{"value": "small"}]}
        asked["choices"].append({"value": "large", "description": "for hard ones"})
        decision = sdk.decisions.create(
            model="gpt-6-luna", input=[said], questions=[asked], extra_body={"router": {"target_success": 0.6}}
        )
        (answer,) = decision.answers
        assert (answer.type, answer.name, answer.choice) == ("choice", "tier", "small")
        assert [one.value for one in answer.probabilities] == ["small", "large"]
        assert sum(one.probability for one in answer.probabilities) == pytest.approx(1)
        assert decision.usage.total_tokens == decision.usage.input_tokens > 0
        DecisionsAnswer.model_validate(decision.to_dict())
        assert parts.engines.default.asked[0].surface == "decisions"
        assert parts.engines.default.asked[0].body["messages"][0]["role"] == "user"
        for refused in ({"type": "predicate", "instructions": "Urgent?"}, asked | {"choices": [{"value": True}]}):
            with pytest.raises(openai.BadRequestError, match=r"questions\[0\]"):
                sdk.decisions.create(model="gpt-6-luna", input=SUM, questions=[refused])
