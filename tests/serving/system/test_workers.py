"""Two workers: sessions, the log and the metrics are of both."""

import contextlib
import http.client
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from processes import eventually, free_port, running_program
from system import LOADED, load, logged_ids, system

from router_model.serving.common.service_errors import SettingsError
from router_model.serving.server import claim

pytestmark = pytest.mark.slow  # processes that are started, loaded and ended

TOOL_LOOP = {
    "messages": [
        *LOADED["messages"],
        {"role": "assistant", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": "64"},
    ]
}  # fmt: skip
N_SESSIONS = 12


@contextlib.contextmanager
def connections(service):
    """Yield a connection to each of the two workers."""
    found = {}
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            one = stack.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", service.port)))
            ask(service, one, LOADED)
            found.setdefault(worker_of(service, one.sock.getsockname()[1]), one)
            if len(found) == 2:
                yield list(found.values())
                return
        pytest.fail(f"200 connections reached {len(found)} of 2 workers")


def worker_of(service, port):
    """Return the process that has the service's end of the connection from this port; from /proc."""
    ends = (f":{service.port:04X}", f":{port:04X}")
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(ends[0]) and fields[2].endswith(ends[1]):
            inode = fields[9]
    for process in descendants(service.process.pid):
        for link in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if str(link.readlink()) == f"socket:[{inode}]":
                    return process
    return pytest.fail("no worker has the connection")


def descendants(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [*children, *(one for child in children for one in descendants(child))]


def ask(service, connection, body):
    headers = {"authorization": f"Bearer {service.key}", "content-type": "application/json"}
    connection.request("POST", "/v1/route", json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    return json.loads(answer.read())


@pytest.fixture(params=["redis", "log"])
def session_store(request, tmp_path):
    """URL of a session store that workers share."""
    if request.param == "log":
        yield "log"
        return
    pytest.importorskip("redis", reason="needs the extra 'redis'")
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server here")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with running_program(["redis-server", *options], port=port):
        yield f"redis://127.0.0.1:{port}/0"


def test_two_workers_are_one_service(trained, tmp_path, session_store):
    """A tool loop that one worker began with 'coder' goes on with it at the other, which would take 'large'.

    A session that a busy store does not tell within 20 ms counts as none: most, not all, are asked for.
    """
    settings = {"workers": 2, "session_store": session_store, "log_flush_s": 0.05}
    with system(tmp_path / "service", trained.path, **settings) as service:
        with load(service) as asked, connections(service) as (one, another):
            asked.wait_for(20)
            for n in range(N_SESSIONS):
                body = LOADED | {"router": {"allow": ["coder"], "session_id": f"s{n}"}}
                assert ask(service, one, body)["model"] == "coder"
            alone = ask(service, another, TOOL_LOOP | {"router": {"session_id": "of nobody"}})["model"]
            stored = eventually(lambda: service.status()["log"]["depth"] == 0, "sessions are written")
            asked.wait_for(30)
            answers = [
                ask(service, another, TOOL_LOOP | {"router": {"session_id": f"s{n}"}}) for n in range(N_SESSIONS)
            ]
        assert stored
        assert alone != "coder"
        kept = Counter((answer["model"], answer["reason"]) for answer in answers)
        assert kept["coder", "session"] >= N_SESSIONS // 2, kept
        total = eventually(
            lambda: len(logged_ids(service.log)) == service.total("router_decisions_total"), "all is logged"
        )
        assert total
        assert service.end() == 0
    assert asked.statuses == {200}
    logged = Counter(logged_ids(service.log))
    assert set(logged.values()) == {1}
    assert asked.ids <= set(logged)
    assert "Traceback" not in service.output


@pytest.mark.slow  # three processes
def test_workers_end_with_a_parent_that_is_killed_and_free_its_port(trained, tmp_path):
    with system(tmp_path / "service", trained.path, workers=2) as service:
        service.kill()
        eventually(lambda: _is_free(service.port), "the workers have ended", limit_s=20)


def _is_free(port):
    try:
        claim("127.0.0.1", port).close()
    except SettingsError:
        return False
    return True
