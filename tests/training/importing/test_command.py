"""The command around the import."""

import json
import subprocess
import sys

import polars as pl
import pytest
from click.testing import CliRunner

from router_model.errors import TableError
from router_model.training.commands import import_table
from router_model.training.importing.adapters import FORMATS


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("prompt,model,quality,grader\nHi,a,0.5,exact\nHi,b,7,exact\n", encoding="utf-8")
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


def test_table_must_be_named_unless_it_is_a_preview(source):
    result = invoke(source)
    assert result.exit_code == 2
    assert "name the table to write, or use --preview" in result.stderr


def test_preview_shows_three_rows_in_80_columns_and_writes_nothing(tmp_path):
    lines = [f'"{"long " * 40}{number}",m,{number},exact' for number in range(1, 6)]
    (tmp_path / "t.csv").write_text("\n".join(["prompt,llm,stars,grader", *lines]), encoding="utf-8")
    options = ("--column", "model=llm", "--column", "quality=stars", "--scale", "1:5")
    result = invoke(tmp_path / "t.csv", "--preview", *options)
    assert result.exit_code == 0
    shown = result.stdout.splitlines()[1:]
    assert max(map(len, shown)) <= 80
    assert [line.split() for line in shown if line.startswith(("  row", "    quality"))] == [
        ["row", "2"], ["quality", "0"], ["row", "3"], ["quality", "0.25"], ["row", "4"], ["quality", "0.5"],
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_preview_of_what_would_stop_shows_the_rows_and_the_command(tmp_path):
    (tmp_path / "t.csv").write_text("prompt,model,quality\nHi,a,1\nHo,a,4\nHu,a,2\n", encoding="utf-8")
    result = invoke(tmp_path / "t.csv", "--preview")
    assert "row 3, cannot be read:" in result.stdout
    assert "--scale 1:5 --out outcomes.parquet" in str(result.exception)


def test_options_reach_the_import(tmp_path):
    (tmp_path / "t.csv").write_text('prompt,mark,took,when\nHi,good,"1,234",03/04/2025\n', encoding="utf-8")
    options = ["--column", "quality=mark", "--column", "latency_s=took:ms", "--column", "timestamp=when"]
    options += ["--values", "good=0.9", "--model", "m", "--dates", "day-first", "--decimal", "point"]
    assert invoke(tmp_path / "t.csv", "--out", tmp_path / "o.parquet", *options).exception is None
    row = pl.read_parquet(tmp_path / "o.parquet").row(0, named=True)
    assert (row["model"], row["quality"], row["latency_s"], row["timestamp"].month) == ("m", 0.9, 1.234, 4)


def test_table_without_quality_gets_a_hint(tmp_path):
    (tmp_path / "t.csv").write_text("prompt,model,grader\nHi,a,1\n", encoding="utf-8")
    result = invoke(tmp_path / "t.csv", "--out", tmp_path / "o.parquet")
    assert "No row has a quality" in result.stdout


def test_formats_offered_are_those_there_are():
    assert import_table.FORMAT_NAMES == FORMATS


def test_help_does_not_load_polars():
    code = "import sys, router_model.training.commands.import_table; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
