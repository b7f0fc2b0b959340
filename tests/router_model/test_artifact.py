import json
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from safetensors.numpy import save as save_tensors

from router_model import ArtifactError, Router
from router_model.saved.artifact import (
    MANIFEST,
    _digest,
    _sealed,
    copy_artifact,
    load_artifact,
    prompt_hash,
    save_artifact,
)


@pytest.fixture
def copy(trained, tmp_path):
    shutil.copytree(trained.path, tmp_path / "router")
    return tmp_path / "router"


def test_saved_and_loaded_is_the_same_router(trained, tmp_path):
    save_artifact(trained.router.artifact, tmp_path / "again")
    again = Router.load(tmp_path / "again")
    prompts = ["add 3 numbers", "moon verse", "?"]
    assert np.array_equal(again.predict(prompts).p_success, trained.router.predict(prompts).p_success)
    assert [d.plan for d in again.route_batch(prompts)] == [d.plan for d in trained.router.route_batch(prompts)]


def test_saving_twice_gives_the_same_bytes(trained, tmp_path):
    save_artifact(trained.router.artifact, tmp_path / "a")
    save_artifact(trained.router.artifact, tmp_path / "b")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_nothing_in_it_is_a_pickle(trained):
    assert {path.suffix for path in trained.path.iterdir()} == {".json", ".safetensors", ".txt", ".toml"}


def test_any_flipped_byte_is_found(copy):
    """Fuzz: 300 single-byte edits over all files."""
    random.seed(0)
    files = sorted(copy.iterdir())
    for _ in range(300):
        path = random.choice(files)
        payload = bytearray(path.read_bytes())
        position = random.randrange(len(payload))
        original, payload[position] = payload[position], payload[position] ^ (1 << random.randrange(8))
        path.write_bytes(payload)
        with pytest.raises(ArtifactError, match=path.name):
            load_artifact(copy)
        payload[position] = original
        path.write_bytes(payload)
    assert load_artifact(copy).content_hash


def test_any_truncated_or_missing_file_is_named(copy):
    for path in sorted(copy.iterdir()):
        payload = path.read_bytes()
        path.write_bytes(payload[: len(payload) // 2])
        with pytest.raises(ArtifactError, match=path.name):
            load_artifact(copy)
        path.unlink()
        with pytest.raises(ArtifactError, match=path.name):
            load_artifact(copy)
        path.write_bytes(payload)


def edit_manifest(folder, **changes):
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"schema_version": 99}, "schema version 99, this release reads 3; upgrade router-model"),
        ({"schema_version": 1}, "schema version 1, this release reads 3; train the router again"),
        ({"schema_version": "x"}, "schema version 'x'"),
        ({"format": "other"}, "not the manifest of a router-model artifact"),
        ({"metrics": {"aiq": 1.0}}, "changed after it was written"),
        ({"files": {}}, "changed after it was written"),
    ],
)
def test_edited_manifests_are_refused(copy, changes, match):
    edit_manifest(copy, **changes)
    with pytest.raises(ArtifactError, match=match):
        load_artifact(copy)


def test_a_router_of_an_older_release_is_replaced(copy, trained):
    """Its remedy is to train again, which must be possible in the same folder."""
    manifest = json.loads((copy / MANIFEST).read_text()) | {"schema_version": 1}
    del manifest["content_hash"]
    (copy / MANIFEST).write_bytes(_sealed(manifest))
    with pytest.raises(ArtifactError, match="train the router again"):
        load_artifact(copy)
    save_artifact(trained.router.artifact, copy)
    assert load_artifact(copy).content_hash == trained.report.content_hash


def test_foreign_folders_and_files_are_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no manifest.json, so this is not a trained router"):
        load_artifact(tmp_path)
    (tmp_path / "router").mkdir()
    with pytest.raises(ArtifactError, match="ruoter: no such folder; did you mean 'router'"):
        load_artifact(tmp_path / "ruoter")
    (tmp_path / MANIFEST).write_text("[1, 2]")
    with pytest.raises(ArtifactError, match="not the manifest of a router-model artifact"):
        load_artifact(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(ArtifactError, match="not valid JSON"):
        load_artifact(tmp_path)


def test_a_manifest_cannot_point_outside_its_folder(copy, tmp_path):
    """A forged, correctly sealed manifest that lists ../secret is refused."""
    (tmp_path / "secret").write_text("x")
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["files"]["../secret"] = _digest(b"x")
    del manifest["content_hash"]
    (copy / MANIFEST).write_bytes(_sealed(manifest))
    with pytest.raises(ArtifactError, match=r"\.\./secret"):
        load_artifact(copy)


def test_saving_replaces_an_artifact_and_nothing_else(trained, copy, tmp_path):
    save_artifact(trained.router.artifact, copy)
    assert load_artifact(copy).content_hash == trained.report.content_hash
    assert [path.name for path in tmp_path.iterdir()] == ["router"]
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("words")
    with pytest.raises(ArtifactError, match="exists and is not a trained router"):
        save_artifact(trained.router.artifact, thesis)
    assert (thesis / "chapter.txt").read_text() == "words"


def test_foreign_manifests_and_stray_files_are_not_deleted(trained, copy, tmp_path):
    """A web app has a manifest.json, too; and a router's folder may hold somebody's notes."""
    web = tmp_path / "web"
    web.mkdir()
    (web / MANIFEST).write_text('{"name": "app"}')
    (web / "index.html").write_text("page")
    with pytest.raises(ArtifactError, match="exists and is not a trained router"):
        save_artifact(trained.router.artifact, web)
    (copy / "notes.txt").write_text("words")
    with pytest.raises(ArtifactError, match=r"holds files that are not the router's \(notes.txt\)"):
        save_artifact(trained.router.artifact, copy)
    assert (web / "index.html").read_text() == "page"
    assert (copy / "notes.txt").read_text() == "words"


def test_a_failed_swap_leaves_the_old_router(trained, copy, tmp_path, monkeypatch):
    rename = Path.rename

    def fail_for_staging(self, target):
        if target == copy and self.parent == tmp_path:
            raise OSError("no space left")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_staging)
    with pytest.raises(ArtifactError, match="cannot be written"):
        save_artifact(replace(trained.router.artifact, metrics={}), copy)
    monkeypatch.undo()
    assert load_artifact(copy).content_hash == trained.report.content_hash
    assert [path.name for path in tmp_path.iterdir()] == ["router"]


FORGERIES = {
    "bank.base": lambda a: np.full_like(a, np.nan),
    "bank.outcome": lambda a: a[:5],
    "bag.index.indices": lambda a: np.full_like(a, 2_000_000_000),
    "bag.head.weights": lambda a: a[:-1],
    "blend.weights": lambda a: a[:-1],
    "kernel.deviation": np.zeros_like,
    "kernel.logged_form": lambda a: a[:, 1:],
    "kernel.weights": lambda a: a[1:],
    "output_tokens.smearing": lambda a: np.append(a, np.float32(1)),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_sealed_forgeries_that_do_not_fit_are_refused(copy, name):
    """Hashes that fit prove nothing: arrays that lie about their sizes would make native code read anywhere."""
    arrays = load_file(copy / "arrays.safetensors")
    arrays[name] = np.ascontiguousarray(FORGERIES[name](arrays[name]))
    (copy / "arrays.safetensors").write_bytes(save_tensors(arrays))
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["files"]["arrays.safetensors"] = _digest((copy / "arrays.safetensors").read_bytes())
    del manifest["content_hash"]
    (copy / MANIFEST).write_bytes(_sealed(manifest))
    with pytest.raises(ArtifactError, match="the files are intact but do not form a router"):
        load_artifact(copy)


def test_a_path_that_cannot_be_written_is_named(trained, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match="cannot be written"):
        save_artifact(trained.router.artifact, tmp_path / "file" / "router")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder_name": "evil/model"}, "never fetches or runs what a file names"),
        ({"encoder_hash": "sha256:other"}, "the router was trained with sha256:other"),
    ],
)
def test_another_encoder_is_refused(trained, change, message):
    with pytest.raises(ArtifactError, match=message):
        replace(trained.router.artifact, **change).load_encoder()


def test_prompt_hash_is_blind_to_case_and_space_only():
    assert prompt_hash("Hello  world\n") == prompt_hash("hello World")
    assert prompt_hash("hello world") != prompt_hash("hello worlds")


def test_a_copy_is_as_old_as_what_it_is_of(trained, tmp_path):
    """An artifact's age is that of its manifest, which alerts and the doctor read."""
    manifest = shutil.copytree(trained.path, tmp_path / "old") / MANIFEST
    os.utime(manifest, (1e9, 1e9))
    copy_artifact(tmp_path / "old", tmp_path / "published")
    assert (tmp_path / "published" / MANIFEST).stat().st_mtime == 1e9
