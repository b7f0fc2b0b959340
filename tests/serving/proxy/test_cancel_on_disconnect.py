"""A client that leaves ends its call at once: a real server, a raw connection that is closed."""

import asyncio
import json
import socket
import time
from functools import partial
from http.client import HTTPConnection

import pytest
from fake_service import fake_parts
from http_thread import live

from router_model.serving.app import create_app
from router_model.serving.http_edge.http_protocol import Client, HeadLimitedProtocol

BODY = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(params=["auto", HeadLimitedProtocol], ids=["another server", "ours"])
def slow(router, request):
    """A service whose providers answer after a minute, and its port."""
    parts = fake_parts(router)
    parts.proxy.forwarder.pause = lambda: asyncio.sleep(60)
    with live(create_app(parts=parts), http=request.param) as port:
        yield parts, port


def ask(port, **body):
    content = json.dumps({**BODY, **body}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(head.encode() + content)
    return connection


def until(check):
    """Wait for something that happens soon."""
    for _ in range(300):
        if check():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen within 3 s")


async def test_a_client_that_has_left_is_told_at_once_and_nobody_twice():
    told = []
    client = Client(lambda: told.append("listens"))
    for name in ("one", "other"):
        client.call_when_gone(partial(told.append, name))
    forgotten = partial(told.append, "forgotten")
    client.call_when_gone(forgotten)
    client.forget(forgotten)
    client.leave()
    client.leave()
    client.call_when_gone(late := partial(told.append, "late"))
    client.call_when_gone(never := partial(told.append, "never"))
    client.forget(never)
    assert late not in told  # what asks goes on first
    await asyncio.sleep(0)
    assert sorted(told) == ["late", *["listens"] * 3, "one", "other"]


def test_before_an_answer(slow):
    parts, port = slow
    connection = ask(port)
    until(lambda: parts.proxy.forwarder.orders)
    connection.close()
    until(lambda: parts.proxy.forwarder.ended)
    assert parts.proxy.forwarder.ended == ["cancelled before an answer"]
    until(lambda: [one for one in parts.log.records if getattr(one, "error_type", None) == "client_gone"])


@pytest.mark.parametrize("slow", [HeadLimitedProtocol], indirect=True)
def test_who_leaves_with_a_request_sent_ahead(slow):
    """Uvicorn's own protocol stops reading at the second request."""
    parts, port = slow
    connection = ask(port)
    until(lambda: parts.proxy.forwarder.orders)
    connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    time.sleep(0.05)
    connection.close()
    until(lambda: parts.proxy.forwarder.ended)


def test_in_the_middle_of_a_stream(slow):
    """The first piece comes, the second would take a minute."""
    parts, port = slow
    parts.proxy.forwarder.pause = pauses(first=False)
    connection = ask(port, stream=True)
    received = b""
    while b"choices" not in received:
        received += connection.recv(4096)
    connection.close()
    until(lambda: parts.proxy.forwarder.ended)
    assert parts.proxy.forwarder.ended == ["cancelled"]


def pauses(*, first):
    """Return what pauses, the first time only if `first`."""
    calls = []

    async def pause():
        calls.append(1)
        if first or len(calls) > 1:
            await asyncio.sleep(60)

    return pause


def test_many_that_leave_leave_nothing_open(slow):
    parts, port = slow
    parts.proxy.forwarder.pause = pauses(first=True)
    connections = [ask(port, stream=i % 2 == 0) for i in range(40)]
    until(lambda: len(parts.proxy.forwarder.orders) == 40)
    for connection in connections:
        connection.close()
    until(lambda: len(parts.proxy.forwarder.ended) == 40)


def test_the_connection_is_kept_for_who_stays(slow):
    """Two calls, one after the other, over one connection: watching for a client's leaving takes nothing away."""
    parts, port = slow
    parts.proxy.forwarder.pause = None
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    sockets = []
    for _ in range(2):
        connection.request("POST", "/v1/chat/completions", json.dumps(BODY), {"content-type": "application/json"})
        sockets.append(connection.sock)
        answer = connection.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read())
    connection.close()
    assert sockets[0] is sockets[1]
