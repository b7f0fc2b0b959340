"""What the playground's form asks."""

import json

import pytest

from router_model.goal import OWN_TRADEOFF, QualityValue, TargetSuccess, Tradeoff
from router_model.serving.common.service_errors import InvalidRequestError, NotFoundError
from router_model.serving.common.settings import Settings
from router_model.serving.console.prompt_input import read_asked
from router_model.serving.http_edge.bodies import BodyReader
from router_model.serving.http_edge.body_limits import BodyLimits

KNOWN = ("small", "large")
PASTED = {
    "model": "gpt-4o",
    "stream": True,
    "messages": [{"role": "user", "content": "Hi"}],
    "router": {"target_success": 0.9, "deny": ["x*"]},
}


def read(**form: str):
    return read_asked(form, BodyReader(BodyLimits.of(Settings(artifact="router"))).parsed)


def query(**form: str):
    return read(**form).query(known=KNOWN, key_id="k", unavailable=("large",))


@pytest.mark.parametrize(
    ("form", "goal"),
    [
        ({}, OWN_TRADEOFF),
        ({"goal": "own", "dial": "3"}, OWN_TRADEOFF),  # the fields of other goals are sent, too
        ({"goal": "dial", "dial": "3", "value": "9"}, Tradeoff(3.0)),
        ({"goal": "target", "target": "0.95", "bar": "0.7"}, TargetSuccess(0.95, 0.7)),
        ({"goal": "value", "value": "0.01"}, QualityValue(0.01)),
        ({"goal": "value", "value": ""}, OWN_TRADEOFF),
    ],
)
def test_goal_is_that_of_the_chosen_field(form, goal):
    asked = query(prompt="Hi", **form)
    assert asked.goal == goal
    assert asked.constraints.unavailable == ("large",)


def test_limits_and_the_longest_answer_are_asked_for():
    asked = query(prompt="Hi", most="0.002", longest="100")
    assert asked.constraints.max_cost_usd == 0.002
    assert asked.body["max_tokens"] == 100


def test_pasted_body_keeps_what_it_asks_and_loses_how_it_was_called():
    read_it = read(prompt=json.dumps(PASTED))
    assert read_it.is_chat_body
    assert read_it.body == {name: PASTED[name] for name in ("messages", "router")}
    asked = query(prompt=f"  {json.dumps(PASTED)}\n", goal="dial", dial="0")
    assert (asked.goal, asked.constraints.deny) == (Tradeoff(0.0), ("x*",))  # the form goes before the body's goal


@pytest.mark.parametrize("text", ['{"messages": [', '{"messages": "Hi"}', '{"messages": ' + "[" * 500])
def test_what_only_looks_like_a_body_is_a_text(text):
    read_it = read(prompt=text)
    assert (read_it.looks_broken, read_it.is_chat_body) == (True, False)
    assert read_it.body["messages"][0]["content"] == text


def test_text_in_braces_is_a_text():
    assert not read(prompt="{name}, say hello").looks_broken


def test_blank_prompt_asks_nothing():
    assert read(prompt=" \n") is None


@pytest.mark.parametrize(
    ("form", "match"),
    [
        ({"goal": "dial", "dial": "eleven"}, "dial: got 'eleven'; expected a number"),
        ({"goal": "value", "value": "nan"}, "value: got 'nan'"),
        ({"goal": "best"}, "goal: got 'best'; expected one of own, dial, target, value"),
        ({"most": "1e999"}, "most: got '1e999'"),
        ({"goal": "dial", "dial": "11"}, "cost_quality_tradeoff: got 11.0"),
        ({"bar": "-1"}, "quality_bar: got -1.0"),
    ],
)
def test_wrong_fields_are_named(form, match):
    with pytest.raises(InvalidRequestError, match=match):
        query(prompt="Hi", **form)


def test_models_that_the_router_lacks_are_refused():
    with pytest.raises(NotFoundError, match="other"):
        query(prompt=json.dumps({"messages": [], "models": ["other"]}))
