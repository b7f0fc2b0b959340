"""The command around the import."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from router_model.errors import TableError
from training.commands import import_table
from training.importing.adapters import FORMATS


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("prompt,model,quality,grader\nHi,a,1,exact\nHi,b,7,exact\n", encoding="utf-8")
    return path


def invoke(*args):
    return CliRunner().invoke(import_table.command, [str(arg) for arg in args], catch_exceptions=True)


def test_summary_names_what_was_written_and_set_aside(source, tmp_path):
    result = invoke(source, "--out", tmp_path / "o.parquet", "--on-error", "skip")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"Wrote {tmp_path / 'o.parquet'}",
        "  rows           1",
        "  prompts        1",
        "  models         1",
        "  with quality   1",
        f"  rejected       1, see {tmp_path / 'o.rejects.jsonl'}",
        "  kept in extra  grader",
        f"  outcomes       {source}",
    ]
    assert result.stderr == ""


def test_json_summary_is_one_object(source, tmp_path):
    result = invoke(source, "--out", tmp_path / "o.parquet", "--on-error", "skip", "--json")
    summary = json.loads(result.stdout)
    assert (summary["n_rows"], summary["n_rejected"], summary["formats"]) == (1, 1, {str(source): "outcomes"})


def test_error_propagates(source, tmp_path):
    result = invoke(source, "--out", tmp_path / "o.parquet")
    assert isinstance(result.exception, TableError)
    assert "row 3, column 'quality': got 7" in str(result.exception)


def test_table_without_quality_gets_a_hint(tmp_path):
    (tmp_path / "t.csv").write_text("prompt,model,score\nHi,a,1\n", encoding="utf-8")
    result = invoke(tmp_path / "t.csv", "--out", tmp_path / "o.parquet")
    assert "No row has a quality" in result.stdout


def test_formats_offered_are_those_there_are():
    assert import_table.FORMAT_NAMES == FORMATS


def test_help_does_not_load_polars():
    code = "import sys, training.commands.import_table; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
