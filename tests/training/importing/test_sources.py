"""Paths, folders and patterns become files."""

from pathlib import Path

import pytest

from router_model.errors import TableError
from router_model.training.importing.sources import expand_sources, kind_of, unread_files


@pytest.fixture
def folder(tmp_path):
    for name in ("b.csv", "a/x.jsonl.gz", "a/notes.txt", ".hidden.csv", "c.PARQUET", "a/.old/z.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_folder_is_read_recursively_sorted_and_without_hidden_files(folder):
    assert names(expand_sources([folder]), folder) == ["a/x.jsonl.gz", "b.csv", "c.PARQUET"]


def test_files_of_other_kinds_in_a_folder_are_told(folder):
    (folder / "a/notes.txt").write_text('{"prompt": "Hi"}', encoding="utf-8")
    assert names(unread_files([folder, folder / "b.csv"]), folder) == ["a/notes.txt"]


def test_json_without_a_suffix_is_read_and_other_text_is_not(tmp_path):
    """An object store names LiteLLM's logs by their calls."""
    (tmp_path / "chatcmpl-1").write_text('\n {"id": 1}', encoding="utf-8")
    (tmp_path / "README").write_text("Read me", encoding="utf-8")
    assert names(expand_sources([tmp_path]), tmp_path) == ["chatcmpl-1"]
    assert kind_of(tmp_path / "chatcmpl-1") == (".json", "")


def test_pattern_and_file_are_read_once(folder):
    paths = expand_sources([folder / "b.csv", str(folder / "*.csv"), str(folder / "**/*.gz")])
    assert names(paths, folder) == ["b.csv", "a/x.jsonl.gz"]


def test_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path):
    path = tmp_path / "run[1].csv"
    path.touch()
    assert expand_sources([path]) == [path]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.csv", r"missing\.csv: no such file\. Expected a file, folder or pattern"),
        ("*.json", r"\*\.json: got a pattern that matches nothing to import"),
        ("a/.old", r"\.old: got a folder without a file to import"),
        (
            "a/notes.txt",
            r"got a file ending in '\.txt', expected one of \.parquet, \.eval, \.csv, .*\.zst\); rename it",
        ),
        ("a/n*", r"notes\.txt: got a file ending in '\.txt'"),
    ],
)
def test_source_that_holds_nothing_is_an_error(folder, source, message):
    (folder / "a/.old/z.csv").unlink()
    with pytest.raises(TableError, match=message):
        expand_sources([folder / source])


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        *((name, "convert or rename it") for name in ("plain", "table.parquet.gz", "x.gz")),
        ("x.csv.bz2", "decompress it, as with bzip2 -d"),
        ("x.zip", "unpack it"),
    ],
)
def test_unknown_suffix_is_an_error(tmp_path, name, advice):
    (tmp_path / name).touch()
    with pytest.raises(TableError, match=advice):
        expand_sources([tmp_path / name])


def test_no_source_is_an_error():
    with pytest.raises(TableError, match="got no sources"):
        expand_sources([])


def test_suffix_case_does_not_matter(tmp_path):
    (tmp_path / "A.CSV").touch()
    assert expand_sources([tmp_path]) == [Path(tmp_path / "A.CSV")]
