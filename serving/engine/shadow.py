"""Shadow: let the challenger decide after the answer, within a share of the processor, and note what it chose.

The record of a decision waits for the challenger, some milliseconds, so that both choices stand in it. A decision for
which there is no time is skipped and counted, and its record does not wait.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Final, NamedTuple

from router_model.features.featuriser import PromptFeatures
from router_model.serving.engine.challenger import Challenging, Contender, Outcome
from router_model.serving.engine.decision_answers import ruled
from router_model.serving.engine.read_query import ReadQuery
from router_model.serving.engine.recording import PendingDecision

MOST_WAITING: Final = 16
_PAUSE_S: Final = 0.005  # the answer is written first
_MOST_SAVED_S: Final = 10.0  # of a share that was not used, so that a burst after a quiet time is seen


class Ceiling:
    """Lets work go on that takes at most a share of one processor.

    Parameters
    ----------
    share : float
        Of one core.
    clock : seconds

    Examples
    --------
    At a share of 0.1, ten quiet seconds save one second; 1.1 seconds of work have to wait for another one:

    >>> now = [0.0]
    >>> ceiling = Ceiling(0.1, clock=lambda: now[0])
    >>> ceiling.is_open(), ceiling.spend(1.1), ceiling.is_open()
    (True, None, False)
    >>> now[0] = 2.0
    >>> ceiling.is_open()
    True
    """

    def __init__(self, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._clock = clock
        self._left_s, self._at = share * _MOST_SAVED_S, clock()

    def is_open(self) -> bool:
        """Return whether there is time left."""
        now = self._clock()
        self._left_s = min(self._left_s + self._share * (now - self._at), self._share * _MOST_SAVED_S)
        self._at = now
        return self._left_s > 0

    def spend(self, cpu_s: float) -> None:
        """Take off what was spent."""
        self._left_s -= cpu_s


class Waiting(NamedTuple):
    """A decision that was answered, and whose record waits for the challenger.

    Attributes
    ----------
    contender : Contender
    pending : PendingDecision
    asked : ReadQuery
    features : of the prompt, if they are the challenger's, too
    champion : the model that the champion chose, without exploration
    """

    contender: Contender
    pending: PendingDecision
    asked: ReadQuery
    features: PromptFeatures | None
    champion: str


class Shadow:
    """Asks the challenger about decisions that were answered, one after the other.

    Parameters
    ----------
    challenging : Challenging
    put : takes the records
    """

    def __init__(self, challenging: Challenging, put: Callable[[PendingDecision], None]) -> None:
        self._challenging = challenging
        self._put = put
        self._waiting: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._ceiling: tuple[Contender, Ceiling] | None = None
        self._charged_s = 0.0

    def take(self, waiting: Waiting) -> None:
        """Put a decision's record into the log once the challenger has decided, or at once if there is no time."""
        if len(self._waiting) >= MOST_WAITING or not self._has_time(waiting.contender):
            self._challenging.count(waiting.contender, Outcome.SKIPPED)
            self._write(waiting, None)
            return
        self._waiting.append(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="shadow", context=Context())  # works for many requests

    def _has_time(self, contender: Contender) -> bool:
        """Return whether the challenger may take more of the processor; what it took late counts, too."""
        spent_s = self._challenging.cpu_s
        if self._ceiling is None or self._ceiling[0] is not contender:
            self._ceiling, self._charged_s = (contender, Ceiling(contender.pointer.share)), spent_s
        self._ceiling[1].spend(spent_s - self._charged_s)
        self._charged_s = spent_s
        return self._ceiling[1].is_open()

    async def close(self) -> None:
        """Write the records that wait, without the challenger."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        while self._waiting:
            self._write(self._waiting.popleft(), None)

    async def _work(self) -> None:
        while self._waiting:
            await asyncio.sleep(_PAUSE_S)
            waiting = self._waiting.popleft()
            chosen = None
            try:
                chosen = await self._chosen(waiting)
            finally:
                self._write(waiting, chosen)

    async def _chosen(self, waiting: Waiting) -> str | None:
        """Return what the challenger would have chosen; None if it did not decide."""
        contender, challenging = waiting.contender, self._challenging
        decision = await challenging.decide(contender, waiting.asked.unexplained, waiting.features)
        if decision is None:
            return None
        chosen = ruled(decision, waiting.asked, safe_model=contender.served.safe_model)[0][0].model
        if chosen == waiting.champion:
            challenging.count(contender, Outcome.SAME)
        else:
            challenging.differs(contender, waiting.champion, chosen)
        return chosen

    def _write(self, waiting: Waiting, chosen: str | None) -> None:
        waiting.pending.trial = waiting.contender.trial(chosen)
        self._put(waiting.pending)
