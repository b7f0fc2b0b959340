"""Answers that were asked for with an effort become a candidate's of the catalog."""

import json

import polars as pl
import pytest
from click.testing import CliRunner

from router_model.errors import TableError
from router_model.training.commands.import_table import command
from router_model.training.importing import import_sources

CATALOG = '[models."gpt-5:high"]\nmodel = "gpt-5"\nreasoning_effort = "high"\n'
LITELLM = {
    "id": "c1",
    "call_type": "acompletion",
    "messages": [{"role": "user", "content": "Hi"}],
    "response_cost": 0.002,
    "startTime": 1738312200.0,
    "endTime": 1738312201.5,
    "metadata": {"score": 1},
}


@pytest.fixture
def catalog(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text(CATALOG)
    return path


def imported(tmp_path, catalog, records):
    source, out = tmp_path / "calls.jsonl", tmp_path / "out.parquet"
    source.write_text("\n".join(map(json.dumps, records)))
    report = import_sources([source], out, catalog=catalog)
    return report, pl.read_parquet(out)["model"].to_list()


def test_a_log_of_calls_is_of_the_candidates(tmp_path, catalog):
    """Where a model with the effort is no candidate, and where no effort was asked for, the model keeps its name."""
    asked = [
        ("gpt-5", {"model_parameters": {"reasoning_effort": "high"}}),
        ("gpt-5", {"model_parameters": {"reasoning": {"effort": "high", "summary": "auto"}}}),
        ("gpt-5", {"proxy_server_request": json.dumps({"model": "gpt-5", "reasoning_effort": "high"})}),
        ("gpt-5", {"model_parameters": {"reasoning_effort": "low"}}),
        ("gpt-5", {}),
        ("o3", {"model_parameters": {"reasoning_effort": "high"}}),
    ]
    calls = [
        LITELLM | {"model": model, "messages": [{"role": "user", "content": f"Hi {i}"}]} | more
        for i, (model, more) in enumerate(asked)
    ]
    report, models = imported(tmp_path, catalog, calls)
    assert models == ["gpt-5:high"] * 3 + ["gpt-5", "gpt-5", "o3"]
    assert report.n_with_effort == 3


def test_a_table_of_ones_own_has_the_effort_in_a_column(tmp_path, catalog):
    rows = [{"prompt": f"Hi {i}", "model": "gpt-5", "quality": 1, "reasoning_effort": e} for i, e in enumerate("ab")]
    report, models = imported(tmp_path, catalog, [*rows, rows[0] | {"prompt": "Ho", "reasoning_effort": "high"}])
    assert (models, report.n_with_effort) == (["gpt-5", "gpt-5", "gpt-5:high"], 1)


def test_the_command_says_how_many(tmp_path, catalog):
    source, out = tmp_path / "t.jsonl", tmp_path / "o.parquet"
    source.write_text(json.dumps({"prompt": "Hi", "model": "gpt-5", "quality": 1, "reasoning_effort": "high"}))
    done = CliRunner().invoke(command, [str(source), "--out", str(out), "--catalog", str(catalog)])
    assert "with effort    1 became a candidate's of the catalog" in done.output


def test_a_catalog_without_efforts_is_refused(tmp_path, catalog):
    catalog.write_text("[models.a]\nusd_per_mtok_input = 1\nusd_per_mtok_output = 1\n")
    with pytest.raises(TableError, match="has no candidate with an effort, and nothing else of a catalog matters here"):
        imported(tmp_path, catalog, [LITELLM])
