"""A challenger in a service of two workers: what it does changes while requests are answered, and sessions stay."""

import contextlib
import sqlite3

import pytest
from command_line import run_command
from processes import eventually
from simulated_world import POEM
from system import load, system

pytestmark = pytest.mark.slow  # processes that are started and loaded

TRIED_S = 120
N_SESSIONS = 16
QUESTION = {"messages": [{"role": "user", "content": POEM}]}


def run(*arguments):
    done = run_command(*map(str, arguments))
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for(service, mode, limit_s=TRIED_S):
    """Wait until ten answers in a row, each of some worker, say that the challenger does this (None: it is gone)."""

    def does_it():
        found = [service.status()["engine"]["challenger"] for _ in range(10)]
        return all(one is None if mode is None else one and one["loaded"] and one["mode"] == mode for one in found)

    eventually(does_it, f"the workers have the challenger in mode {mode}", limit_s=limit_s)


def logged(service, columns, n):
    """Return columns of the decisions in the log, once there are `n`."""

    def rows():
        with contextlib.closing(sqlite3.connect(service.folder / "log.db", timeout=10)) as database:
            found = database.execute(f"SELECT {columns} FROM router_decisions").fetchall()
        return found if len(found) >= n else None

    return eventually(rows, f"{n} decisions are in the log")


def test_sessions_stay_in_their_arm_across_workers_and_restarts(valued, tmp_path):
    place, folder = tmp_path / "routers", tmp_path / "service"
    run("promote", valued["dear"], "--to", place)
    run("challenge", valued["cheap"], "--to", place, "--mode", "canary", "--share", 0.4)
    key = None
    for n_starts in (1, 2):
        with system(folder, place, workers=2, reload_every_s=0.5) as service:
            key = service.key = key or service.key  # sessions are those of a key
            for _ in range(20):  # of both workers: each answer is some worker's
                wait_for(service, "canary")
            for _ in range(2):
                for i in range(N_SESSIONS):
                    service.route(**QUESTION, session_id=str(i))
            rows = logged(service, "session_id, arm, canary_share, model", n_starts * 2 * N_SESSIONS)
            assert service.metrics()['router_challenger_total{mode="canary",outcome="served",router="default"}'] > 0
    assert len(rows) == 2 * 2 * N_SESSIONS
    arms = {session: {arm for one, arm, *_ in rows if one == session} for session, *_ in rows}
    assert {len(found) for found in arms.values()} == {1}
    assert set.union(*arms.values()) == {"champion", "challenger"}
    assert {(arm, share, model) for _, arm, share, model in rows} == {
        ("champion", 0.4, "large"),
        ("challenger", 0.4, "small"),
    }


def test_a_challenger_comes_changes_and_goes_under_load_and_no_request_fails(valued, tmp_path):
    place = tmp_path / "routers"
    run("promote", valued["dear"], "--to", place)
    with system(tmp_path / "service", place, reload_every_s=0.3) as service, load(service, per_second=30) as asked:
        for mode, share in (("shadow", 0.2), ("explore", 0.5), ("canary", 0.5)):
            run("challenge", valued["cheap"], "--to", place, "--mode", mode, "--share", share)
            wait_for(service, mode)
            for i in range(N_SESSIONS):  # a session's arm depends on its name and on the caller's key
                service.route(**QUESTION, session_id=f"{mode} {i}")
            asked.wait_for(30)
            assert sum(service.status()["engine"]["challenger"]["asked"][mode].values()) >= 1
        run("challenge", "--stop", "--to", place, "--reason", "seen enough")
        wait_for(service, None)
        asked.wait_for(10)
        rows = logged(service, "challenger, challenger_model, arm", len(asked.ids))
    assert asked.statuses == {200}
    assert not any(answer.body["degraded"] for answer in asked.answers)
    assert {(bool(challenger), arm) for challenger, _, arm in rows} == {
        (False, None),
        (True, None),
        (True, "champion"),
        (True, "challenger"),
    }
    assert {model for _, model, _ in rows} >= {None, "small"}
    assert "Traceback" not in service.output
