"""Values are judged once, whatever type they come in."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from router_model.outcome_schema import OUTCOME_COLUMN_NAMES, OUTCOME_COLUMNS
from router_model.training.importing import CANONICAL_SCHEMA, check_batch, default_prompt_id
from router_model.training.importing.frames import frame_of_rows
from router_model.training.importing.reading import Reading
from router_model.training.importing.scales import Scale
from router_model.training.importing.values import quality

NAN = float("nan")
CHAT = [{"role": "user", "content": "Hi"}]
NINE_THIRTY = datetime(2025, 1, 31, 9, 30, tzinfo=UTC)


def check(**row):
    """Check one row that is fine but for `row`."""
    return check_batch(frame_of_rows([{"prompt": "Hi", "model": "a"} | row]))


def value_of(column, value):
    good, problems = check(**{column: value})
    assert not problems
    return good[column][0]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("quality", "0.5", 0.5),
        ("quality", " 5e-1 ", 0.5),
        ("quality", 1, 1.0),
        ("quality", True, 1.0),
        ("quality", "False", 0.0),
        ("quality", Decimal("0.25"), 0.25),
        ("quality", NAN, None),
        ("quality", "NaN", None),
        ("quality", "", None),
        ("quality", None, None),
        ("input_tokens", "1e3", 1000),
        ("input_tokens", 12.0, 12),
        ("output_tokens", 0, 0),
        ("cost_usd", "3.73E-05", 3.73e-05),
        ("cost_usd", "", None),
        ("cost_usd", "$0.0012", 0.0012),
        ("cost_usd", "0,0012", 0.0012),
        ("latency_s", "850 ms", 0.85),
        ("quality", "0,5", 0.5),
        ("input_tokens", "1,234", 1234),
        ("timestamp", "31/01/2025 09:30", NINE_THIRTY),
        ("messages", "[{'role': 'user', 'content': 'Hi', 'name': None}]", '[{"content":"Hi","role":"user"}]'),
        ("latency_s", 0, 0.0),
        ("propensity", 1, 1.0),
        ("prompt_id", 17, "17"),
        ("prompt_id", " a ", "a"),
        ("model", " gpt-4 ", "gpt-4"),
        ("model", "模型/ü🤖", "模型/ü🤖"),
        ("task", "", None),
        ("timestamp", "2025-01-31T09:30:00Z", NINE_THIRTY),
        ("timestamp", "2025-01-31 10:30:00+01:00", NINE_THIRTY),
        ("timestamp", "2025-01-31T09:30", NINE_THIRTY),
        ("timestamp", 1738315800, NINE_THIRTY),
        ("timestamp", "1738315800.0", NINE_THIRTY),
        ("timestamp", date(2025, 1, 31), datetime(2025, 1, 31, tzinfo=UTC)),
        ("timestamp", NINE_THIRTY.astimezone(timezone(timedelta(hours=3))), NINE_THIRTY),
        ("timestamp", "", None),
        ("messages", CHAT, '[{"content":"Hi","role":"user"}]'),
        ("messages", ' [{"role":"user", "content":"Hi", "name":null}]', '[{"content":"Hi","role":"user"}]'),
        ("extra", {"é": 1}, '{"é": 1}'),
        ("extra", '{"a":1}', '{"a":1}'),
        ("extra", "{}", None),
        ("extra", {}, None),
    ],
)
def test_usable_value_gets_the_canonical_type(column, value, expected):
    assert value_of(column, value) == expected


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("quality", 1.7, "got 1.7, expected a number in [0, 1]"),
        ("quality", "1.7", "got 1.7, expected a number in [0, 1]"),
        ("quality", -0.1, "got -0.1, expected a number in [0, 1]"),
        ("quality", float("inf"), "got inf, expected a number in [0, 1]"),
        ("quality", "good", "got 'good', expected a number in [0, 1]"),
        ("quality", {"score": 1}, 'got {"score": 1}, expected a number in [0, 1]'),
        ("quality", [0.5], "got [0.5], expected a number in [0, 1]"),
        ("input_tokens", -1, "got -1, expected a whole number from 0"),
        ("input_tokens", 1.5, "got 1.5, expected a whole number from 0"),
        ("input_tokens", True, "got true, expected a whole number from 0"),
        ("output_tokens", NAN, "got nan, expected a whole number from 0"),
        ("output_tokens", 10**30, f"got {10**30}, expected a whole number from 0"),
        ("cost_usd", NAN, "got nan, expected a finite number from 0"),
        ("cost_usd", -0.01, "got -0.01, expected a finite number from 0"),
        ("cost_usd", "inf", "got inf, expected a finite number from 0"),
        ("cost_usd", "3 €", "got '3 €', expected a finite number from 0, in US dollars"),
        ("cost_usd", "1,234", "got '1,234', expected a number that can be read in one way only"),
        ("timestamp", "03/04/2025", "got '03/04/2025', expected a date whose day and month cannot be swapped"),
        ("messages", "[" * 900_000, "expected a JSON list of chat messages"),
        ("messages", "[" + "-" * 50_000 + "1]", "expected a JSON list of chat messages"),
        ("messages", "[__import__('os').getcwd()]", "expected a JSON list of chat messages"),
        ("messages", "['" + "a" * 1_000_000 + "']", "expected a JSON list of chat messages"),
        ("cost_usd", False, "got false, expected a finite number from 0"),
        ("latency_s", -1, "got -1, expected a finite number from 0"),
        ("propensity", 0, "got 0, expected a number above 0, up to 1"),
        ("propensity", 1.01, "got 1.01, expected a number above 0, up to 1"),
        ("propensity", NAN, "got nan, expected a number above 0, up to 1"),
        ("model", "", "got '', expected the model's name"),
        ("model", None, "got nothing, expected the model's name"),
        ("model", ["a"], 'got ["a"], expected the model\'s name'),
        ("prompt", " \n", "got ' \\n', expected text here, or chat messages in 'messages'"),
        ("prompt", None, "got nothing, expected text here, or chat messages in 'messages'"),
        ("prompt", {"a": 1}, 'got {"a": 1}, expected text in UTF-8'),
        ("prompt", "\ud800", "got '\\ud800', expected text in UTF-8"),
        ("prompt", 1.5, "got 1.5, expected text in UTF-8"),
        ("task", True, "got true, expected text in UTF-8"),
        ("timestamp", "soon", "got 'soon', expected a time such as"),
        ("timestamp", 1738315800000, "got 1738315800000, expected a time such as"),
        ("timestamp", True, "got true, expected a time such as"),
        ("timestamp", NAN, "got nan, expected a time such as"),
        ("timestamp", "2025-02-30", "got '2025-02-30', expected a time such as"),
        ("messages", "Hi", "got 'Hi', expected a JSON list of chat messages"),
        ("messages", "[]", "got '[]', expected a JSON list of chat messages"),
        ("messages", ["Hi"], 'got ["Hi"], expected a JSON list of chat messages'),
        ("messages", {"role": "user"}, 'got {"role": "user"}, expected a JSON list of chat messages'),
        ("messages", [{"role": "user", "content": 3}], "expected a JSON list of chat messages"),
        ("messages", [{"role": "user", "content": ""}], "expected a JSON list of chat messages"),
        ("extra", "oops", "got 'oops', expected a JSON object"),
        ("extra", [1], "got [1], expected a JSON object"),
    ],
)
def test_unusable_value_is_a_problem_and_never_a_null(column, value, reason):
    good, (problem,) = check(**{column: value})
    assert (good.height, problem.index, problem.column) == (0, 0, column)
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("column", "series", "expected"),
    [
        ("quality", pl.Series([0.5, None], dtype=pl.Float32), [0.5, None]),
        ("quality", pl.Series([True, False]), [1.0, 0.0]),
        ("quality", pl.Series(["0.5", "1"], dtype=pl.Categorical), [0.5, 1.0]),
        ("input_tokens", pl.Series([3, 4], dtype=pl.UInt8), [3, 4]),
        ("cost_usd", pl.Series([Decimal("0.25"), None]), [0.25, None]),
        ("model", pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])), ["a", "b"]),
        ("timestamp", pl.Series([NINE_THIRTY.replace(tzinfo=None)] * 2), [NINE_THIRTY] * 2),
        ("timestamp", pl.Series([NINE_THIRTY] * 2).dt.convert_time_zone("Asia/Tokyo"), [NINE_THIRTY] * 2),
        ("timestamp", pl.Series([date(2025, 1, 31)] * 2), [datetime(2025, 1, 31, tzinfo=UTC)] * 2),
        ("messages", pl.Series([CHAT, CHAT]), ['[{"content":"Hi","role":"user"}]'] * 2),
        ("extra", pl.Series([{"a": 1}, {"a": 2}]), ['{"a": 1}', '{"a": 2}']),
    ],
)
def test_column_types_are_brought_into_shape(column, series, expected):
    frame = pl.DataFrame({"prompt": ["Hi", "Ho"], "model": ["a", "b"]}).with_columns(series.alias(column))
    good, problems = check_batch(frame)
    assert not problems
    assert good[column].to_list() == expected


@pytest.mark.parametrize("series", [pl.Series([[1], [2]]), pl.Series([{"a": 1}] * 2), pl.Series([b"x", b"y"])])
@pytest.mark.parametrize("column", ["quality", "model", "timestamp", "task"])
def test_column_of_a_foreign_type_is_bad_in_every_row(column, series):
    frame = pl.DataFrame({"prompt": ["Hi", "Ho"], "model": ["a", "b"]}).with_columns(series.alias(column))
    good, problems = check_batch(frame)
    assert (good.height, [problem.index for problem in problems]) == (0, [0, 1])


def test_output_has_all_columns_in_canonical_types_also_without_rows():
    for frame in (pl.DataFrame(), pl.DataFrame({"prompt": ["Hi"], "model": ["a"], "other": [1]})):
        good, problems = check_batch(frame)
        assert good.schema == pl.Schema(CANONICAL_SCHEMA)
        assert not problems
    assert tuple(CANONICAL_SCHEMA) == OUTCOME_COLUMN_NAMES == tuple(column.name for column in OUTCOME_COLUMNS)


def test_table_without_the_needed_columns_is_bad_in_every_row():
    _, problems = check_batch(pl.DataFrame({"question": ["Hi"]}))
    assert [(problem.column, problem.got) for problem in problems] == [("model", "nothing"), ("prompt", "nothing")]


@pytest.mark.parametrize(
    ("reading", "value", "expected"),
    [
        (Reading(scale=Scale(1, 5)), 4, 0.75),
        (Reading(scale=Scale(1, 5)), "4/5", 0.75),
        (Reading(scale=Scale(5, 1)), 2, 0.75),
        (Reading(scale=Scale(0, 100)), "85%", 0.85),
        (Reading(scale=Scale(-1, 1)), -1, 0.0),
        (Reading(scale=Scale(1, 5)), True, 1.0),
        (Reading(scale=Scale(1, 5), words={"good": 0.9, "n/a": None}), " Good", 0.9),
        (Reading(scale=Scale(1, 5), words={"good": 0.9, "n/a": None}), "N/A", None),
        (Reading(words={"-1": None}), -1, None),
    ],
)
def test_quality_is_read_as_it_was_said(reading, value, expected):
    good, problems = check_batch(frame_of_rows([{"prompt": "Hi", "model": "a", "quality": value}]), reading)
    assert not problems
    assert good["quality"].to_list() == [expected]


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1))
def test_every_scale_maps_its_ends_to_zero_and_one(worst, best, share):
    assume(abs(best - worst) > 1e-3)
    scale = Scale(worst, best)
    low, high = scale.range
    values = [worst, best, min(max(worst + share * (best - worst), low), high)]
    clean, bad = quality(pl.Series(values), Reading(scale=scale))
    assert not bad.any()
    assert clean.to_list() == pytest.approx([0, 1, share], abs=1e-6)


def test_mixed_column_keeps_its_good_values():
    rows = [{"prompt": "Hi", "model": str(i), "quality": value} for i, value in enumerate([1, "0.5", {}, None, True])]
    good, problems = check_batch(frame_of_rows(rows))
    assert good["quality"].to_list() == [1.0, 0.5, None, 1.0]
    assert [problem.index for problem in problems] == [2]


def test_row_may_have_several_problems():
    _, problems = check(quality=2, cost_usd=-1)
    assert [problem.column for problem in problems] == ["quality", "cost_usd"]


def test_prompt_id_is_made_from_the_prompt_and_prefers_messages():
    good, _ = check_batch(
        frame_of_rows(
            [
                {"prompt": "Hi", "model": "a"},
                {"prompt": "Hi", "model": "b", "prompt_id": "mine"},
                {"prompt": "Hi", "model": "c", "messages": CHAT},
                {"model": "d", "messages": [{"content": "Hi", "role": "user"}]},
            ]
        )
    )
    chat_id = default_prompt_id('[{"content":"Hi","role":"user"}]')
    assert good["prompt_id"].to_list() == [default_prompt_id("Hi"), "mine", chat_id, chat_id]


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([1]), st.just({"a": 1})
)


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(OUTCOME_COLUMN_NAMES, VALUES)), max_size=5))
def test_every_row_is_good_or_has_a_problem(rows):
    rows = [{"source": "t"} | row for row in rows]
    good, problems = check_batch(frame_of_rows(rows))
    assert good.height + len({problem.index for problem in problems}) == len(rows)
    assert good["model"].null_count() == good["prompt_id"].null_count() == 0


@given(st.lists(st.floats(0, 1) | st.none(), min_size=1, max_size=5))
def test_quality_survives_being_written_as_text(values):
    written = [None if value is None else repr(value) for value in values]
    frame = pl.DataFrame({"prompt": "Hi", "model": "a", "quality": pl.Series(written, dtype=pl.String)})
    assert check_batch(frame)[0]["quality"].to_list() == values
