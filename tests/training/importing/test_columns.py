"""Fields of others become columns of ours: by name, by path, in our units."""

import pytest

from router_model.errors import TableError
from router_model.training.importing.columns import ColumnMapping, field_at, parse_columns, unit_in_name
from router_model.training.importing.near_names import near_column


@pytest.mark.parametrize(
    ("record", "path", "value"),
    [
        ({"a": 1}, "a", 1),
        ({"a": {"b": {"c": 2}}}, "a.b.c", 2),
        ({"a.b": 3, "a": {"b": 4}}, "a.b", 3),
        ({"attributes": {"gen_ai.request.model": "m"}}, "attributes.gen_ai.request.model", "m"),
        ({"choices": [{"text": "x"}]}, "choices.0.text", "x"),
        ({"meta": '{"score": 0.5}'}, "meta.score", 0.5),
        ({"meta": "{broken"}, "meta.score", None),
        ({"a": [1]}, "a.5", None),
        ({"a": 1}, "a.b", None),
        ({"a": "[" * 50_000}, "a.0.0", None),
        ({}, "." * 100, None),
    ],
)
def test_field_is_found_by_its_path(record, path, value):
    assert field_at(record, path) == value


@pytest.mark.parametrize(
    ("ours", "theirs", "value", "expected"),
    [
        ("latency_s", "latency_ms", 1500, 1.5),
        ("latency_s", "durationMs", "1,500", 1500 / 1000),
        ("latency_s", "took", 1.5, 1.5),
        ("latency_s", "took:ms", 850, 0.85),
        ("latency_s", "total_duration_ns", 2_500_000_000, 2.5),
        ("latency_s", "took_ms", "fast", "fast"),
        ("timestamp", "timestamp_ms", 1738315800000, 1738315800),
        ("timestamp", "created:us", 1738315800000000, 1738315800),
        ("cost_usd", "cost_cents", 5, 0.05),
        ("cost_usd", "cost_micros", 2500, 0.0025),
        ("quality", "took_ms", 1, 1),
        ("prompt", "a:ms", "Hi", "Hi"),
    ],
)
def test_value_comes_in_our_unit(ours, theirs, value, expected):
    name = theirs.partition(":")[0] if ours != "prompt" else theirs
    mapping = ColumnMapping({ours: [theirs]})
    if theirs == "durationMs":
        mapping = ColumnMapping({ours: [theirs]}, "point")
    assert mapping.own_record({name: value}) == {ours: expected}


def test_first_field_that_holds_something_counts_and_our_own_column_stays():
    mapping = ColumnMapping({"quality": ["score", "rating"], "cost_usd": [""]})
    assert mapping.own_record({"score": None, "rating": 4, "x": 1}) == {"x": 1, "quality": 4}
    assert mapping.own_record({"quality": 0.5, "cost_usd": 3}) == {"quality": 0.5}


def test_named_prompt_stands_for_the_one_that_is_there():
    mapping = ColumnMapping({"prompt": ["question"]})
    assert mapping.own_record({"question": "Q", "messages": [1], "prompt": "P"}) == {"prompt": "Q"}
    chat = [{"role": "user", "content": "Hi"}]
    assert mapping.own_record({"question": chat}) == {"messages": chat}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quality", "got 'quality', expected OURS=THEIRS"),
        ("qualty=score", "got 'qualty', expected one of prompt_id, .* did you mean 'quality'"),
        ("score=quality", "our column comes first"),
        ("=x", "got ''"),
        ("extra=x", "got 'extra'"),
    ],
)
def test_pair_that_names_no_column_is_an_error(text, message):
    with pytest.raises(TableError, match=message):
        parse_columns([text])


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("question", "prompt"),
        ("input", "prompt"),
        ("query", "prompt"),
        ("model_name", "model"),
        ("modelName", "model"),
        ("llm", "model"),
        ("engine", "model"),
        ("correct", "quality"),
        ("score", "quality"),
        ("rating", "quality"),
        ("label", "quality"),
        ("grade", "quality"),
        ("cost", "cost_usd"),
        ("Cost (USD)", "cost_usd"),
        ("latency_ms", "latency_s"),
        ("duration_ms", "latency_s"),
        ("response_time", "latency_s"),
        ("elapsed_seconds", "latency_s"),
        ("timestamp_ms", "timestamp"),
        ("created_at", "timestamp"),
        ("createdAt", "timestamp"),
        ("tokens_in", "input_tokens"),
        ("usage.prompt_tokens", "input_tokens"),
        ("completion_tokens", "output_tokens"),
        ("conversation_id", "session_id"),
        ("Quality", "quality"),
        ("modle", "model"),
        ("promt", "prompt"),
    ],
)
def test_near_name_is_known(name, ours):
    assert near_column(name)[0] == ours


@pytest.mark.parametrize(
    "name", ["prompt", "cost_eur", "grader", "answer", "response", "reference", "id", "request_id", "task"]
)
def test_other_names_are_not_near(name):
    assert near_column(name) is None


def test_unit_is_the_last_word_of_a_name():
    assert [unit_in_name(name) for name in ("ms", "latencyMS", "items", "ms_count", "")] == [
        "ms",
        "ms",
        None,
        None,
        None,
    ]
