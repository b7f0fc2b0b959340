"""Spans of forwarded calls: what is in them, whose children they are, and that they cost nothing where nobody asks."""

import logging
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from http_thread import LocalServer, QuietHandler, answering

from router_model.serving.common.service_errors import BudgetExceededError
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.formats.format import Surface
from router_model.serving.monitoring.opening import is_wanted, open_tracing
from router_model.serving.monitoring.tracing import OFF
from router_model.training.importing.adapters import NOWHERE
from router_model.training.importing.adapters.spans import OTEL

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEGAN_NS = 1_772_366_400 * 10**9
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = [(b"traceparent", f"00-{TRACE}-{PARENT}-01".encode()), (b"tracestate", b"a=1"), (b"x-api-key", b"rm_secret")]


def attempt(**changes):
    fields = {
        "attempt_id": "att_1", "decision_id": "dec_1", "created_at": BEGAN, "model": "big", "provider": "acme",
        "response_id": "resp_1", "response_model": "big-2026", "finish_reason": "stop", "status": 200,
        "input_tokens": 12, "output_tokens": 40, "cached_input_tokens": 4, "cache_write_tokens": 2,
        "reasoning_tokens": 5, "cost_usd": 0.002, "latency_s": 1.25, "first_token_s": 0.5,
    }  # fmt: skip
    return AttemptRecord(**fields | changes)


FAILED = attempt(
    attempt_id="att_0", model="small", response_id=None, response_model=None, finish_reason=None, status=503,
    error_type="server", input_tokens=None, output_tokens=None, cost_usd=None, first_token_s=None, latency_s=0.25,
)  # fmt: skip


@pytest.fixture
def spans():
    """Return a tracing and a function that returns the spans that have ended, by name."""
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from router_model.serving.monitoring.otel_tracing import OtelTracing

    exporter, provider = InMemorySpanExporter(), sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = OtelTracing(provider)
    yield tracing, lambda: {span.name: span for span in exporter.get_finished_spans()}
    tracing.close()


def test_a_request_has_a_span_with_what_its_answer_says(spans):
    tracing, ended = spans
    call = tracing.call(Surface.CHAT, "auto", HEADERS, stream=True)
    call.decided(decision_id="dec_1", session_id="s1")
    call.attempt(FAILED)
    call.attempt(attempt())
    call.end()
    call.end()
    span = ended()["chat auto"]
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "auto",
        "gen_ai.request.stream": True,
        "gen_ai.provider.name": "acme",
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.model": "big-2026",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 40,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_creation.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "gen_ai.usage.cost": 0.002,
        "gen_ai.conversation.id": "s1",
        "router.decision_id": "dec_1",
        "router.attempts": 2,
    }
    assert (span.kind.name, span.status.status_code.name) == ("SERVER", "UNSET")


def test_an_attempt_has_a_span_as_long_as_it_was(spans):
    """It began at noon of 2026-03-01 and took 0.25 s."""
    tracing, ended = spans
    with tracing.call(Surface.CHAT, "auto", []) as call:
        call.attempt(FAILED)
    span = ended()["attempt small"]
    assert dict(span.attributes) == {
        "gen_ai.provider.name": "acme", "router.model": "small", "http.response.status_code": 503,
        "error.type": "server",
    }  # fmt: skip
    assert (span.start_time, span.end_time) == (BEGAN_NS, BEGAN_NS + 250_000_000)
    assert (span.kind.name, span.status.status_code.name) == ("CLIENT", "ERROR")
    assert ended()["chat auto"].attributes["error.type"] == "server"


def test_spans_are_part_of_the_callers_trace_and_the_provider_is_told(spans):
    tracing, ended = spans
    with tracing.call(Surface.MESSAGES, "auto", HEADERS) as call:
        call.attempt(attempt())
    request, attempted = ended()["chat auto"], ended()["attempt big"]
    assert {f"{span.context.trace_id:032x}" for span in (request, attempted)} == {TRACE}
    assert f"{request.parent.span_id:016x}" == PARENT
    assert attempted.parent.span_id == request.context.span_id
    assert call.headers == {"traceparent": f"00-{TRACE}-{request.context.span_id:016x}-01", "tracestate": "a=1"}


@pytest.mark.parametrize("headers", [[], [(b"traceparent", b"nonsense")], [(b"traceparent", b"\xff")]])
def test_without_a_callers_span_a_trace_begins(spans, headers):
    tracing, ended = spans
    with tracing.call(Surface.CHAT, "auto", headers) as call:
        pass
    span = ended()["chat auto"]
    assert span.parent is None
    assert call.headers["traceparent"].split("-")[1] == f"{span.context.trace_id:032x}"


@pytest.mark.parametrize(
    ("surface", "name"),
    [
        (Surface.CHAT, "chat m"),
        (Surface.MESSAGES, "chat m"),
        (Surface.GENERATE, "generate_content m"),
        (Surface.EMBEDDINGS, "embeddings m"),
    ],
)
def test_every_surface_has_its_operation(spans, surface, name):
    tracing, ended = spans
    tracing.call(surface, "m", []).end()
    assert ended()[name].attributes["gen_ai.operation.name"] == name.split()[0]


@pytest.mark.parametrize(
    ("attempts", "error", "said"),
    [
        ([attempt(error_type="client_gone")], None, "client_gone"),
        ([attempt(status=503)], None, "503"),
        ([attempt()], None, None),
        ([attempt()], "truncated", "truncated"),
        ([], None, None),
        ([], "no_candidate", "no_candidate"),
    ],
)
def test_the_error_is_what_the_caller_got(spans, attempts, error, said):
    tracing, ended = spans
    call = tracing.call(Surface.CHAT, "auto", [])
    for one in attempts:
        call.attempt(one)
    call.end(error)
    assert ended()["chat auto"].attributes.get("error.type") == said


def test_an_exception_is_named_by_its_code(spans):
    tracing, ended = spans
    with pytest.raises(BudgetExceededError, match="over"), tracing.call(Surface.CHAT, "auto", []):
        raise BudgetExceededError("over")
    with pytest.raises(ValueError, match="odd"), tracing.call(Surface.CHAT, "m", []):
        raise ValueError("odd")
    assert ended()["chat auto"].attributes["error.type"] == "budget_exceeded"
    assert ended()["chat m"].attributes["error.type"] == "ValueError"


def test_what_is_not_sampled_is_passed_on_as_such(spans):
    tracing, ended = spans
    with tracing.call(Surface.CHAT, "auto", [(b"traceparent", f"00-{TRACE}-{PARENT}-00".encode())]) as call:
        call.attempt(attempt())
    assert ended() == {}
    assert call.headers["traceparent"].endswith("-00")


def test_the_attributes_are_those_of_the_conventions(spans):
    """But for ours, and the cost, which has no convention."""
    names = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    tracing, ended = spans
    with tracing.call(Surface.CHAT, "auto", []) as call:
        call.decided(session_id="s")
        call.attempt(attempt())
    used = {name for span in ended().values() for name in span.attributes if name.startswith("gen_ai.")}
    assert used - {value for value in vars(names).values() if isinstance(value, str)} == {"gen_ai.usage.cost"}


def test_our_own_importer_reads_the_request_once_and_no_attempt(spans):
    """With the prompt, which we never put there, added."""
    tracing, ended = spans
    with tracing.call(Surface.CHAT, "auto", []) as call:
        call.decided(session_id="s1")
        call.attempt(FAILED)
        call.attempt(attempt())
    prompt = {"gen_ai.input.messages": '[{"role": "user", "content": "Hi"}]'}
    found = [
        OTEL.convert({"name": span.name, "traceId": "t", "attributes": {**span.attributes, **prompt}}, NOWHERE)
        for span in ended().values()
    ]
    assert [sum(one.skipped.values()) for one in found if not one.rows] == [1, 1]
    ((row,),) = (one.rows for one in found if one.rows)
    assert (row["model"], row["input_tokens"], row["output_tokens"]) == ("big-2026", 12, 40)
    assert (row["cost_usd"], row["session_id"]) == (0.002, "s1")


def test_nothing_is_traced_unless_the_environment_asks_for_it():
    assert open_tracing({}) is OFF
    with OFF.call(Surface.CHAT, "auto", HEADERS) as call:
        call.decided(decision_id="d")
        call.attempt(attempt())
    assert call.headers == {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=1"}
    OFF.close()


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_SERVICE_NAME": "router"}, False),
    ],
)
def test_opentelemetrys_variables_say_whether_there_are_spans(variables, wanted):
    assert is_wanted(variables) is wanted


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)


def test_without_the_variables_nothing_of_opentelemetry_is_imported():
    """FastAPI itself imports OpenTelemetry's interface, which does nothing on its own."""
    code = "import sys; from router_model.serving.monitoring.opening import open_tracing; open_tracing({})\n"
    code += (
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\nimport router_model.serving.app\n"
    )
    code += "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    assert run(code).stdout == "[]\n[]\n"


def test_a_missing_extra_is_named_and_stops_nothing():
    code = "import sys; sys.modules['opentelemetry'] = None\n"
    code += "from router_model.serving.monitoring.opening import OFF, open_tracing\n"
    done = run(code + "print(open_tracing({'OTEL_TRACES_EXPORTER': 'otlp'}) is OFF)")
    assert done.stdout == "True\n"
    assert "the extra 'otel' is not installed" in done.stderr
    assert "[otel]', or set OTEL_SDK_DISABLED" in done.stderr


@pytest.fixture
def collector():
    """Yield the URL of a collector on loopback, and the bodies it got."""
    bodies = []

    class Handler(QuietHandler):
        def do_POST(self):
            bodies.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

    server = LocalServer(Handler)
    with answering(server):
        yield server.url, bodies


def test_spans_reach_a_collector_as_the_variables_say(collector, monkeypatch, caplog):
    proto = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    url, bodies = collector
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING, logger="router_model"):
        tracing = open_tracing(variables)
    assert "spans are sent as http/protobuf" in caplog.text
    with tracing.call(Surface.CHAT, "auto", HEADERS) as call:
        call.attempt(attempt())
    tracing.close()
    ((path, body),) = bodies
    request = proto.ExportTraceServiceRequest.FromString(body)
    (resource,) = request.resource_spans
    assert path == "/v1/traces"
    assert {pair.key: pair.value.string_value for pair in resource.resource.attributes}[
        "service.name"
    ] == "router-model"
    assert {span.name for scope in resource.scope_spans for span in scope.spans} == {"chat auto", "attempt big"}
    assert b"rm_secret" not in body
