"""Which prompts of a large table are read: small tables by hand, and the sample's properties."""

import numpy as np
import polars as pl
import pytest

from router_model import Catalog, TableError
from router_model.outcome_schema import DECISION_LOG
from router_model.training.offpolicy.logged import NOT_DRAWN, read_logged
from router_model.training.table.outcomes import read_outcomes
from router_model.training.table.subsample import subsample
from router_model.training.train import TrainConfig, train


def frame_of(n, *, quality=1.0, source=None, first=0):
    """Return the outcomes of two models on n prompts."""
    numbers = [first + row // 2 for row in range(2 * n)]
    columns = {"prompt_id": [f"p{i}" for i in numbers], "prompt": [f"text {i}" for i in numbers]}
    fixed = {"model": ["a", "b"] * n, "quality": [quality] * (2 * n), "source": [source] * (2 * n)}
    return pl.DataFrame({**columns, **fixed}, schema_overrides={"quality": pl.Float64, "source": pl.String})


def write(tmp_path, *frames, name="table.parquet"):
    pl.concat(frames).write_parquet(tmp_path / name)
    return tmp_path / name


def ids_read(table, most, **how):
    return set(read_outcomes(table, subsample(table, most, **how)).prompt_ids)


def test_table_that_is_no_larger_is_read_whole(tmp_path):
    table = write(tmp_path, frame_of(10))
    assert subsample(table, 20) is None  # it has 20 rows
    assert subsample(table, 10) is None  # and 10 prompts
    assert subsample(frame_of(10), 5) is None  # a frame is in memory
    # What is wrong with these is said by who reads them.
    assert subsample(tmp_path / "missing.parquet", 5) is None
    assert subsample(write(tmp_path, frame_of(10).drop("quality"), name="other.parquet"), 5) is None


def test_all_rows_of_the_drawn_prompts_are_read(tmp_path):
    table = write(tmp_path, frame_of(1000))
    drawn = subsample(table, 300)
    outcomes = read_outcomes(table, drawn)
    assert (len(outcomes), drawn.n_prompts, drawn.n_eligible) == (300, 1000, 1000)
    assert (outcomes.quality == 1).all()
    assert "300 of 1,000 prompts were read" in str(drawn)


def test_draw_depends_on_ids_and_seed_alone(tmp_path):
    """Not on the order of rows, on files, on their names, or on white space around an id; a larger one holds it."""
    frame = frame_of(1000)
    one = write(tmp_path, frame)
    (tmp_path / "parts").mkdir()
    spaced = frame.sample(fraction=1, shuffle=True, seed=0).with_columns(
        pl.format(" {} ", "prompt_id").alias("prompt_id")
    )
    for number, part in enumerate(spaced.iter_slices(450)):
        write(tmp_path, part, name=f"parts/{number}.parquet")
    drawn = ids_read(one, 300)
    assert ids_read(tmp_path / "parts", 300) == drawn
    assert ids_read(one, 600) > drawn
    assert len(ids_read(one, 300, seed=1) & drawn) == pytest.approx(90, abs=30)  # 300 x 300 / 1,000


def test_every_prompt_is_as_likely_as_another(tmp_path):
    frame = frame_of(50)
    table = write(tmp_path, frame)
    counts = np.zeros(50)
    for seed in range(400):
        counts[np.unique(subsample(table, 10, seed=seed).rows_of(frame) // 2)] += 1
    # binomial of 400 draws with chance 0.2: standard deviation 8
    assert abs(counts - 80).max() < 4 * 8


def test_full_evaluations_come_first_and_ungraded_prompts_never(tmp_path):
    logged = frame_of(500, source=DECISION_LOG, first=1000)
    table = write(tmp_path, logged, frame_of(100), frame_of(300, quality=float("nan"), source=DECISION_LOG, first=5000))
    drawn = subsample(table, 250)
    numbers = sorted(int(one[1:]) for one in read_outcomes(table, drawn).prompt_ids)
    assert numbers[:100] == list(range(100))
    assert len(numbers) == 250
    assert max(numbers) < 1500
    assert (drawn.n_prompts, drawn.n_eligible) == (900, 600)
    assert "(300 others have no graded answer)" in str(drawn)
    assert len(ids_read(table, 60)) == 60  # of the full evaluations
    of_all = [int(one[1:]) for one in ids_read(table, 250, graded=False)]
    assert len(of_all) == 250
    assert sum(number < 100 for number in of_all) == pytest.approx(28, abs=17)  # 250 x 100 / 900, 4 deviations
    # More room than graded prompts: those without a grade are left out nevertheless, as they would be later.
    assert ids_read(table, 1000) == {f"p{i}" for i in [*range(100), *range(1000, 1500)]}
    assert str(subsample(table, 1000)) == "300 prompts left out because none of their answers is graded"


def test_texts_stand_for_missing_ids(tmp_path):
    frame = frame_of(100)
    one = write(tmp_path, frame.drop("prompt_id"))
    some = frame.with_columns(prompt_id=pl.when(pl.int_range(pl.len()) < 100).then("prompt_id"))
    two = write(tmp_path, some, name="some.parquet")
    three = write(tmp_path, some.with_columns(pl.col("prompt_id").fill_null(" ")), name="blank.parquet")
    (tmp_path / "parts").mkdir()
    for model in ("a", "b"):  # one file has a column that the other lacks, and it is empty
        part = frame.filter(pl.col("model") == model).drop("prompt_id")
        empty = {} if model == "a" else {"messages": pl.lit(None, dtype=pl.String)}
        write(tmp_path, part.with_columns(**empty), name=f"parts/{model}.parquet")
    for table in (one, two, three, tmp_path / "parts"):
        outcomes = read_outcomes(table, subsample(table, 30))
        assert len(outcomes) == 30
        assert not np.isnan(outcomes.quality).any()


def test_table_whose_prompts_cannot_be_told_apart_is_read_whole(tmp_path):
    nested = (
        frame_of(100).drop("prompt_id", "prompt").with_columns(messages=pl.concat_list(pl.struct(role=pl.lit("user"))))
    )
    assert subsample(write(tmp_path, nested), 30) is None


def test_messages_name_rows_of_the_whole_table(tmp_path):
    """Each seventh of 2,000 rows is bad; the first one that is read is named as it is in the file."""
    rows = pl.int_range(pl.len())
    table = write(tmp_path, frame_of(1000).with_columns(quality=pl.when(rows % 7 == 3).then(7.0).otherwise(0.5)))
    drawn = subsample(table, 100)
    read = set(drawn.rows_of(pl.read_parquet(table)).tolist())
    first = min(row for row in read if row % 7 == 3)
    with pytest.raises(TableError, match=rf"row {first + 1}, column 'quality': got 7"):
        read_outcomes(table, drawn)
    again = write(tmp_path, frame_of(1000), frame_of(1000), name="again.parquet")
    first = min(read)
    with pytest.raises(TableError, match=rf"row {2000 + first + 1}.* again, first in row {first + 1}"):
        read_outcomes(again, subsample(again, 100))


def test_router_says_what_it_was_drawn_from(tmp_path):
    rng = np.random.default_rng(0)
    n = 400
    words = [" ".join(map(str, rng.integers(0, 10**6, 8))) for _ in range(n)]
    frame = frame_of(n).with_columns(
        prompt=pl.Series([words[row // 2] for row in range(2 * n)]), quality=pl.Series(rng.integers(0, 2, 2 * n) * 1.0)
    )
    rare = frame_of(1, first=9999, quality=None).with_columns(model=pl.Series(["rare", "rarer"]))
    table = write(tmp_path, frame, rare)
    price = "usd_per_mtok_input = 1\nusd_per_mtok_output = 2\n"
    catalog = Catalog.parse(f"[models.a]\n{price}[models.b]\n{price}", origin="test")
    report = train(table, catalog=catalog, config=TrainConfig(), max_prompts=300)
    assert report.n_train + report.n_calibration + report.n_test == 300
    assert report.provenance["table"]["drawn_from"] == 400
    assert any("300 of 400 prompts were read" in warning for warning in report.warnings)
    assert "rare: left out because none of its graded answers was read" in report.warnings


def test_log_is_drawn_with_its_ungraded_decisions_and_counted_whole(tmp_path):
    log = frame_of(100, source=DECISION_LOG)[::2].with_columns(
        pl.format(" {} ", "prompt_id").alias("prompt_id"),
        quality=pl.when(pl.int_range(pl.len()) % 2 == 0).then(1.0),
        propensity=0.5,
        extra=pl.lit('{"reason": "x"}'),
    )
    table = write(tmp_path, log)
    found = read_logged(table, max_prompts=40)
    assert (len(found), found.n_logged, found.left_out) == (40, 100, {NOT_DRAWN: 60})
    assert 0 < np.isnan(found.outcomes.quality).sum() < 40
    assert (found.n_read, found.n_logged) == (40, 100)
    assert len(read_logged(table)) == 100
    has_id = pl.int_range(pl.len()) % 30 != 20
    blank = log.with_columns(prompt_id=pl.when(has_id).then("prompt_id").otherwise(pl.lit(" ")))
    with pytest.raises(TableError, match=r"row 21, column 'prompt_id': got nothing.*\(3 such rows\)"):
        read_logged(write(tmp_path, blank, name="blank.parquet"), max_prompts=40)
