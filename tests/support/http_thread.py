"""Servers on loopback, in a thread of this process, until the end of a block."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Any

import uvicorn


class LocalServer(ThreadingHTTPServer):
    """Listens on a free port; a client that goes away is normal."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """Say nothing."""


class QuietHandler(BaseHTTPRequestHandler):
    """Reads bodies, sends answers, and writes no log."""

    def body(self) -> Any:
        """Return the JSON of the request."""
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def send(self, status: int, content: str | bytes, kind: str = "application/json", **headers: str) -> None:
        """Send a whole answer."""
        sent = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(sent)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def answering(server: BaseServer) -> Iterator[None]:
    """Answer in a thread that ends with the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


@contextlib.contextmanager
def live(app: Any, **config: Any) -> Iterator[int]:
    """Serve an app by uvicorn, on a free port unless told one, in a thread that ends with the block; yield the port."""
    server = uvicorn.Server(uvicorn.Config(app, **{"port": 0, "log_config": None, "ws": "none"} | config))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the service did not start"
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop within 10 s"


def talk(port: int, *parts: bytes) -> bytes:
    """Send the parts to a server, and return all that comes back until it hangs up, maybe while they are sent."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, contextlib.suppress(ConnectionError):
        for part in parts:
            connection.sendall(part)
        while received := connection.recv(65536):
            answer += received
    return answer
