"""Servers in processes of their own: started, waited for, and always ended, by their id."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx2


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """Yield a port of loopback that refuses connections; it is held, so that no other server gets it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextlib.contextmanager
def running(
    command: Sequence[str], *, ready_url: str, output: Path, env: Mapping[str, str], cwd: Path, limit_s: float = 180
) -> Iterator[subprocess.Popen]:
    """Run a server until the end of the block, which begins when `ready_url` answers with 200."""
    with output.open("w") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env=dict(env), cwd=cwd)
        try:
            eventually(lambda: _answers(process, ready_url, output), f"{ready_url} answers", limit_s=limit_s)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=5)


def _answers(process: subprocess.Popen, url: str, output: Path) -> bool:
    assert process.poll() is None, f"ended with {process.returncode}:\n{output.read_text()[-3000:]}"
    try:
        return httpx2.get(url, timeout=2, trust_env=False).status_code == httpx2.codes.OK
    except httpx2.RequestError:
        return False


def eventually(check: Callable[[], object], what: str, *, limit_s: float = 60) -> object:
    """Return what `check` returns, as soon as it is something; fail after `limit_s` seconds."""
    until = time.monotonic() + limit_s
    while not (found := check()):
        assert time.monotonic() < until, f"not within {limit_s} s: {what}"
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def running_program(command: Sequence[str], *, port: int) -> Iterator[subprocess.Popen]:
    """Run a server of another kind until the end of the block, which begins when its port is open."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: _is_open(process, port), f"port {port} is open")
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)


def _is_open(process: subprocess.Popen, port: int) -> bool:
    assert process.poll() is None, f"ended with {process.returncode}"
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
