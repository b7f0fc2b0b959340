"""Candidates that are models with an effort, through the service: real HTTP to a provider of each format."""

import sqlite3
from contextlib import closing

import pytest
from scripted_upstream import PREFIXES, scripted_upstream
from starlette.testclient import TestClient

from router_model.serving.app import create_app
from router_model.serving.common.settings import Settings

MESSAGES = [{"role": "user", "content": "How many primes are below 100?"}]
MODELS = {
    "openai": ("openai/gpt-5.2", "gpt-5.2"),
    "anthropic": ("anthropic/claude-sonnet-4-7", "claude-sonnet-4-7"),
    "gemini": ("google/gemini-2.5-flash", "gemini-2.5-flash"),
    "openai-responses": ("azure/gpt-5.4", "gpt-5.4"),
}
CATALOG = "".join(
    f'[models."{ours}"]\nusd_per_mtok_input = 1\nusd_per_mtok_output = 10\nmax_output_tokens = 8000\n'
    f'[models."{ours}:high"]\nmodel = "{ours}"\nreasoning_effort = "high"\nusd_per_mtok_output = 20\n'
    f'[models."{ours}:low"]\nmodel = "{ours}"\nreasoning_effort = "low"\n'
    for ours, _ in MODELS.values()
)
OURS = {kind: ours for kind, (ours, _) in MODELS.items()}


@pytest.fixture(scope="module")
def upstream():
    with scripted_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def service(upstream, tmp_path_factory):
    """Return a function that starts a service without a router, whose ``auto`` is a plan of candidates."""
    folder = tmp_path_factory.mktemp("effort")
    tables = [
        f'[{kind}]\nkind = "{kind}"\nbase_url = "{upstream.url(kind, "next")}"\nallow_http = true\nkeys = ["THE_KEY"]\n'
        f'models = {{ "{ours}" = "{theirs}" }}\n'
        for kind, (ours, theirs) in MODELS.items()
    ]
    (folder / "providers.toml").write_text("\n".join(tables))
    (folder / "catalog.toml").write_text(CATALOG)

    def start(*plan, catalog="catalog.toml", **changes):
        settings = {
            "log": f"sqlite+aiosqlite:///{folder / 'log.db'}",
            "log_spool": folder / "spool",
            "log_flush_s": 0.05,
            "providers": folder / "providers.toml",
            "catalog": folder / catalog,
            "default_plan": plan or ("openai/gpt-5.2:high",),
            "insecure": True,
        }
        return TestClient(create_app(Settings(**settings, **changes)), base_url="http://127.0.0.1:8484")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THE_KEY", "sk-scripted-0123456789")
        start.folder = folder
        yield start


def attempts(service):
    with closing(sqlite3.connect(service.folder / "log.db")) as database:
        return database.execute("select model, provider, cost_usd from router_attempts order by created_at").fetchall()


def sent(upstream, kind):
    """Return what the provider of a kind was last asked for in the way of effort."""
    body = [received for received in upstream.received if received.kind == kind][-1].body
    names = ("model", "reasoning_effort", "reasoning", "thinking", "output_config", "include")
    said = {name: body[name] for name in names if name in body}
    thinking = body.get("generationConfig", {}).get("thinkingConfig")
    return said | ({"thinkingConfig": thinking} if thinking else {})


AS_SENT = {
    "openai": {"model": "gpt-5.2", "reasoning_effort": "high"},
    "anthropic": {
        "model": "claude-sonnet-4-7",
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
    },
    "gemini": {"thinkingConfig": {"thinkingBudget": 24_576}},
    "openai-responses": {
        "model": "gpt-5.4",
        "reasoning": {"effort": "high"},
        "include": ["reasoning.encrypted_content"],
    },
}


@pytest.mark.parametrize("kind", PREFIXES)
def test_a_provider_of_each_format_gets_the_model_and_the_effort(service, upstream, kind):
    """By the decision of a plan, and by name; the bill is the candidate's: 30 tokens in at 1, the output at 20."""
    candidate = f"{OURS[kind]}:high"
    with service(candidate) as client:
        for model in ("auto", candidate):
            answer = client.post("/v1/chat/completions", json={"model": model, "messages": MESSAGES})
            assert (answer.status_code, answer.json()["model"]) == (200, candidate), answer.text
            assert answer.headers["x-router-model"] == candidate
            assert "x-router-changed" not in answer.headers
            assert sent(upstream, kind) == AS_SENT[kind]
        usage = answer.json()["usage"]
        cost = usage["prompt_tokens"] * 1e-6 + usage["completion_tokens"] * 20e-6
        assert usage["cost"] == pytest.approx(cost, rel=0.2), "cached tokens cost a little less"
        decided = client.post("/v1/route", json={"messages": MESSAGES}).json()
        listed = client.get("/v1/models").json()["data"]
    step = decided["plan"][0]
    assert (step["model"], step["base_model"]) == (candidate, OURS[kind])
    assert step["parameters"] == {"reasoning_effort": "high"}
    assert next(one for one in listed if one["id"] == candidate)["pricing"]["completion"] == "0.00002"
    assert attempts(service)[-1][:2] == (candidate, kind)


CHAT, RESPONSES, MESSAGES_PATH = "/v1/chat/completions", "/v1/responses", "/v1/messages"
SAID = {
    CHAT: lambda effort: {"messages": MESSAGES, "reasoning_effort": effort},
    RESPONSES: lambda effort: {"input": "Hi", "reasoning": {"effort": effort}},
    MESSAGES_PATH: lambda effort: {
        "messages": MESSAGES, "max_tokens": 99, "thinking": {"type": "adaptive"}, "output_config": {"effort": effort},
    },
    "/v1beta/models/{}:generateContent": lambda effort: {
        "contents": "Hi", "generationConfig": {"thinkingConfig": {"thinkingLevel": effort.upper()}},
    },
}  # fmt: skip


@pytest.mark.parametrize("path", SAID)
def test_an_effort_of_the_callers_own_leaves_out_candidates_with_another(service, upstream, path):
    """``auto`` takes the candidate with the caller's effort; a candidate that is named must be the caller's, too."""
    with service("openai/gpt-5.2:high", "openai/gpt-5.2:low", "openai/gpt-5.2") as client:

        def ask(model, effort):
            return client.post(path.format(model), json={"model": model, **SAID[path](effort)})

        low, medium = ask("auto", "low"), ask("auto", "medium")
        assert (low.headers["x-router-model"], medium.headers["x-router-model"]) == (
            "openai/gpt-5.2:low", "openai/gpt-5.2",
        )  # fmt: skip
        assert sent(upstream, "openai")["reasoning_effort"] == "medium", "a candidate without an effort takes it over"
        assert ask("openai/gpt-5.2:high", "high").status_code == 200
        refused = ask("openai/gpt-5.2:high", "low")
    assert refused.status_code == 400
    assert "asks for 'low', and 'openai/gpt-5.2:high' is 'openai/gpt-5.2' with 'high'; leave" in refused.text


def test_the_router_chooses_the_effort_where_the_caller_says_so(service, upstream):
    """For agents that always send one; a model without an effort of its own still gets theirs."""
    with service("openai/gpt-5.2:high", "openai/gpt-5.2:low", "openai/gpt-5.2") as client:

        def ask(model):
            body = {"model": model, "router": {"choose_effort": True}, "messages": MESSAGES, "reasoning_effort": "low"}
            return client.post(CHAT, json=body).headers["x-router-model"], sent(upstream, "openai")["reasoning_effort"]

        assert ask("auto") == ask("openai/gpt-5.2:high") == ("openai/gpt-5.2:high", "high")
        assert ask("openai/gpt-5.2") == ("openai/gpt-5.2", "low")


def test_who_is_left_out_for_the_effort_is_told(service):
    with service("openai/gpt-5.2:high", "openai/gpt-5.2:low") as client:
        routed = client.post("/v1/route", json={"messages": MESSAGES, "reasoning_effort": "low"}).json()
        nobody = client.post("/v1/route", json={"messages": MESSAGES, "reasoning": {"effort": "minimal"}})
    assert [one["reason"] for one in routed["excluded"]] == ["reasoning_effort"]
    assert routed["excluded"][0]["detail"] == "the request asks for the effort low, this is openai/gpt-5.2 with high"
    assert nobody.status_code == 404
    assert "Relax reasoning_effort (leave the effort to the router), which alone rules out 2" in nobody.text


def test_the_same_model_with_another_effort_is_asked_after_other_models(service, upstream):
    """Of three candidates the first fails twice; the second is the same model, whose breaker is theirs in common."""
    plan = ("openai/gpt-5.2:high", "openai/gpt-5.2:low", "anthropic/claude-sonnet-4-7:low")
    upstream.plays.extend(["status_500", "status_500"])
    with service(*plan) as client:
        answer = client.post(CHAT, json={"model": "auto", "messages": MESSAGES})
        breakers = client.get("/admin/status").json()["proxy"]["breakers"]
    assert answer.headers["x-router-model"] == "anthropic/claude-sonnet-4-7:low"
    assert int(answer.headers["x-router-attempts"]) in (2, 3)
    named = {(one["provider"], one["model"]) for one in breakers}
    assert ("openai", "openai/gpt-5.2") in named
    assert not any(":" in model for _, model in named)


def test_an_effort_that_the_model_does_not_know_is_told_at_the_start(service, caplog):
    other = service.folder / "other.toml"
    other.write_text(CATALOG.replace('reasoning_effort = "low"', 'reasoning_effort = "max"'))
    with service("openai/gpt-5.2:low", catalog=other) as client:
        answer = client.post(CHAT, json={"model": "auto", "messages": MESSAGES})
    assert (
        "openai:openai/gpt-5.2:low: gpt-5.2 is not known to take the effort 'max', but none, low, medium" in caplog.text
    )
    assert answer.headers["x-router-changed"] == "reasoning_effort=xhigh"
