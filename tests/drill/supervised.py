"""``router-model serve`` with two workers, started again after a failure, as the shipped systemd unit says."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx2
from processes import eventually
from prometheus_server import DEPLOY

UNIT: Final = (DEPLOY / "systemd/router-model.service").read_text()
RESTART_S: Final = float(re.search(r"^RestartSec=(\d+)$", UNIT, re.MULTILINE)[1])
WORKERS: Final = int(re.search(r"^ExecStart=.* --workers (\d+)$", UNIT, re.MULTILINE)[1])
END_S: Final = float(re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)[1])


class Service:
    """The service, and who starts it again.

    Parameters
    ----------
    options : of ``router-model serve``
    port : that they name
    folder : Path
        Where it runs.

    Attributes
    ----------
    environment : what is added to the environment of the next process
    """

    def __init__(self, options: Sequence[str], *, port: int, folder: Path, environment: Mapping[str, str]) -> None:
        self._command = [sys.executable, "-m", "router_model", "serve", *options]
        self._folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.environment = dict(environment)
        self._said = (folder / "said").open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self._ends = threading.Event()
        self._is_wanted = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    @property
    def output(self) -> str:
        """What all its processes said so far."""
        return (self._folder / "said").read_text(errors="replace")

    @property
    def parent(self) -> int:
        """The process id of the command; 0 while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    @property
    def workers(self) -> list[int]:
        """The processes that answer: children of the command that know the port."""
        return [child for child in children(self.parent) if "spawn_main" in command_line(child)] if self.parent else []

    def is_ready(self) -> bool:
        """Tell whether it answers that it is ready, over a new connection."""
        with contextlib.suppress(httpx2.HTTPError):
            return httpx2.get(f"{self.url}/readyz", timeout=2, trust_env=False).status_code == 200
        return False

    def start(self) -> None:
        """Start it, and from now on whenever it fails; return when it is ready."""
        self._start()
        self._is_wanted.set()
        if not self._supervisor.is_alive():
            self._supervisor.start()
        eventually(self.is_ready, f"the service is ready; it said:\n{self.output[-3000:]}", limit_s=90)

    def stop(self) -> int:
        """Send SIGTERM, wait until it has ended, and start it no more; return its status."""
        self._is_wanted.clear()
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(timeout=5)

    @contextlib.contextmanager
    def unsupervised(self) -> Iterator[None]:
        """Do not start it again before the end of the block."""
        self._is_wanted.clear()
        try:
            yield
        finally:
            self._is_wanted.set()

    def close(self) -> None:
        """Stop it for good."""
        self._ends.set()
        self.stop()
        self._said.close()

    def _start(self) -> None:
        environment = os.environ | self.environment
        self._process = subprocess.Popen(
            self._command, cwd=self._folder, stdout=self._said, stderr=subprocess.STDOUT, env=environment
        )

    def _supervise(self) -> None:
        """As ``Restart=on-failure`` does."""
        while not self._ends.is_set():
            process = self._process
            if process is None or not self._is_wanted.is_set() or process.poll() in {None, 0}:
                self._ends.wait(0.05)
                continue
            self._ends.wait(RESTART_S)
            if self._is_wanted.is_set() and not self._ends.is_set():
                self._start()


def children(process: int) -> list[int]:
    """Return the child processes of one; none of one that has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def has_ended(process: int) -> bool:
    """Tell whether a process has ended, and its connections with it; its parent need not have seen it yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return True


def command_line(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


@contextlib.contextmanager
def supervised(options: Sequence[str], *, port: int, folder: Path, environment: Mapping[str, str]) -> Iterator[Service]:
    """Run the service until the end of the block."""
    service = Service(options, port=port, folder=folder, environment=environment)
    try:
        service.start()
        yield service
    finally:
        service.close()
