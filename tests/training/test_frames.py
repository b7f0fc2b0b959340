"""Tables from Python: a path and frames of any library are the same outcomes."""

import numpy as np
import polars as pl
import pytest

from router_model import TableError, read_outcomes
from router_model.training.offpolicy.logged import read_logged
from router_model.training.table.frames import as_frame, sha256_of

CHAT = [{"role": "user", "content": "Hi"}]
COLUMNS = {
    "prompt": ["add 1 and 2", "add 1 and 2", "a poem", None],
    "messages": [None, None, None, CHAT],
    "model": ["a", "b", "a", "b"],
    "quality": [1.0, 0.5, None, 0.25],
    "cost_usd": [0.1, None, 0.3, 0.4],
}
KINDS = ("polars", "lazy", "arrow", "pandas", "columns", "arrays")


def in_library(kind):
    rows = pl.DataFrame(COLUMNS)
    match kind:
        case "polars":
            return rows
        case "lazy":
            return rows.lazy()
        case "arrow":
            return pytest.importorskip("pyarrow").Table.from_pydict(COLUMNS)
        case "pandas":
            return pytest.importorskip("pandas").DataFrame(COLUMNS)
        case "columns":
            return COLUMNS
    return {**COLUMNS, "quality": np.array([1.0, 0.5, np.nan, 0.25]), "cost_usd": np.array([0.1, np.nan, 0.3, 0.4])}


@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_every_library_are_the_table_that_a_file_is(kind, tmp_path):
    as_frame(COLUMNS).write_parquet(tmp_path / "t.parquet")
    file, frame = read_outcomes(tmp_path / "t.parquet"), read_outcomes(in_library(kind))
    assert (frame.prompts, frame.prompt_ids, frame.models) == (file.prompts, file.prompt_ids, file.models)
    for name in ("quality", "cost_usd", "propensity"):
        np.testing.assert_array_equal(getattr(frame, name), getattr(file, name))
    assert frame.prompts[-1] == CHAT
    assert np.isnan(frame.quality).sum() == 3  # two prompts have one model each, and one grade is missing


def test_messages_of_mixed_content_and_times_of_pandas_are_read():
    """Arrow has no type for a content that is text here and a list of parts there."""
    pandas = pytest.importorskip("pandas")
    parts = [{"role": "user", "content": [{"type": "text", "text": "Look"}]}]
    columns = {"messages": [CHAT, parts], "model": ["a", "a"], "quality": [1, 0], "prompt_id": ["p", "q"]}
    log = {"propensity": [0.5, 0.25], "timestamp": pandas.to_datetime(["2026-01-02", "2026-01-01"], utc=True)}
    frame = pandas.DataFrame({**columns, **log})
    assert read_outcomes(frame).prompts == [CHAT, parts]
    assert as_frame(frame).schema["timestamp"] == pl.Datetime(time_zone="UTC")
    assert read_logged(frame).propensity[:, 0].tolist() == [0.25, 0.5]  # in the order of time


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (3, r"got int as a table; expected the path of a Parquet file, a frame of polars or pandas"),
        (
            {"model": ["a"], "score": [1]},
            r"column prompt \(or messages\), quality missing; got model, score",
        ),
        (
            {**COLUMNS, "quality": [1.0, 2.0, None, 0.25]},
            r"the frame, row 2, column 'quality': got 2, expected",
        ),
        ({name: [] for name in COLUMNS}, "the frame: the table has no rows"),
    ],
)
def test_a_bad_frame_is_one_clear_error(table, message):
    with pytest.raises(TableError, match=message):
        read_outcomes(table)


def test_outcomes_stay_as_they_are_and_equal_frames_have_equal_hashes():
    outcomes = read_outcomes(COLUMNS)
    assert read_outcomes(outcomes) is outcomes
    assert sha256_of(COLUMNS) == sha256_of(in_library("pandas"))
    assert sha256_of(COLUMNS) != sha256_of({**COLUMNS, "cost_usd": [0.1, None, 0.3, 0.5]})
