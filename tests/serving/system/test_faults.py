"""A predictor that hangs or raises, and clients that go away, in a real process."""

import json
import socket
import struct
from pathlib import Path

import pytest
from http_load import post
from processes import eventually
from system import LOADED, WATCHED_SERVE, load, logged_ids, system

pytestmark = pytest.mark.slow  # processes that are started, loaded and ended

DEADLINE_S = 0.5
LATE_S = 1.0  # what a busy machine may add to an answer


def test_a_predictor_that_fails_degrades_and_recovers(trained, tmp_path):
    """It raises for a second, then hangs for one: answers are in time, and say why they are of the default plan."""
    settings = {"program": WATCHED_SERVE, "decision_deadline_s": DEADLINE_S}
    with system(tmp_path / "service", trained.path, **settings) as service, load(service) as asked:
        for fault in ("raise", "hang"):
            switch = tmp_path / "service" / fault
            switch.touch()
            eventually(lambda: service.route()["degraded"], "the fault shows")
            asked.wait_for(50)
            switch.unlink()
            eventually(lambda: not service.route()["degraded"], "it decides again", limit_s=30)
        asked.wait_for(20)
        counted, status = service.metrics(), service.status()
    assert asked.statuses == {200}
    assert not asked.answers[-1].body["degraded"]
    assert max(one.came_s - one.sent_s for one in asked.answers) < DEADLINE_S + LATE_S
    degraded = [answer.body for answer in asked.answers if answer.body["degraded"]]
    assert {body["reason"] for body in degraded} == {"fallback_default"}
    for by in ("predictor_error", "deadline"):
        n = sum(body["degraded_by"] == by for body in degraded)
        assert n > 30
        assert counted[f'router_degraded_total{{by="{by}",router="default"}}'] == status["engine"]["degraded"][by] >= n
        assert service.output.count(f"requests were answered by the default plan: {by}") == 1, (
            service.output
        )  # one in ten seconds
    assert "Traceback" not in service.output
    assert asked.ids <= set(logged_ids(service.log))


def hang_up(service, payload, n):
    """Send a request, or a part of it, and go away before the answer: half of them with a reset."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    connection.sendall(payload if n % 4 else payload[: len(payload) - 20])
    if n % 2:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_clients_that_go_away_leave_nothing_behind(trained, tmp_path):
    """A thousand of them, in turn with requests that are answered."""

    def held():
        of_process = Path("/proc", str(service.process.pid))
        return len(list((of_process / "fd").iterdir())), len(list((of_process / "task").iterdir()))

    def tasks():
        service.metrics()
        return int((tmp_path / "service" / "tasks").read_text())

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc here")
    with system(tmp_path / "service", trained.path, program=WATCHED_SERVE) as service:
        payload = post("/v1/route", json.dumps(LOADED).encode(), host="127.0.0.1", key=service.key)
        for n in range(20):
            hang_up(service, payload, n)
        service.route()
        held_before, tasks_before = held(), tasks()
        for n in range(1000):
            hang_up(service, payload, n)
        assert not service.route()["degraded"]
        eventually(lambda: tasks() <= tasks_before, "no task is left")
        # The log opens a few files of its own when it sums up; a thousand connections are more.
        eventually(lambda: held()[0] <= held_before[0] + 10, "no connection is left")
        assert held()[1] <= held_before[1] + 2
        eventually(lambda: service.status()["log"]["depth"] == 0, "nothing is queued")
        assert service.total("router_errors_total") == 0, service.metrics()
        assert service.end() == 0
    assert "Traceback" not in service.output
    assert "ERROR" not in service.output
