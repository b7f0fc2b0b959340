"""A lane: one worker thread that keeps slow work off the event loop, with a deadline and a breaker.

Decisions are made in a separate thread, so that the loop can answer other requests if one hangs. A thread cannot be
stopped, so a lane has exactly one: while it hangs, the breaker answers for it at once. A lane also refuses
work that would wait for too long, so that under overload what it does take is finished in time.

Where several pieces wait and a lane was told how to do them together, its thread takes as many as are done within a few
milliseconds, and hands their results over at once: that saves what each costs alone, and a hop between the threads a
piece. A piece that waits alone is done alone and at once; where doing them together fails, each is done alone.

Callers take turns: a piece waits for one of each other caller's at a time, however many those have sent.
"""

import asyncio
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, TypeVarTuple

from router_model.serving.common.breaker import Breaker

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SLOW_FACTOR = 20.0
"""Batches and explanations have this many times a decision's deadline, and a thread of their own."""
_WAITING_SHARE = 0.8  # of the deadline; more would be waited for in vain
_MEMORY = 0.1  # weight of the newest piece's duration in the running mean
_TOGETHER_S = 0.012  # of work in one go: the first result waits for the last one


class DeadlineMissedError(Exception):
    """Raised if work was not done by its deadline, or cannot be."""


class _Job(Generic[T]):
    __slots__ = ("args", "future", "loop", "work")

    def __init__(self, work: Callable[..., T], args: tuple[Any, ...], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.args = args
        self.loop = loop
        self.future: asyncio.Future[T] = loop.create_future()

    def do(self) -> Any:
        """Return the result, or the exception that came instead."""
        try:
            return self.work(*self.args)
        except BaseException as exc:  # noqa: BLE001 - the caller that waits for the result gets it
            return _as_exception(exc)

    def finish(self, outcome: Any) -> bool:
        """Hand the outcome over, a result or an exception; return whether anybody still waited for it."""
        if self.future.done():
            return False
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)
        return True


class _Turns:
    """Pieces that wait, taken in turn from each caller's; put by the loop's thread and taken by the lane's."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str | None, deque[_Job[Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, caller: str | None, job: _Job[Any]) -> None:
        with self._lock:
            self._waiting.setdefault(caller, deque()).append(job)

    def take(self) -> _Job[Any]:
        with self._lock:
            caller, jobs = self._waiting.popitem(last=False)
            job = jobs.popleft()
            if jobs:
                self._waiting[caller] = jobs  # behind the other callers', so that all get their turn
            return job

    def n_before(self, caller: str | None) -> int:
        """Count the pieces that are done before the next one of a caller."""
        with self._lock:
            n_own = len(self._waiting.get(caller, ()))
            return n_own + sum(min(len(jobs), n_own + 1) for one, jobs in self._waiting.items() if one != caller)


class Lane:
    """One worker thread; used from one event loop.

    Parameters
    ----------
    name : of the thread
    deadline_s : float
        What a piece of work may take, waiting included. One that is at work for longer opens the breaker.
    together : callable, optional
        Does several pieces: takes the arguments that `run` was given for each, and returns a result or an exception of
        each, in their order.
    most_together : int
        The most pieces that `together` is given.
    """

    def __init__(
        self,
        name: str,
        *,
        deadline_s: float,
        together: Callable[[Sequence[tuple[Any, ...]]], Sequence[Any]] | None = None,
        most_together: int = 1,
    ) -> None:
        self._deadline_s = deadline_s
        self._together = together
        self._most_together = most_together
        self._turns = _Turns()
        # The queue only wakes the thread, and `_turns` decides whose piece is next. True: a piece waits; False: the
        # end.
        self._queue: SimpleQueue[bool] = SimpleQueue()
        self._breaker = Breaker(deadline_s)
        self._busy_since: float | None = None
        self._mean_s = 0.0
        # a daemon, so that a hanging one does not keep the process from ending
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open: work is refused."""
        return self._breaker.is_open

    @property
    def is_stuck(self) -> bool:
        """Whether the thread is at work for longer than the deadline."""
        since = self._busy_since
        return since is not None and time.monotonic() - since >= self._deadline_s

    async def run(self, work: Callable[[*Ts], T], *args: *Ts, spent_s: float = 0.0, caller: str | None = None) -> T:
        """Call `work` with `args` in the thread and return what it returns, or raise what it raises.

        Parameters
        ----------
        spent_s : float
            The part of the deadline that has passed already.
        caller : str, optional
            Whose turn it takes.

        Raises
        ------
        DeadlineMissedError
            If it was not done in time, at once where the thread hangs or has too much to do.
        """
        now = time.monotonic()
        left_s = self._deadline_s - spent_s
        # Work that would only expire in the queue is refused now, so that its caller gets the default plan early.
        if left_s <= 0 or self._turns.n_before(caller) * self._mean_s > left_s * _WAITING_SHARE:
            raise DeadlineMissedError
        # The piece that hangs may have lost its caller, and with it the timer that would open the breaker.
        if self.is_stuck and not self._breaker.is_open:
            self._breaker.fail(now)
        if self.is_stuck or not self._breaker.allows(now):
            raise DeadlineMissedError
        loop = asyncio.get_running_loop()
        job = _Job(work, args, loop)
        self._turns.put(caller, job)
        self._queue.put(True)
        timer = loop.call_later(left_s, self._expire, job)
        try:
            return await job.future
        finally:
            timer.cancel()

    def close(self) -> None:
        """Let the thread end after what it is doing."""
        self._queue.put(False)

    def _expire(self, job: _Job[Any]) -> None:
        # A deadline that was missed behind slow work of others does not show that the thread hangs.
        if self.is_stuck or self._breaker.is_open:
            self._breaker.fail(time.monotonic())
        job.finish(DeadlineMissedError())

    def _serve(self) -> None:
        while self._queue.get():
            jobs = [job for job in self._with_others(self._turns.take()) if not job.future.done()]
            if not jobs:  # expired, or the callers went away
                continue
            outcomes = self._do(jobs)
            try:
                jobs[0].loop.call_soon_threadsafe(self._hand_over, jobs, outcomes)
            except RuntimeError:  # the loop is closed, so no request waits for the result
                return

    def _with_others(self, first: _Job[Any]) -> list[_Job[Any]]:
        """Return a piece of work, and those behind it that are done within `_TOGETHER_S`."""
        jobs = [first]
        while len(jobs) < self._most_together and (len(jobs) + 1) * self._mean_s <= _TOGETHER_S:
            try:
                waits = self._queue.get_nowait()
            except Empty:
                break
            if not waits:
                self._queue.put(False)  # the end, after these
                break
            jobs.append(self._turns.take())
        return jobs

    def _do(self, jobs: Sequence[_Job[Any]]) -> Sequence[Any]:
        """Return a result or an exception of each piece, and keep account of the time."""
        self._busy_since = started = time.monotonic()
        outcomes = self._done_together(jobs) or [job.do() for job in jobs]
        # Bounded, because one piece that hung would raise the mean, and work would be refused long after it.
        took_s = min(time.monotonic() - started, self._deadline_s) / len(jobs)
        # Many at once are so many pieces: after a crowd came, what each takes together is known at once.
        self._mean_s += (1 - (1 - _MEMORY) ** len(jobs)) * (took_s - self._mean_s)
        self._busy_since = None
        return outcomes

    def _done_together(self, jobs: Sequence[_Job[Any]]) -> Sequence[Any] | None:
        """Return the outcomes of several pieces; None if each is to be done alone."""
        if len(jobs) == 1 or self._together is None:
            return None
        try:
            return self._together([job.args for job in jobs])
        except BaseException:  # noqa: BLE001 - doing each piece alone shows which of them fails
            return None

    def _hand_over(self, jobs: Sequence[_Job[Any]], outcomes: Sequence[Any]) -> None:
        in_time = [job.finish(outcome) for job, outcome in zip(jobs, outcomes, strict=True)]
        # Results that all came too late do not show that the router is fast enough again.
        if any(in_time):
            self._breaker.succeed()


def _as_exception(exc: BaseException) -> Exception:
    """Return what may be raised from a future: an exit of the thread must not end the process."""
    if isinstance(exc, Exception) and not isinstance(exc, StopIteration):
        return exc
    return RuntimeError(f"{type(exc).__name__} in a worker thread")
