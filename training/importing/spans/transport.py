"""Read spans from files: OTLP's JSON, console exporters, Jaeger, Zipkin, and flat records with one span each.

Every span becomes a `Span` with flat attributes, so that a convention needs one way to read it. Log records that belong
to a span become events of the span.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from router_model.training.importing.chat import decoded
from router_model.training.importing.conversion import (
    ADVICE,
    Source,
    as_object,
    first_present,
    is_missing,
    objects_of,
    time_s,
)
from router_model.training.importing.problems import RecordError, shown

_RESOURCE_LISTS: Final = ("resourceSpans", "resource_spans", "resourceLogs", "resource_logs", "batches")
_SCOPE_LISTS: Final = (
    "scopeSpans", "scope_spans", "instrumentationLibrarySpans", "scopeLogs", "scope_logs",
)  # fmt: skip
_ITEM_LISTS: Final = ("spans", "logRecords", "log_records")
LISTS: Final = (
    "resourceSpans",
    "resourceLogs",
    "resource_spans",
    "resource_logs",
    "batches",
    "trace.resourceSpans",
    "data",
)
"""Keys of an export's list of resources."""

_STARTS: Final = (
    "startTimeUnixNano",
    "start_time_unix_nano",
    "start_time",
    "startTime",
    "timestamp",
    "timeUnixNano",
    "time_unix_nano",
)
_ENDS: Final = ("endTimeUnixNano", "end_time_unix_nano", "end_time", "endTime")
_PLAIN_PREFIXES: Final = (
    "gen_ai.",
    "llm.",
    "ai.",
    "openinference.",
    "input.",
    "output.",
    "session.",
    "error.",
    "eval.",
)


class Event(NamedTuple):
    """An event of a span.

    Attributes
    ----------
    name : str
    attributes : dict
        Flat attributes; they include the body of a log record.
    """

    name: str
    attributes: dict[str, Any]


class Span(NamedTuple):
    """One span, or a log record about a span.

    Attributes
    ----------
    record : mapping
        The record as it is in the file.
    name : str
    trace_id, span_id : str
        In hexadecimal digits if the file has these; empty if missing.
    attributes : dict
    events : list of Event
    resource : dict
        Attributes of the service that ran.
    is_error : bool
    is_log : bool
        Whether it is a log record; then its content is the only event.
    """

    record: Source
    name: str
    trace_id: str
    span_id: str
    attributes: dict[str, Any]
    events: list[Event]
    resource: dict[str, Any]
    is_error: bool
    is_log: bool = False

    def key(self) -> str:
        """Return the key of notes about this span; empty if the span has no ids."""
        return f"span:{self.trace_id}:{self.span_id}" if self.span_id else ""

    def start_s(self) -> float | None:
        """Return the start of the span in seconds since 1970."""
        return _time_of(self.record, _STARTS)

    def latency_s(self) -> float | None:
        """Return the duration of the span in seconds; Jaeger and Zipkin write microseconds."""
        start, end = self.start_s(), _time_of(self.record, _ENDS)
        if start is not None and end is not None:
            return round(end - start, 6)
        duration = self.record.get("duration")
        return duration / 1e6 if isinstance(duration, int) and not isinstance(duration, bool) else None


def _time_of(record: Source, keys: Sequence[str]) -> float | None:
    key = next((key for key in keys if not is_missing(record.get(key))), None)
    if key is None:
        return None
    value = record[key]
    if isinstance(value, list) and [type(one) for one in value] == [int, int]:
        return float(value[0] + value[1] / 1e9)  # OpenTelemetry for JavaScript: seconds and nanoseconds
    return time_s(record, key)


# --- from records to spans -------------------------------------------------------------------------------


def holds_spans(record: Source) -> bool:
    """Whether a record looks like a span, a log record of one, or a container of them."""
    if {*_RESOURCE_LISTS, *_SCOPE_LISTS, *_ITEM_LISTS} & record.keys():
        return True
    if any(key.startswith(("gen_ai.", "openinference.", "llm.", "ai.model.", "attributes.")) for key in record):
        return True
    named = {"traceId", "trace_id", "spanId", "span_id", "context", "traceID", "startTimeUnixNano"} & record.keys()
    return "attributes" in record and bool(named or "name" in record)


def raw_spans(record: Source) -> Iterator[tuple[Source, Source]]:
    """Yield the spans and log records of a record, each with its resource as the file has it.

    Raises
    ------
    RecordError
        If a list of spans is not a list.
    """
    outer = next((key for key in (*_RESOURCE_LISTS, *_SCOPE_LISTS) if key in record), None)
    if outer is not None:
        resource = as_object(record.get("resource"), "resource")
        for part in _objects(record, outer):
            for span, inner in raw_spans(part):
                yield span, inner or resource
        return
    lists = [key for key in _ITEM_LISTS if key in record]
    for key in lists:
        for item in _objects(record, key):
            yield item, _process_of(item, record)
    if not lists:
        yield record, as_object(record.get("resource"), "resource")


def _process_of(item: Source, trace: Source) -> Source:
    """Return the process of a span of Jaeger as a resource."""
    processes = as_object(trace.get("processes"), "processes")
    process = as_object(item.get("process") or processes.get(str(item.get("processID"))), "processes")
    return {"attributes": {"service.name": process["serviceName"]}} if "serviceName" in process else {}


def _objects(record: Source, key: str) -> Sequence[Source]:
    values = record.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise RecordError(key, shown(values), "a list of objects", ADVICE)
    return values


def span_of(record: Source, resource: Source) -> Span:
    """Convert a span or log record of any format to a `Span`.

    Raises
    ------
    RecordError
        If its attributes have a wrong type.
    """
    record = _undotted(record)
    attributes = flat_attributes(record)
    context = as_object(record.get("context"), "context")
    ids = {**record, **context}
    is_log = "body" in record or "eventName" in record or "observedTimeUnixNano" in record
    events = [_log_event(record, attributes)] if is_log else _events(record)
    return Span(
        record=record,
        name=str(first_present(record, "name", "operationName") or ""),
        trace_id=_hexadecimal(first_present(ids, "traceId", "trace_id", "traceID")),
        span_id=_hexadecimal(first_present(ids, "spanId", "span_id", "spanID", "id")),
        attributes=attributes,
        events=events,
        resource=_attributes(resource.get("attributes"), "resource"),
        is_error=_is_error(record, attributes),
        is_log=is_log,
    )


def _undotted(record: Source) -> Source:
    """Gather the columns ``attributes.…`` and ``context.…`` of a table of spans into objects."""
    if not any(key.startswith(("attributes.", "context.")) for key in record):
        return record
    gathered: dict[str, Any] = {"attributes": {}, "context": {}}
    for key, value in record.items():
        outer, _, inner = key.partition(".")
        if inner and outer in gathered:
            if not is_missing(value):
                gathered[outer][inner] = value
        else:
            gathered[key] = value
    return gathered


def _hexadecimal(value: Any) -> str:
    """Return an id without a leading 0x, which console exporters write."""
    return "" if is_missing(value) else str(value).lower().removeprefix("0x")


def _is_error(record: Source, attributes: Source) -> bool:
    status = record.get("status")
    codes = [record.get("status_code"), record.get("statusCode"), attributes.get("otel.status_code")]
    codes += [status.get("code"), status.get("status_code")] if isinstance(status, Mapping) else [status]
    if any(code == 2 or str(code).upper().rpartition(".")[2].removeprefix("STATUS_CODE_") == "ERROR" for code in codes):  # noqa: PLR2004 OTLP's number
        return True
    return attributes.get("error") in (True, "true") or not is_missing(attributes.get("error.type"))


def _events(record: Source) -> list[Event]:
    events = [
        Event(str(first_present(one, "name", "event_name") or ""), _attributes(one.get("attributes"), "events"))
        for one in objects_of(decoded(record.get("events")))
    ]
    return events + [_jaeger_event(log) for log in objects_of(record.get("logs"))]


def _jaeger_event(log: Source) -> Event:
    fields = _attributes(log.get("fields"), "logs")
    return Event(str(first_present(fields, "event", "name", "message") or ""), fields)


def _log_event(record: Source, attributes: dict[str, Any]) -> Event:
    body = otlp_value(record.get("body"))
    inner = body if isinstance(body, Mapping) else {"content": body}
    name = first_present(record, "eventName", "event_name") or attributes.get("event.name") or ""
    return Event(str(name), {**inner, **attributes})


# --- attributes ------------------------------------------------------------------------------------------


def flat_attributes(record: Source) -> dict[str, Any]:
    """Return a span's attributes as a flat dict, under whatever key the file has them."""
    given = first_present(record, "attributes", "tags")
    if given is None and any(key.startswith(_PLAIN_PREFIXES) for key in record):
        return {key: value for key, value in record.items() if "." in key}
    return _attributes(given, "attributes")


def _attributes(given: Any, column: str) -> dict[str, Any]:
    if isinstance(given, list):
        return _key_values(given, column)
    found = as_object(given, column)
    nested = any(isinstance(value, Mapping) and key in _NESTED for key, value in found.items())
    return _flattened(found) if nested else dict(found)


_NESTED: Final = frozenset({"gen_ai", "llm", "openinference", "input", "output", "session", "ai", "error"})
"""Outermost keys of attributes that Phoenix writes as nested objects."""


def _flattened(tree: Source, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and (prefix or key in _NESTED):
            flat |= _flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _key_values(pairs: Sequence[Any], column: str) -> dict[str, Any]:
    try:
        return {str(pair["key"]): otlp_value(pair.get("value")) for pair in pairs}
    except (KeyError, TypeError, AttributeError) as exc:
        raise RecordError(column, shown(list(pairs)), 'a list of {"key": …, "value": …}', ADVICE) from exc


def otlp_value(value: Any) -> Any:
    """Unwrap a value of OTLP's JSON.

    >>> otlp_value({"arrayValue": {"values": [{"intValue": "12"}, {"stringValue": "a"}]}})
    [12, 'a']
    >>> otlp_value({"kvlistValue": {"values": [{"key": "a", "value": {"bool_value": True}}]}})
    {'a': True}
    """
    if not isinstance(value, Mapping) or len(value) != 1:
        return value
    ((kind, inner),) = value.items()
    kind = str(kind).replace("_", "").lower()
    if kind == "arrayvalue":
        return [otlp_value(one) for one in inner.get("values", [])]
    if kind == "kvlistvalue":
        return _key_values(inner.get("values", []), "attributes")
    if kind == "intvalue":
        # OTLP writes 64-bit integers as text; other text stays as it is, so that the checks report it.
        return int(inner) if str(inner).lstrip("-").isdecimal() else inner
    return inner if kind in {"stringvalue", "doublevalue", "boolvalue", "bytesvalue"} else value


def indexed(attributes: Source, prefix: str) -> list[dict[str, Any]]:
    """Return the objects of attributes such as ``prefix.0.role`` and ``prefix.0.content``, in their order.

    If there is a list under the prefix itself, its objects are returned; their keys may be flat or nested.

    >>> indexed({"p.1.content": "B", "p.0.content": "A", "p.0.calls.0.name": "f", "q": 1}, "p")
    [{'content': 'A', 'calls': [{'name': 'f'}]}, {'content': 'B'}]
    >>> indexed({"p": [{"message.role": "user"}]}, "p")
    [{'message': {'role': 'user'}}]
    """
    tree: dict[str, Any] = {}
    given = decoded(attributes.get(prefix))
    if isinstance(given, list):
        tree = {str(position): _tree(one) for position, one in enumerate(given)}
    for key, value in attributes.items():
        if key.startswith(f"{prefix}."):
            _put(tree, key[len(prefix) + 1 :].split("."), value)
    found = _as_lists(tree)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _tree(value: Any) -> Any:
    """Turn keys with dots into nested objects."""
    if isinstance(value, list):
        return [_tree(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    tree: dict[str, Any] = {}
    for key, inner in value.items():
        _put(tree, str(key).split("."), inner)
    return tree


def _put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for key in path[:-1]:
        inner = tree.setdefault(key, {})
        if not isinstance(inner, dict):
            return  # a plain value already has the name of this object, and stays
        tree = inner
    grown = _tree(value)
    before = tree.get(path[-1])
    tree[path[-1]] = before | grown if isinstance(before, dict) and isinstance(grown, dict) else grown


def _as_lists(tree: Any) -> Any:
    """Turn objects whose keys are all numbers into lists."""
    if isinstance(tree, list):
        return [_as_lists(one) for one in tree]
    if not isinstance(tree, Mapping):
        return tree
    if tree and all(str(key).isdecimal() for key in tree):
        return [_as_lists(tree[key]) for key in sorted(tree, key=int)]
    return {key: _as_lists(value) for key, value in tree.items()}
