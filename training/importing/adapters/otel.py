"""OpenTelemetry's GenAI spans become outcomes.

A converter as in `training.importing.adapters`; attribute names are those of the GenAI semantic conventions.
Answers are dropped. Simplifies: a span without the prompt is unusable, as nothing can be learned from it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from training.importing.adapters.adapter import Adapter, Around
from training.importing.conversion import (
    ADVICE,
    Conversion,
    Row,
    Source,
    as_object,
    first_present,
    is_missing,
    latency_s,
    present,
)
from training.importing.problems import Problem, RecordError, shown

_NS_PER_S: Final = 1_000_000_000
_OPERATIONS: Final = frozenset({"chat", "text_completion", "generate_content"})
_PLACED: Final = frozenset(
    {
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cost",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.conversation.id",
        "gen_ai.evaluation.score.value",
    }
)


def _recognises(record: Source) -> bool:
    """Whether a record looks like a span, or like a list of spans in OTLP's JSON."""
    return bool(
        {"resourceSpans", "scopeSpans", "spans"} & record.keys()
        or any(key.startswith("gen_ai.") for key in record)
        or ("attributes" in record and {"traceId", "spanId", "name", "context", "startTimeUnixNano"} & record.keys())
    )


def otel(record: Source, around: Around) -> Conversion:
    """Read GenAI spans of OpenTelemetry: one span, or a part of an OTLP export with many.

    Attributes: ``gen_ai.response.model`` (else ``gen_ai.request.model``), ``gen_ai.usage.input_tokens``,
    ``gen_ai.usage.output_tokens``, ``gen_ai.usage.cost`` (USD; no convention, but widely written),
    ``gen_ai.system_instructions``, ``gen_ai.input.messages``, ``gen_ai.conversation.id``,
    ``gen_ai.evaluation.score.value`` (quality); ``gen_ai.output.messages`` is dropped. Of the span:
    ``startTimeUnixNano`` and ``endTimeUnixNano`` (or ``start_time`` and ``end_time``).
    A span counts if its ``gen_ai.operation.name`` is chat, text_completion or generate_content, or if it has
    none but a ``gen_ai.request.model``; the others are skipped.
    """
    del around
    rows: list[Row] = []
    failed: list[tuple[Problem, Source]] = []
    skipped: Counter[str] = Counter()
    for span, resource in _spans(record):
        try:
            attributes = _attributes(span)
            if _is_call(attributes):
                rows.append(_span_row(span, attributes, resource))
            else:
                skipped["spans of other operations"] += 1
        except RecordError as exc:
            failed.append((exc.problem, span))
    return Conversion(rows, skipped, failed)


def _spans(record: Source) -> Iterator[tuple[Source, Source]]:
    """Yield the spans of a record, each with its resource's attributes."""
    if "resourceSpans" in record:
        for part in _objects(record, "resourceSpans"):
            yield from _spans(part)
    elif "scopeSpans" in record:
        resource = _attributes(as_object(record.get("resource"), "resource"))
        for scope in _objects(record, "scopeSpans"):
            for span in _objects(scope, "spans"):
                yield span, resource
    elif "spans" in record:
        for span in _objects(record, "spans"):
            yield span, {}
    else:
        yield record, {}


def _objects(record: Source, key: str) -> Sequence[Source]:
    values = record.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise RecordError(key, shown(values), "a list of objects", ADVICE)
    return values


def _attributes(span: Source) -> Source:
    """Return attributes as a flat dict, also those of OTLP's key/value lists or of the span itself."""
    given = span.get("attributes")
    if isinstance(given, list):
        return _key_values(given)
    if given is None and any(key.startswith("gen_ai.") for key in span):
        return {key: value for key, value in span.items() if "." in key}
    return as_object(given, "attributes")


def _key_values(pairs: Sequence[Any]) -> dict[str, Any]:
    try:
        return {pair["key"]: otlp_value(pair.get("value")) for pair in pairs}
    except (KeyError, TypeError, AttributeError) as exc:
        raise RecordError("attributes", shown(list(pairs)), 'a list of {"key": …, "value": …}', ADVICE) from exc


def otlp_value(value: Any) -> Any:
    """Unwrap a value of OTLP's JSON.

    >>> otlp_value({"arrayValue": {"values": [{"intValue": "12"}, {"stringValue": "a"}]}})
    [12, 'a']
    >>> otlp_value({"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": True}}]}})
    {'a': True}
    """
    if not isinstance(value, Mapping) or len(value) != 1:
        return value
    ((kind, inner),) = value.items()
    if kind == "arrayValue":
        return [otlp_value(one) for one in inner.get("values", [])]
    if kind == "kvlistValue":
        return _key_values(inner.get("values", []))
    if kind == "intValue":
        # OTLP writes 64-bit integers as text; what is no number is left for the checks to name.
        return int(inner) if str(inner).lstrip("-").isdecimal() else inner
    return inner if kind in {"stringValue", "doubleValue", "boolValue", "bytesValue"} else value


def _is_call(attributes: Source) -> bool:
    operation = attributes.get("gen_ai.operation.name")
    if is_missing(operation):
        return not is_missing(attributes.get("gen_ai.request.model"))
    return isinstance(operation, str) and operation in _OPERATIONS


def _span_row(span: Source, attributes: Source, resource: Source) -> Row:
    start, duration_s = _span_times(span)
    extra = present(attributes, _PLACED) | {
        key: span[key] for key in ("traceId", "spanId", "name") if not is_missing(span.get(key))
    }
    return {
        "messages": _conversation(attributes),
        "model": first_present(attributes, "gen_ai.response.model", "gen_ai.request.model"),
        "quality": attributes.get("gen_ai.evaluation.score.value"),
        "input_tokens": attributes.get("gen_ai.usage.input_tokens"),
        "output_tokens": attributes.get("gen_ai.usage.output_tokens"),
        "cost_usd": attributes.get("gen_ai.usage.cost"),
        "latency_s": duration_s,
        "timestamp": start,
        "session_id": attributes.get("gen_ai.conversation.id"),
        "extra": extra | ({"resource": dict(resource)} if resource else {}),
    }


def _span_times(span: Source) -> tuple[Any, float | None]:
    """Return a span's begin and its length in seconds."""
    if is_missing(span.get("startTimeUnixNano")):
        return span.get("start_time"), latency_s(span, "start_time", "end_time")
    start = _nanoseconds(span, "startTimeUnixNano")
    if is_missing(span.get("endTimeUnixNano")):
        return start / _NS_PER_S, None
    return start / _NS_PER_S, (_nanoseconds(span, "endTimeUnixNano") - start) / _NS_PER_S


def _nanoseconds(span: Source, key: str) -> int:
    try:
        return int(span[key])
    except (TypeError, ValueError) as exc:
        raise RecordError(key, shown(span[key]), "nanoseconds since 1970", ADVICE) from exc


def _conversation(attributes: Source) -> list[Row]:
    """Return OpenAI-style messages of ``gen_ai.system_instructions`` and ``gen_ai.input.messages``."""
    given = _decoded(attributes, "gen_ai.input.messages")
    if not given:
        raise RecordError(
            "gen_ai.input.messages",
            "nothing",
            "the chat messages",
            "turn on the capture of message contents in the instrumentation, or use --on-error skip",
        )
    system = _decoded(attributes, "gen_ai.system_instructions")
    messages = [_message({"role": "system", "parts": system})] if system else []
    return messages + [_message(message) for message in given]


def _decoded(attributes: Source, key: str) -> list[Any]:
    value = attributes.get(key)
    if is_missing(value):
        return []
    try:
        decoded = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as exc:
        raise RecordError(key, shown(value), "a JSON list", ADVICE) from exc
    if not isinstance(decoded, list) or not all(isinstance(one, Mapping) for one in decoded):
        raise RecordError(key, shown(value), "a JSON list of objects", ADVICE)
    return decoded


def _message(message: Source) -> Row:
    """Turn ``{"role", "parts"}`` into ``{"role", "content", "tool_calls"}``."""
    parts = message.get("parts")
    if not isinstance(parts, list):
        return dict(message)
    role = message.get("role", "user")
    contents = [_content(part) for part in parts if not _is_kind(part, "tool_call")]
    result: Row = {"role": role, "content": _joined(contents)}
    calls = [_tool_call(part) for part in parts if _is_kind(part, "tool_call")]
    if calls:
        result["tool_calls"] = calls
    answered = next((part.get("id") for part in parts if _is_kind(part, "tool_call_response")), None)
    if answered is not None:
        result["tool_call_id"] = answered
    return result


def _is_kind(part: object, kind: str) -> bool:
    return isinstance(part, Mapping) and part.get("type") == kind


def _content(part: object) -> Any:
    if _is_kind(part, "text") and isinstance(part, Mapping):
        return {"type": "text", "text": part.get("content", part.get("text"))}
    if _is_kind(part, "tool_call_response") and isinstance(part, Mapping):
        answer = part.get("response", part.get("result"))
        return {
            "type": "text",
            "text": answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False),
        }
    return part


def _joined(contents: list[Any]) -> Any:
    """Return a single text as text, as most clients write it."""
    if len(contents) == 1 and _is_kind(contents[0], "text"):
        return contents[0]["text"]
    return contents or None


def _tool_call(part: Source) -> Row:
    arguments = part.get("arguments")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {
        "id": part.get("id"),
        "type": "function",
        "function": {"name": part.get("name"), "arguments": written},
    }


ADAPTER: Final = Adapter("otel", "OpenTelemetry", _recognises, otel, lists=("resourceSpans",))
