"""Langfuse's observations, from every export, with the scores and sessions that other files hold."""

import json

import polars as pl
import pytest

from router_model.errors import TableError
from router_model.training.importing import import_sources
from router_model.training.importing.adapters import NOWHERE
from router_model.training.importing.adapters.langfuse import langfuse
from router_model.training.importing.problems import RecordError

ASKED = [{"role": "user", "content": "Hi"}]
API = {
    "id": "o1",
    "traceId": "t1",
    "type": "GENERATION",
    "startTime": "2025-01-31T08:30:00Z",
    "endTime": "2025-01-31T08:30:01.500Z",
    "model": "gpt-4o",
    "input": {"messages": ASKED, "tools": []},
    "output": "secret",
    "usageDetails": {"input": 2, "input_cached_tokens": 6, "output": 4, "output_reasoning_tokens": 1, "total": 13},
    "costDetails": {"input": 0.001, "total": 0.002},
    "sessionId": "s1",
    "userId": "secret",
    "metadata": {"email": "secret"},
    "scores": [{"name": "helpfulness", "value": 0.75, "dataType": "NUMERIC"}],
}
BUCKET = {
    "id": "o1",
    "trace_id": "t1",
    "type": "GENERATION",
    "start_time": "2025-01-31 08:30:00.000000",
    "end_time": "2025-01-31 08:30:01.500000",
    "provided_model_name": "gpt-4o",
    "input": json.dumps(ASKED),
    "usage_details": {"input": 8, "output": 5, "total": 13},
    "cost_details": {"total": 0.002},
    "total_cost": 0.003,
    "session_id": "s1",
    "user_id": "secret",
    "scores": {"helpfulness": [0.5, 1.0]},
}
COLUMNS = {
    "id": "o1",
    "traceId": "t1",
    "type": "GENERATION",
    "startTime": "2025-01-31T08:30:00Z",
    "endTime": "2025-01-31T08:30:01.500Z",
    "model": "gpt-4o",
    "input": json.dumps({"messages": ASKED}),
    "inputUsage": 8,
    "outputUsage": 5,
    "totalCost": 0.002,
    "sessionId": "s1",
    "helpfulness": "0.75",
    "tone": "friendly",
}
OLD = {key: value for key, value in API.items() if key not in ("usageDetails", "costDetails")} | {
    "usage": {"input": 8, "output": 5, "total": 13, "unit": "TOKENS"},
    "calculatedTotalCost": 0.002,
}


@pytest.mark.parametrize("record", [API, BUCKET, COLUMNS, OLD])
def test_observation_of_every_export_becomes_the_same_row(record):
    (row,) = langfuse(record, NOWHERE).rows
    assert "secret" not in json.dumps(row)
    del row["extra"]
    assert row == {
        "messages": ASKED,
        "model": "gpt-4o",
        "quality": 0.75,
        "input_tokens": 8,
        "output_tokens": 5,
        "cost_usd": 0.002,
        "latency_s": 1.5,
        "timestamp": 1738312200.0,
        "session_id": "s1",
    }


def test_variables_of_a_template_are_the_prompt_together_and_the_summary_says_so(tmp_path):
    """A history comes first; the right answer would give away what is to be predicted."""
    asked = {"question": "Who?", "context": "Ann did.", "chat_history": [*ASKED], "expected_output": "Ann"}
    (source := tmp_path / "o.jsonl").write_text(json.dumps(API | {"input": asked}))
    report = import_sources([source], tmp_path / "t.parquet")
    assert report.told == {"prompts are the variables of a template together: chat_history, question, context": 1}
    (messages,) = pl.read_parquet(tmp_path / "t.parquet")["messages"]
    assert json.loads(messages) == [*ASKED, {"role": "user", "content": "question: Who?\n\ncontext: Ann did."}]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"type": "SPAN"}, "observations of the type SPAN"),
        ({"type": "AGENT"}, "observations of the type AGENT"),
        ({"type": "EMBEDDING"}, "embedding calls"),
        ({"level": "ERROR"}, "failed calls"),
    ],
)
def test_what_is_no_answered_call_is_skipped_and_counted(changes, what):
    assert dict(langfuse(API | changes, NOWHERE).skipped) == {what: 1}


@pytest.mark.parametrize(
    ("scores", "quality"),
    [
        ([], None),
        ([{"name": "tone", "value": 0, "stringValue": "good", "dataType": "CATEGORICAL"}], None),
        ([{"name": "ok", "value": 1, "stringValue": "True", "dataType": "BOOLEAN"}], 1.0),
        ([{"name": "toxicity", "value": 0.25}, {"name": "correctness", "value": 0.75}], 0.75),
        ([{"name": "correctness", "value": 0.25}, {"name": "Quality", "value": 0.5}], 0.5),
        ([{"name": "stars", "value": 4}], 4.0),
    ],
)
def test_quality_is_the_score_that_the_rule_names(scores, quality):
    assert langfuse(API | {"scores": scores}, NOWHERE).rows[0]["quality"] == quality


@pytest.mark.parametrize("name", ["toxicity", "Hallucination", "latency", "is_refusal"])
def test_a_score_of_harm_is_refused_until_the_user_says_what_counts(tmp_path, name):
    """One score would be the quality; this one would reward the worst answers."""
    (source := tmp_path / "o.jsonl").write_text(json.dumps(API | {"scores": [{"name": name, "value": 0.25}]}))
    out = tmp_path / "t.parquet"
    with pytest.raises(TableError, match=f"got the score '{name}', whose name suggests that smaller is better"):
        import_sources([source], out)
    import_sources([source], out, columns={"quality": "scores.0.value"}, scale=(1, 0))
    assert pl.read_parquet(out)["quality"].to_list() == [0.75]
    import_sources([source], out, columns={"quality": ""})
    assert pl.read_parquet(out)["quality"].to_list() == [None]


def test_several_scores_are_refused_by_their_names():
    scores = [{"name": "toxicity", "value": 0.25}, {"name": "tone", "value": 0.75}]
    undecided = langfuse(API | {"scores": scores}, NOWHERE).rows[0]["quality"]
    assert undecided.reason == "got the scores 'toxicity', 'tone', expected one score, or one named 'quality'"


TRACE = {
    "id": "t1",
    "timestamp": "2025-01-31T08:30:00Z",
    "name": "chat",
    "sessionId": "s1",
    "input": "Hi",
    "output": "a",
}


@pytest.mark.parametrize("trace", [TRACE, TRACE | {"observations": ["o1"], "scores": ["x"]}])
def test_trace_without_its_calls_is_refused_with_what_to_export(trace):
    with pytest.raises(RecordError, match="a trace of Langfuse, which names no model"):
        langfuse(trace, NOWHERE)


@pytest.mark.parametrize(("n_calls", "quality"), [(1, 0.75), (2, None)])
def test_trace_with_its_observations_gives_their_rows(n_calls, quality):
    """A score of the trace counts only where the trace has one call."""
    calls = [{**API, "id": f"o{number}", "sessionId": None, "scores": []} for number in range(n_calls)]
    parts = [{key: value for key, value in call.items() if key not in ("sessionId", "scores")} for call in calls]
    trace = TRACE | {"observations": [*parts, API | {"type": "SPAN"}], "scores": [{"name": "ok", "value": 0.75}]}
    conversion = langfuse(trace, NOWHERE)
    assert [(row["quality"], row["session_id"]) for row in conversion.rows] == [(quality, "s1")] * n_calls
    assert dict(conversion.skipped) == {"observations of the type SPAN": 1}


def write(folder, name, records):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(map(json.dumps, records)), encoding="utf-8")


def test_files_of_a_bucket_are_joined(tmp_path):
    """o1 has a score of its own; o2 is alone in its trace and takes the trace's; o3 and o4 share a trace."""
    bare = {key: value for key, value in BUCKET.items() if key not in ("session_id", "scores")}
    calls = [bare | {"id": f"o{i}", "trace_id": trace, "input": f"Q {i}"} for i, trace in enumerate("abcc", start=1)]
    scores = [
        {"trace_id": "a", "observation_id": "o1", "name": "ok", "value": 0.25, "data_type": "NUMERIC"},
        {"trace_id": "a", "observation_id": None, "name": "ok", "value": 1, "data_type": "NUMERIC"},
        {"trace_id": "b", "observation_id": "", "name": "ok", "value": 0.5, "data_type": "NUMERIC"},
        {"trace_id": "c", "observation_id": None, "name": "ok", "value": 1, "data_type": "NUMERIC"},
    ]
    traces = [{"id": one, "timestamp": "2025-01-31", "session_id": f"s-{one}", "input": "x"} for one in "abc"]
    write(tmp_path / "observations", "1.jsonl", calls)
    write(tmp_path / "scores", "1.jsonl", scores)
    write(tmp_path / "traces", "1.jsonl", traces)
    report = import_sources([tmp_path], tmp_path / "o.parquet")
    table = pl.read_parquet(tmp_path / "o.parquet").sort("prompt")
    assert table["quality"].to_list() == [0.25, 0.5, None, None]
    assert table["session_id"].to_list() == ["s-a", "s-b", "s-c", "s-c"]
    assert report.skipped == {"scores": 4, "traces": 3}
