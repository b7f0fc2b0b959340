import json
import shutil

import pytest

from router_model import ArtifactError
from router_model.saved.artifact import _sealed
from router_model.serving.common.service_errors import ReloadRefusedError
from router_model.serving.engine import trial
from router_model.serving.engine.trial import try_artifact


@pytest.fixture
def python(tmp_path, monkeypatch):
    """Return what puts a shell script in the place of the Python that a trial runs in."""

    def replace(script):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr("sys.executable", str(path))

    return replace


@pytest.mark.slow
def test_a_good_artifact_decides_in_its_trial(trained):
    assert try_artifact(trained.path) == trained.report.content_hash


@pytest.mark.slow
def test_a_bad_one_is_refused_with_its_reason(trained, tmp_path):
    copy = shutil.copytree(trained.path, tmp_path / "bad")
    (copy / "predictor.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"predictor\.json: damaged or edited"):
        try_artifact(copy)


@pytest.mark.parametrize(
    ("script", "match"),
    [
        ("echo terminate called >&2; kill -ABRT $$", r"the process that tried it died \(SIGABRT\).*terminate called"),
        ("kill -SEGV $$", r"SIGSEGV"),
        ("echo nonsense; exit 3", r"exit status 3"),
        ("echo '[1]'", r"exit status 0"),
        ("exec sleep 60", r"did not decide within 0 s"),
    ],
)
def test_a_process_that_dies_or_hangs_refuses_the_artifact(python, trained, monkeypatch, script, match):
    python(script)
    if "sleep" in script:
        monkeypatch.setattr(trial, "DEADLINE_S", 0.2)
    with pytest.raises(ArtifactError, match=match):
        try_artifact(trained.path)


async def test_what_kills_the_trial_leaves_the_service_as_it_was(bench, query, python, tmp_path, trained):
    pointer, before = tmp_path / "pointer", trained.report.content_hash
    pointer.write_text(str(trained.path))
    killer = shutil.copytree(trained.path, tmp_path / "killer")
    (killer / "manifest.json").write_bytes(_other_manifest(killer))
    async with bench(artifact=pointer) as b:
        python("kill -ABRT $$")
        pointer.write_text(str(killer))
        with pytest.raises(ReloadRefusedError, match="SIGABRT"):
            await b.engine.reload()
        assert (await b.engine.decide(query())).artifact == before
        assert "SIGABRT" in b.engine.status["refused"]


def _other_manifest(folder):
    """Return a manifest with another hash, so that the artifact is another one."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["content_hash"]
    return _sealed({**manifest, "metrics": {"other": 1}})
