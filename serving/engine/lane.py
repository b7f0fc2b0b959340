"""A lane: one worker thread for work that must not hold up the event loop, with a deadline and a breaker.

Deciding takes a thread of its own, so that one that hangs leaves the loop to answer the others. A thread cannot be
stopped, so there is one a lane and never more: while it hangs, the breaker answers for it at once. A lane also refuses
work that would wait for too long, so that under overload what it does take is finished in time.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from serving.engine.breaker import Breaker

T = TypeVar("T")

_WAITING_SHARE = 0.5  # of the deadline; more would be waited for in vain
_MEMORY = 0.1  # weight of the newest duration in the running mean


class DeadlineMissedError(Exception):
    """Raise where work was not done by its deadline, or cannot be."""


class _Job(Generic[T]):
    __slots__ = ("future", "loop", "work")

    def __init__(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[T] = loop.create_future()

    def finish(self, result: Any, error: Exception | None) -> bool:
        """Hand the result over; return whether anybody still waited for it."""
        if self.future.done():
            return False
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)
        return True


class Lane:
    """One worker thread; used from one event loop.

    Parameters
    ----------
    name : of the thread
    deadline_s : float
        What a piece of work may take, waiting included. One that is at work for longer opens the breaker.
    """

    def __init__(self, name: str, *, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._queue: SimpleQueue[_Job[Any] | None] = SimpleQueue()
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

    async def run(self, work: Callable[[], T], *, spent_s: float = 0.0) -> T:
        """Do `work` in the thread and return what it returns, or raise what it raises.

        Parameters
        ----------
        spent_s : float
            The part of the deadline that has passed already.

        Raises
        ------
        DeadlineMissedError
            Where it was not done in time, at once where the thread hangs or has too much to do.
        """
        now = time.monotonic()
        left_s = self._deadline_s - spent_s
        if left_s <= 0 or self._queue.qsize() * self._mean_s > left_s * _WAITING_SHARE:
            raise DeadlineMissedError
        if self.is_stuck or not self._breaker.allows(now):
            raise DeadlineMissedError
        loop = asyncio.get_running_loop()
        job = _Job(work, loop)
        self._queue.put(job)
        timer = loop.call_later(left_s, self._expire, job)
        try:
            return await job.future
        finally:
            timer.cancel()

    def close(self) -> None:
        """Let the thread end after what it is doing."""
        self._queue.put(None)

    def _expire(self, job: _Job[Any]) -> None:
        if self.is_stuck or self._breaker.is_open:
            self._breaker.fail(time.monotonic())
        job.finish(None, DeadlineMissedError())

    def _serve(self) -> None:
        while (job := self._queue.get()) is not None:
            if job.future.done():  # expired, or the caller went away
                continue
            self._busy_since = started = time.monotonic()
            result, error = None, None
            try:
                result = job.work()
            except BaseException as exc:  # noqa: BLE001 - it belongs to whoever waits for the result
                error = _as_exception(exc)
            took_s = min(time.monotonic() - started, self._deadline_s)
            self._mean_s += _MEMORY * (took_s - self._mean_s)
            self._busy_since = None
            try:
                job.loop.call_soon_threadsafe(self._hand_over, job, result, error)
            except RuntimeError:  # the loop is closed, nobody waits any more
                return

    def _hand_over(self, job: _Job[Any], result: Any, error: Exception | None) -> None:
        if job.finish(result, error):
            self._breaker.succeed()


def _as_exception(exc: BaseException) -> Exception:
    """Return what may be raised from a future: an exit of the thread must not end the process."""
    if isinstance(exc, Exception) and not isinstance(exc, StopIteration):
        return exc
    return RuntimeError(f"{type(exc).__name__} in a worker thread")
