"""Reading the export of a log: small tables by hand."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from router_model import TableError
from router_model.training.offpolicy.logged import KEPT, WITHOUT_PROPENSITY, read_logged

COULD = {"propensities": {"a": 0.8, "b": 0.2}, "preferred": "a", "reason": "best_tradeoff", "excluded": ["c"]}


def row(n, model="a", propensity=0.8, extra=COULD, **changes):
    written = None if extra is None else json.dumps(extra)
    values = {"prompt_id": f"d{n}", "prompt": f"Prompt {n}", "model": model, "quality": 1.0, "propensity": propensity}
    return {**values, "session_id": "s", "timestamp": f"2026-03-0{n}T00:00:00Z", "extra": written, **changes}


def read(tmp_path, *rows):
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(tmp_path / "log.parquet")
    return read_logged(tmp_path / "log.parquet")


def test_rows_come_in_time_and_with_all_propensities(tmp_path):
    log = read(tmp_path, row(2, "b", 0.2), row(1), row(3, extra={**COULD, "propensities": {"a": 0.8, "new": 0.2}}))
    assert log.outcomes.prompt_ids == ["d1", "d2", "d3"]
    assert log.outcomes.models == ("a", "b", "new")
    assert log.taken.tolist() == [0, 1, 0]
    assert log.propensity.tolist() == [[0.8, 0.2, 0.0], [0.8, 0.2, 0.0], [0.8, 0.0, 0.2]]
    assert log.propensity_taken.tolist() == [0.8, 0.2, 0.8]
    assert log.preferred.tolist() == [0, 0, 0]
    assert not log.excluded.any()
    assert (log.n_logged, log.left_out) == (3, {})


def test_what_the_request_ruled_out_is_known_by_model(tmp_path):
    log = read(tmp_path, row(1), row(2, "c", 1.0, {"propensities": {"c": 1.0}}))
    assert log.outcomes.models == ("a", "c", "b")
    assert log.excluded.tolist() == [[False, True, False], [False, False, False]]
    assert log.preferred.tolist() == [0, 1]


def test_kept_sessions_and_rows_without_a_propensity_are_counted_and_gone(tmp_path):
    log = read(tmp_path, row(1), row(2, propensity=None), row(3, extra={**COULD, "reason": "session"}))
    assert log.outcomes.prompt_ids == ["d1"]
    assert (log.n_logged, log.left_out) == (3, {WITHOUT_PROPENSITY: 1, KEPT: 1})


def test_a_turn_has_the_tokens_of_the_turn_before_in_a_cache_for_five_minutes(tmp_path):
    """Turns after 0, 4, 10 and 11 minutes; the third is of a fallback, and counts as a turn. Others have no session."""
    began = datetime(2026, 3, 1, tzinfo=UTC)
    turns = [
        row(n, timestamp=began + timedelta(minutes=minute), input_tokens=100 * n,
            propensity=None if n == 3 else 0.8, extra={**COULD, "cached_input_tokens": 10 * n})
        for n, minute in ((1, 0), (2, 4), (3, 10), (4, 11))
    ]  # fmt: skip
    alone = [row(n, session_id=None, timestamp=began, input_tokens=7) for n in (5, 6)]
    log = read(tmp_path, *turns, *alone)
    by_id = dict(zip(log.outcomes.prompt_ids, zip(log.warm_tokens, log.cached_tokens, strict=True), strict=True))
    assert by_id == {"d1": (0, 10), "d2": (100, 20), "d4": (300, 40), "d5": (0, 0), "d6": (0, 0)}


def test_other_tools_log_one_propensity(tmp_path):
    log = read(tmp_path, row(1, extra=None), row(2, "b", 0.2, extra=None))
    assert np.isnan(log.propensity).tolist() == [[False, True], [True, False]]
    assert log.preferred.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(1, propensity=None)], "no row has a propensity, so nothing says how likely each choice was"),
        ([row(1, extra={"reason": "session"})], "all 1 decisions are of sessions that kept their model"),
        ([row(1), row(1, "b", 0.2)], r"prompt 'd1' has 2 answers with a propensity \(1 such prompts\)"),
        ([row(1, propensity=0.5)], "d1: propensity is 0.5, but 0.8 among the propensities of all models"),
        ([{k: v for k, v in row(1).items() if k != "prompt_id"}], "column prompt_id missing"),
    ],
)
def test_logs_that_cannot_be_evaluated_are_refused(tmp_path, rows, said):
    with pytest.raises(TableError, match=said):
        read(tmp_path, *rows)
