"""What is counted of forwarded calls and budgets."""

from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import MultiProcessValue

from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.monitoring.telemetry import BREAKER_STATES, MAX_TARGETS, MAX_UNLISTED, Telemetry
from router_model.serving.monitoring.worker_ends import FOLDER_VARIABLE, RESTARTS, WorkerEnds
from router_model.serving.providers.failures import FailureKind

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAIR = {"provider": "acme", "model": "big"}


def attempt(**changes):
    fields = {
        "attempt_id": "a", "decision_id": "dec_1", "created_at": NOON, "model": "big", "provider": "acme",
        "status": 200, "cost_usd": 0.25, "latency_s": 1.5, "first_token_s": 0.4,
    }  # fmt: skip
    return AttemptRecord(**fields | changes)


@pytest.fixture
def telemetry():
    return Telemetry()


def value(telemetry, name, **labels):
    return telemetry.registry.get_sample_value(name, labels)


def test_an_attempt_is_counted_with_its_cost_and_times(telemetry):
    """Two attempts: one failed after 0.5 s and cost nothing, one answered after 1.5 s for $0.25."""
    telemetry.count_attempt(attempt(error_type="server", status=503, cost_usd=None, latency_s=0.5, first_token_s=None))
    telemetry.count_attempt(attempt())
    assert value(telemetry, "router_attempts_total", **PAIR, outcome="success") == 1
    assert value(telemetry, "router_attempts_total", **PAIR, outcome="server") == 1
    assert value(telemetry, "router_upstream_seconds_sum", **PAIR) == 2.0
    assert value(telemetry, "router_first_token_seconds_count", **PAIR) == 1
    assert value(telemetry, "router_cost_usd_total", model="big") == 0.25


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        *(({"error_type": kind.value}, kind.value) for kind in FailureKind),
        ({"error_type": "client_gone"}, "client_gone"),
        ({"error_type": "made up"}, "other"),
        ({"status": 500}, "other"),
        ({"status": None}, "success"),
    ],
)
def test_an_outcome_is_one_of_few_words(telemetry, changes, outcome):
    telemetry.count_attempt(attempt(**changes))
    assert value(telemetry, "router_attempts_total", **PAIR, outcome=outcome) == 1


def test_what_was_forwarded_and_is_reported_too_is_counted_once(telemetry):
    """Of dec_1 the attempt was forwarded here; dec_2 was called by its gateway."""
    telemetry.count_attempt(attempt())
    for decision_id in ("dec_1", "dec_2"):
        telemetry.count_outcome(attempt(attempt_id="r", decision_id=decision_id), providers={"big": "acme"})
    assert value(telemetry, "router_cost_usd_total", model="big") == 0.5
    assert value(telemetry, "router_upstream_seconds_count", **PAIR) == 2


def test_labels_are_bounded(telemetry):
    for index in range(MAX_TARGETS + 5):
        telemetry.count_attempt(attempt(model=f"m{index}", decision_id=None))
    assert value(telemetry, "router_attempts_total", provider="other", model="other", outcome="success") == 5
    telemetry.count_attempt(attempt(model="m3"))
    assert value(telemetry, "router_attempts_total", provider="acme", model="m3", outcome="success") == 2


@pytest.mark.parametrize(("state", "number"), BREAKER_STATES.items())
def test_breakers_are_numbers(telemetry, state, number):
    names = {"big"}.__contains__
    telemetry.set_breakers({("acme", "big"): state}, names)
    assert value(telemetry, "router_breaker_state", **PAIR) == number
    telemetry.set_breakers({("acme", "made up 1"): state, ("acme", "made up 2"): "closed"}, names)
    assert value(telemetry, "router_breaker_state", **PAIR) == 0
    assert value(telemetry, "router_breaker_state", provider="acme", model="other") == number


def test_names_that_callers_made_up_get_few_labels_and_only_where_they_were_answered(telemetry):
    for index in range(MAX_UNLISTED + 5):
        telemetry.count_attempt(attempt(model=f"no{index}", error_type="model_gone", status=404), is_listed=False)
        telemetry.count_attempt(attempt(model=f"m{index}"), is_listed=False)
    ours = {"provider": "acme", "model": "other"}
    assert value(telemetry, "router_attempts_total", **ours, outcome="model_gone") == MAX_UNLISTED + 5
    assert value(telemetry, "router_attempts_total", **ours, outcome="success") == 5
    telemetry.count_attempt(attempt())
    assert value(telemetry, "router_attempts_total", **PAIR, outcome="success") == 1


def test_budgets_are_by_key(telemetry):
    telemetry.set_budget_remaining("k1", 6.0)
    telemetry.count_budget_spent("k1", 1.5)
    telemetry.count_budget_refused("service")
    assert value(telemetry, "router_budget_remaining_usd", key="k1") == 6.0
    assert value(telemetry, "router_budget_spent_usd_total", key="k1") == 1.5
    assert value(telemetry, "router_budget_refused_total", key="service") == 1


def test_what_was_estimated_is_counted_by_its_reason(telemetry):
    telemetry.count_attempt(attempt(usage_estimated="input_zero, output_missing"))
    telemetry.count_attempt(attempt(usage_estimated="input_zero"))
    telemetry.count_attempt(attempt())
    assert value(telemetry, "router_usage_estimated_total", **PAIR, reason="input_zero") == 2
    assert value(telemetry, "router_usage_estimated_total", **PAIR, reason="output_missing") == 1


def test_a_worker_that_ended_by_itself_is_counted_said_and_leaves_no_gauge_behind(tmp_path, monkeypatch, caplog):
    """Worker 41 was killed while its store was away; worker 42 goes on, and the sum over the workers is its own."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    unavailable = ("gauge", *["router_log_unavailable"] * 2, (), (), "about")
    for worker in (41, 42):
        MultiProcessValue(lambda worker=worker: worker)(*unavailable, multiprocess_mode="livesum").set(1)
    assert summed(tmp_path, "router_log_unavailable") == 2
    ends = WorkerEnds()
    assert summed(tmp_path, RESTARTS[0]) == 0  # shown before it counts, or Prometheus would not see it rise
    ends.note(41, -9, 43)
    assert (summed(tmp_path, RESTARTS[0]), summed(tmp_path, "router_log_unavailable")) == (1, 1)
    assert "worker 41 ended by SIGKILL" in caplog.text


def test_metrics_that_cannot_be_written_do_not_end_the_process_that_starts_workers(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    ends = WorkerEnds()
    monkeypatch.delenv(FOLDER_VARIABLE)
    ends.note(41, -9, 43)
    assert "the metrics do not know that worker 41 has ended" in caplog.text
    assert "worker 41 ended by SIGKILL" in caplog.text


def summed(folder, name):
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    return registry.get_sample_value(name)
