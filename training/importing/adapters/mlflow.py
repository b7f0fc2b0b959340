"""Read MLflow's traces: what `Trace.to_json` and `mlflow.search_traces` write.

A trace holds spans; those of the types ``CHAT_MODEL`` and ``LLM`` are calls. Values of attributes are JSON text.
Assessments belong to the trace, or to one span of it. Those of a trace count if it has one call: with several, nobody
can say which of them was good.
"""

from collections.abc import Mapping
from typing import Any, Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.chat import decoded, input_fields, require_prompt, usage_tokens
from router_model.training.importing.conversion import (
    Conversion,
    Row,
    Source,
    first_present,
    latency_s,
    objects_of,
    time_s,
)
from router_model.training.importing.problems import Problem, RecordError
from router_model.training.importing.scores import quality_of

_CALLS: Final = frozenset({"CHAT_MODEL", "LLM"})
_STORE: Final = "trace the calls with their inputs"


def _recognises(record: Source) -> bool:
    return any(key.startswith("mlflow.") for span in _spans(record) for key in _attributes(span))


def mlflow(record: Source, around: Around) -> Conversion:
    """Read the calls of one trace.

    Fields of a span: ``mlflow.spanInputs``, the model there or in ``mlflow.spanOutputs`` or ``mlflow.llm.model``,
    ``mlflow.chat.tokenUsage``, its times; the trace's session (``mlflow.trace.session``) and assessments.
    """
    spans, record = _spans(record), {**around.fields, **record}
    calls = [span for span in spans if _attributes(span).get("mlflow.spanType") in _CALLS]
    skipped = {"spans of other operations": len(spans) - len(calls)} if len(calls) < len(spans) else {}
    failed: list[tuple[Problem, Source]] = []
    rows: list[Row] = []
    for span in calls:
        if "ERROR" in str(first_present(span, "status_code", "status")).upper():
            skipped["failed calls"] = skipped.get("failed calls", 0) + 1
            continue
        try:
            rows.append(_row(span, record, is_only=len(calls) == 1))
        except RecordError as exc:
            failed.append((exc.problem, span))
    return Conversion(rows, skipped, failed)


def _info(trace: Source) -> Source:
    info = decoded(trace.get("info"))
    return info if isinstance(info, Mapping) else trace


def _spans(trace: Source) -> list[Source]:
    """Return the spans of a trace; a span that a reader took out of its trace is the only one."""
    if "attributes" in trace:
        return [trace]
    data = decoded(trace.get("data"))
    spans = decoded((data if isinstance(data, Mapping) else trace).get("spans"))
    return objects_of([decoded(one) for one in spans] if isinstance(spans, list) else None)


def _attributes(span: Source) -> Row:
    found = decoded(span.get("attributes"))
    return {str(key): decoded(value) for key, value in found.items()} if isinstance(found, Mapping) else {}


def _row(span: Source, trace: Source, *, is_only: bool) -> Row:
    attributes, info = _attributes(span), _info(trace)
    given, answer = attributes.get("mlflow.spanInputs"), attributes.get("mlflow.spanOutputs")
    bodies = [one if isinstance(one, Mapping) else {} for one in (answer, given)]
    named = [*(one.get("model") for one in bodies), attributes.get("mlflow.llm.model")]
    usage = usage_tokens(attributes.get("mlflow.chat.tokenUsage") or bodies[0].get("usage"))
    start, end = ("start_time_unix_nano", "end_time_unix_nano")
    times = span if start in span else {start: span.get("start_time"), end: span.get("end_time")}
    metadata = decoded(first_present(info, "trace_metadata", "request_metadata"))
    return {
        **require_prompt(input_fields(given), "MLflow", _STORE, given),
        "model": next((one for one in named if isinstance(one, str)), None),
        "quality": quality_of(_scores(info, trace, span, is_only=is_only)),
        "input_tokens": usage[0],
        "output_tokens": usage[1],
        "latency_s": latency_s(times, start, end),
        "timestamp": time_s(times, start),
        "session_id": metadata.get("mlflow.trace.session") if isinstance(metadata, Mapping) else None,
        "extra": {key: info[key] for key in ("trace_id", "request_id") if key in info}
        | ({"span": span["name"]} if "name" in span else {}),
    }


def _scores(info: Source, trace: Source, span: Source, *, is_only: bool) -> list[tuple[str, Any]]:
    listed = objects_of(decoded(first_present({**trace, **info}, "assessments")))
    found = []
    for one in listed:
        about = one.get("span_id")
        feedback = decoded(one.get("feedback"))
        if isinstance(feedback, Mapping) and (about == span.get("span_id") or (about is None and is_only)):
            found.append((str(first_present(one, "assessment_name", "name")), feedback.get("value")))
    return found


ADAPTER: Final = Adapter(
    "mlflow",
    "MLflow",
    _recognises,
    mlflow,
    fields=("trace_id", "request", "response", "spans", "assessments", "state"),
    are_calls=True,
)
