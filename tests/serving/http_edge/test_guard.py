"""The guard, called as a server calls it."""

import asyncio
import json
import logging

import pytest
from guarded_app import insecure_app, settings_of

from router_model.serving.common.service_errors import TooLargeError
from router_model.serving.http_edge.guard import Guard

GOOD = [(b"host", b"testserver"), (b"content-type", b"application/json")]


def scope_of(*headers, path="/v1/route", query=b"", base=GOOD):
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 8484),
        "client": ("127.0.0.1", 50000),
        "headers": [*base, *headers],
    }


@pytest.mark.parametrize(
    ("server", "status"),
    [(("127.0.0.1", 80), 200), (("::1", 80), 200), (("/run/s", None), 200), (None, 200), (("10.0.0.7", 80), 403)],
)
def test_without_keys_only_loopback_is_answered_whatever_the_server_listens_on(server, status):
    """`uvicorn serving:create_app --factory --host 0.0.0.0` is not ours to refuse; each of its requests is."""
    caller = Caller()
    scope = scope_of(path="/healthz") | {"method": "GET", "server": server}
    assert caller.call(insecure_app(settings_of(insecure=True)), scope).status == status
    if status != 200:
        assert "answers on loopback only; give it a key file" in caller.error["message"]


class Caller:
    """Sends the chunks of a body, then waits for ever; keeps what is answered."""

    def __init__(self, *chunks, complete=True):
        self.chunks = list(chunks) or [b""]
        self.complete = complete
        self.sent = []

    async def receive(self):
        if not self.chunks:
            await asyncio.Event().wait()
        chunk = self.chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(self.chunks) or not self.complete}

    async def send(self, message):
        self.sent.append(message)

    def call(self, app, scope):
        asyncio.run(asyncio.wait_for(app(scope, self.receive, self.send), 5))
        return self

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return dict(self.sent[0]["headers"])

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def error(self):
        return json.loads(self.body)["error"]


def call(*headers, chunks=(b"{}",), settings=None, **scope):
    return Caller(*chunks).call(insecure_app(settings), scope_of(*headers, **scope))


def test_a_normal_request_passes_untouched():
    answer = call((b"content-length", b"2"))
    assert (answer.status, answer.body) == (200, b"insecure sent 2 bytes")


def test_a_refusal_has_openais_shape_and_closes_the_connection():
    answer = call((b"content-length", b"9"), settings=settings_of(max_body_bytes=8))
    assert answer.status == 413
    assert answer.headers[b"connection"] == b"close"
    assert int(answer.headers[b"content-length"]) == len(answer.body)
    assert answer.error == {
        "message": "the body has 9 bytes; expected at most 8; send less, or have the limit raised",
        "type": "invalid_request_error",
        "param": None,
        "code": "request_too_large",
    }


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/v1/route", 8), ("/v1/messages", 9), ("/v1/chat/completions", 9), ("/v1beta/models/x:generateContent", 9)],
)
def test_calls_to_forward_have_a_limit_of_their_own(path, limit):
    settings = settings_of(max_body_bytes=8, max_call_bytes=9)
    for n_bytes, is_refused in ((limit, False), (limit + 1, True)):
        answer = call((b"content-length", str(n_bytes).encode()), settings=settings, path=path)
        assert (answer.status == 413) is is_refused


def test_anthropics_callers_are_told_in_its_words():
    answer = call((b"content-length", b"9"), settings=settings_of(max_call_bytes=8), path="/v1/messages")
    assert (answer.status, answer.error["type"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("n_bytes", "chunks", "status"),
    [(8, [b"x" * 8], 200), (9, [b"x" * 9], 413), (8, [b"x" * 4] * 2, 200), (9, [b"xxx"] * 3, 413), (0, [b""], 200)],
)
def test_chunked_bodies_are_counted_while_they_are_read(n_bytes, chunks, status):
    answer = call((b"transfer-encoding", b"chunked"), chunks=chunks, settings=settings_of(max_body_bytes=8))
    assert answer.status == status
    assert sum(map(len, chunks)) == n_bytes


def test_a_body_longer_than_it_said_is_counted_all_the_same():
    answer = call((b"content-length", b"1"), chunks=[b"x" * 9], settings=settings_of(max_body_bytes=8))
    assert answer.status == 413


def test_a_refused_body_is_read_to_its_end_after_the_answer_was_sent():
    caller = Caller(*[b"x" * 10] * 50)
    caller.call(insecure_app(settings_of(max_body_bytes=25)), scope_of((b"transfer-encoding", b"chunked")))
    assert caller.status == 413
    assert caller.chunks == []
    assert [message.get("more_body") for message in caller.sent] == [None, True, False]


def test_a_refused_body_that_has_ended_is_not_waited_for():
    caller = Caller(b"x" * 8, b"x")
    caller.call(insecure_app(settings_of(max_body_bytes=8)), scope_of((b"transfer-encoding", b"chunked")))
    assert caller.status == 413
    assert [message.get("more_body") for message in caller.sent] == [None, False]


def test_a_refused_body_without_an_end_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr("router_model.serving.http_edge.guard.LINGER_S", 0.01)
    caller = Caller(b"x" * 9, complete=False)
    caller.call(insecure_app(settings_of(max_body_bytes=8)), scope_of((b"transfer-encoding", b"chunked")))
    assert (caller.status, caller.sent[-1]["more_body"]) == (413, False)


@pytest.mark.parametrize("swallow", [True, False])
def test_the_refusal_is_the_answer_whatever_the_application_makes_of_it(swallow):
    async def app(scope, receive, send):
        del scope
        try:
            await receive()
        except TooLargeError:
            if not swallow:
                raise RuntimeError("confused") from None
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"confused"})

    caller = Caller(b"x" * 9).call(Guard(app, settings_of(max_body_bytes=8)), scope_of())
    assert (caller.status, caller.error["code"]) == (413, "request_too_large")


def test_other_errors_of_the_application_are_not_hidden():
    async def app(*_):
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        Caller().call(Guard(app, settings_of()), scope_of())


def test_a_body_that_does_not_arrive_in_time_is_refused():
    caller = Caller(b"{", complete=False)
    caller.call(insecure_app(settings_of(body_deadline_s=0.01)), scope_of((b"content-length", b"2")))
    assert (caller.status, caller.error["code"]) == (408, "request_timeout")
    assert caller.headers[b"connection"] == b"close"


def test_a_deadline_that_passes_while_nobody_reads_counts_at_the_next_read():
    async def app(scope, receive, send):
        del scope, send
        await receive()
        await asyncio.sleep(0.05)
        await receive()

    caller = Caller(b"{", b"}").call(Guard(app, settings_of(body_deadline_s=0.01)), scope_of((b"content-length", b"2")))
    assert caller.status == 408


def test_an_answer_may_take_longer_than_the_body():
    async def app(scope, receive, send):
        del scope
        await receive()
        await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})

    caller = Caller(b"{}").call(Guard(app, settings_of(body_deadline_s=0.01)), scope_of((b"content-length", b"2")))
    assert (caller.status, caller.body) == (200, b"late")


async def test_a_cancellation_from_outside_stays_one():
    async def app(scope, receive, send):
        del scope, send
        await receive()

    guard = Guard(app, settings_of())
    caller = Caller()
    caller.chunks.clear()
    task = asyncio.create_task(guard(scope_of((b"content-length", b"2")), caller.receive, caller.send))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError, match="^$"):
        await task
    assert caller.sent == []


def test_what_comes_after_the_body_is_passed_on():
    async def app(scope, receive, send):
        del scope
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    class Leaving(Caller):
        async def receive(self):
            return await super().receive() if self.chunks else {"type": "http.disconnect"}

    assert Leaving(b"{}").call(Guard(app, settings_of()), scope_of()).status == 200


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ([(b"host", b"testserver")] * 2, 400, "2 Host headers"),
        ([], 400, "0 Host headers"),
        ([(b"host", b"evil.org")], 400, "does not name this service"),
        (
            [(b"host", b"testserver"), (b"content-length", b"2"), (b"content-length", b"2")],
            400,
            "states the length of its body more than once",
        ),
        (
            [(b"host", b"testserver"), (b"content-length", b"2"), (b"transfer-encoding", b"chunked")],
            400,
            "more than once",
        ),
        ([(b"host", b"testserver"), (b"transfer-encoding", b"gzip, chunked")], 400, "is not 'chunked'"),
        ([(b"host", b"testserver"), (b"transfer-encoding", b"xchunked")], 400, "is not 'chunked'"),
        ([(b"host", b"testserver"), (b"content-length", b"+2")], 400, "Content-Length is not a number"),
        ([(b"host", b"testserver"), (b"content-length", b"-2")], 400, "Content-Length is not a number"),
        ([(b"host", b"testserver"), (b"content-length", b"1_0")], 400, "Content-Length is not a number"),
        ([(b"host", b"testserver"), (b"content-length", "٢".encode())], 400, "Content-Length is not a number"),
        ([(b"host", b"testserver"), (b"content-length", b"9" * 5000)], 400, "Content-Length is not a number"),
        ([(b"host", b"testserver"), (b"content-length", b"2, 2")], 400, "Content-Length is not a number"),
        ([(b"host", b"testserver"), (b"x-a", b"a\r\nx-admin: 1")], 400, "a header contains control characters"),
        ([(b"host", b"testserver"), (b"x-a", b"a\nb")], 400, "a header contains control characters"),
        ([(b"host", b"testserver"), (b"x-a", b"a\0b")], 400, "a header contains control characters"),
        ([(b"host", b"testserver"), (b"x-a", b"a\x7fb")], 400, "a header contains control characters"),
        ([(b"host", b"testserver\r\n")], 400, "a header contains control characters"),
        ([(b"host", b"testserver"), (b"x-a", b"a" * 40_000)], 431, "expected at most 32768"),
        ([(b"host", b"testserver")] + [(b"x-a", b"")] * 100, 431, "has 101 headers; expected at most 100"),
    ],
)
def test_headers_that_no_request_may_have(headers, status, message):
    answer = call(base=headers)
    assert answer.status == status
    assert message in answer.error["message"]


def test_a_tab_and_bytes_beyond_ascii_are_allowed_in_headers():
    assert call((b"x-a", b"a\tb"), (b"x-b", "é".encode()), (b"content-length", b"2")).status == 200


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"path": "/v1/route\r\nx-admin: 1"}, "the path contains control characters"),
        ({"path": "/v1/ro\0ute"}, "the path contains control characters"),
        ({"path": "/v1/route\u2028"}, "the path contains control characters"),
        ({"query": b"a=1\r\nb"}, "the query contains control characters"),
        ({"query": b"a=%0d%0aSet-Cookie:x"}, "the query contains control characters"),
        ({"query": b"a=%1B[2J"}, "the query contains control characters"),
        ({"query": b"a=%7F"}, "the query contains control characters"),
    ],
)
def test_targets_that_no_request_may_have(target, message):
    answer = call((b"content-length", b"2"), **target)
    assert (answer.status, answer.error["message"]) == (400, f"{message}; remove them")


def test_ordinary_queries_pass():
    assert call((b"content-length", b"2"), query=b"since=2026-01-01T00%3A00%3A00Z&q=%C3%A9").status == 200


def test_nothing_is_redirected():
    for path in ("/v1/route/", "//v1/route", "/v1//route", "/V1/route"):
        answer = call((b"content-length", b"2"), path=path)
        assert answer.status == 404
        assert b"location" not in answer.headers


def test_web_sockets_are_closed_before_they_are_open():
    caller = Caller().call(insecure_app(), {**scope_of(), "type": "websocket"})
    assert caller.sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


def test_unknown_protocols_are_a_defect_of_the_server():
    with pytest.raises(ValueError, match="scope type 'smtp'; expected http or lifespan"):
        Caller().call(insecure_app(), {**scope_of(), "type": "smtp"})


def test_starting_and_stopping_reach_the_application():
    seen = []

    async def app(scope, receive, send):
        del receive, send
        seen.append(scope["type"])

    Caller().call(Guard(app, settings_of()), {"type": "lifespan"})
    assert seen == ["lifespan"]


def test_no_refusal_shows_what_was_sent(caplog):
    """Whatever is refused may be a key that went into the wrong place."""
    caplog.set_level(logging.DEBUG)
    canary = b"rm_canary"
    for headers, target in [
        ([(b"host", canary)], {}),
        ([*GOOD, (canary, b"\n")], {}),
        ([*GOOD, (b"content-length", canary)], {}),
        ([*GOOD, (b"transfer-encoding", canary)], {}),
        (GOOD, {"path": "/rm_canary\n"}),
        (GOOD, {"query": canary + b"\n"}),
    ]:
        answer = call(base=headers, **target)
        assert answer.status == 400
        assert b"canary" not in answer.body
    assert "canary" not in caplog.text
