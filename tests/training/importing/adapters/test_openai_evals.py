"""OpenAI's evals: the events of oaieval, and the output items of the Evals API."""

import pytest

from router_model.errors import TableError

SPEC = {"spec": {"completion_fns": ["gpt-4o", "judge"], "eval_name": "primes.dev.v0", "run_id": "r1"}}
PROMPT = [{"role": "user", "content": "Name a prime."}]


def event(number, kind, sample="primes.dev.0", **data):
    return {
        "run_id": "r1", "event_id": number, "sample_id": sample, "type": kind, "data": data,
        "created_by": "", "created_at": "2025-03-01 10:00:00.100000+00:00",
    }  # fmt: skip


def test_call_gets_its_grade_from_the_sample_s_other_events(imported):
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    lines = [
        SPEC,
        event(0, "sampling", prompt=PROMPT, sampled=["11"], usage=usage),
        event(1, "match", correct=True, expected="11", picked="11"),
        {"final_report": {"accuracy": 1.0}},
    ]
    found = imported({"run.jsonl": lines})
    (row,) = found.rows
    assert (row["messages"], row["model"], row["quality"], row["task"]) == (PROMPT, "gpt-4o", 1.0, "primes.dev.v0")
    assert (row["input_tokens"], row["output_tokens"]) == (9, 2)
    assert found.skipped == {"events beside the calls": 3}


def test_first_call_of_a_sample_is_graded_and_failed_samples_are_skipped(imported):
    """Sample b asks twice, the second time for the grade; events of samples come interleaved."""
    lines = [
        SPEC,
        event(0, "sampling", "a", prompt="A?"),
        event(1, "sampling", "b", prompt="B?"),
        event(2, "metrics", "a", score=0.25, choice="C"),
        event(3, "sampling", "b", prompt="Grade this answer"),
        event(4, "metrics", "b", accuracy=True),
        event(5, "sampling", "c", prompt="C?"),
        event(6, "error", "c", type="Timeout", message="x"),
        event(7, "sampling", "d", prompt="D?"),
        event(8, "match", "d", correct=True),
        event(9, "match", "d", correct=False),
    ]
    found = imported({"run.jsonl": lines})
    assert dict(zip(found.column("prompt"), found.column("quality"), strict=True)) == {"A?": 0.25, "B?": 1.0, "D?": 0.5}
    assert (found.skipped["calls of graders"], found.skipped["failed samples"]) == (1, 1)


def item(**changes):
    return {
        "object": "eval.run.output_item",
        "id": "i1",
        "created_at": 1740823200,
        "run_id": "r",
        "eval_id": "e",
        "status": "pass",
        "datasource_item_id": 5,
        "datasource_item": {"x": 1},
        "results": [{"name": "judge", "passed": True, "score": 6.0}],
        "sample": {
            "model": "gpt-4o-mini", "input": PROMPT, "output": [{"role": "assistant", "content": "11"}], "error": None,
            "usage": {"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 0, "total_tokens": 11},
        },
    } | changes  # fmt: skip


def test_output_items_succeed_where_all_graders_passed(imported):
    failing = item(results=[{"name": "a", "passed": True, "score": 1}, {"name": "b", "passed": False, "score": 0}])
    failing["sample"] = failing["sample"] | {"model": "other"}
    items = [item(), failing, item(status="error")]
    found = imported({"items.json": {"object": "list", "data": items, "has_more": False}})
    assert found.column("quality") == [1.0, 0.0]
    assert found.rows[0]["extra"]["scores"] == {"judge": 6.0}
    assert (found.rows[0]["input_tokens"], found.rows[0]["output_tokens"]) == (9, 2)
    assert found.skipped == {"failed samples": 1}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([event(0, "sampling", prompt="A?")], "events of oaieval without the line 'spec'"),
        ([item(sample={"input": PROMPT})], "an output item of OpenAI's Evals API without a call"),
    ],
)
def test_what_is_missing_is_named(imported, lines, message):
    with pytest.raises(TableError, match=message):
        imported({"run.jsonl": lines})
