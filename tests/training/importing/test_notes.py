"""Records that belong together are joined, wherever they stand."""

import json

import polars as pl
import pytest

from router_model.errors import TableError
from router_model.training.importing import import_sources, notes
from router_model.training.importing.adapters import Adapter, registry
from router_model.training.importing.conversion import Conversion
from router_model.training.importing.notes import Note, Notes


def _grades(record, around):
    del around
    return [Note(f"calls:{record['about']}", record["grade"])] if "about" in record else []


def _calls(record, around):
    if "about" in record:
        return Conversion([], {"grades": 1})
    grades = around.notes_of(f"calls:{record['call']}")
    return Conversion([{"prompt": record["call"], "model": "m", "quality": grades[-1] if grades else None}])


CALLS = Adapter("calls", "a tool", lambda record: bool({"call", "about"} & record.keys()), _calls, notes=_grades)


@pytest.mark.parametrize("n_a_write", [1, 1000])
def test_grade_finds_its_call_in_another_file_and_before_it(tmp_path, monkeypatch, n_a_write):
    """Two grades of one call: the adapter takes the later one; a grade without a call is only counted."""
    monkeypatch.setattr(registry, "_IN_ORDER", (CALLS,))
    monkeypatch.setattr(notes, "_NOTES_A_WRITE", n_a_write)
    records = {"a": [{"about": "x", "grade": 0.2}, {"call": "x"}, {"call": "y"}], "b": [{"about": "x", "grade": 0.9}]}
    records["b"].append({"about": "nothing", "grade": 0})
    for name, lines in records.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    report = import_sources([tmp_path], tmp_path / "o.parquet")
    assert pl.read_parquet(tmp_path / "o.parquet")["quality"].to_list() == [0.9, None]
    assert report.skipped == {"grades": 3}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_notes_that_cannot_be_kept_are_an_error(tmp_path):
    with Notes(tmp_path / "missing") as kept:
        kept.add([Note("a", 1)])
        with pytest.raises(TableError, match="expected to keep notes there while importing; check the space"):
            kept.of("a")
