"""A wire between a client and a service, which a test can cut."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from http_thread import answering


class Relay(socketserver.ThreadingTCPServer):
    """Passes bytes on to `target`.

    Attributes
    ----------
    down : bool
        Every connection is closed as soon as something comes through it.
    silent : bool
        Nothing is passed on, and nothing closed.
    n_lost_answers : int
        So many of the next answers are thrown away, once they came, and their connections closed.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = (urlsplit(target).hostname, urlsplit(target).port)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.down = self.silent = False
        self.n_lost_answers = 0


class _Handler(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection(self.server.target, timeout=60) as service:
            back = threading.Thread(target=self._answers, args=(service,), daemon=True)
            back.start()
            while data := self.request.recv(65536):
                if self.server.down:
                    break
                if not self.server.silent:
                    service.sendall(data)
            _close(service)
            back.join(timeout=5)

    def _answers(self, service: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := service.recv(65536):
                if self.server.n_lost_answers:
                    self.server.n_lost_answers -= 1
                    break
                self.request.sendall(data)
        _close(self.request)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relay(target: str) -> Iterator[Relay]:
    """Run one until the end of the block."""
    server = Relay(target)
    with answering(server):
        yield server
