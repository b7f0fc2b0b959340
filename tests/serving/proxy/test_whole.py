"""The proxy as it is served: real engine, log, keys, budgets, forwarder, formats, and the provider echo."""

import json
import re
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from router_model.serving.app import create_app
from router_model.serving.commands.keys import command as keys_command
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.queued_log import QueuedLog

PROVIDERS = '[echo]\nkind = "echo"\nmodels = ["small", "large", "coder", "embed"]\n'
MESSAGES = [{"role": "user", "content": "add subtract multiply divide number sum 12 45 7"}]


@pytest.fixture
def settings(trained, tmp_path):
    (tmp_path / "providers.toml").write_text(PROVIDERS)
    return {
        "artifact": trained.path,
        "log": f"sqlite+aiosqlite:///{tmp_path / 'log.db'}",
        "log_spool": tmp_path / "spool",
        "log_flush_s": 0.05,
        "decision_deadline_s": 10.0,
        "providers": tmp_path / "providers.toml",
        "budget_file": tmp_path / "budgets.db",
    }


def serve(settings, **changes):
    return TestClient(create_app(Settings(**settings, **changes)), base_url="http://127.0.0.1:8484")


@pytest.mark.parametrize(("served", "answers"), [('["*"]', "echo"), ('["one", "two"]', "one")])
def test_without_a_router_auto_is_what_the_file_of_providers_names(settings, tmp_path, served, answers):
    (tmp_path / "providers.toml").write_text(f'[echo]\nkind = "echo"\nmodels = {served}\n')
    with serve(settings | {"artifact": None}, insecure=True) as client:
        chat = client.post("/v1/chat/completions", json={"model": "auto", "messages": MESSAGES})
        decided = client.post("/v1/route", json={"messages": MESSAGES})
        assert client.get("/readyz").status_code == 200  # other requests have waited for the start
        assert client.post("/admin/reload").json()["changed"] is False
    assert (decided.json()["model"], decided.json()["reason"]) == (answers, "fallback_default")
    assert (chat.status_code, chat.headers.get("x-router-model")) == (200, answers)


def test_without_a_router_and_a_named_model_auto_says_what_to_do(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("KEY_OF_A", "k")
    (tmp_path / "providers.toml").write_text('[openai]\nkind = "openai"\nkeys = ["KEY_OF_A"]\nmodels = ["*"]\n')
    with serve(settings | {"artifact": None}, insecure=True) as client:
        refused = client.post("/v1/chat/completions", json={"model": "auto", "messages": MESSAGES})
    assert refused.status_code == 404
    assert "runs without a router and without a default plan; name one of" in refused.json()["error"]["message"]


def test_what_was_called_before_a_restart_is_read_from_the_log(settings, tmp_path):
    """A key without a budget sees what it has spent this month, and what each answer has cost; no other key does."""
    made = (make_key(tmp_path, "--role", "proxy", "--name", name) for name in ("one", "two"))
    one, two = ({"authorization": f"Bearer {key}"} for key in made)
    settings |= {"keys": tmp_path / "keys.toml"}
    with serve(settings) as client:
        chat = client.post("/v1/chat/completions", json={"model": "large", "messages": MESSAGES}, headers=one)
    cost = float(chat.headers["x-router-cost-usd"])
    with serve(settings) as client:
        answers = [client.get(f"/v1/generation?id={chat.json()['id']}", headers=key) for key in (one, two)]
        usage = [client.get("/v1/key", headers=key).json()["data"]["usage_monthly"] for key in (one, two)]
    assert (answers[0].json()["data"]["model"], answers[0].json()["data"]["total_cost"]) == ("large", cost)
    assert (answers[1].status_code, usage, cost > 0) == (404, [cost, 0.0], True)


def test_a_log_that_cannot_be_written_does_not_hold_answers_up(settings, monkeypatch):
    """The response says that it is not stored, and the metrics why."""
    with serve(settings, insecure=True, store_responses=True) as client:
        with monkeypatch.context() as full_disk:
            full_disk.setattr(QueuedLog, "writable", property(lambda _: False))
            answer = client.post("/v1/responses", json={"model": "large", "input": "Hi"})
            told = client.get("/metrics").text
        kept = client.post("/v1/responses", json={"model": "large", "input": "Hi"}).json()
        assert client.get(f"/v1/responses/{kept['id']}").json() == kept
    assert (answer.status_code, answer.json()["store"], kept["store"]) == (200, False, True)
    assert 'router_responses_stored_total{kept="log"} 1.0' in told


def test_a_conversation_has_bounds(settings):
    """Of what one key keeps a minute, and of all that a request goes on from."""
    asked = {"model": "large", "input": "word " * 100}
    with serve(settings, insecure=True, store_responses=True, log_prompt_chars_a_minute=1000) as client:
        told = [client.post("/v1/responses", json=asked).json()["store"] for _ in range(2)]
        assert 'router_responses_stored_total{kept="volume"} 1.0' in client.get("/metrics").text
    assert told == [True, False]
    with serve(settings, insecure=True, store_responses=True, max_call_bytes=2000) as client:
        for text in ("word " * 100, "語" * 170):  # these have 3 bytes each
            asked = {"model": "large", "input": text}
            for _ in range(3):
                answer = client.post("/v1/responses", json=asked)
                asked["previous_response_id"] = answer.json().get("id")
            error = answer.json()["error"]
            assert (answer.status_code, error["param"]) == (400, "previous_response_id")
            assert "bytes, and a call may have 2000; begin a new one" in error["message"]


def make_key(folder, *arguments):
    made = CliRunner().invoke(
        keys_command, ["create", "--file", str(folder / "keys.toml"), "--name", "app", *arguments]
    )
    assert made.exit_code == 0, made.output
    return re.search(r"rm_[0-9A-Za-z_-]+", made.stdout)[0]


def rows(path, table):
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"select * from router_{table}")]


def test_every_surface_is_answered_and_logged(settings, tmp_path):
    with serve(settings, insecure=True) as client:
        chat = client.post("/v1/chat/completions", json={"model": "auto", "messages": MESSAGES})
        said = client.post("/v1/messages", json={"model": "auto", "max_tokens": 50, "messages": MESSAGES})
        google = client.post(
            "/v1beta/models/auto:generateContent", json={"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
        )
        embedded = client.post("/v1/embeddings", json={"model": "embed", "input": "hi"})
        text = client.get("/metrics").text
    for response in (chat, said, google, embedded):
        assert response.status_code == 200, response.text
        assert response.headers["x-router-provider"] == "echo"
    assert chat.json()["model"] == chat.headers["x-router-model"] == "large"
    assert chat.json()["usage"]["cost"] == pytest.approx(float(chat.headers["x-router-cost-usd"]))
    assert said.json()["type"] == "message"
    assert said.json()["model"] == said.headers["x-router-model"]
    assert google.json()["candidates"][0]["content"]["parts"]
    assert 'router_attempts_total{model="large",outcome="success",provider="echo"}' in text
    surfaces = {row["surface"] for row in rows(tmp_path / "log.db", "decisions")}
    attempts = rows(tmp_path / "log.db", "attempts")
    assert surfaces == {"chat", "messages", "generate"}
    assert len(attempts) == 4
    assert {row["decision_id"] for row in attempts} > {chat.headers["x-router-decision-id"]}


def test_streams_of_every_surface_end_with_their_cost(settings):
    with serve(settings, insecure=True) as client:
        chat = client.post(
            "/v1/chat/completions",
            json={"messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}},
        )
        said = client.post("/v1/messages", json={"max_tokens": 50, "messages": MESSAGES, "stream": True})
        google = client.post("/v1beta/models/small:streamGenerateContent?alt=sse", json={"contents": "hello"})
    events = [line.removeprefix("data: ") for line in chat.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["usage"]["cost"] > 0
    assert json.loads(events[-2])["choices"] == []
    assert "event: message_stop" in said.text
    assert '"finishReason"' in google.text


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key"])
def test_a_key_may_come_in_any_of_the_sdks_headers(settings, tmp_path, header):
    key = make_key(tmp_path, "--role", "proxy")
    value = f"Bearer {key}" if header == "authorization" else key
    with serve(settings, keys=tmp_path / "keys.toml") as client:
        body = {"model": "small", "messages": MESSAGES}
        assert client.post("/v1/chat/completions", json=body, headers={header: value}).status_code == 200
        assert client.post("/v1/chat/completions", json=body).status_code == 401


def test_a_budget_is_reserved_and_settled(settings, tmp_path):
    """'small' costs 0.1 in and 0.3 out a million: 10 tokens of output cost at most 0.000003 and the prompt's bytes."""
    key = make_key(tmp_path, "--role", "proxy", "--budget-usd", "0.0001", "--budget-per", "day")
    auth = {"authorization": f"Bearer {key}"}
    with serve(settings, keys=tmp_path / "keys.toml") as client:
        body = {"model": "small", "messages": MESSAGES}
        good = client.post("/v1/chat/completions", json={**body, "max_tokens": 10}, headers=auth)
        dear = client.post("/v1/chat/completions", json={**body, "max_tokens": 4000}, headers=auth)
        unpriced = client.post("/v1/embeddings", json={"model": "embed", "input": "x"}, headers=auth)
        again = client.post("/v1/chat/completions", json={**body, "max_tokens": 10}, headers=auth)
    assert (good.status_code, dear.status_code, unpriced.status_code) == (200, 429, 400)
    assert dear.json()["error"]["code"] == "budget_exceeded"
    assert "no price" in unpriced.json()["error"]["message"]
    spent = float(good.headers["x-router-cost-usd"])
    left = [float(one.headers["x-router-budget-remaining-usd"]) for one in (good, again)]
    assert left[0] - left[1] == pytest.approx(spent, abs=1e-9)


def test_candidates_that_a_budget_cannot_pay_are_left_out(settings, tmp_path):
    """Ten tokens of 'large' cost at most 0.00015 and more, of 'small' 0.000003 and the prompt's bytes."""
    key = make_key(tmp_path, "--role", "proxy", "--budget-usd", "0.0001", "--budget-per", "day")
    auth = {"authorization": f"Bearer {key}"}
    body = {"model": "large", "messages": MESSAGES, "max_tokens": 10}
    with serve(settings, keys=tmp_path / "keys.toml") as client:
        alone = client.post("/v1/chat/completions", json=body, headers=auth)
        behind = client.post("/v1/chat/completions", json=body | {"models": ["large", "small"]}, headers=auth)
    assert (alone.status_code, behind.status_code) == (429, 200)
    assert behind.headers["x-router-model"] == behind.json()["model"] == "small"


def test_a_bad_file_of_providers_stops_the_start_and_not_a_reload(settings, tmp_path):
    with serve(settings, insecure=True) as client:
        (tmp_path / "providers.toml").write_text('[echo]\nkind = "eco"\n')
        refused = client.post("/admin/reload")
        still = client.post("/v1/chat/completions", json={"messages": MESSAGES})
        (tmp_path / "providers.toml").write_text('[other]\nkind = "echo"\nmodels = ["large"]\n')
        taken = client.post("/admin/reload")
        after = client.post("/v1/chat/completions", json={"messages": MESSAGES})
    assert (refused.status_code, still.status_code, taken.status_code) == (409, 200, 200)
    assert (after.headers["x-router-provider"], after.headers["x-router-model"]) == ("other", "large")
