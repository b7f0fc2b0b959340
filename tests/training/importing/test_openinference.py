"""Spans of OpenInference, flat, nested and as tables, become the same rows."""

import json

import polars as pl
import pytest

from router_model.training.importing import import_sources
from router_model.training.importing.adapters import ADAPTERS, NOWHERE

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
PLAIN = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o",
    "llm.token_count.prompt": 8,
    "llm.token_count.completion": 5,
    "llm.cost.total": 0.002,
    "session.id": "s1",
    "user.id": "secret",
    "metadata": '{"who": "secret"}',
    "output.value": "secret",
}
FLAT = PLAIN | {
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be brief.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.content": "Hi",
    "llm.output_messages.0.message.content": "secret",
}
NESTED = {
    "openinference": {"span": {"kind": "LLM"}},
    "llm": {
        "model_name": "gpt-4o",
        "token_count": {"prompt": 8, "completion": 5},
        "cost": {"total": 0.002},
        "input_messages": [{"message": message} for message in ASKED],
    },
    "session": {"id": "s1"},
    "user": {"id": "secret"},
}
LISTED = PLAIN | {
    "llm.input_messages": [{"message.role": one["role"], "message.content": one["content"]} for one in ASKED]
}
TIMES = {"start_time": "2025-01-31T08:30:00Z", "end_time": "2025-01-31T08:30:01.500Z"}
SPAN = {"name": "llm", "context": {"trace_id": "0x5b8e", "span_id": "0x0515"}, **TIMES}
TABLE = {"name": "llm", "context.trace_id": "5b8e", "context.span_id": "0515", "status_code": "OK", **TIMES}


def convert(record, notes=None):
    around = NOWHERE._replace(notes_of=lambda key: (notes or {}).get(key, []))
    return ADAPTERS["openinference"].convert(record, around)


@pytest.mark.parametrize(
    "record",
    [
        SPAN | {"attributes": FLAT},
        SPAN | {"attributes": NESTED},
        SPAN | {"attributes": LISTED},
        TABLE | {f"attributes.{key}": value for key, value in LISTED.items()},
    ],
)
def test_span_of_every_shape_becomes_the_same_row(record):
    (row,) = convert(record).rows
    assert "secret" not in json.dumps(row)
    del row["extra"]
    assert row == {
        "messages": ASKED,
        "model": "gpt-4o",
        "quality": None,
        "input_tokens": 8,
        "output_tokens": 5,
        "cost_usd": 0.002,
        "latency_s": 1.5,
        "timestamp": 1738312200.0,
        "session_id": "s1",
    }


@pytest.mark.parametrize(
    ("attributes", "fields"),
    [
        ({"llm.prompts.0.prompt.text": "Hi"}, {"prompt": "Hi"}),
        ({"input.value": "Hi", "input.mime_type": "text/plain"}, {"prompt": "Hi"}),
        ({"input.value": json.dumps({"messages": ASKED, "model": "gpt-4o"})}, {"messages": ASKED}),
        (
            {
                "llm.input_messages.0.message.role": "user",
                "llm.input_messages.0.message.contents.0.message_content.type": "text",
                "llm.input_messages.0.message.contents.0.message_content.text": "See",
                "llm.input_messages.0.message.contents.1.message_content.type": "image",
                "llm.input_messages.0.message.contents.1.message_content.image.image.url": "x",
            },
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "x"}}],
                    }
                ]
            },
        ),
        (
            {
                "llm.input_messages.0.message.role": "assistant",
                "llm.input_messages.0.message.tool_calls.0.tool_call.id": "c1",
                "llm.input_messages.0.message.tool_calls.0.tool_call.function.name": "add",
                "llm.input_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"a": 1}',
            },
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
                        ],
                    }
                ]
            },
        ),
    ],
)
def test_prompt_is_found_in_every_attribute_that_may_hold_it(attributes, fields):
    (row,) = convert(SPAN | {"attributes": PLAIN | attributes}).rows
    assert {key: row[key] for key in ("prompt", "messages") if key in row} == fields


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"openinference.span.kind": "CHAIN"}, "spans of the kind CHAIN"),
        ({"openinference.span.kind": "EMBEDDING"}, "embedding calls"),
        ({"error.type": "timeout"}, "failed calls"),
    ],
)
def test_spans_that_are_no_answered_calls_are_skipped_by_their_kind(changes, what):
    assert dict(convert(SPAN | {"attributes": FLAT | changes}).skipped) == {what: 1}


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [(PLAIN, "without its prompt"), (FLAT | {"llm.input_messages.1.message.content": "__REDACTED__"}, "redacted")],
)
def test_hidden_prompt_is_refused_with_the_setting_that_hides_it(attributes, reason):
    ((problem, _),) = convert(SPAN | {"attributes": attributes}).failed
    assert reason in problem.got
    assert "OPENINFERENCE_HIDE_INPUTS" in problem.advice


@pytest.mark.parametrize(
    "record",
    [
        SPAN | {"attributes": FLAT, "annotations": [{"name": "correct", "result": {"score": 0.75, "label": "yes"}}]},
        SPAN | {"attributes": FLAT, "annotations": {"correct": [{"score": 0.5}, {"score": 1.0}]}},
        SPAN | {"attributes": FLAT, "eval.correct.score": 0.75, "eval.correct.label": "yes"},
    ],
)
def test_annotation_of_a_span_is_its_quality(record):
    assert convert(record).rows[0]["quality"] == 0.75


def test_annotations_and_spans_of_a_table_are_joined(tmp_path):
    """As Phoenix exports them: a table of spans, and one of what people and judges said."""
    pl.DataFrame([TABLE | {f"attributes.{key}": value for key, value in LISTED.items()}]).write_parquet(
        tmp_path / "spans.parquet"
    )
    said = [{"span_id": "0515", "annotation_name": "correct", "annotator_kind": "HUMAN", "result": {"score": 0.75}}]
    (tmp_path / "annotations.jsonl").write_text("\n".join(map(json.dumps, said)), encoding="utf-8")
    report = import_sources([tmp_path], tmp_path / "o.parquet")
    assert pl.read_parquet(tmp_path / "o.parquet")["quality"].to_list() == [0.75]
    assert (set(report.formats.values()), report.skipped) == ({"openinference"}, {"annotations": 1})


def test_messages_that_pandas_printed_into_a_csv_file_are_read(tmp_path):
    messages = [{"message.role": "user", "message.content": "It's"}]
    columns = {
        "attributes.llm.input_messages": str(messages),
        "attributes.llm.model_name": "m",
        "context.span_id": "s1",
    }
    columns |= {"start_time": "2025-01-31", "end_time": "2025-01-31", "attributes.openinference.span.kind": "LLM"}
    pl.DataFrame([columns]).write_csv(tmp_path / "spans.csv")
    import_sources([tmp_path / "spans.csv"], tmp_path / "o.parquet")
    (read,) = pl.read_parquet(tmp_path / "o.parquet")["messages"]
    assert json.loads(read) == [{"role": "user", "content": "It's"}]
