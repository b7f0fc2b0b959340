"""What is decided, forwarded and answered, with providers that answer in this process."""

import re
from dataclasses import replace

import pytest
from fake_proxy import provider
from fake_service import client_of, fake_parts

from router_model.goal import TargetSuccess, Tradeoff
from router_model.serving.common.service_errors import NotReadyError, ReloadRefusedError
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.formats.format import Facts, Surface
from router_model.serving.forwarding.reply import Reply
from router_model.serving.providers.config import Alias
from router_model.serving.providers.health import Verdict
from router_model.serving.providers.provider import Target
from router_model.serving.proxy.replies import reply_headers

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "add subtract multiply 12 45"}]


def chat(client, *, headers=None, **body):
    return client.post(CHAT, json={"messages": MESSAGES, **body}, headers=headers)


def names(order):
    return [target.model for target in order.targets]


@pytest.mark.parametrize("model", ["auto", "openrouter/auto", "router", "p1", None])
def test_auto_decides_and_the_plan_is_what_is_called(client, parts, orders, model):
    response = chat(client, **({} if model is None else {"model": model}))
    (query,) = parts.engines.default.asked
    assert response.status_code == 200, response.text
    assert sorted(names(orders[0])) == ["coder", "large", "small"]
    assert (query.surface, orders[0].decision_id) == ("chat", response.headers["x-router-decision-id"])
    assert response.headers["x-router-model"] == names(orders[0])[0] == response.json()["model"]
    assert response.headers["x-router-provider"] == "local"
    assert response.headers["x-router-attempts"] == "1"
    assert response.headers["x-router-degraded"] == "false"


def test_the_cost_header_is_the_cost_of_the_tokens(client):
    """'small' costs 0.1 in and 0.3 out a million: 10 x 0.1 + 5 x 0.3 = 2.5 a million = 0.0000025 USD."""
    response = chat(client, model="small")
    assert response.headers["x-router-cost-usd"] == "0.0000025"
    assert response.json()["usage"]["cost"] == pytest.approx(2.5e-6)


@pytest.mark.parametrize(("estimated", "told"), [((), None), (("output_tokens", "cost"), "estimated")])
def test_a_header_says_that_usage_was_estimated(estimated, told):
    reply = Reply(Target("m", provider("local", "m"), "m"), [], Facts(cost_usd=0.5, estimated=estimated), body={})
    assert reply_headers(reply, None).get("x-router-usage") == told


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (CHAT, {"messages": "Hi"}, "'messages' must be a list of objects, the conversation; got str"),
        (CHAT, {"prompt": "Hi"}, "'messages' must be a list of objects, the conversation; got nothing"),
        ("/v1/messages", {"messages": {"role": "user"}, "max_tokens": 9}, "'messages' must be a list"),
        ("/v1/responses", {"input": {"role": "user"}}, "'input' must be a list"),
        ("/v1beta/models/small:generateContent", {"contents": 7}, "'contents' must be a list"),
        ("/v1/embeddings", {"input": []}, "'input' must be a text or a list of texts; got nothing"),
        ("/v1/embeddings", {"input": 7}, "'input' must be a text or a list of texts; got int"),
    ],
)
def test_a_body_without_a_conversation_is_sent_to_nobody(client, orders, path, body, said):
    response = client.post(path, json={"model": "small", **body})
    assert response.status_code == 400
    assert said in response.json()["error"]["message"]
    assert orders == []


def test_a_model_that_is_named_is_forwarded_and_nothing_is_decided(client, parts, orders):
    response = chat(client, model="small", models=["large", "small"])
    assert parts.engines.default.asked == []
    assert names(orders[0]) == ["small", "large"]
    assert "x-router-decision-id" not in response.headers


def test_our_fields_stay_here_and_all_others_go_out(client, orders):
    body = {"temperature": 0.5, "metadata": {"a": 1}, "transforms": ["x"], "made_up": [None]}
    ours = {"session_id": "s", "router": {"explore": False}, "provider": {"sort": "price"}, "plugins": [{"id": "web"}]}
    chat(client, model="auto", models=["small", "large"], **body, **ours)
    assert orders[0].call.body == {"messages": MESSAGES, **body}
    assert orders[0].call.openrouter == {"provider": {"sort": "price"}, "plugins": [{"id": "web"}]}


def test_an_alias_is_routed_with_its_options(client, parts, orders):
    """The caller's own knob stands alone; other options of the alias stay."""
    parts.proxy.providers.aliases = {
        "claude-opus-9": Alias("claude-opus-*", "auto", {"target_success": 0.9, "deny": ["coder"]}),
        "gpt-5": Alias("gpt-5", "small", {}),
    }
    assert chat(client, model="claude-opus-9").status_code == 200
    assert chat(client, model="claude-opus-9", router={"cost_quality_tradeoff": 10}).status_code == 200
    assert chat(client, model="gpt-5").headers["x-router-model"] == "small"
    first, second = parts.engines.default.asked
    assert (first.goal, first.constraints.deny) == (TargetSuccess(0.9), ("coder",))
    assert (second.goal, second.constraints.deny) == (Tradeoff(10.0), ("coder",))
    assert names(orders[2]) == ["small"]


def test_models_with_auto_are_the_candidates(client, orders):
    chat(client, model="auto", models=["large", "small"])
    assert sorted(names(orders[0])) == ["large", "small"]


def test_models_that_only_a_provider_knows_come_behind(client, orders):
    response = chat(client, models=["text-embedding-3-small", "large"])
    assert response.status_code == 200, response.text
    assert names(orders[0]) == ["large", "text-embedding-3-small"]


@pytest.mark.parametrize("body", [{"model": "smal"}, {"model": "auto", "models": ["smal"]}])
def test_an_unknown_model_is_not_found_and_the_nearest_is_named(client, body):
    response = chat(client, **body)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert "the nearest is 'small'" in response.json()["error"]["message"]


def test_what_the_body_needs_filters_before_anything_is_sent(client, orders):
    """'small' has 4,000 tokens of context and no tools."""
    chat(client, max_tokens=5000)
    chat(client, tools=[{"type": "function", "function": {"name": "f"}}])
    assert "small" not in names(orders[0])
    assert "small" not in names(orders[1])


def test_constraints_that_leave_nobody_are_a_404_that_names_them(client, orders):
    response = chat(client, router={"deny": ["*"]})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "no_candidate")
    assert "denied" in response.json()["error"]["message"]
    assert orders == []


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (CHAT, {"messages": MESSAGES, "max_tokens": 5000}, "maximum context length is 4000 tokens. However, your"),
        (
            "/v1/messages",
            {"messages": MESSAGES, "max_tokens": 5000},
            r"prompt is too long: 50\d\d tokens > 4000 maximum",
        ),
        (
            "/v1beta/models/auto:generateContent",
            {"contents": [{"parts": [{"text": "add"}]}], "generationConfig": {"maxOutputTokens": 5000}},
            r"The input token count \(50\d\d\) exceeds the maximum number of tokens allowed \(4000\)",
        ),
    ],
)
def test_a_prompt_that_no_candidate_has_room_for_is_said_as_the_vendor_says_it(client, orders, path, body, words):
    response = client.post(path, json=body | {"router": {"allow": ["small"]}})
    assert response.status_code == 400, response.text
    assert re.search(words, response.json()["error"]["message"])
    assert orders == []


def parts_with(router, *providers):
    parts = fake_parts(router)
    fleet = parts.proxy.providers
    fleet.all = {one.name: one for one in providers}
    parts.proxy = replace(parts.proxy, providers=fleet)
    return parts


def test_models_that_nobody_serves_are_excluded_with_the_reason(router):
    parts = parts_with(router, provider("one", "large"))
    with client_of(parts) as client:
        chat(client)
        gone = chat(client, model="small")
        none = chat(client, models=["small"])
    assert names(parts.proxy.forwarder.orders[0]) == ["large"]
    assert parts.engines.default.asked[0].constraints.unavailable == ("coder", "small")
    assert (gone.status_code, none.status_code) == (404, 404)
    assert "no provider serves 'small'" in gone.json()["error"]["message"]


def test_openrouters_provider_object(router):
    """Two providers serve all; 'safe' keeps no prompts and 'cheap' comes first in the file."""
    everything = ("coder", "large", "small")
    parts = parts_with(router, provider("cheap", *everything), provider("safe", *everything, collects_data=False))
    asked = [
        {"order": ["SAFE"]},
        {"only": ["safe"]},
        {"ignore": ["cheap"]},
        {"data_collection": "deny"},
        {"allow_fallbacks": False},
        {"max_price": {"prompt": "0.1"}},
    ]
    with client_of(parts) as client:
        for options in asked:
            assert chat(client, model="small", models=["large"], provider=options).status_code == 200
    found = [[target.name for target in order.targets] for order in parts.proxy.forwarder.orders]
    assert found[0] == ["safe:small", "cheap:small", "safe:large", "cheap:large"]
    assert found[1] == found[2] == found[3] == ["safe:small", "safe:large"]
    assert found[4] == ["cheap:small"]
    assert found[5] == ["cheap:small", "safe:small"]


def test_max_price_is_usd_per_million_tokens(client, parts):
    """'small' costs 0.1 USD a million tokens in, 'coder' and 'large' more."""
    chat(client, provider={"max_price": {"prompt": 0.1}})
    (query,) = parts.engines.default.asked
    assert float(query.constraints.max_usd_per_mtok_input) == 0.1
    assert names(parts.proxy.forwarder.orders[0]) == ["small"]


def test_preferences_that_leave_nobody_name_themselves(client):
    response = chat(client, model="small", provider={"only": ["elsewhere"]})
    assert (response.status_code, response.json()["error"]["param"]) == (404, "provider")
    assert "the service's providers are local" in response.json()["error"]["message"]


def test_the_auto_router_plugin_is_heard(client, parts, orders):
    plugin = {"id": "auto-router", "allowed_models": ["*l*"], "excluded_models": ["small"], "cost_tier": "high"}
    chat(client, plugins=[plugin])
    assert names(orders[0]) == ["large"]
    assert parts.engines.default.asked[0].goal == Tradeoff(3.0)
    assert orders[0].call.openrouter == {}


def test_who_is_not_openrouter_does_not_get_its_fields(client, orders):
    chat(client, provider={"only": ["local"], "order": ["azure"]})
    chat(client, provider={"made_up": [1, None, "local"]})
    assert orders[0].call.openrouter == {"provider": {"order": ["azure"]}}
    assert orders[1].call.openrouter == {"provider": {"made_up": [1, None]}}


def test_metadata_tells_how_the_call_was_routed(client, parts):
    parts.proxy.forwarder.answers = 1
    response = chat(client, headers={"x-openrouter-metadata": "enabled"})
    metadata = response.json()["openrouter_metadata"]
    assert (metadata["requested"], metadata["strategy"], metadata["attempt"]) == ("auto", "auto", 2)
    assert [one["status"] for one in metadata["attempts"]] == [500, 200]
    assert [one["selected"] for one in metadata["endpoints"]["available"]] == [False, True, False]
    assert "openrouter_metadata" not in chat(client).json()


def test_the_session_goes_on_with_the_model_that_answered(client, parts):
    parts.proxy.forwarder.answers = 1
    response = chat(client, headers={"x-session-id": "s1"})
    first, second = names(parts.proxy.forwarder.orders[0])[:2]
    assert parts.engines.default.moved == [("s1", first, second)]
    assert (response.headers["x-router-model"], response.headers["x-router-attempts"]) == (second, "2")


def test_the_answer_marks_a_conversation_that_nobody_named(client, parts):
    """One mark a call, once all of its answer is there; nothing of one that was named or not decided."""
    chat(client, user="u")
    chat(client, stream=True)
    assert parts.engines.default.marks == [(None, "u"), (None, None)]
    chat(client, headers={"session-id": "s"})
    chat(client, model="small")
    parts.proxy.forwarder.fails = NotReadyError("nobody answers")
    chat(client)
    assert len(parts.engines.default.marks) == 2


def test_an_error_says_how_many_calls_were_made_for_which_decision(client, parts):
    parts.proxy.forwarder.fails = NotReadyError("nobody answers", headers={"retry-after": "3"})
    response = chat(client)
    assert (response.status_code, response.headers["retry-after"]) == (503, "3")
    assert response.headers["x-router-attempts"] == "0"
    assert response.headers["x-router-decision-id"].startswith("dec_")


def test_attempts_are_logged_with_their_decision(client, parts):
    decision_id = chat(client).headers["x-router-decision-id"]
    (record,) = [one for one in parts.log.records if isinstance(one, AttemptRecord)]
    assert (record.decision_id, record.provider, record.input_tokens) == (decision_id, "local", 10)
    assert "router_attempts_total" in client.get("/metrics").text


def test_headers_of_the_request_are_heard_within_bounds(client, orders):
    chat(client, stream=True, headers={"x-router-stream-guard": "buffer", "x-router-timeout-s": "2.5"})
    chat(client, headers={"x-router-timeout-s": "100000"})
    assert (orders[0].buffer, orders[0].total_s) == (True, 2.5)
    assert (orders[1].buffer, orders[1].total_s) == (False, 600.0)


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({"x-router-stream-guard": "hold"}, {}, "x-router-stream-guard: got 'hold'; expected 'buffer'"),
        ({"x-router-timeout-s": "-1"}, {}, "expected a positive number of seconds"),
        ({"x-router-timeout-s": "nan"}, {}, "expected a positive number of seconds"),
        ({}, {"stream": "yes"}, "stream: got a JSON string"),
        ({}, {"provider": {"sort": "cost"}}, "provider.sort"),
        ({}, {"router": {"quality": 1}}, "unknown field"),
        ({}, {"max_tokens": 0}, "max_tokens=0"),
    ],
)
def test_what_is_wrong_is_a_400_that_says_it(client, headers, body, said):
    response = chat(client, headers=headers, **body)
    assert response.status_code == 400
    assert said in response.json()["error"]["message"]


def test_a_stream_is_sent_as_events(client, parts):
    with client.stream("POST", CHAT, json={"messages": MESSAGES, "stream": True}) as response:
        content = response.read()
    assert content == b"".join(parts.proxy.forwarder.pieces)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == ("no-cache", "no")
    assert "content-length" not in response.headers
    assert "x-router-cost-usd" not in response.headers
    assert response.headers["x-router-decision-id"].startswith("dec_")
    assert parts.proxy.forwarder.ended == ["whole"]


def test_embeddings_are_forwarded_and_never_decided(client, parts, orders):
    good = client.post("/v1/embeddings", json={"model": "text-embedding-3-small", "input": "hi"})
    auto = client.post("/v1/embeddings", json={"model": "auto", "input": "hi"})
    assert (good.status_code, orders[0].call.surface) == (200, Surface.EMBEDDINGS)
    assert auto.status_code == 400
    assert "expected the id of an embedding model" in auto.json()["error"]["message"]
    assert parts.engines.default.asked == []


def test_anthropics_body_is_read_and_forwarded(client, parts, orders):
    body = {"model": "auto", "max_tokens": 5000, "system": "Be brief.", "messages": MESSAGES}
    response = client.post("/v1/messages", json=body, headers={"anthropic-beta": "b1"})
    assert response.status_code == 200, response.text
    assert orders[0].call.surface is Surface.MESSAGES
    assert orders[0].call.headers == {"anthropic-beta": "b1"}
    assert parts.engines.default.asked[0].body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "small" not in names(orders[0])  # it writes 4,000 tokens at most


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_googles_path_names_the_model(client, parts, orders, version):
    """google-genai asks for the one up to its version 2, for the other from 3 on."""
    body = {"contents": [{"role": "user", "parts": [{"text": "hi there"}]}], "generationConfig": {"maxOutputTokens": 9}}
    auto = client.post(f"/{version}/models/auto:generateContent", json=body)
    stream = client.post(f"/{version}/models/small:streamGenerateContent?alt=sse", json=body)
    assert (auto.status_code, stream.status_code) == (200, 200), auto.text
    assert [order.call.stream for order in orders] == [False, True]
    assert names(orders[1]) == ["small"]
    assert parts.engines.default.asked[0].body["messages"][-1]["content"] is not None
    assert parts.engines.default.asked[0].surface == "generate"


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        (CHAT, lambda body: body["error"]["type"]),
        ("/v1/messages", lambda body: body["error"]["type"] if body["type"] == "error" else None),
        ("/v1beta/models/smal:generateContent", lambda body: body["error"]["status"]),
        ("/v1/models/smal:generateContent", lambda body: body["error"]["status"]),
    ],
)
def test_errors_have_the_shape_of_their_surface(router, path, shape):
    """Also what is refused before a handler is asked: no key, another method, a body that is too long."""
    body = {"model": "smal", "messages": MESSAGES, "contents": "hi", "max_tokens": 5}
    with client_of(fake_parts(router)) as client, client_of(fake_parts(router, keys={})) as closed:
        found = client.post(path, json=body)
        unkeyed = closed.post(path, json=body)
        method = client.put(path, json=body)
        large = client.post(path, content=b" " * 34_000_000, headers={"content-type": "application/json"})
    assert [one.status_code for one in (found, unkeyed, method, large)] == [404, 401, 405, 413]
    assert all(shape(one.json()) for one in (found, unkeyed, method, large))


def test_without_providers_the_paths_say_what_is_missing(router):
    parts = fake_parts(router)
    parts.proxy = None
    with client_of(parts) as client:
        response = chat(client)
        status = client.get("/admin/status").json()
    assert response.status_code == 404
    assert "no providers configured" in response.json()["error"]["message"]
    assert "--providers" in response.json()["error"]["message"]
    assert status["proxy"] is None


def test_models_are_those_of_the_router_and_of_the_providers(client):
    listed = {one["id"]: one for one in client.get("/v1/models").json()["data"]}
    one = client.get("/v1/models/text-embedding-3-small").json()
    assert list(listed) == ["auto", "coder", "large", "small", "text-embedding-3-small"]
    assert one == listed["text-embedding-3-small"]
    assert one["pricing"] == {}
    missing = client.get("/v1/models/a/b")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


def test_operators_see_providers_and_never_keys(client):
    chat(client)
    response = client.get("/admin/status")
    shown = response.json()["proxy"]["providers"]["local"]
    assert shown["keys"] == {"LOCAL_KEY": "ok"}
    assert "sk-canary" not in response.text


def test_breakers_are_shown_and_measured(client, parts):
    """Three failures in a row of the five that open it: closed, which is 0."""
    health = parts.proxy.forwarder.health.of(("local", "small"))
    for _ in range(3):
        health.report(Verdict.FAILS, "ann", is_probe=False, now=1.0)
    closed = client.get("/metrics").text
    for _ in range(2):
        health.report(Verdict.FAILS, "ann", is_probe=False, now=1e12)
    assert 'router_breaker_state{model="small",provider="local"} 0.0' in closed
    assert 'router_breaker_state{model="small",provider="local"} 2.0' in client.get("/metrics").text
    (shown,) = client.get("/admin/status").json()["proxy"]["breakers"]
    assert shown.pop("retry_in_s") > 0
    assert shown == {"provider": "local", "model": "small", "state": "open", "callers": ["ann"]}


def test_keys_that_are_put_aside_are_shown_by_model_and_measured(client, parts):
    (key,) = parts.proxy.providers.keys(parts.proxy.providers.all["local"]).keys
    key.limits.of("small").report(Verdict.FAILS, None, is_probe=False, now=1e12, pause_s=30.0)
    text, shown = client.get("/metrics").text, client.get("/admin/status").json()["proxy"]["keys_put_aside"]
    assert 'router_key_state{key="LOCAL_KEY",model="small",provider="local"} 2.0' in text
    assert 'router_key_state{key="LOCAL_KEY",model="*",provider="local"} 0.0' in text
    (one,) = shown
    assert (one["provider"], one["key"], one["model"], one["why"]) == ("local", "LOCAL_KEY", "small", "limited")
    assert "sk-canary" not in f"{text}{shown}"


def test_a_reload_reads_the_providers_again_and_refuses_bad_ones(client, parts):
    assert client.post("/admin/reload").status_code == 200
    assert parts.proxy.providers.reloads == 1
    parts.proxy.providers.bad = "providers.toml: no such thing"
    refused = client.post("/admin/reload")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, ReloadRefusedError.code)
    assert "no such thing" in refused.json()["error"]["message"]
