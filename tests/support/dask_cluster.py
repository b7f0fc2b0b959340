"""A Dask scheduler and workers as a user starts them: processes of the command ``dask``."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil


class Cluster(NamedTuple):
    """The address of a scheduler, and the processes that were started, the scheduler's first."""

    address: str
    processes: list[subprocess.Popen[bytes]]

    def usage(self) -> list[tuple[float, float]]:
        """Return processor seconds and peak GiB of each process."""
        return [usage_of(process.pid) for process in self.processes]


def usage_of(pid: int) -> tuple[float, float]:
    """Return the processor seconds of a process so far, and its peak GiB."""
    times = psutil.Process(pid).cpu_times()
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return times.user + times.system, int(peak.split()[1]) / 2**20


@contextmanager
def dask_cluster(folder: Path, *, n_workers: int, options: Sequence[str] = ()) -> Iterator[Cluster]:
    """Start a scheduler and workers of one thread each, and stop them at the end."""
    file = folder / "scheduler.json"
    command = [sys.executable, "-m", "dask"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "DASK_DISTRIBUTED__DASHBOARD__LINK": ""}
    started = []

    def start(*arguments: str) -> None:
        with (folder / f"dask-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen([*command, *arguments], env=environment, stdout=log, stderr=log, cwd=folder)
        started.append(process)

    try:
        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        deadline = time.monotonic() + 120
        while not file.exists():
            if time.monotonic() > deadline or started[0].poll() is not None:
                raise RuntimeError((folder / "dask-0.log").read_text())
            time.sleep(0.1)
        for number in range(n_workers):
            # Without a nanny a killed worker stays away.
            start(
                "worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard",
                "--name", str(number), *options,
            )  # fmt: skip
        yield Cluster(json.loads(file.read_text())["address"], started)
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
