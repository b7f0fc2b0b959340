"""Nobody teaches for others: whose reports are taken, and whose count."""

from dataclasses import replace

import polars as pl
import pytest
from asked_log import asked
from starlette.testclient import TestClient

from router_model.serving.access.issuing import create_key
from router_model.serving.app import create_app
from router_model.serving.common.callers import Role
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.export import export_log
from router_model.serving.decision_log.store import Period

BODY = {"messages": [{"role": "user", "content": "add subtract multiply divide number sum 12 45 7"}]}
UNKNOWN = "dec_019385b1c5f07cc2a1f2d0c5b8a3e411"
REPORTS = {"/v1/feedback": {"score": 0}, "/v1/outcomes": {"model": "large", "status": 200, "cost_usd": 9.0}}


@pytest.fixture
def keys(tmp_path):
    """The headers of three keys: a victim, an attacker with the same roles, and a grader who may judge all."""
    roles = {"victim": [Role.DECIDE, Role.FEEDBACK], "attacker": [Role.DECIDE, Role.FEEDBACK]}
    roles["grader"] = [Role.FEEDBACK_ALL]
    made = {name: create_key(tmp_path / "keys.toml", name=name, roles=these) for name, these in roles.items()}
    return {name: (key.id, {"authorization": f"Bearer {text}"}) for name, (key, text) in made.items()}


def serve(trained, tmp_path, worker="one"):
    settings = Settings(
        artifact=trained.path, keys=tmp_path / "keys.toml", log=f"sqlite+aiosqlite:///{tmp_path / worker}.db",
        log_spool=tmp_path / f"spool-{worker}", log_prompts="full", decision_deadline_s=10.0,
    )  # fmt: skip
    return TestClient(create_app(settings), base_url="http://127.0.0.1:8484")


def report(client, path, key, decision):
    return client.post(path, json={**REPORTS[path], "decision_id": decision}, headers=key[1])


def exported(tmp_path):
    """Return the rows of the log's table, by prompt."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'one'}.db"
    asked(url, lambda store: export_log(store, tmp_path / "table.parquet", Period()))
    return {row["prompt_id"]: row for row in pl.read_parquet(tmp_path / "table.parquet").to_dicts()}


def test_others_decisions_and_invented_ones_get_the_same_answer(trained, tmp_path, keys):
    """Byte for byte, so that nobody learns which ids there are; the owner and the grader are heard."""
    with serve(trained, tmp_path) as client:
        victims = client.post("/v1/route", json=BODY, headers=keys["victim"][1]).json()["id"]
        for path in REPORTS:
            others, invented = (report(client, path, keys["attacker"], each) for each in (victims, UNKNOWN))
            assert (others.status_code, others.content) == (404, invented.content)
            assert [report(client, path, keys[who], victims).status_code for who in ("victim", "grader")] == [202, 202]


def test_only_the_owner_and_the_grader_are_counted(trained, tmp_path, keys):
    """The attacker overheard an answer's id. It says that the answer is its own, and judges it under fifty sources.

    All of it is taken, as the service cannot know, and counts for the attacker's own decision alone. The second
    decision is judged by the grader alone: the row has no judge, as the grader's word is the operator's own.
    """
    victim, grader, attacker = (keys[name][1] for name in ("victim", "grader", "attacker"))
    with serve(trained, tmp_path) as client:
        first, second = (client.post("/v1/route", json=BODY, headers=victim).json()["id"] for _ in range(2))
        outcome = {"decision_id": first, "response_id": "overheard", "status": 200, "cost_usd": 0.5}
        client.post("/v1/outcomes", json=outcome, headers=victim)
        own = client.post("/v1/route", json=BODY, headers=attacker).json()["id"]
        client.post("/v1/outcomes", json={**outcome, "decision_id": own, "cost_usd": 9}, headers=attacker)
        for number in range(50):
            lie = {"response_id": "overheard", "score": 0, "source": f"judge {number}"}
            assert client.post("/v1/feedback", json=lie, headers=attacker).status_code == 202
        client.post("/v1/feedback", json={"response_id": "overheard", "score": 0.75}, headers=victim)
        client.post("/v1/feedback", json={"decision_id": second, "score": 0.25}, headers=grader)
    rows = exported(tmp_path)
    found = {decision: (rows[decision]["quality"], rows[decision]["judge"]) for decision in (first, second, own)}
    assert found == {first: (0.75, keys["victim"][0]), second: (0.25, None), own: (0.0, keys["attacker"][0])}
    assert (rows[first]["cost_usd"], rows[own]["cost_usd"]) == (0.5, 9)


def test_another_worker_knows_the_owner_at_once(trained, tmp_path, keys):
    """A worker with a log of its own, which has never seen the decision, takes the owner's report and no other's."""
    with serve(trained, tmp_path, "one") as client:
        decision = client.post("/v1/route", json=BODY, headers=keys["victim"][1]).json()["id"]
    with serve(trained, tmp_path, "two") as client:
        report = {"decision_id": decision, "thumb": "up"}
        statuses = {who: client.post("/v1/feedback", json=report, headers=keys[who][1]).status_code for who in keys}
    assert statuses == {"victim": 202, "attacker": 404, "grader": 202}


def test_a_decision_from_before_the_seals_is_its_owners(trained, tmp_path, keys):
    """Its id says nothing, so the log is asked."""
    with serve(trained, tmp_path) as client:
        made = client.post("/v1/route", json=BODY, headers=keys["victim"][1]).json()["id"]
        log = client.app.state.parts.log
        record = client.portal.call(log.decision, made)
        client.portal.call(log.put, replace(record, decision_id=UNKNOWN))
        report = {"decision_id": UNKNOWN, "thumb": "up"}
        statuses = {who: client.post("/v1/feedback", json=report, headers=keys[who][1]).status_code for who in keys}
    assert statuses == {"victim": 202, "attacker": 404, "grader": 202}
