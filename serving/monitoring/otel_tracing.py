"""OpenTelemetry's spans of forwarded calls: one for each request, one for each attempt (extra ``otel``).

Names are those of the GenAI semantic conventions. The request's span is the one call of a model that a reader counts:
it alone has the operation, the model asked for and the tokens, those of the answer. Attempts have what differs between
them (provider, answer, error, time to the first token); with tokens of their own, tools that add spans up would count
every answer twice. Attributes without a convention are under ``router.``; ``gen_ai.usage.cost`` has none,
but is widely read.

Prompts and answers are in no span, whatever ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` says: the decision
log has them, as far as it is allowed to.
"""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.formats.format import Surface
from router_model.serving.monitoring.tracing import TracedCall, Tracing, trace_headers

Attributes: TypeAlias = dict[str, str | int | float | bool | list[str]]

_OPERATIONS: Final = {
    Surface.CHAT: "chat",
    Surface.RESPONSES: "chat",
    Surface.MESSAGES: "chat",
    Surface.GENERATE: "generate_content",
    Surface.EMBEDDINGS: "embeddings",
}
_ANSWER: Final = {
    "gen_ai.provider.name": "provider",
    "gen_ai.response.id": "response_id",
    "gen_ai.response.model": "response_model",
    "gen_ai.response.time_to_first_chunk": "first_token_s",
}
_USAGE: Final = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cached_input_tokens",
    "gen_ai.usage.cache_creation.input_tokens": "cache_write_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
    "gen_ai.usage.cost": "cost_usd",
}
_FAILED_STATUS: Final = 400
_NS: Final = 1_000_000_000
_W3C: Final = TraceContextTextMapPropagator()


class OtelTracing(Tracing):
    """Makes spans.

    Parameters
    ----------
    provider : TracerProvider
        Closed with it.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("router-model")

    def call(
        self, surface: Surface, model: str, headers: Iterable[tuple[bytes, bytes]], *, stream: bool = False
    ) -> "OtelCall":
        """Begin the span of a request; its parent is the caller's."""
        operation = _OPERATIONS[surface]
        attributes: Attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": model,
            "gen_ai.request.stream": stream,
        }
        span = self._tracer.start_span(
            f"{operation} {model}",
            context=_W3C.extract(trace_headers(headers)),
            kind=SpanKind.SERVER,
            attributes=attributes,
        )
        return OtelCall(self._tracer, span)

    def close(self) -> None:
        """Send the remaining spans, for up to the exporter's timeout."""
        self._provider.shutdown()


class OtelCall(TracedCall):
    """The span of a request, and those of its attempts."""

    __slots__ = ("_attempts", "_context", "_span", "_tracer")

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span
        self._context = trace.set_span_in_context(span)
        self._attempts: list[AttemptRecord] = []
        sent: dict[str, str] = {}
        _W3C.inject(sent, self._context)
        super().__init__(sent)

    def decided(self, *, decision_id: str | None = None, session_id: str | None = None) -> None:
        """Record the call's decision and its conversation."""
        known = {"router.decision_id": decision_id, "gen_ai.conversation.id": session_id}
        self._span.set_attributes({name: value for name, value in known.items() if value is not None})

    def attempt(self, record: AttemptRecord) -> None:
        """Make the span of an attempt that is over, as long as it was."""
        self._attempts.append(record)
        began = round(record.created_at.timestamp() * _NS)
        span = self._tracer.start_span(
            f"attempt {record.model}",
            context=self._context,
            kind=SpanKind.CLIENT,
            attributes=_of_attempt(record),
            start_time=began,
        )
        _set_error(span, _error_of(record))
        span.end(began + round((record.latency_s or 0.0) * _NS))

    def end(self, error_type: str | None = None) -> None:
        """End the request's span with what is known about its answer."""
        # Not sampled, or ended before: `end` may be called twice.
        if not self._span.is_recording():
            return
        attempts = self._attempts
        answer = attempts[-1] if attempts and _error_of(attempts[-1]) is None else None
        self._span.set_attributes({"router.attempts": len(attempts)})
        if answer is not None:
            self._span.set_attributes(_fields(answer, _ANSWER | _USAGE) | _finish(answer))
        _set_error(self._span, error_type or (_error_of(attempts[-1]) if attempts else None))
        self._span.end()


def otlp_tracing(environ: Mapping[str, str]) -> OtelTracing:
    """Return what sends spans by OTLP over HTTP, in batches and from a thread, as OpenTelemetry's variables say."""
    is_named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    # What is given here goes before the variables, so the name is given only where they have none.
    resource = Resource.create({} if is_named else {SERVICE_NAME: "router-model"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTracing(provider)


def _of_attempt(record: AttemptRecord) -> Attributes:
    ours = {"router.model": "model", "router.cost_usd": "cost_usd", "http.response.status_code": "status"}
    return _fields(record, _ANSWER | ours) | _finish(record)


def _fields(record: AttemptRecord, names: Mapping[str, str]) -> Attributes:
    values = ((name, getattr(record, field)) for name, field in names.items())
    return {name: value for name, value in values if value is not None}


def _finish(record: AttemptRecord) -> Attributes:
    return {} if record.finish_reason is None else {"gen_ai.response.finish_reasons": [record.finish_reason]}


def _error_of(record: AttemptRecord) -> str | None:
    if record.error_type is None and (record.status or 0) >= _FAILED_STATUS:
        return str(record.status)
    return record.error_type


def _set_error(span: Span, error_type: str | None) -> None:
    if error_type is not None:
        span.set_attribute("error.type", error_type)
        span.set_status(Status(StatusCode.ERROR))
