"""Run the application: open the socket, start uvicorn and its workers."""

import logging
import math
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EADDRINUSE
from typing import Final

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors.multiprocess import Multiprocess

from router_model.serving.common.lean_imports import import_lightgbm_if_needed
from router_model.serving.common.lean_memory import keep_little_memory
from router_model.serving.common.log_lines import logging_config
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings, as_environment
from router_model.serving.http_edge.http_protocol import HeadLimitedProtocol
from router_model.serving.monitoring.worker_ends import FOLDER_VARIABLE, WorkerEnds

_KEEP_ALIVE_S: Final = (
    75  # load balancers close idle connections after a minute, and must do so before we do, or requests get lost
)
_LAST_WORDS_S: Final = 3
"""After the drain: for the error events of streams that it ends, and for closing the providers' calls."""
_BACKLOG: Final = 2048
_LOOK_EVERY_S: Final = 0.02
_SWITCH_S: Final = 0.001
"""After which a thread that works lets the event loop go on; Python's own 5 ms would be waited for at each step."""


def claim(host: str, port: int) -> socket.socket:
    """Return a socket that has its address and does not listen yet; port 0 takes a free one.

    Until the service can answer, connections are refused at once: who checks its health, or has another one to ask,
    must not wait for a start.

    Raises
    ------
    SettingsError
        If the address is in use, not ours, or not to be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family)
    # Otherwise a restart fails while old connections of the port are in TIME_WAIT.
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host.strip("[]"), port))
    except OSError as exc:
        found.close()
        if exc.errno == EADDRINUSE:
            raise SettingsError(f"port {port} of {host} is in use; stop what listens there, or give --port") from exc
        raise SettingsError(
            f"cannot listen on {host} port {port}: {exc.strerror or exc}; give another --host or --port"
        ) from exc
    found.set_inheritable(True)  # workers are child processes that accept on the same socket
    return found


def in_url(host: str, port: int) -> str:
    """Return an address as a URL has it.

    >>> in_url("127.0.0.1", 80), in_url("::1", 80)
    ('127.0.0.1:80', '[::1]:80')
    """
    return f"[{host.strip('[]')}]:{port}" if ":" in host else f"{host}:{port}"


def lean_app() -> FastAPI:
    """Build the application in a process that is the service's own, as small as it goes."""
    keep_little_memory()
    import_lightgbm_if_needed()  # before a router is loaded, which would import LightGBM with everything
    from router_model.serving.app import create_app  # noqa: PLC0415

    sys.setswitchinterval(_SWITCH_S)
    _end_with_the_parent()
    return create_app()


def _end_with_the_parent() -> None:
    """Let a worker end as by SIGTERM when its parent is gone: killed, it leaves nobody who would end its workers.

    They would hold the port, and a new service could not start.
    """
    parent = multiprocessing.parent_process()
    if parent is None:  # the service is one process, or somebody else's server runs it
        return

    def watch() -> None:
        parent.join()
        logging.getLogger(__name__).error("the parent process is gone, so this worker ends")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def serve(settings: Settings, sock: socket.socket, on_listening: Callable[[], object] = lambda: None) -> None:
    """Serve on a bound socket until SIGTERM or Ctrl-C; requests that are under way are finished.

    Workers build the application themselves, from the environment: the settings are put there.

    Parameters
    ----------
    settings : Settings
    sock : of `claim`
    on_listening : called in a thread when connections are accepted
    """
    with _environment(settings), _when_listening(sock, on_listening):
        config = uvicorn.Config(
            "router_model.serving.server:lean_app",
            factory=True,
            workers=settings.workers,
            http=HeadLimitedProtocol,
            ws="none",
            # Not 'auto', which goes on without the parts if their start raises.
            lifespan="on",
            log_config=logging_config(settings.log_format),
            log_level=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the key tells who calls; anybody can send a header with another address
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            # Uvicorn's setting is in whole seconds.
            timeout_graceful_shutdown=math.ceil(settings.drain_s) + _LAST_WORDS_S,
        )
        if settings.workers > 1:
            _Workers(config, sockets=[sock]).run()
        else:
            _serve_alone(uvicorn.Server(config), sock)


class _Workers(Multiprocess):
    """Uvicorn's workers, which it starts again where they end; that they did is not lost."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._ends = WorkerEnds()

    def keep_subprocess_alive(self) -> None:
        before = list(self.processes)
        super().keep_subprocess_alive()
        for ended, now in zip(before, self.processes, strict=True):
            if ended is not now and ended.pid is not None and now.pid is not None:
                self._ends.note(ended.pid, ended.exitcode, now.pid)


@contextmanager
def _when_listening(sock: socket.socket, call: Callable[[], object]) -> Iterator[None]:
    """Call a function as soon as somebody accepts connections; uvicorn tells nobody, and it may be another process."""
    address, ended = sock.getsockname()[:2], threading.Event()

    def wait() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            try:
                socket.create_connection(address, timeout=1).close()
            except OSError:
                continue
            call()
            return

    threading.Thread(target=wait, name="listening-watch", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _serve_alone(server: uvicorn.Server, sock: socket.socket) -> None:
    # uvicorn raises the signal again after its shutdown, when there is nothing left to stop.
    before = {number: signal.signal(number, _stopped) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[sock])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if not server.started or server.lifespan.shutdown_failed:
        raise SettingsError("the service did not start; the lines above say why")


def _stopped(number: int, _: object) -> None:
    logging.getLogger(__name__).debug("stopped by signal %d", number)


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """Put the settings into the environment, and a folder for the workers' metrics if there are several."""
    before = dict(os.environ)
    os.environ.update(as_environment(settings))
    try:
        if settings.workers > 1:
            with tempfile.TemporaryDirectory(prefix="router-metrics-") as folder:
                os.environ[FOLDER_VARIABLE] = folder
                yield
        else:
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)
