"""Find out whether the machine has what the service needs: port, open files, memory, processors, disk, right time."""

import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Final

from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings
from router_model.serving.doctor.finding import Finding, Level
from router_model.serving.server import claim, in_url
from router_model.wording import counted

FILES_NEEDED: Final = 1024
"""Of one worker: connections of callers and to providers, the log and the artifact."""
WORKER_MB: Final = 400
"""What one worker takes with a router of a few models, and half as much again for a reload beside it."""
_DISK_LOW_MB: Final = 2_000
_DISK_FULL_MB: Final = 200
_CLOCK_OFF_S: Final = 30.0
_COMPILED: Final = ("router_model.prediction.compiled._native", "router_model.features._native")
_CGROUP: Final = Path("/sys/fs/cgroup")


def machine_findings(settings: Settings, ahead_s: Sequence[float]) -> Iterator[Finding]:
    """Examine the machine.

    Parameters
    ----------
    settings : Settings
    ahead_s : by how much our clock is ahead of providers', seconds
    """
    yield _clock(ahead_s)
    yield _port(settings)
    yield _files()
    yield _memory(settings.workers)
    yield _processors(settings.workers)
    yield _compiled()
    yield _disk(settings.log_spool)


def _clock(ahead_s: Sequence[float]) -> Finding:
    if not ahead_s:
        return Finding("clock", Level.UNKNOWN, "no provider said its time, so there is nothing to compare it with")
    ahead = median(ahead_s)
    if abs(ahead) < _CLOCK_OFF_S:
        return Finding("clock", Level.GOOD, f"{abs(ahead):.0f} s from the providers'")
    way = "ahead of" if ahead > 0 else "behind"
    do = "start time synchronisation (chrony, systemd-timesyncd): budgets, expiry and the log go by the clock"
    return Finding("clock", Level.ERROR, f"{abs(ahead):.0f} s {way} the providers'", do)


def _port(settings: Settings) -> Finding:
    address = in_url(settings.host, settings.port)
    try:
        claim(settings.host, settings.port).close()
    except SettingsError as exc:
        if _is_router(settings):
            return Finding("port", Level.GOOD, f"a router-model answers at {address} already")
        return Finding("port", Level.ERROR, str(exc), "stop what listens there, or give another --port")
    return Finding("port", Level.GOOD, f"{address} is free")


def _is_router(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  (not bound)
    try:
        with urllib.request.urlopen(f"http://{in_url(host, settings.port)}/readyz", timeout=2) as answer:
            return "checks" in json.loads(answer.read())
    except urllib.error.HTTPError as exc:
        return b'"checks"' in exc.read()
    except (OSError, ValueError):
        return False


def _files() -> Finding:
    try:
        import resource  # noqa: PLC0415  (there is none on Windows)
    except ImportError:
        return Finding("open files", Level.UNKNOWN, "this system has no such limit")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most == resource.RLIM_INFINITY or most >= FILES_NEEDED:
        return Finding("open files", Level.GOOD, f"{'any number' if most < 0 else most} may be open in a process")
    said = f"a process may open {most} at once; {FILES_NEEDED} are needed"
    return Finding("open files", Level.ERROR, said, "raise it: LimitNOFILE= of the unit, or ulimit -n")


def _memory(workers: int) -> Finding:
    free = _free_mb()
    if free is None:
        return Finding("memory", Level.UNKNOWN, "this system does not say how much is free")
    needed = workers * WORKER_MB
    if free >= needed:
        return Finding(
            "memory", Level.GOOD, f"{free:,} MB are free; {counted(workers, 'worker')} may take {needed:,} MB"
        )
    said = f"{free:,} MB are free, and {counted(workers, 'worker')} may take {needed:,} MB"
    return Finding("memory", Level.WARNING, said, "raise the limit of the container or unit, or take fewer --workers")


def _free_mb() -> int | None:
    """Return what this machine, or the limit of this container, leaves; None where neither says."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
    try:
        limit = (_CGROUP / "memory.max").read_text("ascii").strip()
        used = int((_CGROUP / "memory.current").read_text("ascii"))
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, (int(limit) - used) // 2**20)


def _processors(workers: int) -> Finding:
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers <= n:
        return Finding("processors", Level.GOOD, f"{n} for {counted(workers, 'worker')}")
    said = f"{n} for {counted(workers, 'worker')}, which slow each other down"
    return Finding("processors", Level.WARNING, said, f"take --workers {n}")


def _compiled() -> Finding:
    missing = [name for name in _COMPILED if find_spec(name) is None]
    if not missing:
        return Finding("compiled code", Level.GOOD, "the extension modules are installed")
    do = "install a C compiler and Python's headers (Debian: gcc, libpython3-dev), then router-model again; or a wheel"
    return Finding("compiled code", Level.WARNING, f"{missing[0]} is missing, so numpy decides, which is slower", do)


def _disk(spool: Path) -> Finding:
    whole = spool.absolute()
    folder = next(one for one in (whole, *whole.parents) if one.is_dir())
    free = shutil.disk_usage(folder).free // 10**6
    if free >= _DISK_LOW_MB:
        return Finding("disk", Level.GOOD, f"{free:,} MB are free at {folder}")
    do = "delete what is not needed, set --log-retention-days, or give a larger volume"
    level = Level.ERROR if free < _DISK_FULL_MB else Level.WARNING
    return Finding(
        "disk", level, f"{free:,} MB are free at {folder}; decisions go on, records are lost when it is full", do
    )
