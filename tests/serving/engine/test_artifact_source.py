import os
import shutil

import pytest

from router_model import ArtifactError
from router_model.serving.engine.artifact_source import ArtifactSource


@pytest.fixture
def folders(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(name)
    return tmp_path


def test_a_folder_names_itself(folders):
    assert ArtifactSource(folders / "one").look().folder == folders / "one"


def test_a_link_names_what_it_points_to(folders):
    link = folders / "now"
    link.symlink_to("one")
    before = ArtifactSource(link).look()
    fresh = folders / "fresh"
    fresh.symlink_to("two")
    fresh.replace(link)
    after = ArtifactSource(link).look()
    assert (before.folder, after.folder) == (folders / "one", folders / "two")
    assert before.version != after.version


@pytest.mark.parametrize("said", ["one", "./one\n", "../{name}/one", "{folder}/one\n\n"])
def test_a_pointer_is_relative_to_itself(folders, said, monkeypatch):
    monkeypatch.chdir("/")
    (folders / "current").write_text(said.format(name=folders.name, folder=folders))
    assert ArtifactSource(folders / "current").look().folder == folders / "one"


def test_a_place_names_what_its_pointer_names(folders):
    (folders / "current").write_text("two\n")
    assert ArtifactSource(folders).look().folder == folders / "two"
    before = ArtifactSource(folders).look().version
    (folders / "current").write_text("one\n")
    assert ArtifactSource(folders).look().version != before
    (folders / "manifest.json").write_text("a router whose file has this name")
    assert ArtifactSource(folders).look().folder == folders


@pytest.mark.parametrize("change", ["touch", "write", "add", "remove", "replace"])
def test_anything_that_changes_in_the_folder_is_another_version(folders, change):
    source, folder = ArtifactSource(folders / "one"), folders / "one"
    (folder / "arrays").write_text("abc")
    before = source.look()
    assert source.look() == before
    if change == "touch":
        os.utime(folder / "arrays", ns=(1, 1))
    elif change == "write":
        (folder / "arrays").write_text("abcd")
    elif change == "add":
        (folder / "more").write_text("")
    elif change == "remove":
        (folder / "arrays").unlink()
    else:
        shutil.move(folder, folders / "old")
        shutil.copytree(folders / "old", folder)
    assert source.look().version != before.version


def test_the_catalog_counts_too(folders):
    catalog = folders / "catalog.toml"
    catalog.write_text("1")
    source = ArtifactSource(folders / "one", catalog)
    before = source.look()
    catalog.write_text("22")
    assert source.look().version != before.version
    catalog.unlink()
    with pytest.raises(ArtifactError, match="catalog.toml: cannot be read"):
        source.look()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected one line, the path of a trained router's folder"),
        (b"one\ntwo", "expected one line"),
        (b"a" * 5000, "expected one line"),
        (b"one\0", "expected one line"),
        (b"\xff\xfe", "does not name a trained router"),
        (b"nowhere", "does not name a trained router"),
    ],
)
def test_a_bad_pointer_is_refused(folders, content, message):
    (folders / "current").write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        ArtifactSource(folders / "current").look()


def test_what_is_not_there_is_refused(folders):
    with pytest.raises(ArtifactError, match=r"does not name a trained router \(No such file or directory\); expected"):
        ArtifactSource(folders / "nothing").look()
    (folders / "circle").symlink_to("circle")
    with pytest.raises(ArtifactError, match="does not name a trained router"):
        ArtifactSource(folders / "circle").look()
    (folders / "one" / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match="no manifest.json in it, so this is not a trained router"):
        ArtifactSource(folders / "one").look()
