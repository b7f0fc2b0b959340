"""A canary stops by itself: the command, the watch of a service, and both at once."""

import asyncio
import json
import time
from datetime import UTC, datetime

import pytest
from asked_log import written
from command_line import run_command
from log_records import attempt, decision
from processes import eventually
from simulated_world import POEM
from system import system

from router_model import ArtifactError
from router_model.saved.place import Mode, Place
from router_model.serving.common.settings import Settings
from router_model.serving.engine.canary import CanaryWatch


@pytest.fixture
def place(tmp_path, valued):
    """A place with a canary that gets half of the sessions, since now."""
    place = Place(tmp_path / "routers")
    place.publish(valued["dear"], {}, instead_of=None)
    place.challenge(valued["cheap"], Mode.CANARY, 0.5)
    return place


@pytest.fixture
def url(tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path}/log.db"


def write(url, place, *, n=40, failing=("challenger",)):
    """Write `n` sessions, every second one the canary's, in which the calls of some arms fail."""
    tried, records = place.challenger, []
    for i in range(n):
        arm, at = ("challenger", "champion")[i % 2], datetime.now(UTC)
        records += [
            decision(i, arm=arm, challenger=tried.router, canary_share=tried.share, session_id=f"s{i}", created_at=at),
            attempt(i, created_at=at, status=503 if arm in failing else 200),
        ]
    written(url, *records)


def look(watch):
    return asyncio.run(watch.look())


def test_a_canary_whose_calls_fail_is_stopped_and_the_history_says_why(place, url):
    write(url, place)
    dry = run_command("canary", place.folder, "--log", url, "--dry-run")
    assert (dry.returncode, place.challenger is None) == (1, False)
    assert "(not stopped: --dry-run)" in dry.stdout
    done = run_command("canary", place.folder, "--log", url, "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["stopped_by"], said["stopped_now"], said["n_canary"]) == (1, "failures", True, 20)
    assert place.challenger is None
    reason = place.history()[-1]["reason"]
    assert reason.startswith("canary stopped: failures: 20 of 20 sessions that failed are the canary's")
    again = run_command("canary", place.folder, "--log", url)
    assert (again.returncode, reason in again.stdout) == (1, True)
    assert len(place.history()) == 3


def test_a_canary_that_fails_as_often_as_the_champion_goes_on(place, url):
    write(url, place, failing=("challenger", "champion"))
    done = run_command("canary", place.folder, "--log", url)
    assert done.returncode == 0, done.stderr
    assert "Verdict: goes on: 20 of 40 sessions are the canary's; nothing is shown yet." in done.stdout
    assert place.challenger is not None


def test_where_no_canary_runs_the_command_fails_and_says_how_to_start_one(place, url, valued):
    place.stop_challenge("by hand")
    for _ in range(2):
        done = run_command("canary", place.folder, "--log", url)
        assert (done.returncode, done.stdout) == (2, "")
        assert "no canary runs here that could be compared; 'router-model challenge' starts one" in done.stderr
        place.challenge(valued["cheap"], Mode.SHADOW, 0.5)


@pytest.mark.slow
def test_a_service_looks_in_a_child_process_and_its_other_workers_know(place, url, caplog):
    """Before there is a log, a look fails. The second worker reads what the first found."""
    settings = Settings(artifact=place.folder, log=url)
    with pytest.raises(ArtifactError, match="a look at the canary failed .* no such log"):
        look(CanaryWatch(settings))
    assert place.challenger is not None
    write(url, place)
    worker, other = CanaryWatch(settings), CanaryWatch(settings)
    assert look(worker)
    assert (worker.stops, worker.status["running"], place.challenger) == ({"failures": 1}, False, None)
    assert "stopped: failures: 20 of 20" in caplog.text
    assert not look(other)
    assert (other.stops, other.status["found"]["stopped_by"]) == ({}, "failures")
    assert other.status["found"] == worker.status["found"] | {"stopped_now": False}


def test_workers_share_a_look_while_it_is_fresh(place, url):
    write(url, place, failing=())
    assert run_command("canary", place.folder, "--log", url).returncode == 0
    watch = CanaryWatch(Settings(artifact=place.folder, log=url))
    assert not look(watch)
    assert watch.status["found"]["n_others"] == 20
    assert watch.status["running"]


def test_without_a_log_a_canary_cannot_be_looked_at(place):
    with pytest.raises(ArtifactError, match="without a log nobody sees what the canary does"):
        look(CanaryWatch(Settings(artifact=place.folder, log="none")))
    assert place.challenger is not None


def test_without_a_place_there_is_nothing_to_look_at(valued):
    watch = CanaryWatch(Settings(artifact=valued["dear"]))
    assert not look(watch)
    assert watch.status is None


@pytest.mark.slow
def test_a_service_of_two_workers_stops_its_canary_once(valued, tmp_path):
    """Callers report that each call of the canary's model failed, and of the champion's none.

    Operators see it in the status and the metrics, and the history has it once.
    """
    place = Place(tmp_path / "routers")
    place.publish(valued["dear"], {}, instead_of=None)
    place.challenge(valued["cheap"], Mode.CANARY, 0.5)
    with system(tmp_path / "service", place.folder, workers=2, reload_every_s=0.5, canary_every_s=2) as service:

        def report_until_it_stops():
            for i in range(20):
                routed = service.route(messages=[{"role": "user", "content": POEM}], session_id=f"{time.time()} {i}")
                model = routed["model"]
                told = {"decision_id": routed["id"], "model": model, "status": 503 if model == "small" else 200}
                assert service.call("POST", "/v1/outcomes", told).status_code == 202
            return place.challenger is None

        eventually(report_until_it_stops, "the canary is stopped", limit_s=300)

        def found_at_the_end():
            status = service.status()["engine"]["canary"]  # of either worker; None of one that has not looked yet
            return None if status is None or status["running"] else status["found"]

        found = eventually(found_at_the_end, "the status says so", limit_s=60)
        assert (found["stopped_by"], found["n_canary"] > 9) == ("failures", True)
        eventually(lambda: service.total("router_canary_stops_total") == 1, "it is counted")
    assert [entry["action"] for entry in place.history()] == ["promote", "challenge", "stop challenge"]
    assert "Traceback" not in service.output
