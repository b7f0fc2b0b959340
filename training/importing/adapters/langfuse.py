"""Read Langfuse's observations, from its API, the exports of its pages or its exports to buckets.

Scores are in the observation, in separate columns (CSV) or in other files of the export. Other files are joined by id,
and so are traces, which hold the session. A score of a whole trace counts only if the trace has exactly one call: with
several calls, nobody can say which of them was good.
"""

from collections.abc import Iterable
from typing import Any, Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.chat import decoded, input_fields, request_parts, require_prompt, usage_tokens
from router_model.training.importing.conversion import (
    Conversion,
    Row,
    Source,
    as_object,
    first_present,
    is_missing,
    latency_s,
    objects_of,
    time_s,
)
from router_model.training.importing.notes import Note
from router_model.training.importing.problems import RecordError
from router_model.training.importing.scores import named_scores, quality_of

_WITH_INPUT: Final = "export the observations with their input and output, and unmasked"
_TYPES: Final = frozenset(
    {
        "GENERATION", "SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL",
    }
)  # fmt: skip
_OWN: Final = frozenset(
    {
        "usageDetails", "usage_details", "costDetails", "cost_details", "calculatedTotalCost", "providedModelName",
        "provided_model_name", "providedUsageDetails",
    }
)  # fmt: skip
_OF_TRACES: Final = frozenset({"sessionId", "session_id", "htmlPath", "bookmarked", "userId", "user_id", "totalCost"})
_KEPT: Final = (
    "id", "traceId", "trace_id", "name", "type", "environment", "version", "release", "promptName", "prompt_name",
    "promptVersion", "prompt_version",
)  # fmt: skip
_COLUMNS: Final = frozenset(
    {
        *_KEPT, *_OWN, *_OF_TRACES, "startTime", "start_time", "endTime", "end_time", "completionStartTime",
        "completion_start_time", "timeToFirstToken", "time_to_first_token", "model", "modelId", "model_id",
        "internalModelId", "internal_model_id", "modelParameters", "model_parameters", "input", "output", "metadata",
        "level", "statusMessage", "status_message", "parentObservationId", "parent_observation_id", "latency",
        "usage", "inputUsage", "outputUsage", "totalUsage", "inputTokens", "outputTokens", "totalTokens",
        "promptTokens", "completionTokens", "inputCost", "outputCost", "total_cost", "calculatedInputCost",
        "calculatedOutputCost", "inputPrice", "outputPrice", "totalPrice", "input_price", "output_price",
        "total_price", "unit", "scores", "comments", "tags", "traceName", "trace_name", "traceTags", "trace_tags",
        "timestamp", "traceTimestamp", "projectId", "project_id", "createdAt", "updatedAt", "created_at",
        "updated_at", "promptId", "prompt_id", "tokensPerSecond", "tokens_per_second", "toolCalls", "tool_calls",
        "toolDefinitions", "usagePricingTierName", "bookmarked", "public", "is_deleted", "event_ts",
        "observationCount", "errorCount", "warningCount", "defaultCount", "debugCount",
    }
)  # fmt: skip
"""Columns of the CSV export that are not scores; every other column is a score with that name."""


def _is_score(record: Source) -> bool:
    about = {"traceId", "trace_id", "observationId", "observation_id"} & record.keys()
    return bool(about) and {"name", "value"} <= record.keys()


def _is_observation(record: Source) -> bool:
    of_trace = {"traceId", "trace_id"} & record.keys()
    return bool(_OWN & record.keys()) or (bool(of_trace) and str(record.get("type")) in _TYPES)


def _is_trace(record: Source) -> bool:
    return {"id", "timestamp"} <= record.keys() and bool(
        _OF_TRACES & record.keys() and {"input", "output"} & record.keys()
    )


def _recognises(record: Source) -> bool:
    return _is_observation(record) or _is_score(record) or _is_trace(record)


def langfuse(record: Source, around: Around) -> Conversion:
    """Read an observation, a trace with its observations, or a record about them.

    Fields of an observation of the type ``GENERATION``: ``input``, ``model`` (or ``providedModelName``),
    ``usageDetails`` (whose counts with "input" in their names are all read tokens), ``costDetails.total`` (or
    ``calculatedTotalCost``, ``totalCost``), ``startTime``, ``endTime``, ``sessionId``, ``scores``. Fields may
    also be written as ``usage_details``.

    Raises
    ------
    RecordError
        If the record is a trace and no record describes its calls.
    """
    observations = objects_of(record.get("observations"))
    if observations:
        return _trace_with_calls(record, observations, around)
    if _is_observation(record):
        return _observation(record, around)
    if _is_score(record):
        return Conversion([], {"scores": 1})
    if around.notes_of(f"langfuse:observation-of:{record.get('id')}"):
        return Conversion([], {"traces": 1})
    raise RecordError(
        "",
        "a trace of Langfuse, which names no model and sums up several calls",
        "its observations of the type GENERATION",
        "export the table of observations (the page Observations, GET /api/public/observations, or observations/ "
        "in the bucket), or give those files, too",
    )


def _trace_with_calls(trace: Source, observations: list[Source], around: Around) -> Conversion:
    """Read the API's answer for one trace, which holds its observations and all scores."""
    scores = objects_of(trace.get("scores"))
    n_calls = sum(one.get("type") == "GENERATION" for one in observations)
    parts = []
    for one in observations:
        about = [score for score in scores if _observation_id(score) == one.get("id")]
        of_trace = [score for score in scores if _observation_id(score) is None] if n_calls == 1 else []
        shared = {"sessionId": trace.get("sessionId"), "traceId": trace.get("id"), "scores": about or of_trace}
        parts.append(_observation({**shared, **one}, around))
    skipped: dict[str, int] = {}
    for part in parts:
        for what, number in part.skipped.items():
            skipped[what] = skipped.get(what, 0) + number
    return Conversion([row for part in parts for row in part.rows], skipped)


def _observation_id(score: Source) -> Any:
    return first_present(score, "observationId", "observation_id")


def _observation(record: Source, around: Around) -> Conversion:
    kind = str(record.get("type") or "GENERATION")
    if kind == "EMBEDDING":
        return Conversion([], {"embedding calls": 1})
    if kind != "GENERATION":
        return Conversion([], {f"observations of the type {kind}": 1})
    if record.get("level") == "ERROR":
        return Conversion([], {"failed calls": 1})
    return Conversion([_row(record, around)])


def _row(record: Source, around: Around) -> Row:
    read, written = _tokens(record)
    cost = as_object(first_present(record, "costDetails", "cost_details"), "costDetails")
    trace_id = first_present(record, "traceId", "trace_id")
    start, end = ("startTime", "endTime") if "startTime" in record else ("start_time", "end_time")
    seconds = latency_s(record, start, end)
    sessions = [record.get("sessionId"), record.get("session_id"), *around.notes_of(f"langfuse:session-of:{trace_id}")]
    given = record.get("input")
    scores = _scores(record, trace_id, around)
    settings = as_object(first_present(record, "modelParameters", "model_parameters"), "modelParameters")
    return {
        **request_parts(settings),
        **require_prompt(input_fields(given), "Langfuse", _WITH_INPUT, given),
        "model": first_present(record, "model", "providedModelName", "provided_model_name"),
        "quality": quality_of(scores),
        "input_tokens": read,
        "output_tokens": written,
        "cost_usd": first_present(
            {"details": cost.get("total"), **record}, "details", "calculatedTotalCost", "totalCost", "total_cost"
        ),
        "latency_s": record.get("latency") if seconds is None else seconds,
        "timestamp": time_s(record, start),
        "session_id": next((one for one in sessions if not is_missing(one)), None),
        "extra": {key: record[key] for key in _KEPT if not is_missing(record.get(key))}
        | ({"scores": scores} if scores else {}),
    }


def _tokens(record: Source) -> tuple[Any, Any]:
    """Return the tokens read and written. Langfuse splits them by kind, such as cached ones, so they are summed."""
    details = as_object(first_present(record, "usageDetails", "usage_details", "usage"), "usageDetails")
    if details.get("unit") not in (None, "TOKENS"):
        return None, None
    sums = [_sum_of(details, word) for word in ("input", "output")]
    others = usage_tokens(details)
    columns = (("inputUsage", "inputTokens", "promptTokens"), ("outputUsage", "outputTokens", "completionTokens"))
    read, written = (
        first_present({"sum": total, **record, "other": other}, "sum", *names, "other")
        for total, other, names in zip(sums, others, columns, strict=True)
    )
    return read, written


def _sum_of(details: Source, word: str) -> int | None:
    counts = [value for key, value in details.items() if word in key.lower() and isinstance(value, int)]
    return sum(counts) if counts and "prompt_tokens" not in details else None


def _scores(record: Source, trace_id: Any, around: Around) -> list[tuple[str, Any]]:
    own = named_scores(decoded(record.get("scores")))
    own += [(key, value) for key, value in record.items() if key not in _COLUMNS and _is_number(value)]
    own += named_scores(around.notes_of(f"langfuse:score-of-call:{record.get('id')}"))
    if own or len(around.notes_of(f"langfuse:call-of:{trace_id}")) > 1:
        return own
    return named_scores(around.notes_of(f"langfuse:score-of-trace:{trace_id}"))


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.replace(".", "", 1).isdecimal() or value.lower() in ("true", "false")
    return isinstance(value, bool | int | float)


def _notes(record: Source, around: Around) -> Iterable[Note]:
    """Note scores and sessions under the observation or trace they belong to, and which traces have observations."""
    del around
    trace_id = first_present(record, "traceId", "trace_id")
    if _is_observation(record):
        yield Note(f"langfuse:observation-of:{trace_id}", 1)
        if record.get("type") == "GENERATION":
            yield Note(f"langfuse:call-of:{trace_id}", 1)
    elif _is_score(record):
        call = _observation_id(record)
        about = f"langfuse:score-of-trace:{trace_id}" if is_missing(call) else f"langfuse:score-of-call:{call}"
        yield Note(about, {key: record.get(key) for key in ("name", "value", "dataType", "data_type")})
    else:
        session = first_present(record, "sessionId", "session_id")
        if not is_missing(session):
            yield Note(f"langfuse:session-of:{record.get('id')}", session)


ADAPTER: Final = Adapter(
    "langfuse",
    "Langfuse",
    _recognises,
    langfuse,
    notes=_notes,
    fields=("traceId", "type", "startTime", "endTime", "model", "input", "usageDetails"),
    are_calls=True,
)
