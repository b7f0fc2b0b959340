"""What is broken, one thing at a time, and what callers and the operator are promised meanwhile."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import clock
from disks import can_mount, filled
from processes import eventually
from stack import Stack
from supervised import children, has_ended

FLUSH_S: Final = 1.0
"""A killed process loses what it answered in its last flush interval, 0.2 s; a busy machine is a little late."""


Strike = Callable[[Stack], AbstractContextManager[float | None]]


@dataclass(frozen=True)
class Fault:
    """One thing that breaks.

    Attributes
    ----------
    name : str
    strike : what breaks it, and mends it when its block ends; its value is when it was broken, where that takes time
    seconds : float
        How long it lasts at least; it lasts until the expected alerts have fired.
    alerts : those that have to fire
    may_alert : those that may fire beside them
    breaks_off : bool
        Requests that were under way when it broke may go without an answer, or without its end.
    is_away : bool
        Nobody listens for a while, and requests that are sent meanwhile may go without an answer.
    all_providers_down : bool
        Calls of models may be answered with 5xx.
    lost_within_s : float
        Decisions that were answered from so long before it was struck until so long after it was broken may be
        missing in the log; 0: none may.
    why_not : says why it cannot be tried here; empty: it can
    """

    name: str
    strike: Strike
    seconds: float = 4.0
    alerts: frozenset[str] = frozenset()
    may_alert: frozenset[str] = frozenset()
    breaks_off: bool = False
    is_away: bool = False
    all_providers_down: bool = False
    lost_within_s: float = 0.0
    why_not: Callable[[], str] = lambda: ""

    def may_lose(self, answered_s: float, *, struck_s: float, broken_s: float) -> bool:
        """Tell whether the log may lack a decision that was answered then.

        A worker that hangs lives on for seconds, but what it had not written is from before it was stopped.
        """
        within = self.lost_within_s
        return within > 0 and struck_s - within <= answered_s <= broken_s + within


@contextlib.contextmanager
def _nothing(_: Stack) -> Iterator[None]:
    yield


def _to_worker(number: signal.Signals) -> Strike:
    """One that is stopped answers nobody, and its parent kills it."""

    @contextlib.contextmanager
    def strike(stack: Stack) -> Iterator[float]:
        worker = stack.service.workers[0]
        os.kill(worker, number)
        eventually(lambda: has_ended(worker), "it has ended")
        yield time.monotonic()

    return strike


@contextlib.contextmanager
def _kill_parent(stack: Stack) -> Iterator[None]:
    """It is started again only when the block ends: how fast a machine starts it must not decide about the alert."""
    before = stack.service.parent
    with stack.service.unsupervised():
        os.kill(before, signal.SIGKILL)
        yield
    eventually(lambda: stack.service.parent not in {0, before}, "it was started again")


def _stop_postgres(*, immediately: bool) -> Strike:
    @contextlib.contextmanager
    def strike(stack: Stack) -> Iterator[None]:
        stack.postgres.stop(immediately=immediately)
        try:
            yield
        finally:
            stack.postgres.start()

    return strike


@contextlib.contextmanager
def _freeze_postgres(stack: Stack) -> Iterator[None]:
    """It accepts connections, and says nothing."""
    parent = stack.postgres.pid
    frozen = [parent, *children(parent)]
    try:
        for process in frozen:
            os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


@contextlib.contextmanager
def _restart_while_postgres_hangs(stack: Stack) -> Iterator[None]:
    """SIGTERM under load, and a new start that finds a log which says nothing."""
    assert stack.service.stop() == 0, stack.service.output[-2000:]
    with _freeze_postgres(stack):
        stack.service.start()
        yield


@contextlib.contextmanager
def _fill_postgres(stack: Stack) -> Iterator[None]:
    with filled(stack.postgres_disk):
        yield


@contextlib.contextmanager
def _fill_spool_too(stack: Stack) -> Iterator[None]:
    """Neither PostgreSQL nor the spool takes records."""
    with filled(stack.spool), _stop_postgres(immediately=False)(stack):
        yield


@contextlib.contextmanager
def _damaged_artifact(stack: Stack) -> Iterator[None]:
    """A copy that was cut off is published, and a reload is asked for."""
    good = stack.place.current
    broken = good.with_name("halfwritten0")
    shutil.copytree(good, broken)
    largest = max(broken.iterdir(), key=lambda file: file.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)
    pointer = stack.place.folder / "current"
    said = pointer.read_text()
    _replace(pointer, said.replace(good.name, broken.name))
    try:
        answer = stack.reload()
        assert answer.status_code >= 400, f"a damaged artifact was taken over: {answer.text}"
        yield
    finally:
        _replace(pointer, said)


def _damaged_file(name: str) -> Strike:
    @contextlib.contextmanager
    def strike(stack: Stack) -> Iterator[None]:
        """Half of a file of settings is there, and a reload is asked for."""
        path = stack.folder / name
        said = path.read_text()
        _replace(path, said[: len(said) // 2] + '\n["')
        try:
            stack.reload()
            yield
        finally:
            _replace(path, said)

    return strike


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.touch(mode=path.stat().st_mode)
    new.write_text(text)
    new.replace(path)


def _first_provider(play: str) -> Strike:
    return lambda stack: stack.providers[0].playing(play)


@contextlib.contextmanager
def _no_provider(stack: Stack) -> Iterator[float]:
    with stack.providers[0].gone(), stack.providers[1].playing("status_503"):
        yield time.monotonic()


def _clock(seconds: int) -> Strike:
    @contextlib.contextmanager
    def strike(stack: Stack) -> Iterator[None]:
        clock.move(stack.folder, seconds)
        try:
            yield
            assert stack.n_logged_around(seconds), "no decision was logged with the time of the clock that was moved"
        finally:
            clock.move(stack.folder, 0)

    return strike


def _no_mount() -> str:
    return "" if can_mount() else "only root may mount a small disk"


_WORKER = frozenset({"RouterWorkerDied"})
_LOG = frozenset({"RouterLogUnavailable"})
_PROVIDERS = frozenset({"RouterProvidersFail"})
_BREAKERS = frozenset({"RouterBreakerOpen", "RouterKeyPaused"})

FAULTS: Final = (
    Fault("nothing", _nothing),
    Fault("worker killed", _to_worker(signal.SIGKILL), alerts=_WORKER, breaks_off=True, lost_within_s=FLUSH_S),
    Fault("artifact damaged", _damaged_artifact, alerts=frozenset({"RouterReloadRefused"})),
    Fault("PostgreSQL stopped", _stop_postgres(immediately=False), alerts=_LOG),
    Fault("PostgreSQL killed", _stop_postgres(immediately=True), alerts=_LOG),
    Fault("PostgreSQL hangs", _freeze_postgres, alerts=_LOG),
    Fault("its disk full", _fill_postgres, alerts=_LOG, why_not=_no_mount),
    Fault("spool's disk, too", _fill_spool_too, alerts=_LOG, why_not=_no_mount),
    Fault(
        "provider refuses", lambda stack: stack.providers[0].gone(), alerts=_PROVIDERS, may_alert=_BREAKERS,
        breaks_off=True,
    ),
    Fault("provider hangs", _first_provider("silence"), alerts=_PROVIDERS, may_alert=_BREAKERS),
    Fault("provider says 500", _first_provider("status_500"), alerts=_PROVIDERS, may_alert=_BREAKERS),
    Fault("provider says 429", _first_provider("status_429"), alerts=_PROVIDERS, may_alert=_BREAKERS),
    Fault(
        "all providers down", _no_provider, alerts=_PROVIDERS | {"RouterErrors"}, may_alert=_BREAKERS,
        breaks_off=True, all_providers_down=True,
    ),
    Fault("worker hangs", _to_worker(signal.SIGSTOP), alerts=_WORKER, breaks_off=True, lost_within_s=FLUSH_S),
    Fault("keys file damaged", _damaged_file("keys.toml"), seconds=3),
    Fault("providers file too", _damaged_file("providers.toml"), seconds=3),
    Fault("parent killed", _kill_parent, seconds=3, alerts=frozenset({"RouterDown"}), is_away=True),
    Fault(
        "restart, log hangs", _restart_while_postgres_hangs, alerts=_LOG, may_alert=frozenset({"RouterDown"}),
        is_away=True,
    ),
    Fault("clock 1 h ahead", _clock(3600), why_not=clock.why_not),
    Fault("clock 1 h behind", _clock(-3600), why_not=clock.why_not),
)  # fmt: skip
