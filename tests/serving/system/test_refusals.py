"""What one model refuses is not the caller's error: over HTTP, before providers that refuse."""

import pytest
from proxy_calls import PROMPT

ASK = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 100}
TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}


def chat(proxy, model, **more):
    return proxy.call("POST", "/v1/chat/completions", ASK | {"model": model} | more)


def test_a_list_of_models_is_asked_one_after_another(proxy):
    answer = chat(proxy, "openai.alone.no_tools.list", models=["large"], tools=[TOOL])
    assert answer.status_code == 200, answer.text
    assert (answer.headers["x-router-model"], answer.headers["x-router-attempts"]) == ("large", "2")


def test_where_all_refuse_the_first_one_is_heard(proxy):
    others = ["anthropic.alone.no_tools.all", "gemini.alone.no_tools.all"]
    answer = chat(proxy, "openai.alone.no_tools.all", models=others, tools=[TOOL])
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "unsupported_parameter")
    assert error["message"] == "this model does not support tools"
    assert [one["model"] for one in error["metadata"]["previous_errors"]] == others


def test_the_one_model_that_was_named_says_no_itself(proxy):
    answer = chat(proxy, "openai.alone.no_tools.one", tools=[TOOL])
    assert (answer.status_code, answer.headers["x-router-attempts"]) == (400, "1")
    assert answer.json()["error"]["metadata"]["error_type"] == "refused:tools"


@pytest.mark.parametrize("stream", [False, True])
def test_a_hint_that_is_refused_costs_one_call(proxy, upstream, stream):
    """Five requests with ``store``: the first is refused, and none of the others has it."""
    name = f"hint-{stream}"
    attempts = []
    for _ in range(5):
        answer = chat(proxy, f"openai.alone.no_store.{name}", store=True, stream=stream)
        assert answer.status_code == 200, answer.text
        attempts.append(answer.headers["x-router-attempts"])
    assert attempts == ["2", "1", "1", "1", "1"]
    assert ["store" in received.body for received in upstream.of(name)] == [True, *[False] * 5]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("surface", "model", "asked", "told", "sent"),
    [
        (
            "chat/completions",
            "openai/gpt-5-x",
            {"temperature": 0.2, "top_k": 5, "reasoning_effort": "max"},
            ("temperature, top_k", "reasoning_effort=high"),
            {"reasoning_effort": "high", "max_completion_tokens": 100},
        ),
        (
            "messages",
            "openai/gpt-5-y",
            {"top_k": 5, "output_config": {"effort": "max"}},
            ("top_k", "reasoning_effort=high"),
            {"reasoning_effort": "high", "max_completion_tokens": 100},
        ),
        (
            "messages",
            "anthropic/claude-sonnet-4-5",
            {"temperature": 0.2, "top_p": 0.9},
            ("top_p", None),
            {"temperature": 0.2, "max_tokens": 100},
        ),
        (
            "chat/completions",
            "anthropic/claude-opus-4-1",
            {"temperature": 1.7, "seed": 3},
            ("seed", "temperature=1"),
            {"temperature": 1.0, "max_tokens": 100},
        ),
    ],
)
def test_what_a_model_does_not_take_is_told(proxy, upstream, stream, *, surface, model, asked, told, sent):
    answer = proxy.call("POST", f"/v1/{surface}", ASK | asked | {"model": model, "stream": stream})
    assert answer.status_code == 200, answer.text
    assert (answer.headers.get("x-router-dropped"), answer.headers.get("x-router-changed")) == told
    body = upstream.of(model.partition("/")[2])[-1].body
    assert {name: body[name] for name in body if name not in ("model", "messages", "stream", "stream_options")} == sent


def test_nothing_is_told_where_nothing_was_left_out(proxy):
    answer = chat(proxy, "openai/anything", temperature=1, top_p=1, n=1, store=True)
    assert "x-router-dropped" not in answer.headers
    assert "x-router-changed" not in answer.headers
