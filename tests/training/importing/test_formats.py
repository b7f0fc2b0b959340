"""Records of every format become rows of the schema."""

import json
from importlib.resources import files

import pytest

from router_model.records import OUTCOME_COLUMN_NAMES
from training.importing.adapters import ADAPTERS, NOWHERE, adapter_of
from training.importing.conversion import latency_s
from training.importing.problems import RecordError

WIDE = {
    "sample_id": "mmlu.1",
    "prompt": "['Which?']",
    "eval_name": "mmlu",
    "gpt-4": 1.0,
    "gpt-4|total_cost": 0.002,
    "gpt-4|model_response": "A",
    "mixtral": 0.0,
    "mixtral|total_cost": 0.0001,
    "mixtral|model_response": "B",
    "oracle_model_to_route_to": "gpt-4",
}
BENCH = {
    "origin_query": "2+2?",
    "prompt": "Solve: 2+2?",
    "prediction": "4",
    "ground_truth": "4",
    "score": 1.0,
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "cost": 0.001,
}
ARMS = {
    "prompt": "Copy a list.",
    "difficulty": "easy",
    "arms": {
        "vendor/small": {"reward": 0.4, "cost": 3.7e-05, "near_best": False},
        "vendor/large": {"reward": 1.0, "cost": 6.1e-04, "near_best": True},
    },
    "source": "mbpp",
}
LITELLM = {
    "id": "call-1",
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Hi"}],
    "response": {"choices": []},
    "response_cost": 0.002,
    "prompt_tokens": 8,
    "completion_tokens": 5,
    "startTime": 1738312200.0,
    "endTime": 1738312201.5,
    "metadata": {"score": 0.5, "session_id": "s1", "propensity": 0.9, "user_api_key_hash": "secret", "team": "a"},
}
SPAN = {
    "name": "chat gpt-4o",
    "attributes": {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 8,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]',
        "gen_ai.output.messages": "[]",
        "gen_ai.conversation.id": "s1",
        "server.address": "api",
    },
    "startTimeUnixNano": "1738312200000000000",
    "endTimeUnixNano": "1738312201500000000",
}


def convert(name, record, context=None):
    return ADAPTERS[name].convert(record, NOWHERE._replace(fields=context or {}))


def filled(row):
    return {key: value for key, value in row.items() if value is not None}


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"prompt": "Hi", "model": "a"}, "outcomes"),
        ({"messages": [], "model": "a", "quality": 1, "score": 2}, "outcomes"),
        (WIDE, "routerbench"),
        (BENCH, "llmrouterbench"),
        ({"model_name": "a", "records": [BENCH]}, "llmrouterbench"),
        (ARMS, "paretobandit"),
        (LITELLM, "litellm"),
        (SPAN, "otel"),
        ({"resourceSpans": []}, "otel"),
        ({"gen_ai.request.model": "a"}, "otel"),
    ],
)
def test_format_is_told_by_the_record(record, name):
    assert adapter_of(record).name == name


def test_foreign_record_names_its_fields_and_what_is_expected():
    with pytest.raises(RecordError, match="the fields 'question', 'llm', expected 'prompt'"):
        adapter_of({"question": "?", "llm": "a"})


@pytest.mark.parametrize(
    ("name", "record"),
    [("routerbench", WIDE), ("llmrouterbench", BENCH | {"model": "a"}), ("litellm", LITELLM), ("otel", SPAN)],
)
def test_rows_have_outcome_columns_only_and_leave_the_record_alone(name, record):
    before = json.dumps(record)
    for row in convert(name, record).rows:
        assert set(row) <= set(OUTCOME_COLUMN_NAMES)
    assert json.dumps(record) == before


def test_outcomes_merge_unknown_columns_into_extra():
    row = convert("outcomes", {"model": "a", "extra": '{"x": 1}', "grader": "exact", "note": ""}).rows[0]
    assert row == {"model": "a", "extra": {"x": 1, "grader": "exact"}}


def test_outcomes_extra_that_cannot_be_merged_is_an_error():
    with pytest.raises(RecordError, match="got 'oops', expected a JSON object"):
        convert("outcomes", {"model": "a", "extra": "oops", "grader": "exact"})


def test_routerbench_row_unfolds_into_its_models():
    first, second = convert("routerbench", WIDE).rows
    assert first == {
        "prompt_id": "mmlu.1",
        "prompt": "Which?",
        "model": "gpt-4",
        "quality": 1.0,
        "cost_usd": 0.002,
        "task": "mmlu",
        "extra": {"oracle_model_to_route_to": "gpt-4"},
    }
    assert (second["model"], second["quality"]) == ("mixtral", 0.0)


def test_routerbench_pair_without_quality_and_cost_is_missing():
    rows = convert("routerbench", WIDE | {"mixtral": "", "mixtral|total_cost": float("nan")}).rows
    assert [row["model"] for row in rows] == ["gpt-4"]


def test_routerbench_row_without_any_pair_is_an_error():
    empty = {key: None if "gpt" in key or "mix" in key else value for key, value in WIDE.items()}
    with pytest.raises(RecordError, match="a value for at least one model"):
        convert("routerbench", empty)


def test_llmrouterbench_takes_model_and_task_from_the_object_around():
    (row,) = convert("llmrouterbench", BENCH, {"model_name": "a", "dataset_name": "gsm8k", "cost": 3}).rows
    assert row == {
        "prompt": "2+2?",
        "model": "a",
        "quality": 1.0,
        "input_tokens": 9,
        "output_tokens": 3,
        "cost_usd": 0.001,
        "task": "gsm8k",
        "extra": {"prompt": "Solve: 2+2?", "ground_truth": "4"},
    }


def test_llmrouterbench_object_with_records_gives_a_row_each():
    rows = convert("llmrouterbench", {"model": "a", "records": [BENCH, BENCH | {"origin_query": ""}]}).rows
    assert [(row["model"], row["prompt"]) for row in rows] == [("a", "2+2?"), ("a", "Solve: 2+2?")]


@pytest.mark.parametrize(
    ("name", "record", "message"),
    [
        ("llmrouterbench", BENCH, "in the record and in the object around it, expected the model's name"),
        ("llmrouterbench", {"model": "a", "records": []}, r"got \[\], expected a list of objects"),
        ("llmrouterbench", {"model": "a", "records": [1]}, r"got \[1\], expected a list of objects"),
        ("paretobandit", {"prompt": "Hi", "arms": [1]}, r"got \[1\], expected a JSON object"),
        ("paretobandit", {"prompt": "Hi", "arms": {}}, "expected at least one model"),
        ("paretobandit", {"prompt": "Hi", "arms": {"a": 0.5}}, "got 0.5, expected an object with 'reward'"),
        ("litellm", LITELLM | {"metadata": "oops"}, "got 'oops', expected a JSON object"),
        ("litellm", LITELLM | {"endTime": "later"}, "got 'later', expected seconds since 1970"),
        ("litellm", LITELLM | {"startTime": True}, "got true, expected seconds since 1970"),
        ("otel", {"resourceSpans": 3}, "got 3, expected a list of objects"),
        ("otel", {"scopeSpans": [{"spans": [1]}]}, r"got \[1\], expected a list of objects"),
    ],
)
def test_record_of_the_wrong_shape_is_an_error(name, record, message):
    with pytest.raises(RecordError, match=message):
        convert(name, record)


def test_paretobandit_unfolds_into_its_arms():
    small, large = convert("paretobandit", ARMS).rows
    assert small == {
        "prompt": "Copy a list.",
        "model": "vendor/small",
        "quality": 0.4,
        "cost_usd": 3.7e-05,
        "task": "mbpp",
        "extra": {"difficulty": "easy", "near_best": False},
    }
    assert large["model"] == "vendor/large"


def test_paretobandit_reads_the_files_of_the_installed_package():
    pytest.importorskip("pareto_bandit", reason="the extra 'sample' is not installed")
    lines = files("pareto_bandit").joinpath("data/examples/val.jsonl").read_text("utf-8").strip().split("\n")
    assert {adapter_of(json.loads(line)).name for line in lines} == {"paretobandit"}
    assert sum(len(convert("paretobandit", json.loads(line)).rows) for line in lines) == 3 * len(lines)


def test_litellm_payload_becomes_a_row_without_answer_and_keys():
    (row,) = convert("litellm", LITELLM).rows
    assert row == {
        "messages": [{"role": "user", "content": "Hi"}],
        "model": "gpt-4o",
        "quality": 0.5,
        "input_tokens": 8,
        "output_tokens": 5,
        "cost_usd": 0.002,
        "latency_s": 1.5,
        "propensity": 0.9,
        "timestamp": 1738312200.0,
        "session_id": "s1",
        "extra": {"id": "call-1", "metadata": {"team": "a"}},
    }


def test_litellm_reads_text_prompts_json_metadata_and_trace_ids():
    record = LITELLM | {"messages": "Hi", "metadata": '{"quality": 1}', "trace_id": "t1"}
    (row,) = convert("litellm", record).rows
    assert (row["prompt"], row["quality"], row["session_id"]) == ("Hi", 1, "t1")


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        (10, 12.5, 2.5),
        ("2025-01-31T09:30:00Z", "2025-01-31T10:30:01+01:00", 1.0),
        ("2025-01-31T09:30:00", "2025-01-31T09:30:00.250", 0.25),
        (10, None, None),
        ("", 5, None),
    ],
)
def test_latency_is_the_time_between(start, end, seconds):
    assert latency_s({"start": start, "end": end}, "start", "end") == seconds
