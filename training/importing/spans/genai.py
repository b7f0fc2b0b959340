"""Read the span attributes ``gen_ai.…`` of OpenTelemetry's conventions (before and since 1.37) and of OpenLLMetry.

The prompt is in attributes, in events of the span, or in log records about it, in one of many formats. The newest
format is looked for first.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from router_model.training.importing.chat import chat_fields, chat_message, chat_messages, decoded, require_prompt
from router_model.training.importing.conversion import Row, Source, first_present, is_missing
from router_model.training.importing.problems import RecordError, shown
from router_model.training.importing.spans.convention import EMBEDDINGS, OTHER, Convention
from router_model.training.importing.spans.transport import Event, Span, indexed

INFERENCE: Final = "gen_ai.client.inference.operation.details"
"""The name of the event that holds a call's messages and usage."""

_CALLS: Final = frozenset({"chat", "text_completion", "generate_content", "completion"})
_EMBEDDINGS: Final = frozenset({"embeddings", "embedding"})
_MESSAGE_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
EVENTS: Final = frozenset({INFERENCE, "gen_ai.content.prompt", *_MESSAGE_EVENTS})
_CAPTURE: Final = (
    "turn on the capture of message contents in the instrumentation "
    "(OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT, TRACELOOP_TRACE_CONTENT); give the export of the log "
    "records, too, if messages are written as events; or use --on-error skip"
)


def _claims(span: Span) -> bool:
    return any(key.startswith(("gen_ai.", "llm.")) for key in span.attributes)


def _skipped_as(span: Span) -> str | None:
    operation = first_present(span.attributes, "gen_ai.operation.name", "llm.request.type")
    if isinstance(operation, str) and operation in _EMBEDDINGS:
        return EMBEDDINGS
    if is_missing(operation):
        # A call may have one more span for every attempt; only the span of the call itself names the request's model.
        asked_for = first_present(span.attributes, "gen_ai.request.model", "llm.request.model")
        return None if asked_for is not None else OTHER
    return None if isinstance(operation, str) and operation in _CALLS else OTHER


def _model(attributes: Source) -> Any:
    return first_present(
        attributes, "gen_ai.response.model", "llm.response.model", "gen_ai.request.model", "llm.request.model"
    )


def genai_row(span: Span, events: Sequence[Event]) -> Row:
    """Return the outcome of a call."""
    details = next((event.attributes for event in events if event.name == INFERENCE), {})
    attributes = {**details, **{key: value for key, value in span.attributes.items() if not is_missing(value)}}
    return {
        **require_prompt(_prompt(attributes, events), "OpenTelemetry", _CAPTURE),
        "model": _model(attributes),
        "input_tokens": first_present(
            attributes, "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"
        ),
        "output_tokens": first_present(
            attributes, "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens"
        ),
        "cost_usd": first_present(attributes, "gen_ai.usage.cost", "gen_ai.usage.total_cost", "llm.cost.total"),
        "latency_s": span.latency_s(),
        "timestamp": span.start_s(),
        "session_id": first_present(
            attributes, "gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id"
        ),
    }


def _scores(span: Span) -> list[tuple[str, Any]]:
    name = span.attributes.get("gen_ai.evaluation.name", "score")
    return [(str(name), span.attributes.get("gen_ai.evaluation.score.value"))]


# --- the prompt ------------------------------------------------------------------------------------------


def _prompt(attributes: Source, events: Sequence[Event]) -> Row:
    given = _objects(attributes, "gen_ai.input.messages")
    if given:
        system = decoded(attributes.get("gen_ai.system_instructions"))
        first = [] if is_missing(system) or not system else [_instructions(system)]
        return {"messages": first + [chat_message(message) for message in given]}
    for candidate in _older_prompts(attributes, events):
        fields = chat_fields(candidate)
        if fields:
            return fields
    return {}


def _instructions(system: Any) -> Row:
    return chat_message({"role": "system", "content": system})


def _objects(attributes: Source, key: str) -> list[Any]:
    value = attributes.get(key)
    if is_missing(value):
        return []
    found = decoded(value)
    if isinstance(found, Mapping):
        found = found.get("messages")
    if not isinstance(found, list):
        raise RecordError(key, shown(value), "a JSON list of messages", "raise the limit on the length of attributes")
    if not all(isinstance(one, Mapping) for one in found):
        raise RecordError(key, shown(value), "a JSON list of objects", "mend it, or use --on-error skip")
    return found


def _older_prompts(attributes: Source, events: Sequence[Event]) -> Iterable[Any]:
    """Yield the prompt from the older places that may hold it, the likeliest first."""
    for prefix in ("gen_ai.prompt", "llm.prompts"):
        yield chat_messages([_indexed_message(one) for one in indexed(attributes, prefix)])
        yield attributes.get(prefix)
    for event in events:
        if event.name == "gen_ai.content.prompt":
            yield first_present(event.attributes, "gen_ai.prompt", "content")
    yield [message for event in events if (message := _event_message(event.name, event.attributes))]
    logged = decoded(attributes.get("events"))  # Logfire keeps the events in an attribute
    if isinstance(logged, list):
        named = [one for one in logged if isinstance(one, Mapping)]
        yield [message for one in named if (message := _event_message(str(one.get("event.name")), one))]
    yield attributes.get("request_data")


def _indexed_message(one: Source) -> Row:
    return {"role": "user", **one, "content": _decoded_parts(one.get("content"))}


def _decoded_parts(content: Any) -> Any:
    """Decode JSON text of message parts, which instrumentations write for contents other than plain text."""
    found = decoded(content)
    return found if isinstance(found, list) and all(isinstance(one, Mapping) for one in found) else content


def _event_message(name: str, attributes: Source) -> Row | None:
    role = _MESSAGE_EVENTS.get(name)
    if role is None:
        return None
    inner = decoded(attributes.get("gen_ai.event.content"))
    fields = {**attributes, **inner} if isinstance(inner, Mapping) else attributes
    message: Row = {"role": first_present(fields, "role") or role, "content": _decoded_parts(fields.get("content"))}
    calls = decoded(fields.get("tool_calls"))
    if isinstance(calls, list):
        message["tool_calls"] = calls
    if role == "tool" and not is_missing(fields.get("id")):
        message["tool_call_id"] = fields["id"]
    return message


GENAI: Final = Convention("OpenTelemetry", _claims, _skipped_as, genai_row, _scores)
