import asyncio
import platform
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest
from fake_service import client_of, fake_parts

from router_model import Catalog
from router_model.errors import ArtifactError
from router_model.plan import Plan, PlanStep
from router_model.serving.api.answer_models import StatusAnswer
from router_model.serving.decision_log.log import LogStats
from router_model.serving.engine.query import Query
from router_model.serving.monitoring.telemetry import Telemetry

PLAIN = {"decision_s": 0.001, "degraded": False, "explored": False}
BODY = {"messages": [{"role": "user", "content": "hi"}]}


def value(text, name):
    """Return the number of a metric in Prometheus' text."""
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name} "))


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        (lambda parts: setattr(parts.engines.default, "ready", False), "artifact_loaded"),
        (lambda parts: setattr(parts, "draining", True), "not_draining"),
    ],
)
def test_ready_says_what_is_not(client, parts, change, failing):
    assert client.get("/readyz").json()["ready"] is True
    change(parts)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert [name for name, good in response.json()["checks"].items() if not good] == [failing]
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/models"])
def test_probes_may_ask_for_the_head_alone(client, path):
    assert client.head(path).status_code == client.get(path).status_code == 200


def test_health_is_answered_while_the_router_is_loaded_and_requests_wait(parts):
    """The start hangs: health and readiness are answered, a decision waits, and comes when the start goes on."""
    goes_on, parts.engines.default.ready = threading.Event(), False

    async def load(*, may_wait):
        assert not may_wait
        await asyncio.to_thread(goes_on.wait)
        parts.engines.default.ready = True

    parts.engines.default.load = load
    with client_of(parts) as client, ThreadPoolExecutor(1) as pool:
        health, ready = client.get("/healthz"), client.get("/readyz")
        decision = pool.submit(client.post, "/v1/route", json=BODY)
        with pytest.raises(TimeoutError):
            decision.result(timeout=0.2)
        goes_on.set()
        assert decision.result(timeout=20).status_code == 200
        assert client.get("/readyz").json()["reason"] is None
    assert (health.status_code, ready.status_code) == (200, 503)
    assert ready.json()["reason"] == "starting: the router is being loaded"


def test_a_start_that_fails_ends_the_service_with_its_error(parts):
    async def load(*, may_wait):
        assert not may_wait
        raise ArtifactError("it is gone")

    parts.engines.default.load, parts.engines.default.ready = load, False
    with pytest.raises(ArtifactError, match="it is gone"), client_of(parts) as client:
        assert "was refused" in client.get("/readyz").json()["reason"]


def test_the_end_closes_the_engine_and_the_log(parts):
    with client_of(parts):
        assert not parts.draining
    assert parts.draining
    assert parts.log.closed
    assert not parts.engines.default.ready


def test_decisions_are_counted(client):
    for _ in range(3):
        chosen = client.post("/v1/route", json=BODY).json()
    text = client.get("/metrics").text
    labels = f'model="{chosen["model"]}",reason="{chosen["reason"]}",router="default"'
    assert value(text, f"router_decisions_total{{{labels}}}") == 3
    assert value(text, 'router_decision_seconds_count{router="default"}') == 3
    best = max(step["expected_cost_usd"] for step in chosen["plan"])  # the fake's best model is the dearest one
    saved = best - chosen["plan"][0]["expected_cost_usd"]
    assert value(text, 'router_cost_saved_usd_total{baseline="best_single",router="default"}') == pytest.approx(
        3 * saved
    )


def test_a_dearer_choice_than_the_best_single_is_counted_apart():
    """A counter cannot fall: what is saved is the difference of two."""
    telemetry, plan = Telemetry(), [PlanStep("strong", 0.9, 0.05, 10), PlanStep("best", 0.8, 0.02, 10)]
    for chosen in (plan, plan[::-1], [PlanStep("alone", 0.5, 0.01, 10)]):
        telemetry.observe(
            Query({}),
            SimpleNamespace(
                plan=Plan.of(chosen),
                model=chosen[0].model,
                best_single="best",
                predicted=True,
                reason="best_tradeoff",
                **PLAIN,
            ),
        )
    text = telemetry.exposition().decode()
    assert value(text, 'router_cost_added_usd_total{baseline="best_single",router="default"}') == pytest.approx(0.03)
    assert (
        value(text, 'router_cost_saved_usd_total{baseline="best_single",router="default"}') == 0
    )  # the best one itself, once


def test_the_artifact_its_age_and_its_prices_are_metrics(router):
    checked = replace(router.catalog["small"], price_date=date(2026, 11, 1))
    router = replace(router, catalog=Catalog({**router.catalog.cards, "small": checked}))
    telemetry = Telemetry()
    telemetry.update_router("default", {"artifact": "sha256:a", "policy_version": "p1", "written_at": 1.8e9}, router)
    telemetry.update_router("default", {"artifact": "sha256:b", "policy_version": "p2", "written_at": 1.9e9}, router)
    text = telemetry.exposition().decode()
    assert value(text, 'router_artifact_info{artifact="sha256:a",policy="p1",router="default"}') == 0
    assert value(text, 'router_artifact_info{artifact="sha256:b",policy="p2",router="default"}') == 1
    assert value(text, 'router_artifact_written_timestamp_seconds{router="default"}') == 1.9e9
    assert value(text, 'router_price_checked_timestamp_seconds{model="small",router="default"}') == 1793491200
    assert value(text, 'router_price_checked_timestamp_seconds{model="large",router="default"}') == 0
    assert f'router_build_info{{python="{platform.python_version()}",version="' in text


def test_degraded_answers_and_errors_are_counted():
    with client_of(fake_parts(None, default_plan=("large",))) as client:
        client.post("/v1/route", json=BODY)
        client.post("/v1/route", json={"router": 1})
        text = client.get("/metrics").text
    assert value(text, 'router_degraded_total{by="no_router",router="default"}') == 1
    assert value(text, 'router_errors_total{code="invalid_request"}') == 1


def test_outcomes_are_counted_under_known_names_only(client):
    """What a caller makes up is 'other': the number of series stays bounded."""
    for model, cost in (("small", 0.5), ("small", 0.25), ("made-up", 1.0)):
        report = {"decision_id": "d", "model": model, "provider": "made-up", "cost_usd": cost, "latency_s": 2}
        client.post("/v1/outcomes", json=report)
    text = client.get("/metrics").text
    assert value(text, 'router_cost_usd_total{model="small"}') == 0.75
    assert value(text, 'router_cost_usd_total{model="other"}') == 1
    assert value(text, 'router_upstream_seconds_count{model="small",provider="simulated"}') == 2
    assert value(text, 'router_upstream_seconds_count{model="other",provider="other"}') == 1
    assert "made-up" not in text


def test_the_state_of_the_log_is_a_metric(client, parts):
    parts.log.stats = LogStats(depth=5, written=10, spooled=3, replayed=2, dropped=1, spool_depth=1, available=False)
    text = client.get("/metrics").text
    parts.log.stats = replace(parts.log.stats, written=12)
    later = client.get("/metrics").text
    assert value(text, "router_log_queue_depth") == 5
    assert value(text, "router_log_dropped_total") == 1
    assert value(text, "router_log_unavailable") == 1
    assert (value(text, "router_log_written_total"), value(later, "router_log_written_total")) == (10, 12)


def test_the_state_of_the_engine_is_a_metric(client):
    text = client.get("/metrics").text
    assert value(text, "router_sessions") == 4
    assert value(text, 'router_reloads_total{result="loaded",router="default"}') == 1
    assert value(text, 'router_reloads_total{result="refused",router="default"}') == 2


def test_reload_says_what_is_served_now(client):
    assert client.post("/admin/reload").json() == {
        "object": "routing.reload",
        "artifact": "sha256:new",
        "changed": True,
    }


def test_status_says_what_is_served(client, parts):
    answer = StatusAnswer.model_validate(client.get("/admin/status").json())
    assert answer.artifact == parts.engines.default.router.artifact.content_hash
    assert answer.models == ["coder", "large", "small"]
    assert answer.log["writable"] is True
