"""The small files of others are read, or refused by the name of their tool."""

from pathlib import Path

import polars as pl
import pytest

from router_model.errors import TableError
from router_model.training.importing import import_sources

CASES = Path(__file__).parents[5] / "shared" / "cases" / "import"
pytestmark = pytest.mark.skipif(not CASES.exists(), reason=f"{CASES} is absent")


@pytest.mark.parametrize(
    ("name", "model", "quality"),
    [
        ("alpaca_annotations.json", "model-b", 0.8),
        ("arena_battles.jsonl", "model-a", 1.0),
        ("inspect_log.json", "openai/gpt-4o", 1.0),
        ("openai_evals_samples.jsonl", "gpt-4o", 1.0),
        ("routerbench_wide.csv", "model-a", 1.0),
        ("llmrouterbench_tree", "some-model", 1.0),
        ("llmrouterbench_writer", "some-model", 1.0),
    ],
)
def test_file_is_read(tmp_path, name, model, quality):
    import_sources([CASES / name], tmp_path / "o.parquet")
    rows = pl.read_parquet(tmp_path / "o.parquet").filter(pl.col("model") == model)
    assert rows["quality"][0] == quality


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("helm_scenario_state.json", "HELM without their metrics, expected per_instance_stats.json"),
        ("mtbench_single.jsonl", "MT-Bench whose question is not in the judge's prompt"),
        ("ragas_results.csv", "ragas, which name no model"),
        ("samples_primes_2025-03-01T10-00-00.000000.jsonl", "lm-evaluation-harness in the folder 'import'"),
    ],
)
def test_file_is_refused_by_the_name_of_its_tool(tmp_path, name, message):
    with pytest.raises(TableError, match=message):
        import_sources([CASES / name], tmp_path / "o.parquet")


def test_samples_in_a_folder_of_the_model_count_once(tmp_path):
    """Two documents, each with two filters."""
    name = "samples_primes_2025-03-01T10-00-00.000000.jsonl"
    folder = tmp_path / "org__model"
    folder.mkdir()
    (folder / name).write_bytes((CASES / name).read_bytes())
    import_sources([folder], tmp_path / "o.parquet")
    assert pl.read_parquet(tmp_path / "o.parquet")["quality"].to_list() == [1.0, 0.0]
