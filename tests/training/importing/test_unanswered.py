"""Calls of a user's own tables that failed or that a cache answered are left out and counted; bad grades are not."""

import json

import polars as pl
import pytest

from router_model.training.importing import import_sources
from router_model.training.importing.unanswered import unanswered_as


@pytest.mark.parametrize(
    ("fields", "failed"),
    [
        ({"status": "ok", "error": None}, False),
        ({"status_code": 200, "error": "none"}, False),
        ({"status": "timeout", "quality": 0}, True),
        ({"finish_reason": "error", "quality": 0}, True),
        ({"httpStatus": "503 Service Unavailable", "quality": 0, "response": "try later"}, True),
        ({"status_code": 500, "output_tokens": 7}, False),  # it was answered before it failed
        ({"error": "boom"}, True),
        ({"error": "boom", "response": "42"}, False),
        ({"error": {"code": None, "message": None}, "quality": 0}, False),
        ({"error": '{"message": "Overloaded"}', "quality": 0}, True),
        ({"is_error": True}, True),
        ({"error": 0.25, "quality": 0}, False),  # a measure
        ({"error_code": 429, "quality": 0}, True),
        ({"errors": 450, "quality": 0}, False),
        ({"error": "429 Too many", "quality": 0}, True),
        ({"order": {"status": "cancelled"}, "quality": 0}, False),
        ({"meta": {"status_code": 503}, "quality": 0}, True),
        ({"response": {"error": {"message": "Internal"}}, "quality": 0}, True),
        ({"success": False, "response": None, "quality": 0}, True),
        ({"success": False, "response": "42", "quality": 0}, False),
        ({"status": "failed", "cost_usd": 0.1}, False),
        # What a grader may have written: the grade stands, unless there is no answer to grade.
        ({"status": "failed", "error": "expected 5, got 4", "quality": 0}, False),
        ({"status": "failed", "quality": 0, "answer": ""}, True),
        ({"status": "failed", "quality": 0, "output_tokens": 0}, True),
        ({"error": "Request timed out", "quality": 0}, True),
    ],
)
def test_failed_calls_are_told_from_bad_answers(fields, failed):
    assert unanswered_as({"prompt": "Hi", "model": "a", **fields}) == ("failed calls" if failed else None)


def test_failed_calls_are_counted_and_give_no_rows(tmp_path):
    records = [{"question": "Hi", "model": name, "quality": 0, "status": name} for name in ("error", "ok")]
    (source := tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, records)))
    report = import_sources([source], tmp_path / "o.parquet", columns={"prompt": "question"})
    assert report.skipped == {"failed calls": 1}
    assert pl.read_parquet(tmp_path / "o.parquet")["model"].to_list() == ["ok"]


def test_prompts_of_failed_calls_are_asked_again(tmp_path):
    (source := tmp_path / "log.csv").write_text("prompt,model,status\nHi,a,error\n")
    assert import_sources([source], tmp_path / "o.parquet", for_prompts=True).n_rows == 1
