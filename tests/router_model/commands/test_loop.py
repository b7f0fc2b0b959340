"""``router-model loop``: from the log of a service to a canary or a promotion, whatever interrupts it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run_command
from simulated_world import simulate

from router_model.commands.resumable import Runs, tree_hash
from router_model.saved.place import Mode, Place
from router_model.training import tracking

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(valued, table, tmp_path_factory):
    """A folder with a service's log of 600 requests, graded and explored, and outcomes for the gate.

    The served router takes the dearest model for all.
    """
    folder = tmp_path_factory.mktemp("world")
    simulate(400, seed=5).write_parquet(folder / "traffic.parquet")
    simulate(600, seed=8).write_parquet(folder / "held-out.parquet")
    shutil.copy(table, folder / "base.parquet")
    options = ("--requests", 600, "--feedback", 0.9, "--explore", 0.3, "--spool", folder / "spool", "--seed", 1)
    log = f"sqlite:///{folder}/log.db"
    done = run_command("simulate", valued["dear"], folder / "traffic.parquet", "--log", log, *options)
    assert done.returncode == 0, done.stderr
    Place(folder / "routers").publish(valued["dear"], {}, instead_of=None)
    return folder


def options_of(world, folder, *more):
    """The options of a loop on a copy of the place."""
    if not (folder / "routers").exists():
        shutil.copytree(world / "routers", folder / "routers")
    given = ["--log", f"sqlite:///{world}/log.db", "--spool", world / "spool", "--to", folder / "routers"]
    given += [
        "--state",
        folder / "state",
        "--table",
        world / "base.parquet",
        "--max-quality-loss",
        0.1,
        "--accept-moves",
    ]
    return [*map(str, given), "--no-track", "--json", *map(str, more)]


def loop(world, folder, *more):
    done = run_command("loop", *options_of(world, folder, *more))
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


@pytest.fixture(scope="module")
def unbroken(world, tmp_path_factory):
    """The folder of a run that nothing interrupted, and what came of it."""
    folder = tmp_path_factory.mktemp("unbroken")
    return folder, loop(world, folder, "--held-out", world / "held-out.parquet")


@pytest.fixture
def again(world, unbroken, tmp_path):
    """The same, in a folder of the test's own, and the options it ran with."""
    shutil.copytree(unbroken[0], tmp_path / "again")
    return tmp_path / "again", ("--held-out", world / "held-out.parquet")


def interrupted(folder, *lost, **inputs):
    """Make a run with these inputs look as if it had been killed before some steps were noted."""
    run = Runs(folder / "state").all()[-1]
    run.outcome = None
    run.inputs |= inputs
    for name in lost:
        del run.steps[name]
    run.save()


def test_a_better_router_gets_a_canary(unbroken):
    folder, (status, said) = unbroken
    place = Place(folder / "routers")
    assert (status, said["result"], said["run"]) == (0, "canary", 1), said
    assert (place.challenger.router, place.challenger.mode) == (said["router"], Mode.CANARY)
    assert "on 10 % of the sessions, beside" in said["sentence"]
    assert "the challenger is better: it saves" in said["sentence"]
    (run,) = Runs(folder / "state").all()
    assert list(run.steps) == ["export", "retrain", "ope", "gate", "publish"]
    assert json.loads((run.folder / "ope" / "report.json").read_text()).keys() & {"verdict", "cannot_tell"}
    assert not (run.folder / "export").exists()  # no prompt stays behind
    assert [entry["action"] for entry in place.history()] == ["promote", "challenge"]


def test_while_a_challenger_is_tried_nothing_is_done(world, again):
    folder, options = again
    before = (folder / "state" / "run-0001" / "state.json").read_bytes()
    status, said = loop(world, folder, *options)
    assert (status, said["result"], said["run"]) == (0, "waiting", None)
    assert "nothing was done" in said["sentence"]
    assert (folder / "state" / "run-0001" / "state.json").read_bytes() == before


def test_the_same_log_again_changes_nothing(world, again):
    folder, options = again
    place = Place(folder / "routers")
    place.stop_challenge("a person said so")
    status, said = loop(world, folder, *options)
    assert (status, said["result"], said["run"]) == (0, "canary", 1)
    assert said["sentence"].startswith("nothing new in the log since run 1: ")
    assert (len(Runs(folder / "state").all()), place.challenger) == (1, None)


def test_what_was_finished_is_not_done_again(world, again):
    """Killed after the challenger was published, and before that was noted."""
    folder, options = again
    run, place = Runs(folder / "state").all()[-1], Place(folder / "routers")
    at = {name: step["at"] for name, step in run.steps.items() if name not in {"export", "publish"}}
    interrupted(folder, "publish")
    assert loop(world, folder, *options)[1]["result"] == "canary"
    run = Runs(folder / "state").all()[-1]
    assert {name: run.steps[name]["at"] for name in at} == at
    assert [entry["action"] for entry in place.history()] == ["promote", "challenge"]


def test_a_step_is_done_again_if_its_inputs_or_its_files_have_changed(tmp_path):
    run = Runs(tmp_path).begin({})
    done = []

    def make(into):
        assert list(into.iterdir()) == []
        done.append(into.name)
        (into / "a").write_text("whole")

    def step(**inputs):
        folder = Runs(tmp_path).begin({}).step("gate", inputs, make)
        assert (folder / "a").read_text() == "whole"
        return len(done)

    (run.folder / ".gate.new").mkdir()  # killed in the middle
    (run.folder / ".gate.new" / "half").touch()
    assert (step(log="x"), step(log="x"), step(log="y")) == (1, 1, 2)
    (run.folder / "gate" / "a").write_text("damaged")
    assert (step(log="y"), step(log="y")) == (3, 3)
    (run.folder / "gate" / "b").touch()
    assert (step(log="y"), set(done)) == (4, {".gate.new"})


def test_without_a_table_the_log_has_to_show_it(world, again):
    folder, _ = again
    Place(folder / "routers").stop_challenge()
    interrupted(folder, "gate", "publish", held_out=[])
    status, said = loop(world, folder)
    assert (status, said["result"]) == (1, "refused")
    assert re.search("is not promoted, because of gain: th(e|is) log cannot tell", said["sentence"])


def test_promoted_but_killed_before_it_was_noted(world, again, monkeypatch):
    """The run finds its own router in place of the one it started from."""
    folder, options = again
    tracked = []
    monkeypatch.setattr(tracking, "track_promotion", lambda found, *_, **__: tracked.append(found.sentence) or "")
    place = Place(folder / "routers")
    place.stop_challenge()
    interrupted(folder, "publish", publish="promote")
    before, options = place.current, (*options, "--publish", "promote", "--track")
    status, said = loop(world, folder, *options)
    assert (status, said["result"], place.current.name) == (0, "promoted", said["router"])
    assert said["sentence"].startswith(f"{folder}/routers serves {said['router']} in place of {before.name}: the ")
    assert said["sentence"].startswith(tracked[0])
    interrupted(folder, "publish")
    assert loop(world, folder, *options) == (status, said)
    assert [entry["action"] for entry in place.history()] == ["promote", "challenge", "stop challenge", "promote"]
    assert loop(world, folder, *options)[1]["sentence"] == f"nothing new in the log since run 1: {said['sentence']}"


def test_what_others_published_meanwhile_is_not_overruled(world, again, valued, monkeypatch):
    folder, options = again
    place = Place(folder / "routers")
    place.stop_challenge()
    interrupted(folder, "publish")
    another = place.challenge(valued["cheap"], Mode.SHADOW, 0.1)
    challengers = iter([None, another])  # first when the run begins, then before it publishes
    monkeypatch.setattr(Place, "challenger", property(lambda _: next(challengers)))
    status, said = loop(world, folder, *options)
    assert (status, "by now; " in said, "run it again" in said) == (2, True, True)
    assert place.history()[-1]["artifact"] == another.router


def test_other_inputs_are_another_run(tmp_path):
    runs = Runs(tmp_path)
    first = runs.begin({"log": "a"})
    assert runs.begin({"log": "a"}).folder == first.folder
    assert runs.begin({"log": "b"}).number == 2
    assert runs.begin({"log": "a"}).number == 3
    first.finish({"result": "refused"})
    assert [run.outcome for run in runs.all()] == [{"result": "refused"}, None, None]
    (tmp_path / "run-0004").mkdir()  # killed before it had begun
    assert runs.begin({"log": "c"}).number == 4


def test_two_at_once_and_what_cannot_begin(world, again, tmp_path):
    folder, options = again
    with Runs(folder / "state").alone():
        status, said = loop(world, folder, *options)
    assert (status, f"process {os.getpid()} of " in said, "runs the loop here" in said) == (2, True, True)
    (folder / "state" / "run-0001" / "state.json").write_text("{")
    status, said = loop(world, folder, *options)
    assert (status, "state.json: is damaged" in said) == (2, True)
    (tmp_path / "routers").mkdir()
    status, said = loop(world, tmp_path, *options)
    assert (status, "no router is served here" in said) == (2, True)
    assert loop(world, tmp_path, "--every", "daily")[0] == 2


@pytest.mark.slow
def test_killed_at_every_step_it_ends_as_if_it_had_not_been(world, unbroken, tmp_path):
    """Each start dies at its nth rename, so that each goes a little further than the one before."""
    options = options_of(world, tmp_path, "--held-out", world / "held-out.parquet")
    script = Path(__file__).parents[2] / "support" / "killed_loop.py"
    died_at = []
    for n in (3, 3, 2, 3, 3, 3, 2, 2, 2):
        done = subprocess.run([sys.executable, script, str(n), *options], capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        died_at.append(done.stdout.strip())
    router = unbroken[1][1]["router"]
    steps = ["state.json", "retrain", "state.json", "ope", "gate", router, "challenger", "publish", "state.json"]
    assert died_at == steps
    status, said = loop(world, tmp_path, "--held-out", world / "held-out.parquet")
    assert (status, said["router"], said["result"]) == (0, router, "canary")
    whole, killed = (folder / "state" / "run-0001" for folder in (unbroken[0], tmp_path))
    assert tree_hash(killed / "retrain" / "router") == tree_hash(whole / "retrain" / "router")
    assert (killed / "ope" / "report.json").read_text() == (whole / "ope" / "report.json").read_text()
    one, other = (json.loads((run / "gate" / "report.json").read_text()) for run in (whole, killed))
    assert one["checks"] == other["checks"]
    assert sorted(path.name for path in killed.iterdir()) == sorted(path.name for path in whole.iterdir())
    history = Place(tmp_path / "routers").history()
    assert [entry["action"] for entry in history] == ["promote", "challenge"]
