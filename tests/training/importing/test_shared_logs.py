"""Small logs of tools that lie beside the project, with the values that are expected of them."""

import json
from pathlib import Path

import polars as pl
import pytest

from router_model.errors import TableError
from router_model.training.importing import import_sources

CASES = Path(__file__).parents[4] / "shared" / "cases" / "import"
PRIME = [{"role": "user", "content": "Name a prime above ten."}]
BRIEF = [{"role": "system", "content": "Be brief."}, *PRIME]
CALL = {"messages": PRIME, "model": "gpt-4o", "latency_s": 1.5}
COUNTED = CALL | {"input_tokens": 10, "output_tokens": 20}
BILLED = COUNTED | {"cost_usd": 0.0002}
GRADED = BILLED | {"quality": 0.8}
ANSWERED_BY = {"model": "gpt-4o-2024-11-20"}

READ = {
    "litellm_slp_ok.jsonl": ("litellm", GRADED, {}),
    "litellm_slp_failure.jsonl": ("litellm", GRADED, {"failed calls": 1}),
    "litellm_slp_cache_hit.jsonl": ("litellm", GRADED, {"calls answered by a cache": 1}),
    "litellm_spendlogs.csv": ("litellm", GRADED | {"session_id": "s-1"}, {}),
    "litellm_spendlogs.jsonl": ("litellm", GRADED | {"session_id": "s-1"}, {}),
    "litellm_spendlogs_prompt_in_request.jsonl": ("litellm", GRADED | {"session_id": "s-1"}, {}),
    "litellm_old_gcs.jsonl": ("litellm", BILLED | {"latency_s": 1.0, "quality": None}, {}),
    "litellm_s3_folder/time-10-00-01_c-1.json": (
        "litellm", GRADED | {"messages": [{"role": "user", "content": "Question 1?"}]}, {},
    ),
    "otel_new_semconv_ok.jsonl": ("otel", COUNTED | ANSWERED_BY | {"messages": BRIEF, "quality": 0.8}, {}),
    "otel_openllmetry_indexed.jsonl": ("otel", COUNTED | ANSWERED_BY | {"messages": BRIEF}, {}),
    "otel_message_events.jsonl": ("otel", COUNTED | {"messages": BRIEF}, {}),
    "otel_content_prompt_event.jsonl": ("otel", CALL, {}),
    "otel_evaluation_event.jsonl": ("otel", CALL | {"quality": 0.8}, {}),
    "otel_ns_in_start_time.jsonl": ("otel", CALL, {}),
    "otel_console_exporter.json": ("otel", CALL | {"messages": [{"role": "user", "content": "Q 1"}]}, {}),
    "jaeger_export.json": ("otel", CALL, {}),
    "openinference_phoenix.jsonl": ("openinference", COUNTED | {"messages": BRIEF, "session_id": "s-1"}, {}),
    "langfuse_observations.jsonl": (
        "langfuse", GRADED | {"session_id": "s-1"}, {"observations of the type SPAN": 1},
    ),
    "langsmith_runs.jsonl": ("langsmith", GRADED | {"session_id": None}, {}),
    "openai_stored_completions.jsonl": (
        "openai_stored", COUNTED | ANSWERED_BY | {"quality": 0.8, "latency_s": None}, {},
    ),
}  # fmt: skip
"""The format, the first row and what is skipped of each file."""

REFUSED = {
    "litellm_spendlogs_no_prompts.jsonl": "LiteLLM without its prompt.*store_prompts_in_spend_logs: true",
    "litellm_slp_redacted.jsonl": "a prompt that LiteLLM redacted.*turn_off_message_logging: false",
    "otel_error_span.jsonl": "got 1 failed calls and no outcomes in files read as otel",
    "langfuse_traces.csv": "a trace of Langfuse, which names no model.*export the table of observations",
    "helicone_export.jsonl": "quality has .*, expected 0 to 1",
}


def path_of(name):
    path = CASES / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


@pytest.mark.parametrize("name", READ)
def test_log_is_read_as_expected(tmp_path, name):
    form, expected, skipped = READ[name]
    report = import_sources([path_of(name)], tmp_path / "o.parquet")
    first = pl.read_parquet(tmp_path / "o.parquet").row(0, named=True)
    assert not any(
        secret in json.dumps(first, default=str) for secret in ("88dc28", "hash-of", "192.0.2", "example.org")
    )
    first["messages"] = json.loads(first["messages"])
    assert {column: first[column] for column in expected} == expected
    assert str(first["timestamp"]).startswith("2025-03-01 10:00:00")
    assert (list(report.formats.values()), report.skipped) == ([form], skipped)


@pytest.mark.parametrize("name", REFUSED)
def test_log_that_lacks_something_is_refused_with_what_to_do(tmp_path, name):
    with pytest.raises(TableError, match=REFUSED[name]):
        import_sources([path_of(name)], tmp_path / "o.parquet")
