"""Servers as processes of their own: started on a core, asked for their CPU time and memory, stopped."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


class Usage(NamedTuple):
    """What a server has used since it was started.

    Attributes
    ----------
    cpu_s : float
        CPU seconds in user and in system mode.
    waited_s : float
        Seconds in which its threads could have run and another process, or another of them, had the core.
    """

    cpu_s: float
    waited_s: float

    def since(self, before: "Usage") -> "Usage":
        return Usage(self.cpu_s - before.cpu_s, self.waited_s - before.waited_s)


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs.

    Attributes
    ----------
    process : the process that was started; its children count as it
    address : host and port
    """

    process: subprocess.Popen[bytes]
    address: tuple[str, int]

    def usage(self) -> "Usage":
        """Return what it has used so far."""
        pids = _tree(self.process.pid)
        waits = (task.read_text().split()[1] for pid in pids for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))
        return Usage(sum(map(_cpu_s, pids)), sum(map(int, waits)) / 1e9)

    def rss_mb(self) -> float:
        """Return the resident memory now, in MB; pages that processes share count in each."""
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in _tree(self.process.pid))
        return sum(pages) * _PAGE_MB


@contextmanager
def served(
    command: Sequence[str],
    *,
    program: str | Path = sys.executable,
    port: int,
    core: int | None,
    ready: str,
    env: Mapping[str, str | None],
    log: Path,
    wait_s: float,
) -> Iterator[Served]:
    """Start a server on a core, wait until ``GET ready`` answers 200, and stop it with SIGTERM at the end.

    `command` is what comes after `program`, which is this Python unless said; `env` is added to the environment, and
    what is None there is taken out of it.

    Raises
    ------
    RuntimeError
        If it ends, or is not ready in time; what it said is in the message.
    """
    with log.open("wb") as said:
        process = subprocess.Popen(
            [str(program), *command],
            env={name: value for name, value in {**os.environ, **env}.items() if value is not None},
            stdout=said,
            stderr=subprocess.STDOUT,
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509
        )
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}{ready}", process, log, wait_s)
            yield Served(process, ("127.0.0.1", port))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path, wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    state = "is not ready" if process.poll() is None else f"ended with status {process.returncode}"
    raise RuntimeError(f"the server {state} after {wait_s:g} s; it said:\n{log.read_text(errors='replace')[-2000:]}")


def _tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(one for child in children for one in _tree(int(child)))]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
