"""``router-model serve`` as people run it: in its own process, on loopback, ended by a signal."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from command_line import run_command

BODY = json.dumps({"messages": [{"role": "user", "content": "add subtract multiply divide 12 45"}]}).encode()


def command(*arguments):
    return [sys.executable, "-m", "router_model", "serve", *map(str, arguments)]


@contextmanager
def running(folder, *arguments):
    """Start the service, wait until it is ready, and end it."""
    with subprocess.Popen(
        command(*arguments, "--insecure", "--port", 0, "--decision-deadline-s", 10),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            before = []  # warnings may come first
            while not (line := process.stdout.readline()).startswith("listening on http://"):
                assert line, "".join(before)
                before.append(line)
            address = line.removeprefix("listening on ").strip()
            wait_until_ready(address)
            yield process, address
        finally:
            if process.poll() is None:
                process.kill()


def wait_until_ready(address):
    for _ in range(120):
        try:
            if fetch(f"{address}/readyz")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.5)
    pytest.fail("the service was not ready within a minute")


def fetch(url, body=None):
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read().decode()


def end(process, number):
    """Send a signal; return what was printed and the exit status."""
    process.send_signal(number)
    output = process.stdout.read()
    return output, process.wait(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_it_quietly_and_the_log_is_whole(trained, tmp_path, number):
    with running(tmp_path, trained.path) as (process, address):
        made = [json.loads(fetch(f"{address}/v1/route", BODY)[1])["id"] for _ in range(20)]
        output, status = end(process, number)
    assert status == 0
    assert "Traceback" not in output
    for said in ("deciding: coder, large, small (sha256:", "logging: sqlite", "--insecure", f"curl {address}/v1/route"):
        assert said in output
    assert ids_in(tmp_path / "router-log.db") == set(made)


def ids_in(path):
    """Return the decisions in an SQLite log."""
    connection = sqlite3.connect(path)
    try:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        (table,) = [name for name in tables if "decision" in name]
        return {row[0] for row in connection.execute(f"select decision_id from {table}")}
    finally:
        connection.close()


@pytest.mark.slow
def test_requests_under_way_are_answered_after_sigterm(trained, tmp_path):
    """Eight threads ask without a pause: what was decided was answered, though later connections are refused."""
    answers = []

    def ask(address):
        for _ in range(200):
            try:
                status, text = fetch(f"{address}/v1/route", BODY)
            except OSError:
                return
            assert status == 200
            answers.append(json.loads(text)["id"])

    with running(tmp_path, trained.path) as (process, address):
        threads = [threading.Thread(target=ask, args=(address,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(answers) < 40:
            time.sleep(0.01)
        _, status = end(process, signal.SIGTERM)
        for thread in threads:
            thread.join(timeout=60)
    assert status == 0
    assert ids_in(tmp_path / "router-log.db") == set(answers)


@pytest.mark.slow  # three processes
def test_workers_add_up_in_the_metrics(trained, tmp_path):
    """Whichever of the two workers is asked, 30 decisions are 30."""
    with running(tmp_path, trained.path, "--workers", 2) as (process, address):
        for _ in range(30):
            assert fetch(f"{address}/v1/route", BODY)[0] == 200
        totals = set()
        for _ in range(6):
            text = fetch(f"{address}/metrics")[1]
            found = re.findall(r"^router_decisions_total\{.*\} (\S+)$", text, flags=re.MULTILINE)
            totals.add(sum(map(float, found)))
        output, status = end(process, signal.SIGTERM)
    assert totals == {30.0}
    assert status == 0
    assert "Traceback" not in output


def refused(folder, *arguments, **variables):
    with contextlib.chdir(folder), patch.dict(os.environ, variables):
        done = run_command("serve", *arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_in_use_is_one_line(trained, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(tmp_path, trained.path, "--insecure", "--port", port)
    assert said.splitlines() == [f"error: port {port} of 127.0.0.1 is in use; stop what listens there, or give --port"]


def test_what_cannot_be_served_is_said_before_it_starts(trained, tmp_path):
    assert "no key file; make one with" in refused(tmp_path, trained.path, "--port", "0")
    assert "which others may reach" in refused(tmp_path, trained.path, "--insecure", "--host", "0.0.0.0", "--port", "0")
    assert "does not name a trained router" in refused(tmp_path, "nothing", "--insecure", "--port", "0")
    assert "no artifact: expected the folder of a trained router" in refused(tmp_path, "--insecure", "--port", "0")
    assert "--port (or ROUTER_PORT): input should be less than" in refused(tmp_path, "r", "--port", "99999")
    assert "nokeys.toml: there is no such key file; make it with" in refused(
        tmp_path, "r", "--port", "0", "--keys", "nokeys.toml"
    )
    assert "--workers (or ROUTER_WORKERS)" in refused(tmp_path, "r", ROUTER_WORKERS="many")
