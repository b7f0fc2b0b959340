"""`POST /v1/responses`: what is decided and forwarded, and what is refused before."""

from dataclasses import replace

import pytest
from fake_proxy import provider
from fake_service import client_of, fake_parts

from router_model.serving.formats.format import Surface
from router_model.serving.providers.provider import Kind

RESPONSES = "/v1/responses"
SAID = "add subtract multiply 12 45"
SEARCH = {"tools": [{"type": "web_search"}]}


def respond(client, **body):
    return client.post(RESPONSES, json={"input": SAID, **body})


def names(order):
    return [target.model for target in order.targets]


@pytest.fixture
def mixed(router):
    """A service whose 'large' has two providers, and only the second speaks Responses."""
    parts = fake_parts(router)
    providers = (provider("chat", "large", "small"), provider("native", "large", kind=Kind.RESPONSES))
    fleet = parts.proxy.providers
    fleet.all = {one.name: one for one in providers}
    parts.proxy = replace(parts.proxy, providers=fleet)
    return parts


def test_the_router_decides_by_instructions_and_input(client, parts, orders):
    response = respond(client, instructions="Be brief.", max_output_tokens=5000, router={"explore": False})
    (query,) = parts.engines.default.asked
    assert response.status_code == 200, response.text
    assert [one["content"] for one in query.body["messages"]] == ["Be brief.", SAID]
    assert (query.surface, orders[0].call.surface) == ("responses", Surface.RESPONSES)
    assert "small" not in names(orders[0])  # it writes 4,000 tokens at most
    assert orders[0].call.body == {"input": SAID, "instructions": "Be brief.", "max_output_tokens": 5000}


def test_functions_and_images_filter_candidates(client, orders):
    """'small' has no tools."""
    respond(client, tools=[{"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}]}])
    assert "small" not in names(orders[0])


@pytest.mark.parametrize("body", [SEARCH, {"previous_response_id": "resp_1"}, {"prompt": {"id": "p"}}])
def test_what_only_responses_can_do_goes_to_who_speaks_it(mixed, body):
    with client_of(mixed) as client:
        auto, named = respond(client, **body), respond(client, model="large", **body)
        lacking = respond(client, model="small", **body)
        excluded = respond(client, router={"deny": ["large"]}, **body)
    assert (auto.status_code, named.status_code) == (200, 200), auto.text
    found = [[target.name for target in order.targets] for order in mixed.proxy.forwarder.orders]
    assert found == [["native:large"], ["native:large"]]
    assert set(mixed.engines.default.asked[0].constraints.unavailable) == {"coder", "small"}
    for refused in (lacking, excluded):
        error = refused.json()["error"]
        assert (refused.status_code, error["param"]) == (400, next(iter(body)))
        assert "needs a provider that speaks Responses (kind 'openai-responses')" in error["message"]


def test_an_answer_that_comes_later_is_refused(mixed):
    with client_of(mixed) as client:
        refused = respond(client, model="large", background=True)
        cancelled = client.post(f"{RESPONSES}/resp_1/cancel")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "background")
    assert cancelled.status_code == 404
    assert "answers that come later are not served" in cancelled.json()["error"]["message"]


def test_a_conversation_that_no_window_holds_is_told_in_openais_words(client):
    """So that agents compact it and go on."""
    response = respond(client, input="word " * 400_000)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (
        400,
        "context_length_exceeded",
        "invalid_request_error",
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"max_output_tokens": 0}, "max_output_tokens=0"),
        ({"messages": []}, "send them as 'input'"),
        ({"max_output_tokens": 1, "max_completion_tokens": 1000}, "name it 'max_output_tokens'"),
        ({"n": 100}, "a response has one answer"),
        ({"input": None}, "'input' is missing"),
        ({"input": 7}, "'input' must be a list of objects, the conversation; got int"),
        ({"input": [{"role": "user", "content": "Hi"}, None]}, "'input' must be a list of objects; [1] is null"),
        ({"stream": "yes"}, "stream: got a JSON string"),
    ],
)
def test_what_is_wrong_is_a_400_that_says_it(client, body, said):
    response = respond(client, **body)
    assert response.status_code == 400
    assert said in response.json()["error"]["message"]
