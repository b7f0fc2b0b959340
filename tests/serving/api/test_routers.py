"""Two routers behind one service: how requests name them on each surface, and what operators see."""

import pytest
from fake_proxy import fake_proxy
from fake_service import FakeAccess, FakeEngine, client_of, fake_parts

from router_model.serving.common.callers import Caller, Role
from router_model.serving.engine.engines import Engines
from router_model.serving.monitoring.telemetry import Telemetry
from router_model.serving.proxy.naming import read_named

HI = [{"role": "user", "content": "hi"}]
KEYS = {
    "plain": Caller("plain", frozenset(Role)),
    "coder": Caller("coder", frozenset(Role), "code"),
}
AS_CODER = {"authorization": "Bearer coder"}
SURFACES = {
    "/v1/route": {"messages": HI},
    "/routing/v1/chat/completions": {"messages": HI},
    "/v1/chat/completions": {"messages": HI},
    "/v1/completions": {"prompt": "hi"},
    "/v1/messages": {"messages": HI, "max_tokens": 9},
    "/v1/responses": {"input": "hi"},
    "/v1beta/models/MODEL:generateContent": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    "/v1/decisions": {
        "input": "hi", "questions": [{"type": "choice", "choices": [{"value": "small"}, {"value": "large"}]}],
    },
}  # fmt: skip


@pytest.fixture
def two(router):
    """``support``, which is ``auto``, and ``code``; one router decides for both."""
    parts = fake_parts(router, keys=KEYS)
    parts.telemetry = telemetry = Telemetry(("support", "code"))
    parts.engines = Engines(
        {
            name: FakeEngine(router, parts.log, observers=(telemetry.observe,), policy_version=f"p-{name}")
            for name in ("support", "code")
        }
    )
    cards = router.catalog.cards.values()
    access = FakeAccess(KEYS)
    parts.proxy = fake_proxy(
        cards, engines=parts.engines, access=access, bodies=parts.bodies, log=parts.log, telemetry=telemetry
    )
    return parts


def asked_of(parts):
    return {name: len(engine.asked) for name, engine in parts.engines.items()}


def post(client, path, model, body, key="plain"):
    in_path = "MODEL" in path
    said = body if in_path or model is None else {**body, "model": model}
    return client.post(path.replace("MODEL", model or "auto"), json=said, headers={"authorization": f"Bearer {key}"})


@pytest.mark.parametrize("path", SURFACES)
def test_every_surface_asks_the_router_that_is_named_else_the_key_s(two, path):
    body = SURFACES[path]
    with client_of(two) as client:
        for model, key, expected in (
            ("auto", "plain", {"support": 1, "code": 0}),
            ("auto:code", "plain", {"support": 1, "code": 1}),
            ("auto", "coder", {"support": 1, "code": 2}),
            ("auto:support", "coder", {"support": 2, "code": 2}),
            ("openrouter/auto:code", "plain", {"support": 2, "code": 3}),
        ):
            if "MODEL" in path and "/" in model:
                continue
            answer = post(client, path, model, body, key)
            assert answer.status_code == 200, answer.text
            assert asked_of(two) == expected, model
        unknown = post(client, path, "auto:nope", body)
        assert unknown.status_code == 404
        assert "no router 'nope'; its routers are 'auto:support', 'auto:code'" in unknown.text
        shape = unknown.json()["error"]
        assert ("status" in shape, "code" in shape) == ("MODEL" in path, path != "/v1/messages")
        empty = post(client, path, "auto:", body)
        assert empty.status_code == 404
    assert asked_of(two)["support"] == 2


def test_a_batch_names_a_router_for_each_request(two):
    with client_of(two) as client:
        requests = [{"messages": HI, "model": model} for model in ("auto:code", "auto", "auto:x")]
        batch = client.post("/v1/route/batch", json={"requests": requests}, headers=AS_CODER)
        listed = post(client, "/v1/route", None, {"messages": HI, "models": ["auto:support", "small"]})
        torn = post(client, "/v1/route", "auto:code", {"messages": HI, "models": ["auto:support"]})
    first, second, third = batch.json()["data"]
    assert asked_of(two) == {"support": 1, "code": 2}
    assert first["object"] == second["object"] == "routing.decision"
    assert "no router 'x'" in third["error"]["message"]
    assert listed.json()["model"] == "small"
    assert (torn.status_code, torn.json()["error"]["param"]) == (400, "models")
    assert "ask for 2 routers (code, support)" in torn.json()["error"]["message"]


def test_a_policy_s_name_asks_its_router_and_formats_without_a_model_the_key_s(two):
    with client_of(two) as client:
        assert post(client, "/v1/chat/completions", "p-code", {"messages": HI}).status_code == 200
        body = {"messages": HI, "llm_providers": [{"provider": "simulated", "model": "small"}]}
        assert client.post("/v2/modelRouter/modelSelect", json=body, headers=AS_CODER).status_code == 200
        questions = {"input": "hi", "questions": [{"type": "choice", "choices": [{"value": "small"}]}]}
        assert client.post("/v1/decisions", json=questions, headers=AS_CODER).status_code == 200
    assert asked_of(two) == {"support": 0, "code": 3}


@pytest.mark.parametrize("path", ["/v1/route", "/v1/chat/completions"])
def test_a_router_behind_a_model_is_checked_on_each_surface(two, path):
    with client_of(two) as client:
        unknown = post(client, path, "small", {"messages": HI, "models": ["auto:nope", "large"]})
        torn = post(client, path, "small", {"messages": HI, "models": ["auto:code", "auto:support"]})
        policy = post(client, "/v1/chat/completions", "p-support", {"messages": HI, "models": ["auto:code"]})
    assert (unknown.status_code, torn.status_code, policy.status_code) == (404, 400, 400)
    assert "no router 'nope'" in unknown.text
    assert "ask for 2 routers (support, code)" in policy.text


def test_a_model_that_a_provider_names_exactly_is_no_router():
    named = {"openrouter/auto:online"}.__contains__
    assert read_named("openrouter/auto:online", ["auto:code"], {}.get, is_model=named) == (
        None, ("openrouter/auto:online",),
    )  # fmt: skip
    assert read_named("openrouter/auto:online", None, {}.get) == ("online", ())


def test_of_routers_with_one_policy_the_caller_s_decides_then_one_that_is_ready(two):
    for engine in two.engines.items():
        engine[1].policy_version = "plan"
    assert two.engines.by_policy("plan", KEYS["coder"]) == "code"
    assert two.engines.by_policy("plan", KEYS["plain"]) == "support"
    two.engines["support"].ready = False
    assert two.engines.by_policy("plan", KEYS["plain"]) == "code"
    assert two.engines.by_policy("other", KEYS["plain"]) is None


def test_operators_see_each_router(two):
    with client_of(two) as client:
        admin = {"authorization": "Bearer plain"}
        names = [one["id"] for one in client.get("/v1/models", headers=admin).json()["data"]]
        assert names[:3] == ["auto", "auto:support", "auto:code"]
        assert client.get("/readyz").json()["routers"] == {"support": True, "code": True}
        two.engines["code"].ready = False
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["routers"]) == (200, {"support": True, "code": False})
        assert ready.json()["reason"].startswith("the artifact of code was refused")
        assert ready.json()["checks"]["artifact_loaded"] is False
        status = client.get("/admin/status", headers=admin).json()
        assert {name: one["policy_version"] for name, one in status["routers"].items()} == {
            "support": "p-support", "code": "p-code",
        }  # fmt: skip
        assert set(client.post("/admin/reload", headers=admin).json()["routers"]) == {"support", "code"}
        assert set(client.post("/admin/reload?router=code", headers=admin).json()["routers"]) == {"code"}
        assert client.post("/admin/reload?router=x", headers=admin).status_code == 404
        post(client, "/v1/route", "auto:code", {"messages": HI})
        text = client.get("/metrics", headers=admin).text
    assert 'router_ready{router="code"} 0.0' in text
    assert 'router_ready{router="support"} 1.0' in text
    assert 'router_decision_seconds_count{router="code"} 1.0' in text
    assert 'router_decision_seconds_count{router="support"} 0.0' in text
