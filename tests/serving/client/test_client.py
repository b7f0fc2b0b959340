"""Both clients against a service of the wire format, over real sockets."""

import asyncio
import dataclasses
import inspect
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import httpx2
import pytest
from wire_service import DECISION, refusal, wire_service

from router_model.serving import client as client_package
from router_model.serving.client import (
    AsyncRouterClient,
    AuthenticationError,
    BadCallError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    Retries,
    RouterClient,
    ServerError,
    UnreachableError,
    UnreadableAnswerError,
)

KEY = "rk-canary-0123456789"
AT_ONCE = Retries(limit=2, backoff_s=0.0)


class Awaited:
    """An `AsyncRouterClient` that is called like the other one; every call runs an event loop of its own."""

    def __init__(self, *args, **options):
        self._made_of = args, options

    def __getattr__(self, name):
        async def run(*args, **options):
            async with AsyncRouterClient(*self._made_of[0], **self._made_of[1]) as client:
                return await getattr(client, name)(*args, **options)

        return lambda *args, **options: asyncio.run(run(*args, **options))

    def close(self):
        """Closed after each call."""


@pytest.fixture(params=[RouterClient, Awaited], ids=["sync", "async"])
def connect(request):
    """Return what makes a client; they are closed at the end."""
    made = []

    def make(*args, **options):
        made.append(request.param(*args, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def service():
    with wire_service() as running:
        yield running


def answering(status, body, **headers):
    """Return a transport whose service says always the same; both clients take it."""
    return httpx2.MockTransport(lambda _: httpx2.Response(status, json=body, headers=headers))


def test_route_answers_with_values(connect, service):
    answer = connect(service.url, KEY).route("What is 2 + 2?", quality_bar=0.7, allow=["small", "large"])
    assert (answer.model, answer.decision_id, answer.reason) == ("small", "dec_1", "cheapest_above_bar")
    assert answer.models == ("small", "large")
    assert (answer.plan[0].p_interval, answer.plan[0].expected_output_tokens) == ((0.9, 0.95), 310.0)
    assert (answer.plan[0].base_model, answer.plan[0].parameters) == ("vendor/model", {"reasoning_effort": "low"})
    assert (answer.plan[1].expected_cost_usd, answer.plan[1].parameters) == (None, {})
    assert answer.excluded == (("coder", "context_window"),)
    assert (answer.degraded, answer.session_id, answer.raw) == (False, "s1", DECISION)
    method, path, headers, body = service.seen[0]
    assert (method, path, headers["authorization"]) == ("POST", "/v1/route", f"Bearer {KEY}")
    assert body == {
        "messages": [{"role": "user", "content": "What is 2 + 2?"}],
        "router": {"quality_bar": 0.7, "allow": ["small", "large"]},
    }


def test_chat_body_is_sent_as_it_is(connect, service):
    body = {"model": "auto", "messages": [{"role": "user", "content": "é"}], "tools": [{"x": 1}], "temperature": 0.2}
    before = dict(body)
    connect(service.url).route(body)
    connect(service.url).route(body["messages"], explore=False)
    assert service.seen[0][3] == body == before
    assert service.seen[1][3] == {"messages": body["messages"], "router": {"explore": False}}
    assert "authorization" not in service.seen[0][2]


def test_batch_keeps_the_order_and_the_errors(connect):
    refused = refusal("no model left", "not_found_error", "no_candidate")
    client = connect("http://router", transport=answering(200, {"object": "list", "data": [DECISION, refused]}))
    first, second = client.route_batch(["one", [{"role": "user", "content": "two"}]])
    assert first.model == "small"
    assert isinstance(second, NotFoundError)
    assert (second.status, second.code) == (404, "no_candidate")


def test_models_decision_and_health(connect, service):
    client = connect(service.url + "/v1/", KEY)  # as OpenAI's base URLs are written
    (model,) = client.models()
    assert (model.id, model.context_length, model.pricing) == ("small", 4000, {"prompt": "0.0000001"})
    assert client.decision("dec_7")["decision_id"] == "dec_7"
    assert client.healthy() is True
    service.script = [503]
    assert client.healthy() is False
    assert len(service.seen) == 4


@pytest.mark.parametrize("report", ["feedback", "outcome"])
def test_a_report_whose_answer_is_lost_is_counted_once(connect, service, report):
    """The service takes the first two and drops the connection before it answers; the third is answered."""
    service.script = ["drop", "drop"]
    client = connect(service.url, KEY, retries=AT_ONCE)
    if report == "feedback":
        receipt = client.feedback(decision_id="dec_1", thumb="up")
    else:
        receipt = client.outcome("dec_1", model="small", status=200, input_tokens=14, cost_usd=2.3e-6)
    assert len(service.seen) == 3
    assert len({headers["idempotency-key"] for _, _, headers, _ in service.seen}) == 1
    assert list(service.records) == [receipt.idempotency_key]


def test_two_reports_are_two(connect, service):
    client = connect(service.url)
    client.feedback(response_id="chatcmpl-1", score=0.5, comment="so so")
    client.feedback(response_id="chatcmpl-1", score=0.5, idempotency_key="mine-1")
    assert len(service.records) == 2
    assert service.records["mine-1"] == {
        "response_id": "chatcmpl-1", "score": 0.5, "source": "user", "metric": "quality",
    }  # fmt: skip


def test_route_is_tried_again_and_then_given_up(connect, service):
    service.script = [503, "drop"]
    client = connect(service.url, KEY, retries=AT_ONCE)
    assert client.route("x").model == "small"
    service.script = ["drop"] * 3
    with pytest.raises(UnreachableError, match=r"did not answer \(3 attempts\): RemoteProtocolError"):
        client.route("x")


def test_fallback_stands_in_where_the_service_is_away(connect, caplog):
    client = connect("http://127.0.0.1:9", KEY, retries=0)  # nothing listens on the discard port
    with pytest.raises(UnreachableError, match="did not answer"):
        client.route("x")
    answer = client.route("x", fallback=["large", "small"])
    assert (answer.model, answer.models, answer.degraded) == ("large", ("large", "small"), True)
    assert (answer.decision_id, answer.reason) == (None, "fallback_default")
    assert "did not answer" in answer.degraded_by
    assert "routing to the fallback large" in caplog.text


@pytest.mark.parametrize("status", [429, 500, 503])
def test_fallback_stands_in_where_the_service_fails(connect, status):
    client = connect("http://router", transport=answering(status, refusal("no")), retries=0)
    assert client.route("x", fallback="large").degraded_by == f"{status}: no (invalid_request)"


def test_fallback_does_not_hide_what_is_refused(connect):
    client = connect("http://router", transport=answering(401, refusal("not one of ours")))
    with pytest.raises(AuthenticationError, match="401: not one of ours"):
        client.route("x", fallback="large")


def test_answer_that_is_overdue_is_given_up(connect):
    """A service that takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        answer = connect(url, timeout=0.05, retries=0).route("x", fallback="large")
    assert answer.degraded_by == f"{url} did not answer (1 attempt): no answer within 0.05 s"


@contextmanager
def trickling(seconds):
    """Serve one caller an answer whose last byte comes after so many seconds, and another byte every 20 ms."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            caller, _ = listener.accept()
            with caller, suppress(OSError):  # the caller may leave
                caller.recv(65536)
                body = f"{json.dumps(DECISION):<{round(seconds / 0.02)}}".encode()
                caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
                for byte in body:
                    caller.sendall(bytes([byte]))
                    time.sleep(0.02)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_a_service_that_trickles_its_answer_does_not_hold_the_caller(connect):
    """The answer takes 20 s. No read takes longer than 20 ms, so the HTTP library alone would wait."""
    with trickling(20) as url:
        started = time.monotonic()
        answer = connect(url, timeout=0.2, retries=0).route("x", fallback="large")
        assert time.monotonic() - started < 10
    assert answer.degraded_by == f"{url} did not answer (1 attempt): no answer within 0.2 s"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (413, BadRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
    ],
)
def test_errors_keep_the_service_s_words(connect, status, error):
    said = {"error": {"message": "the words", "type": "t", "param": "router.allow", "code": "c", "metadata": {"a": 1}}}
    transport = answering(status, said, **{"retry-after": "60"})
    with pytest.raises(error, match=rf"^{status}: the words \(c\)$") as caught:
        connect("http://router", transport=transport, retries=0).route("x")
    got = caught.value
    assert (got.message, got.type, got.param, got.code, got.metadata) == (
        "the words",
        "t",
        "router.allow",
        "c",
        {"a": 1},
    )
    assert got.retry_after_s == 60.0


def test_key_is_nowhere_to_be_seen(connect, caplog):
    """Not even where a service, or a proxy before it, echoes it."""
    caplog.set_level("DEBUG")
    echo = answering(400, refusal(f"what is Bearer {KEY}?"))
    client = connect("http://router", KEY, transport=echo)
    with pytest.raises(BadRequestError, match=r"what is Bearer \[api key\]\?") as caught:
        client.route("x")
    seen = [RouterClient("http://router", KEY), caught.value, caught.value.__cause__, caplog.text]
    assert KEY not in " ".join(map(repr, seen))


@pytest.mark.parametrize(
    ("base_url", "key", "complaint"),
    [
        ("router:8484", KEY, "base_url is 'router:8484'; expected http:// or https:// and a host"),
        ("http://user:secret@router", KEY, "base_url contains a user or a password"),
        ("http://router", f"{KEY}\n", "a character that HTTP headers cannot carry"),
        ("http://router", "", "api_key is empty"),
    ],
)
def test_bad_settings_are_refused_without_showing_the_key(base_url, key, complaint):
    with pytest.raises(BadCallError, match=complaint) as caught:
        RouterClient(base_url, key)
    assert KEY not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (("feedback", (), {"score": 1.0}), "neither decision_id nor response_id"),
        (("feedback", (), {"decision_id": "d"}), "score=None and thumb=None; expected exactly one"),
        (("feedback", (), {"decision_id": "d", "score": 1, "thumb": "up"}), "expected exactly one"),
        (("feedback", (), {"decision_id": "d", "score": 5}), "score=5; expected a number from 0 to 1"),
        (("feedback", (), {"decision_id": "d", "score": 1, "idempotency_key": "a\r\nb"}), "visible ASCII"),
        (("outcome", (), {}), "outcome got neither decision_id nor response_id"),
        (("decision", ("",), {}), "decision got an empty id"),
        (("outcome", ("d",), {"tokens": 3}), "outcome got tokens; expected some of model, provider"),
        (("route", ("x",), {"quality": 1}), "route got quality; expected some of quality_bar"),
        (("route", ({"messages": [{1, 2}]},), {}), "the body cannot be sent as JSON"),
        (("route", ({"messages": [], "top_p": float("nan")},), {}), "the body cannot be sent as JSON"),
        (("route_batch", ("one",), {}), "route_batch got one str; expected a list"),
    ],
)
def test_calls_that_make_no_sense_are_not_sent(connect, service, call, complaint):
    method, args, options = call
    with pytest.raises(BadCallError, match=complaint):
        getattr(connect(service.url), method)(*args, **options)
    assert service.seen == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"id": None}, "the answer has no 'id'; is this the decision service's address?"),
        ({"model": 3}, "the answer's 'model' is a int; expected str"),
        ({"plan": ["small"]}, "an entry of the answer's 'plan' is a str; expected an object"),
        ({"plan": [{"model": "small", "p_interval": [1]}]}, r"'p_interval' is \[1\]; expected two numbers"),
    ],
)
def test_answer_that_lacks_something_is_refused(connect, change, complaint):
    client = connect("http://router", transport=answering(200, DECISION | change))
    with pytest.raises(UnreadableAnswerError, match=complaint):
        client.route("x")


def test_answers_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        client_package.RouteAnswer.local(["small"], "why").model = "large"


def test_both_clients_have_the_same_methods():
    """Close is spelt differently, the rest has the same parameters."""

    def surface(kind):
        named = inspect.getmembers(kind, inspect.isfunction)
        return {
            name: str(inspect.signature(f)) for name, f in named if not name.startswith("_") and "close" not in name
        }

    assert surface(RouterClient) == surface(AsyncRouterClient)


def test_public_names_are_sorted_and_there():
    assert client_package.__all__ == sorted(client_package.__all__)
    assert all(hasattr(client_package, name) for name in client_package.__all__)


def test_import_is_light():
    """A gateway that only asks does not load what the service is made of."""
    ours = "'router_model.router', 'router_model.features'"
    heavy = f"{{'fastapi', 'sqlalchemy', 'numpy', 'lightgbm', 'pydantic', 'tokenizers', {ours}}}"
    code = f"import sys, router_model.serving.client; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_without_httpx2_the_extra_is_named():
    code = "import sys; sys.modules['httpx2'] = None; import router_model.serving.client"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "router_model.serving.client needs httpx2: pip install '" in done.stderr
