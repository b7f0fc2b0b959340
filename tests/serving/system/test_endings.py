"""Under load, the service is told to end, or killed: what was answered is in the log, and once."""

import contextlib
import json
import socket
import time
from collections import Counter

import pytest
from processes import eventually
from system import LOADED, load, logged_ids, system

pytestmark = pytest.mark.slow  # processes that are started, loaded and ended

BODY = json.dumps(LOADED).encode()
FLUSH_S = 0.2
LATE_S = 0.5  # what a busy machine may add to a flush interval


def begin_request(service, n_bytes):
    """Send a request's head and so many bytes of its body."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    head = "POST /v1/route HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    head += f"authorization: Bearer {service.key}\r\n"
    connection.sendall(f"{head}content-length: {len(BODY)}\r\n\r\n".encode() + BODY[:n_bytes])
    return connection


def all_of(connection):
    """Read until the service hangs up."""
    received = b""
    with contextlib.closing(connection), contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    return received


def test_sigterm_answers_what_is_under_way_and_logs_it(trained, tmp_path):
    """A request whose body is half there at SIGTERM is answered when the rest comes."""
    with system(tmp_path / "service", trained.path) as service, load(service, per_second=100) as asked:
        asked.wait_for(50)
        begun = begin_request(service, 10)
        time.sleep(0.3)
        service.process.terminate()
        eventually(lambda: "SIGTERM: no longer ready" in service.output, "the drain has begun")
        begun.sendall(BODY[10:])
        answer = all_of(begun)
        assert service.process.wait(timeout=30) == 0
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    late = json.loads(answer.partition(b"\r\n\r\n")[2])["id"]
    logged = Counter(logged_ids(service.log))
    assert set(logged.values()) == {1}
    assert asked.ids | {late} <= set(logged)
    assert asked.statuses <= {200, 0}
    assert not list((tmp_path / "service" / "spool").glob("*.spool"))
    assert "Traceback" not in service.output
    assert service.output.endswith("stopped; what was under way was answered, and the log is flushed\n")


def test_the_drain_has_an_end(trained, tmp_path):
    """A body that never comes: with `drain_s` 1 the service ends after 1 s, and not after `body_deadline_s`, 30."""
    with system(tmp_path / "service", trained.path, drain_s=1) as service, load(service) as asked:
        begun = begin_request(service, 10)
        time.sleep(0.3)
        before = time.monotonic()
        assert service.end() == 0, service.output
        took_s = time.monotonic() - before
        all_of(begun)
    assert took_s < 15
    logged = Counter(logged_ids(service.log))
    assert set(logged.values()) == {1}
    assert asked.ids <= set(logged)


def test_killed_under_load_loses_the_last_flush_interval_at_most(trained, tmp_path, database_url):
    """What was answered before the last flush interval is in the log once the next start has taken the spool over."""
    settings = {"log": database_url, "log_flush_s": FLUSH_S}
    with system(tmp_path / "service", trained.path, **settings) as service, load(service, per_second=100) as asked:
        asked.wait_for(150)
        killed_s = service.kill()
    kept = {one.body["id"] for one in asked.answers if one.status and one.came_s < killed_s - FLUSH_S - LATE_S}
    with system(tmp_path / "service", trained.path, **settings) as service:
        eventually(lambda: service.status()["log"]["spool_depth"] == 0, "the spool is replayed")
        assert service.end() == 0
    logged = Counter(logged_ids(database_url))
    assert len(kept) > 50
    assert kept <= set(logged)
    assert set(logged.values()) == {1}
    assert not list((tmp_path / "service" / "spool").glob("*.spool"))


def test_killed_while_the_log_is_away_leaves_a_spool_that_is_adopted(trained, tmp_path, postgres, new_database):
    """All decisions are in the spool when it is killed; the next start brings them to the log."""
    settings = {"log": new_database(), "log_flush_s": FLUSH_S}
    try:
        with system(tmp_path / "service", trained.path, **settings) as service, load(service) as asked:
            postgres.stop()
            asked.wait_for(60)
            time.sleep(FLUSH_S + LATE_S)
            kept = set(asked.ids)
            time.sleep(FLUSH_S + LATE_S)
            assert service.call("GET", "/readyz").status_code == 200
            assert service.status()["log"]["spool_depth"] > 0
            service.kill()
        with system(tmp_path / "service", trained.path, **settings) as service:
            assert "adopted, with" in service.output
            postgres.start()
            eventually(lambda: service.status()["log"]["replayed"], "the spool is replayed", limit_s=60)
            eventually(lambda: service.status()["log"]["spool_depth"] == 0, "all of it")
            assert service.end() == 0
    finally:
        postgres.ensure()
    logged = Counter(logged_ids(service.log))
    assert kept <= set(logged)
    assert set(logged.values()) == {1}


def test_postgres_restarts_under_load_and_nothing_is_lost(trained, tmp_path, postgres, new_database):
    with system(tmp_path / "service", trained.path, log=new_database()) as service:
        try:
            with load(service, per_second=100) as asked:
                postgres.stop(immediately=True)
                asked.wait_for(80)
                postgres.start()
                eventually(lambda: service.status()["log"]["available"], "the log is back", limit_s=60)
                asked.wait_for(30)
        finally:
            postgres.ensure()
        eventually(lambda: not service.status()["log"]["spool_depth"], "the spool is replayed", limit_s=60)
        eventually(lambda: service.status()["log"]["written"] >= len(asked.ids), "all is written")
        counted = service.metrics()
    assert asked.statuses == {200}
    assert not any(answer.body["degraded"] for answer in asked.answers)
    assert Counter(logged_ids(service.log)) == Counter(asked.ids)
    assert counted["router_log_spooled_total"] > 0
    assert counted["router_log_replayed_total"] == counted["router_log_spooled_total"]
    assert (counted["router_log_dropped_total"], counted["router_log_unavailable"]) == (0, 0)
    assert service.output.count("the log's store does not take records") == 1
