import json
import shutil
import threading

import pytest
from command_line import run_command

from router_model import ArtifactError
from router_model.saved.artifact import load_artifact, named_folder, read_manifest
from router_model.saved.place import Challenger, Mode, Place


def name_of(folder):
    return read_manifest(folder)["content_hash"].removeprefix("sha256:")[:12]


def publish(place, artifact):
    return place.publish(artifact, {"forced": False}, instead_of=place.current)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "routers")


@pytest.fixture
def twice(place, valued):
    """A place that serves `cheap` and served `dear` before."""
    publish(place, valued["dear"])
    publish(place, valued["cheap"])
    return place


def test_a_published_router_is_a_verified_copy_that_the_place_names(place, valued):
    folder = publish(place, valued["dear"])
    assert folder == place.folder / name_of(valued["dear"]) == named_folder(place.folder)
    assert named_folder(place.folder / "current") == folder
    assert load_artifact(place.folder).predictor.models == load_artifact(valued["dear"]).predictor.models
    assert place.previous is None
    for file in valued["dear"].iterdir():
        assert (folder / file.name).read_bytes() == file.read_bytes()


def test_files_beside_the_routers_own_are_not_published(place, valued, tmp_path):
    copy = shutil.copytree(valued["dear"], tmp_path / "copy")
    (copy / "notes.txt").write_text("secret")
    assert not (publish(place, copy) / "notes.txt").exists()


def test_a_second_router_remembers_the_first(twice, valued):
    assert (twice.current.name, twice.previous.name) == (name_of(valued["cheap"]), name_of(valued["dear"]))


def test_rollback_returns_once_and_says_so_the_second_time(twice, valued):
    cheap, dear = (name_of(valued[each]) for each in ("cheap", "dear"))
    done = run_command("rollback", twice.folder)
    assert done.stdout == f"{twice.folder} serves {dear} again, in place of {cheap}.\n"
    again = run_command("rollback", twice.folder)
    assert (again.returncode, again.stdout) == (2, "")
    assert f"it was rolled back already, from {cheap} to {dear} (" in again.stderr
    assert named_folder(twice.folder).name == dear


def test_rollback_as_json(twice, valued):
    said = json.loads(run_command("rollback", twice.folder, "--json").stdout)
    assert (said["current"], said["left"]) == (name_of(valued["dear"]), name_of(valued["cheap"]))


def test_after_a_rollback_a_promotion_can_be_rolled_back_again(twice, valued):
    twice.rollback()
    publish(twice, valued["weighing"])
    assert twice.rollback()[1].name == name_of(valued["dear"])


def test_without_a_previous_router_or_a_place_nothing_is_rolled_back(place, valued):
    with pytest.raises(ArtifactError, match="no router was published here; 'router-model promote' publishes one"):
        place.rollback()
    assert not place.folder.exists()
    publish(place, valued["dear"])
    with pytest.raises(ArtifactError, match="there is no previous router to return to; nothing was changed"):
        place.rollback()


@pytest.mark.parametrize("damage", ["truncated", "deleted"])
def test_a_damaged_previous_router_is_not_served(twice, damage):
    current = twice.current
    if damage == "deleted":
        shutil.rmtree(twice.previous)
    else:
        (twice.previous / "arrays.safetensors").write_bytes(b"short")
    n_entries = len(twice.history())
    with pytest.raises(ArtifactError, match=f"the previous router cannot serve, so {current.name} stays"):
        twice.rollback()
    assert (twice.current, len(twice.history())) == (current, n_entries)


def test_the_history_says_who_did_what(twice, valued):
    twice.rollback()
    entries = twice.history()
    assert [entry["action"] for entry in entries] == ["promote", "promote", "rollback"]
    assert all("@" in entry["by"] and entry["at"].endswith("+00:00") for entry in entries)
    assert (entries[2]["before"], entries[2]["artifact"]) == (name_of(valued["cheap"]), name_of(valued["dear"]))


def test_a_line_that_a_kill_cut_off_spoils_no_other(twice, valued):
    with (twice.folder / "history.jsonl").open("a") as file:
        file.write('{"action": "prom')
    publish(twice, valued["weighing"])
    assert [entry["artifact"] for entry in twice.history()][-1] == name_of(valued["weighing"])
    assert len(twice.history()) == 3


@pytest.mark.parametrize("after", ["copy_artifact", "_write_history", "_point"])
def test_killed_between_two_steps_the_place_serves_a_whole_router(twice, valued, monkeypatch, after):
    """What is served stays; there may be no way back, and then it is said; promoting again does the rest."""
    served = twice.current

    def killed_after(step):
        def run(*arguments):
            step(*arguments)
            raise KeyboardInterrupt

        return run

    where = "router_model.saved.place." + ("copy_artifact" if after == "copy_artifact" else f"Place.{after}")
    step = shutil.copytree if after == "copy_artifact" else getattr(Place, after)
    with monkeypatch.context() as patched:
        patched.setattr(where, killed_after(step))
        with pytest.raises(KeyboardInterrupt):
            publish(twice, valued["weighing"])
    assert twice.current == served
    if after == "_point":  # `previous` was replaced, `current` was not
        with pytest.raises(ArtifactError, match="there is no previous router"):
            twice.rollback()
    publish(twice, valued["weighing"])
    assert twice.rollback()[1] == served


def test_a_place_that_changed_meanwhile_is_not_promoted_to(twice, valued):
    with pytest.raises(ArtifactError, match=r"serves \w+ by now, and \w+ was compared with \w+; run it again"):
        twice.publish(valued["weighing"], {}, instead_of=twice.previous)


def test_of_many_at_once_one_is_published_after_the_other(place, valued):
    """Each compares with what it saw; those that come late are refused, and the history has those that were not."""
    refused = []

    def one(artifact):
        try:
            publish(place, artifact)
        except ArtifactError as exc:
            refused.append(exc)

    threads = [threading.Thread(target=one, args=(path,)) for path in valued.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(place.history()) + len(refused) == 3
    assert place.history()[-1]["artifact"] == place.current.name


def test_routers_are_not_published_among_other_files(tmp_path, valued):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ArtifactError, match=r"holds files that are not published routers \(thesis.tex\)"):
        publish(Place(tmp_path), valued["dear"])
    with pytest.raises(ArtifactError, match="is a file; expected a folder to publish routers in"):
        publish(Place(tmp_path / "thesis.tex"), valued["dear"])


@pytest.mark.parametrize("said", ["", "../elsewhere\n", "a/b", "\xff"])
def test_a_pointer_that_names_no_router_of_the_place_is_refused(twice, said):
    (twice.folder / "current").write_bytes(said.encode("latin-1"))
    with pytest.raises(ArtifactError, match="expected one line"):
        _ = twice.current


def test_a_challenger_is_published_beside_the_current_router_until_it_is_stopped(twice, valued):
    served = twice.current
    assert twice.challenger is None
    written = twice.challenge(valued["weighing"], Mode.CANARY, 0.2)
    assert (written.router, written.mode, written.share) == (name_of(valued["weighing"]), Mode.CANARY, 0.2)
    assert twice.challenger == Challenger.of_line(written.as_line())
    assert read_manifest(twice.folder / written.router)
    assert twice.stop_challenge("too slow")
    assert (twice.challenger, twice.stop_challenge(), twice.current) == (None, False, served)
    assert [entry["action"] for entry in twice.history()[2:]] == ["challenge", "stop challenge"]
    assert twice.history()[-1]["reason"] == "too slow"


def test_only_the_challenger_that_was_meant_is_stopped(twice, valued):
    first = twice.challenge(valued["weighing"], Mode.CANARY, 0.2)
    second = twice.challenge(valued["weighing"], Mode.CANARY, 0.3)
    assert not twice.stop_challenge(only=twice.challenger.of_line(first.as_line()))
    assert twice.stop_challenge(only=twice.challenger)
    assert second.share == 0.3


def test_a_challenger_that_is_promoted_challenges_no_more(twice, valued):
    twice.challenge(valued["weighing"], Mode.SHADOW, 0.1)
    publish(twice, valued["weighing"])
    assert (twice.current.name, twice.challenger) == (name_of(valued["weighing"]), None)


def test_what_cannot_challenge_changes_nothing(twice, valued, tmp_path):
    with pytest.raises(ArtifactError, match="no router is served here that it could challenge"):
        Place(tmp_path / "new").challenge(valued["dear"], Mode.SHADOW, 0.1)
    with pytest.raises(ArtifactError, match=r"serves \w+ itself; expected another router as challenger"):
        twice.challenge(valued["cheap"], Mode.SHADOW, 0.1)
    for mode, share in ((Mode.EXPLORE, 0.6), (Mode.CANARY, 0.0), (Mode.SHADOW, float("nan"))):
        with pytest.raises(ArtifactError, match="share: got"):
            twice.challenge(valued["weighing"], mode, share)
    assert (twice.challenger, len(twice.history())) == (None, 2)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "Expecting value"),
        ("[]", "list indices"),
        ('{"router": "a", "mode": "canary"}', "no 'share'"),
        ('{"router": "../a", "mode": "canary", "share": 0.1, "since": "2026-11-30T00:00:00+00:00"}', "got '../a'"),
        ('{"router": "a", "mode": "twin", "share": 0.1, "since": "2026-11-30T00:00:00+00:00"}', "'twin'"),
        ('{"router": "a", "mode": "explore", "share": 0.7, "since": "2026-11-30T00:00:00+00:00"}', "at most 0.5"),
        ('{"router": "a", "mode": "canary", "share": true, "since": "2026-11-30T00:00:00+00:00"}', "got True"),
        ('{"router": "a", "mode": "canary", "share": 0.1, "since": "2026-11-30T00:00:00"}', "time with its zone"),
    ],
)
def test_a_damaged_challenger_gets_one_clear_error_and_can_be_removed(twice, line, why):
    (twice.folder / "challenger").write_text(line)
    with pytest.raises(ArtifactError, match=r"is damaged \(.*set it again with 'router-model challenge'") as told:
        _ = twice.challenger
    assert why in str(told.value)
    assert twice.stop_challenge()
    assert twice.challenger is None


def test_a_challenger_from_the_command_line(twice, valued):
    done = run_command("challenge", valued["weighing"], "--to", twice.folder, "--mode", "explore")
    said = f"{name_of(valued['weighing'])} challenges what {twice.folder} serves: explore with a share of 0.5.\n"
    assert (done.stdout, twice.challenger.share) == (said, 0.5)
    assert (
        run_command("challenge", "--stop", "--to", twice.folder).stdout
        == f"{twice.folder} has no challenger any more.\n"
    )
    assert json.loads(run_command("challenge", "--stop", "--to", twice.folder, "--json").stdout)["stopped"] is False
    both = run_command("challenge", valued["dear"], "--stop", "--to", twice.folder)
    assert (both.returncode, "give a CHALLENGER to try, or --stop, and not both" in both.stderr) == (2, True)
    worse = run_command("challenge", valued["dear"], "--to", twice.folder, "--mode", "explore", "--share", "0.9")
    assert (worse.returncode, "share: got 0.9; expected a number above 0 and at most 0.5" in worse.stderr) == (2, True)
