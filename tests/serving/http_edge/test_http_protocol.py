"""The guard behind uvicorn, as bytes on a connection."""

import httpx2
import pytest
from guarded_app import insecure_app, settings_of
from http_thread import live, talk

from router_model.serving.http_edge.http_protocol import HeadLimitedProtocol

HOST = b"Host: 127.0.0.1\r\n"
LENGTH = b"Content-Length: 2\r\n"


class Impatient(HeadLimitedProtocol):
    head_deadline_s = 0.2
    max_head_bytes = 100_000


@pytest.fixture(scope="module")
def port():
    with live(insecure_app(settings_of(max_body_bytes=1000)), http=HeadLimitedProtocol) as port:
        yield port


@pytest.fixture(scope="module")
def impatient():
    with live(insecure_app(settings_of(body_deadline_s=0.2)), http=Impatient) as port:
        yield port


def post(port, *lines, target=b"/v1/route", version=b"1.1", body=b"{}"):
    """Return the status and the body of the answer to one request."""
    head = b"POST " + target + b" HTTP/" + version + b"\r\nConnection: close\r\n" + b"".join(lines) + b"\r\n"
    head, _, answered = talk(port, head + body).partition(b"\r\n\r\n")
    return int(head.split()[1]), answered


def test_a_plain_request_is_answered(port):
    assert post(port, HOST, LENGTH) == (200, b"insecure sent 2 bytes")


@pytest.mark.parametrize(
    "lines",
    [
        [HOST, LENGTH, b"Transfer-Encoding: chunked\r\n"],
        [HOST, LENGTH, b"Content-Length: 3\r\n"],
        [HOST, b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n"],
        [HOST, b"Transfer-Encoding : chunked\r\n"],
        [HOST, b"Transfer-Encoding: xchunked\r\n"],
        [HOST, b"Content-Length: 2, 2\r\n"],
        [HOST, b"Content-Length: 0x2\r\n"],
        [HOST, LENGTH, b"X-A: a\nX-B: b\r\n"],
        [HOST, LENGTH, b"X-A: a\0b\r\n"],
        [HOST, LENGTH, b"X-A: a\r\n folded\r\n"],
        [HOST, LENGTH, b" X-A: a\r\n"],
        [HOST, HOST, LENGTH],
        [LENGTH],
        [b"Host: evil.org\r\n", LENGTH],
    ],
)
def test_requests_that_two_servers_could_read_differently_are_refused(port, lines):
    status, answer = post(port, *lines)
    assert status == 400
    assert b"insecure" not in answer


def test_an_absolute_target_neither_names_the_host_nor_hides_the_path(port):
    """The target's host is not looked at: the Host header is what has to be ours, the path what is routed."""
    assert post(port, HOST, LENGTH, target=b"http://evil.org/v1/route")[0] == 200
    assert post(port, b"Host: evil.org\r\n", LENGTH, target=b"http://127.0.0.1/v1/route")[0] == 400
    assert post(port, HOST, LENGTH, target=b"http://127.0.0.1/none?/v1/route")[0] == 404


@pytest.mark.parametrize("target", [b"//v1/route", b"/v1/route/", b"/v1/../v1/route", b"/v1/route/..;/admin/reload"])
def test_no_path_is_tidied_up_or_redirected(port, target):
    assert post(port, HOST, LENGTH, target=target)[0] == 404


def test_encoded_line_breaks_are_refused(port):
    assert post(port, HOST, LENGTH, target=b"/v1/route%0d%0aX:1")[0] == 400
    assert post(port, HOST, LENGTH, target=b"/v1/route?a=%0d%0aX:1")[0] == 400


def test_http_1_0_without_a_host_is_refused(port):
    assert post(port, LENGTH, version=b"1.0")[0] == 400


def test_who_sends_a_long_body_reads_the_refusal(port):
    answer = httpx2.post(f"http://127.0.0.1:{port}/v1/route", content=b"x" * 10_000_000)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")


def test_a_long_chunked_body_is_refused_while_it_is_read(port):
    def chunks():
        for _ in range(100):
            yield b"x" * 10_000

    answer = httpx2.post(f"http://127.0.0.1:{port}/v1/route", content=chunks())
    assert answer.status_code == 413


def test_nobody_is_told_to_continue_with_a_body_that_is_too_long(port):
    head = b"POST /v1/route HTTP/1.1\r\n" + HOST + b"Content-Length: 2000\r\nExpect: 100-continue\r\n\r\n"
    answer = talk(port, head)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


def test_a_body_that_never_ends_is_refused(impatient):
    answer = talk(impatient, b"POST /v1/route HTTP/1.1\r\n" + HOST + b"Content-Length: 200\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("parts", [[], [b"POST /v1"], [b"POST /v1/route HTTP/1.1\r\nHost: 127."], [b"\r\n", b"\r\n"]])
def test_a_head_that_never_ends_is_hung_up_on(impatient, parts):
    assert talk(impatient, *parts) == b""


def test_a_second_head_that_never_ends_is_hung_up_on(impatient):
    first = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    assert talk(impatient, first, b"GET /healthz HT").endswith(b"\r\n\r\nok")


def test_headers_without_end_are_not_collected(impatient):
    answer = talk(impatient, b"GET /healthz HTTP/1.1\r\n" + HOST, *[b"X-A: " + b"a" * 1000 + b"\r\n"] * 500)
    assert answer[:13] in (b"", b"HTTP/1.1 400 ")  # nothing: closed while it was being sent


def test_a_connection_that_is_kept_serves_many_requests(port):
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert {client.post("/v1/route", content=b"{}").status_code for _ in range(20)} == {200}
        assert client.get("/healthz").text == "ok"


def test_a_long_body_that_nobody_reads_is_no_head():
    """Refused before it is read (here: no such path), a body goes on; the connection stays usable."""
    first = b"POST /none HTTP/1.1\r\n" + HOST + b"Content-Length: 2000000\r\n\r\n"
    second = b"GET /healthz HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
    with live(insecure_app(), http=HeadLimitedProtocol) as port:
        answer = talk(port, first, *[b"x" * 100_000] * 20, second)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b"\r\n\r\nok")
