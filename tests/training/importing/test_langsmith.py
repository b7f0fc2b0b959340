"""LangSmith's runs become rows."""

import json

import pytest

from router_model.training.importing.adapters import ADAPTERS, NOWHERE

ADAPTER = ADAPTERS["langsmith"]
ASKED = [{"role": "user", "content": "Hi"}]
HUMAN = {
    "lc": 1,
    "type": "constructor",
    "id": ["langchain", "schema", "messages", "HumanMessage"],
    "kwargs": {"content": "Hi", "type": "human"},
}
ANSWER = {
    "text": "secret",
    "message": {
        "kwargs": {
            "content": "secret",
            "response_metadata": {"model_name": "gpt-4o-2024-11-20"},
            "usage_metadata": {"input_tokens": 8, "output_tokens": 5, "input_token_details": {"cache_read": 6}},
        }
    },
}
RUN = {
    "id": "r1",
    "run_type": "llm",
    "start_time": "2025-01-31T08:30:00",
    "end_time": "2025-01-31T08:30:01.500",
    "inputs": {"messages": [[HUMAN]]},
    "outputs": {"generations": [[ANSWER]]},
    "extra": {"metadata": {"ls_model_name": "gpt-4o", "thread_id": "s1", "user": "secret"}},
    "prompt_tokens": 8,
    "completion_tokens": 5,
    "total_cost": "0.002",
    "session_id": "a project",
    "feedback_stats": {"correctness": {"n": 2, "avg": 0.75, "values": {}}, "note": {"n": 1, "avg": None}},
    "error": None,
}
WITHOUT_COUNTS = {key: value for key, value in RUN.items() if key not in ("prompt_tokens", "completion_tokens")}
WRAPPED = RUN | {
    "inputs": {"messages": ASKED, "model": "gpt-4o"},
    "outputs": {"model": "gpt-4o-2024-11-20", "choices": ["secret"], "usage": {}},
}
COLUMNS = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in RUN.items()}


def convert(record, notes=None):
    return ADAPTER.convert(record, NOWHERE._replace(notes_of=lambda key: (notes or {}).get(key, [])))


@pytest.mark.parametrize("record", [RUN, WITHOUT_COUNTS, WRAPPED, COLUMNS])
def test_run_of_every_shape_becomes_the_same_row(record):
    (row,) = convert(record).rows
    assert "secret" not in json.dumps(row)
    del row["extra"]
    assert row == {
        "messages": ASKED,
        "model": "gpt-4o-2024-11-20",
        "quality": 0.75,
        "input_tokens": 8,
        "output_tokens": 5,
        "cost_usd": "0.002",
        "latency_s": 1.5,
        "timestamp": 1738312200.0,
        "session_id": "s1",
    }


@pytest.mark.parametrize(
    ("inputs", "fields"),
    [
        ({"prompts": ["Hi"]}, {"prompt": "Hi"}),
        ({"input": "Hi"}, {"prompt": "Hi"}),
        ({"messages": [["human", "Hi"]]}, {"messages": ASKED}),
        ({"messages": [{"type": "human", "content": "Hi"}]}, {"messages": ASKED}),
        ({"messages": [[{"type": "human", "data": {"content": "Hi", "type": "human"}}]]}, {"messages": ASKED}),
    ],
)
def test_inputs_of_every_shape_are_read(inputs, fields):
    (row,) = convert(RUN | {"inputs": inputs}).rows
    assert {key: row[key] for key in ("prompt", "messages") if key in row} == fields


@pytest.mark.parametrize(
    ("outputs", "model"),
    [({}, "gpt-4o"), ({"llm_output": {"model_name": "gpt-4o-mini"}}, "gpt-4o-mini"), (None, "gpt-4o")],
)
def test_model_is_the_one_that_answered_and_else_the_one_asked(outputs, model):
    assert convert(RUN | {"outputs": outputs}).rows[0]["model"] == model


def test_runs_inside_a_run_are_read_and_others_are_skipped_by_their_type():
    failed = RUN | {"error": "RateLimitError"}
    tree = {"run_type": "chain", "child_runs": [RUN, failed, {"run_type": "retriever"}, {"run_type": "embedding"}]}
    conversion = convert(tree)
    assert len(conversion.rows) == 1
    assert dict(conversion.skipped) == {
        "runs of the type chain": 1,
        "failed calls": 1,
        "runs of the type retriever": 1,
        "embedding calls": 1,
    }


def test_feedback_in_records_of_its_own_is_joined():
    feedback = {"run_id": "r1", "key": "correctness", "score": 0.25}
    (note,) = ADAPTER.notes(feedback, NOWHERE)
    assert convert(RUN, {note.key: [note.value]}).rows[0]["quality"] == 0.25
    assert dict(convert(feedback).skipped) == {"feedback": 1}


def test_run_with_hidden_inputs_fails_alone():
    conversion = convert({"run_type": "chain", "child_runs": [RUN | {"inputs": {}}, RUN]})
    ((problem, _),) = conversion.failed
    assert problem.got == "a call of LangSmith without its prompt"
    assert len(conversion.rows) == 1
