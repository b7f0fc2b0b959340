"""What surrounds a body: trailers, chunk extensions, tiny chunks, requests sent ahead; bytes on a real connection."""

import pytest
from guarded_app import guarded_app, insecure_app, settings_of
from http_thread import live, talk

from router_model.serving.access.authentication import Access
from router_model.serving.access.issuing import create_key
from router_model.serving.access.keyring import Keyring
from router_model.serving.access.keyring_secret import read_secret
from router_model.serving.common.callers import Role
from router_model.serving.http_edge.http_protocol import HeadLimitedProtocol

HOST = b"Host: 127.0.0.1\r\n"
KEPT = b"POST /v1/route HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST
CHUNKED = KEPT + b"Connection: close\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
BODY = b"2\r\n{}\r\n"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """The port of a service with a key, and the key."""
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    _, text = create_key(path, name="gateway", roles=(Role.DECIDE,))
    with live(guarded_app(Access(Keyring.load(path, secret=read_secret(path)))), http=HeadLimitedProtocol) as port:
        yield port, text.encode()


@pytest.fixture(scope="module")
def port():
    with live(insecure_app(settings_of()), http=HeadLimitedProtocol) as port:
        yield port


@pytest.mark.parametrize("at_once", [True, False])
def test_a_trailer_is_no_header(keyed, at_once):
    """A key that comes behind the body lets nobody in, whether it comes with the head or later."""
    port, key = keyed
    parts = [CHUNKED + b"Trailer: Authorization\r\n\r\n", BODY + b"0\r\nAuthorization: Bearer " + key + b"\r\n\r\n"]
    assert talk(port, *([b"".join(parts)] if at_once else parts)).startswith(b"HTTP/1.1 401 ")
    in_the_head = CHUNKED + b"Authorization: Bearer " + key + b"\r\n\r\n" + BODY + b"0\r\nX-Checksum: 1\r\n\r\n"
    assert talk(port, in_the_head).startswith(b"HTTP/1.1 200 ")


MANY_TRAILERS = [BODY, b"0\r\n", *[b"X-A: " + b"a" * 1000 + b"\r\n"] * 2000]
ONE_LONG_TRAILER = [BODY, b"0\r\nX-A: ", *[b"a" * 100_000] * 20]
LONG_EXTENSION = [b"2;a=", *[b"a" * 100_000] * 20]
MANY_EXTENSIONS = [b"2;" + b"a" * 1000 + b"\r\n{}\r\n"] * 2000
TINY_CHUNKS = [b"1\r\n \r\n" * 10_000] * 20


@pytest.mark.parametrize(
    "attack", [MANY_TRAILERS, ONE_LONG_TRAILER, LONG_EXTENSION, MANY_EXTENSIONS, TINY_CHUNKS], ids=len
)
@pytest.mark.parametrize("has_key", [True, False])
def test_what_surrounds_a_body_is_bounded(keyed, has_key, attack):
    """2 MB of it, and no end: the server hangs up, whether or not the request was let in."""
    port, key = keyed
    head = KEPT + (b"Authorization: Bearer " + key + b"\r\n" if has_key else b"") + b"\r\n"
    answer = talk(port, head, *attack)
    assert b" 200 " not in answer[:20]
    assert answer[:13] in ((b"", b"HTTP/1.1 400 ") if has_key else (b"", b"HTTP/1.1 400 ", b"HTTP/1.1 401 "))


def test_chunks_as_clients_send_them_are_read(port):
    body = b"".join(b"%x\r\n%s\r\n" % (40, b"x" * 40) for _ in range(10_000))
    assert talk(port, CHUNKED + b"\r\n", body, b"0\r\n\r\n").endswith(b"insecure sent 400000 bytes")


def test_few_requests_may_be_sent_ahead_and_not_thousands(port):
    assert talk(port, GET * 10 + LAST).count(b"HTTP/1.1 200 ") == 11
    assert talk(port, GET * 5000).count(b"HTTP/1.1 200 ") <= HeadLimitedProtocol.max_pipelined
