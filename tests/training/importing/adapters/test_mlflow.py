"""MLflow's traces become rows of their calls, in every form in which they are exported."""

import json

import polars as pl
import pytest

from router_model.errors import TableError
from router_model.training.importing import import_sources
from router_model.training.importing.adapters import NOWHERE
from router_model.training.importing.adapters.mlflow import mlflow

ASKED = [{"role": "user", "content": "Hi"}]


def span(kind="CHAT_MODEL", name="s1", **changes):
    attributes = {"mlflow.spanType": kind, "mlflow.spanInputs": {"model": "m", "messages": ASKED}}
    attributes |= {"mlflow.chat.tokenUsage": {"input_tokens": 3, "output_tokens": 4}}
    return {
        "span_id": name,
        "start_time_unix_nano": 1740823200000000000,
        "end_time_unix_nano": 1740823200500000000,
        "status": {"code": "STATUS_CODE_OK"},
        "attributes": {key: json.dumps(value) for key, value in attributes.items()},
    } | changes


TRUE = {"assessment_name": "correctness", "feedback": {"value": True}}
INFO = {"trace_id": "t1", "assessments": [TRUE], "trace_metadata": {"mlflow.trace.session": "c1"}}
SPANS = [span("CHAIN", "s0"), span()]


@pytest.mark.parametrize(
    "trace",
    [
        {**INFO, "spans": SPANS},
        {"info": INFO, "data": {"spans": SPANS}},
        {"info": json.dumps(INFO), "data": json.dumps({"spans": list(map(json.dumps, SPANS))})},
    ],
)
def test_trace_of_every_export_gives_the_same_row(tmp_path, trace):
    (source := tmp_path / "traces.json").write_text(json.dumps(trace))
    report = import_sources([source], tmp_path / "o.parquet")
    assert report.skipped == {"spans of other operations": 1}
    (row,) = pl.read_parquet(tmp_path / "o.parquet").to_dicts()
    assert (json.loads(row["messages"]), row["model"], row["quality"], row["session_id"]) == (ASKED, "m", 1.0, "c1")
    assert (row["input_tokens"], row["output_tokens"], row["latency_s"]) == (3, 4, 0.5)


def test_assessment_of_a_trace_counts_only_if_it_has_one_call():
    about_s2 = {**TRUE, "span_id": "s2", "feedback": {"value": False}}
    calls = [span(), span(name="s2"), span(name="s3", status={"code": "STATUS_CODE_ERROR"})]
    conversion = mlflow({**INFO, "assessments": [TRUE, about_s2], "spans": calls}, NOWHERE)
    assert [row["quality"] for row in conversion.rows] == [None, 0.0]
    assert conversion.skipped == {"failed calls": 1}


def test_call_without_its_inputs_is_refused(tmp_path):
    bare = span(attributes={"mlflow.spanType": '"LLM"'})
    (source := tmp_path / "t.jsonl").write_text(json.dumps({**INFO, "spans": [bare]}))
    with pytest.raises(TableError, match="a call of MLflow without its prompt"):
        import_sources([source], tmp_path / "o.parquet")
