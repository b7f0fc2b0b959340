"""promptfoo: results as JSON of either version, as JSON lines, and what cannot be read."""

import pytest

from router_model.errors import TableError


def result(**changes):
    return {
        "cost": 0.0001,
        "gradingResult": {"pass": True, "score": 0.5, "reason": "All assertions passed"},
        "id": "r1",
        "latencyMs": 1500,
        "namedScores": {"tone": 0.25},
        "prompt": {"raw": "Name a prime above 10.", "label": "Name a prime above {{n}}."},
        "promptIdx": 0,
        "provider": {"id": "openai:chat:gpt-4o-mini", "label": ""},
        "response": {"output": "11", "tokenUsage": {"total": 12, "prompt": 8, "completion": 4}, "cached": False},
        "score": 0.5,
        "success": True,
        "testCase": {"vars": {"n": 10}},
        "tokenUsage": {"prompt": 8, "completion": 4, "total": 12, "numRequests": 1},
        "vars": {"n": 10},
        "failureReason": 0,
    } | changes


def test_output_of_today_is_read(imported):
    output = {
        "evalId": "e",
        "results": {"version": 3, "prompts": [{"raw": "x"}], "results": [result()], "stats": {"successes": 1}},
        "config": {"description": "primes"},
        "shareableUrl": None,
    }
    (row,) = imported({"results.json": output}).rows
    assert (row["prompt"], row["model"], row["quality"]) == ("Name a prime above 10.", "gpt-4o-mini", 0.5)
    assert (row["input_tokens"], row["output_tokens"], row["cost_usd"], row["latency_s"]) == (8, 4, 0.0001, 1.5)
    assert (row["task"], row["extra"]["vars"], row["extra"]["namedScores"]) == ("primes", {"n": 10}, {"tone": 0.25})


def test_json_lines_and_lists_of_older_versions_are_read(imported):
    old = result(provider="anthropic:messages:claude-3-haiku", prompt={"raw": '[{"role": "user", "content": "Hi"}]'})
    found = imported({"a.jsonl": [result()], "b.json": {"version": 1, "results": [old], "stats": {}}})
    assert found.column("model") == ["gpt-4o-mini", "claude-3-haiku"]
    assert found.column("messages") == [None, [{"role": "user", "content": "Hi"}]]


def test_repeated_tests_are_averaged_and_failed_calls_are_skipped(imported):
    failed = {"success": False, "score": 0}
    found = imported(
        {
            "r.jsonl": [
                result(score=1),
                result(**failed, failureReason=1, error="Expected 13"),
                result(**failed, failureReason=2, error="429"),
                result(**failed, failureReason=None, response={"error": "timeout"}),
                result(**failed, failureReason=None, response=None, error="no key"),
            ]
        }
    )
    assert found.column("quality") == [0.5]
    assert found.skipped == {"failed calls": 3, "answers averaged with others of the same prompt and model": 1}


@pytest.mark.parametrize(
    ("changes", "column", "value"),
    [
        ({"gradingResult": {"pass": True, "score": 1, "reason": "No assertions"}}, "quality", None),
        ({"score": None, "success": False}, "quality", 0.0),
        ({"response": {"cached": True, "tokenUsage": {"cached": 12, "total": 12}}, "cost": 0}, "cost_usd", None),
        ({"response": {"cached": True}, "latencyMs": 2}, "latency_s", None),
        ({"response": {"output": "x"}, "tokenUsage": {"prompt": 0, "completion": 0}}, "input_tokens", None),
        ({"provider": {"id": "openai:gpt-4o", "label": "gpt-4o, cold"}}, "model", "gpt-4o, cold"),
        ({"provider": {"id": "https://example.org/chat"}}, "model", "https://example.org/chat"),
    ],
)
def test_values_that_need_care(imported, changes, column, value):
    assert imported({"r.jsonl": [result(**changes)]}).column(column) == [value]


CSV = "n,[openai:gpt-4o] Name a prime,Status,Score,Named Scores,Grader Reason,Comment\n10,11,PASS,1.00,,ok,\n"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"r.csv": CSV}, "the CSV of promptfoo, which has the variables and not the prompts"),
        ({"r.jsonl": [result(prompt={"raw": "[prompt stripped]"})]}, "promptfoo whose prompts were left out"),
        ({"r.jsonl": [result(provider={"label": "x"})]}, "expected the id of promptfoo's provider"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(imported, files, message):
    with pytest.raises(TableError, match=message):
        imported(files)
