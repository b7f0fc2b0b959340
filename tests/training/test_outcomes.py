import numpy as np
import polars as pl
import pytest

from router_model import TableError
from router_model.training.importing.checks import check_batch
from router_model.training.table import outcomes as table_outcomes
from router_model.training.table.outcomes import read_outcomes

ROWS = {
    "prompt_id": ["a", "a", "b"],
    "prompt": ["x", "x", "y"],
    "model": ["m2", "m1", "m1"],
    "quality": [1.0, 0.5, 0.0],
}


def write(tmp_path, **columns):
    pl.DataFrame({**ROWS, **columns}).write_parquet(tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_long_rows_become_matrices_with_missing_pairs(tmp_path):
    outcomes = read_outcomes(write(tmp_path, cost_usd=[0.1, 0.2, None]))
    assert outcomes.prompt_ids == ["a", "b"]
    assert outcomes.models == ("m1", "m2")
    assert np.array_equal(outcomes.quality, [[0.5, 1.0], [0.0, np.nan]], equal_nan=True)
    assert np.array_equal(outcomes.cost_usd, [[0.2, 0.1], [np.nan, np.nan]], equal_nan=True)


def test_messages_are_parsed_and_ids_made(tmp_path):
    pl.DataFrame(
        {"messages": ['[{"role": "user", "content": "hi"}]'] * 2, "model": ["a", "b"], "quality": [1, 0]}
    ).write_parquet(tmp_path / "t.parquet")
    outcomes = read_outcomes(tmp_path / "t.parquet")
    assert outcomes.prompts == [[{"role": "user", "content": "hi"}]]
    assert len(outcomes.prompt_ids) == 1


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"quality": [1.0, 1.7, 0.0]}, r"t\.parquet, row 2, column 'quality': got 1.7, expected a number in \[0, 1\]"),
        ({"model": ["m1", "m1", "m1"]}, "row 2.*'a' with model 'm1' again, first in row 1"),
        ({"prompt": ["x", "z", "y"]}, "prompt_id 'a' stands for 2 different prompts"),
        ({"cost_usd": [0.1, float("nan"), 0.1]}, r"row 2, column 'cost_usd'"),
        ({"prompt": ["x", "x", ""]}, "row 3, column 'prompt'"),
    ],
)
def test_bad_values_are_named_by_row_and_column(tmp_path, columns, match):
    with pytest.raises(TableError, match=match):
        read_outcomes(write(tmp_path, **columns))


def test_missing_columns_are_named(tmp_path):
    pl.DataFrame({"question": ["x"], "model": ["m"]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"column prompt \(or messages\), quality missing; got question, model"):
        read_outcomes(tmp_path / "t.parquet")


def test_wrong_files_say_what_to_do(tmp_path):
    with pytest.raises(TableError, match="no such file. 'router-model import"):
        read_outcomes(tmp_path / "none.parquet")
    (tmp_path / "logs.csv").write_text("a,b\n")
    with pytest.raises(
        TableError, match=r"expected a Parquet outcome table; make one with 'router-model import .*logs\.csv"
    ):
        read_outcomes(tmp_path / "logs.csv")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(TableError, match=r"broken\.parquet: not a readable Parquet file"):
        read_outcomes(tmp_path / "broken.parquet")
    pl.DataFrame(schema=dict.fromkeys(ROWS, pl.String)).write_parquet(tmp_path / "empty.parquet")
    with pytest.raises(TableError, match=r"empty\.parquet: the table has no rows"):
        read_outcomes(tmp_path / "empty.parquet")


def test_selecting_models_names_the_missing(tmp_path):
    outcomes = read_outcomes(write(tmp_path))
    assert outcomes.select_models(["m2"]).quality.shape == (2, 1)
    with pytest.raises(TableError, match="no outcomes of gpt-x, which the router may choose; it has m1, m2"):
        outcomes.select_models(["m1", "gpt-x"])


@pytest.mark.parametrize(("rows_at_once", "bytes_at_once", "longest"), [(1, 10**6, 1), (2, 10**6, 2), (100, 1, 1)])
def test_a_table_read_in_parts_is_the_same(tmp_path, monkeypatch, rows_at_once, bytes_at_once, longest):
    heights = []
    monkeypatch.setattr(table_outcomes, "ROWS_AT_ONCE", rows_at_once)
    monkeypatch.setattr(table_outcomes, "_BYTES_AT_ONCE", bytes_at_once)
    monkeypatch.setattr(table_outcomes, "check_batch", lambda part: heights.append(part.height) or check_batch(part))
    rows = {"prompt_id": list("abacb"), "prompt": list("xyxzy"), "model": ["m", "m", "n", "n", "n"]}
    pl.DataFrame({**rows, "quality": [0.0, 0.1, 0.2, 0.3, 0.4]}).write_parquet(tmp_path / "t.parquet")
    outcomes = read_outcomes(tmp_path / "t.parquet")
    assert (outcomes.prompt_ids, outcomes.prompts) == (["a", "b", "c"], ["x", "y", "z"])
    assert np.array_equal(outcomes.quality, [[0.0, 0.2], [0.1, 0.4], [np.nan, 0.3]], equal_nan=True)
    assert max(heights) == longest


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"quality": [1.0, 0.5, 1.7]}, r"row 3, column 'quality'"),
        ({"prompt_id": ["a", "b", "a"], "prompt": ["x", "y", "x"], "model": ["m", "m", "m"]}, "row 3.*first in row 1"),
        ({"prompt_id": ["a", "b", "a"]}, "prompt_id 'a' stands for 2 different prompts"),
    ],
)
def test_faults_across_parts_are_found(tmp_path, monkeypatch, columns, match):
    monkeypatch.setattr("router_model.training.table.outcomes.ROWS_AT_ONCE", 1)
    with pytest.raises(TableError, match=match):
        read_outcomes(write(tmp_path, **columns))


def test_conversations_stand_for_their_prompts(tmp_path):
    """Prompt a belongs to a conversation, b to none."""
    outcomes = read_outcomes(write(tmp_path, session_id=["s", "s", None]))
    assert outcomes.split_keys == ["s", "b"]
    assert outcomes.take(np.array([1])).split_keys == ["b"]
    assert read_outcomes(write(tmp_path)).split_keys == ["a", "b"]


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(TableError, match="no Parquet file in it; expected the partitions of an outcome table"):
        read_outcomes(tmp_path)
