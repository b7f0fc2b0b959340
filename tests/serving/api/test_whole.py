"""The application as it is served: real engine, log, keys and guard."""

import re
import time

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from router_model.serving.api.answer_models import DecisionAnswer, LoggedDecisionAnswer
from router_model.serving.app import create_app
from router_model.serving.commands.keys import command as keys_command
from router_model.serving.common.settings import Settings

BODY = {"messages": [{"role": "user", "content": "add subtract multiply divide number sum 12 45 7 total minus plus"}]}


def make_key(folder, *roles):
    arguments = ["create", "--file", str(folder / "keys.toml"), "--name", "-".join(roles)]
    result = CliRunner().invoke(keys_command, [*arguments, *(part for role in roles for part in ("--role", role))])
    assert result.exit_code == 0, result.output
    return {"authorization": f"Bearer {re.search(r'rm_[0-9A-Za-z_-]+', result.stdout)[0]}"}


@pytest.fixture
def settings(trained, tmp_path):
    log = f"sqlite+aiosqlite:///{tmp_path / 'log.db'}"
    return {"artifact": trained.path, "log": log, "log_spool": tmp_path / "spool", "decision_deadline_s": 10.0}


def serve(settings, **changes):
    return TestClient(create_app(Settings(**settings, **changes)), base_url="http://127.0.0.1:8484")


def test_a_decision_is_made_logged_read_and_judged(settings, trained):
    with serve(settings, insecure=True) as client:
        response = client.post("/v1/route", json={**BODY, "router": {"target_success": 0.6}})
        answer = DecisionAnswer.model_validate(response.json())
        judged = client.post("/v1/feedback", json={"decision_id": answer.id, "thumb": "up"})
        read = client.get(f"/v1/decisions/{answer.id}").json()
        ready = client.get("/readyz").json()
        text = client.get("/metrics").text
    assert (answer.model, answer.degraded) == ("small", False)
    assert sum(step.propensity for step in answer.plan) == pytest.approx(1)
    assert answer.policy.artifact == trained.report.content_hash
    assert judged.status_code == 202
    assert LoggedDecisionAnswer.model_validate(read).model == "small"
    assert read["candidates"][0]["p_success"] == answer.plan[0].p_success
    assert ready["ready"] is True
    assert 'router_decisions_total{model="small"' in text


def test_keys_open_what_their_role_says(settings, tmp_path):
    decide, feedback, admin = (make_key(tmp_path, role) for role in ("decide", "feedback", "admin"))
    with serve(settings, keys=tmp_path / "keys.toml") as client:
        made = client.post("/v1/route", json=BODY, headers=decide)
        statuses = {
            "no key": client.post("/v1/route", json=BODY).status_code,
            "other role": client.post("/v1/route", json=BODY, headers=feedback).status_code,
            "own": client.get(f"/v1/decisions/{made.json()['id']}", headers=decide).status_code,
            "admin": client.get(f"/v1/decisions/{made.json()['id']}", headers=admin).status_code,
            "metrics": client.get("/metrics", headers=admin).status_code,
            "reload": client.post("/admin/reload", headers=admin).status_code,
        }
    assert made.status_code == 200
    assert statuses == {"no key": 401, "other role": 403, "own": 200, "admin": 200, "metrics": 200, "reload": 200}


def test_a_batch_counts_each_of_its_requests(settings, tmp_path):
    """Three a minute: a batch of two and one more are answered, the next is not."""
    decide = make_key(tmp_path, "decide")
    with serve(settings, keys=tmp_path / "keys.toml", requests_per_minute=3) as client:
        batch = client.post("/v1/route/batch", json={"requests": [BODY, BODY]}, headers=decide)
        single = [client.post("/v1/route", json=BODY, headers=decide).status_code for _ in range(2)]
    assert [one["object"] for one in batch.json()["data"]] == ["routing.decision"] * 2
    assert single == [200, 429]


def test_prices_of_a_request_reach_the_decision(settings):
    """'large' for nothing is the cheapest."""
    providers = [{"provider": "x", "model": "small"}, {"provider": "x", "model": "large"}]
    free = [providers[0], {**providers[1], "input_price": 0, "output_price": 0}]
    first = []
    with serve(settings, insecure=True) as client:
        for given in (providers, free):
            body = {**BODY, "llm_providers": given, "cost_quality_tradeoff": 10}
            answer = client.post("/v2/modelRouter/modelSelect", json=body).json()
            first.append(answer["providers"][0]["model"])
    assert first == ["small", "large"]


def test_wrong_knobs_are_the_callers_fault(settings):
    body = {**BODY, "router": {"target_success": 0.5, "success_value_usd": 1}}
    with serve(settings, insecure=True) as client:
        response = client.post("/v1/route", json=body)
        batch = client.post("/v1/route/batch", json={"requests": [body, BODY]}).json()["data"]
    assert response.status_code == 400
    assert "not more" in response.json()["error"]["message"]
    assert (batch[0]["error"]["code"], batch[1]["object"]) == ("invalid_request", "routing.decision")


def test_a_bad_artifact_is_refused_and_the_old_one_stays(settings, trained, tmp_path):
    pointer = tmp_path / "current"
    pointer.write_text(str(trained.path))
    with serve({**settings, "artifact": pointer}, insecure=True, reload_every_s=60) as client:
        assert client.post("/v1/route", json=BODY).status_code == 200  # the first one is loaded
        pointer.write_text(str(tmp_path))
        refused = client.post("/admin/reload")
        after = client.post("/v1/route", json=BODY).json()
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "reload_refused"
    assert after["degraded"] is False


def test_an_unknown_host_is_refused(settings):
    with serve(settings, insecure=True) as client:
        response = client.post("/v1/route", json=BODY, headers={"host": "evil.example"})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_request"


def test_feedback_moves_a_level_only_where_the_settings_say_so(settings):
    """20 sums that ``small`` was to solve nine times out of ten, and did not: it loses the next one."""
    body = {**BODY, "router": {"target_success": 0.6}}
    with serve(settings, insecure=True, follow_levels=1.5, follow_every_s=0.1) as client:
        for _ in range(20):
            made = client.post("/v1/route", json=body).json()
            client.post("/v1/feedback", json={"decision_id": made["id"], "thumb": "down"})
        assert made["model"] == "small"
        give_up_at = time.monotonic() + 60
        while not levels_of(client)["shifts"]:
            assert time.monotonic() < give_up_at, levels_of(client)
            time.sleep(0.02)
        shown, after = levels_of(client), client.post("/v1/route", json=body).json()
        text = client.get("/metrics").text
    assert shown["shifts"]["small"]["log_odds"] == -1.5
    assert (shown["max_shift"], shown["failed"]) == (1.5, None)
    assert after["model"] != "small"
    assert after["policy"]["version"] != made["policy"]["version"]
    assert 'router_level_shift{model="small",router="default"} -1.5' in text
    with serve(settings, insecure=True) as client:
        assert levels_of(client) is None
        assert client.post("/v1/route", json=body).json()["policy"] == made["policy"]


def levels_of(client):
    return client.get("/admin/status").json()["engine"]["levels"]
