"""Records of every format become rows of the schema."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from router_model.outcome_schema import OUTCOME_COLUMN_NAMES
from router_model.training.importing.adapters import ADAPTERS, NOWHERE, adapter_of
from router_model.training.importing.conversion import latency_s
from router_model.training.importing.problems import RecordError

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
        ({"resourceSpans": []}, "otel"),
        ({"gen_ai.request.model": "a"}, "otel"),
        ({"attributes": {"openinference.span.kind": "LLM"}, "name": "x"}, "openinference"),
        ({"attributes.llm.model_name": "a", "context.span_id": "1"}, "openinference"),
        ({"span_id": "1", "name": "correct", "annotator_kind": "HUMAN", "score": 1}, "openinference"),
        ({"tags": {"ai.operationId": "ai.streamText.doStream"}, "traceId": "1", "attributes": None}, "vercel"),
        ({"response_cost": 0.1, "model": "a", "messages": []}, "litellm"),
        ({"startTime": 1, "endTime": 2, "model": "a", "messages": []}, "litellm"),
        ({"request_id": "1", "spend": 0.1, "startTime": 1}, "litellm"),
        ({"request_kwargs": {}, "response_obj": {}}, "litellm"),
        ({"id": "1", "traceId": "2", "type": "SPAN", "startTime": 1, "model": None}, "langfuse"),
        ({"id": "1", "trace_id": "2", "provided_model_name": "m", "usage_details": {}}, "langfuse"),
        ({"id": "1", "traceId": "2", "name": "helpfulness", "value": 1, "dataType": "NUMERIC"}, "langfuse"),
        ({"id": "1", "timestamp": "2025-03-01", "input": "Hi", "sessionId": "s"}, "langfuse"),
        ({"request_body": {}, "response_body": {}, "model": "a"}, "helicone"),
        ({"request_id": "1", "request_created_at": "2025-03-01", "delay_ms": 5, "costUSD": 1}, "helicone"),
        ({"run_type": "chain", "inputs": {}, "outputs": {}}, "langsmith"),
        ({"run_id": "1", "key": "correctness", "score": 1}, "langsmith"),
        ({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {}}, "openai_batch"),
        ({"custom_id": "1", "response": {"body": {}}, "error": None}, "openai_batch"),
        ({"custom_id": "1", "result": {"type": "succeeded"}}, "openai_batch"),
        ({"object": "chat.completion", "choices": []}, "openai_stored"),
        ({"id": "chatcmpl-1-0", "role": "user", "content": "Hi"}, "openai_stored"),
    ],
)
def test_format_is_told_by_the_record(record, name):
    assert adapter_of(record).name == name


@pytest.mark.parametrize(
    ("record", "tool", "lacking"),
    [
        ({"trace_Id": 1, "typ": "GENERATION", "startTime": 1, "input": "Hi"}, "Langfuse", "'traceId'"),
        ({"run-type": "llm", "inputs": {}, "outputs": {}, "start_time": 1}, "LangSmith", "'run_type'"),
        (
            {"response_costs": 1, "prompt_tokens": 2, "completion_tokens": 3, "model_name": 1},
            "LiteLLM",
            "'response_cost'",
        ),
    ],
)
def test_record_that_is_nearly_one_of_a_tool_names_the_tool_and_what_it_lacks(record, tool, lacking):
    with pytest.raises(RecordError, match=f"which looks like {tool} .*{lacking}"):
        adapter_of(record)


def test_every_format_has_a_row_in_the_table_of_formats():
    text = Path(__file__).parents[3].joinpath("data/README.md").read_text("utf-8")
    assert {name for name in ADAPTERS if not re.search(rf"^\| `{name}` \|", text, re.MULTILINE)} == set()


def test_foreign_record_names_its_fields_and_what_is_expected():
    with pytest.raises(RecordError, match="the fields 'question', 'llm', expected 'prompt'"):
        adapter_of({"question": "?", "llm": "a"})


@pytest.mark.parametrize(
    ("name", "record"),
    [("routerbench", WIDE), ("llmrouterbench", BENCH | {"model": "a"}), ("paretobandit", ARMS)],
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


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        (10, 12.5, 2.5),
        ("2025-01-31T09:30:00Z", "2025-01-31T10:30:01+01:00", 1.0),
        ("2025-01-31T09:30:00", "2025-01-31T09:30:00.250", 0.25),
        (10, None, None),
        ("", 5, None),
        (1740823200000, 1740823201500, 1.5),
        ("2025-03-01 10:00:00.1 UTC", "2025-03-01 10:00:00.35+00", 0.25),
        ("1740823200000000000", 1740823200250000000, 0.25),
    ],
)
def test_latency_is_the_time_between(start, end, seconds):
    assert latency_s({"start": start, "end": end}, "start", "end") == seconds
