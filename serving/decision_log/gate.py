"""Guard the way to the store: it is open or closed, and the gate knows when to try again."""

import asyncio
import logging
import random
import time
from typing import Final

from router_model.serving.common.backoff import backoff_s
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.decision_log.rejects import Rejects
from router_model.serving.decision_log.rows import Batch, n_rows
from router_model.serving.decision_log.store import RefusedError, Store

logger = logging.getLogger(__name__)

STORE_TIMEOUT_S: Final = 10.0
"""A store that has not answered by then is away."""
_FIRST_RETRY_S: Final = 0.25
_LAST_RETRY_S: Final = 15.0


class StoreGate:
    """A store that may be away.

    Attributes
    ----------
    store : Store
    rejects : Rejects
        Gets the rows that the store will never take.
    available : bool
        Whether records may be written: the store did what it was last asked to.
    works : bool
        Whether the store is known to take records. One that failed to write and could be opened again has yet to show
        it: a database with a full disk can be opened and read.
    """

    def __init__(self, store: Store, rejects: Rejects) -> None:
        self.store = store
        self.rejects = rejects
        self.available = self.works = False
        self._has_to_show = False
        self._retry_at = 0.0
        self._n_failures = 0
        self._abandoned: set[asyncio.Task[None]] = set()

    @property
    def worth_trying(self) -> bool:
        """Whether the store is available, or was away for long enough to be tried again."""
        return self.available or time.monotonic() >= self._retry_at

    async def open(self) -> bool:
        """Open the store; an unreachable one is to be tried again later.

        Raises
        ------
        SettingsError
            If trying again will not help.
        """
        opening = asyncio.create_task(self.store.open())
        failure = await self._outcome(opening)
        if isinstance(failure, SettingsError):
            raise failure
        return self._opened(failure)

    async def reopen(self) -> bool:
        """Try to open the store again; after a failure of any kind, wait."""
        return self._opened(await self._outcome(asyncio.create_task(self.store.open())))

    async def write(self, batch: Batch, name: str) -> int | None:
        """Write rows; return how many the store took, or None if it is away: then they are to be written again.

        Rows that it will never take are rejected, and do not keep the others of their batch away from it.
        """
        failure = await self._outcome(asyncio.create_task(self.store.write(batch, name)))
        if not isinstance(failure, RefusedError):
            self._has_to_show = failure is not None
            return n_rows(batch) if self._settled(failure) else None
        parts = _parts(batch, name)
        if not parts:
            ((kind, (row,)),) = batch.items()
            self.rejects.add_row(kind, row, str(failure))
            self._settled(None)
            return 0
        n_written = 0
        for part, part_name in parts:
            n = await self.write(part, part_name)
            if n is None:
                return None
            n_written += n
        return n_written

    async def _outcome(self, asked: "asyncio.Task[None]") -> BaseException | None:
        """Wait for the store, but not forever; return what went wrong."""
        done, _ = await asyncio.wait({asked}, timeout=STORE_TIMEOUT_S)
        if done:
            return asyncio.CancelledError() if asked.cancelled() else asked.exception()
        asked.cancel()  # and not waited for: a store that hangs may hang here, too
        # Referenced here, because the event loop alone does not keep a task alive.
        self._abandoned.add(asked)
        asked.add_done_callback(self._forget)
        return TimeoutError(f"no answer in {STORE_TIMEOUT_S:g} s")

    def _forget(self, asked: "asyncio.Task[None]") -> None:
        self._abandoned.discard(asked)
        # asyncio warns of a task whose exception nobody has read.
        if not asked.cancelled():
            asked.exception()

    def _opened(self, failure: BaseException | None) -> bool:
        if failure is None and self._has_to_show:
            self.available = True
            return True
        return self._settled(failure)

    def _settled(self, failure: BaseException | None) -> bool:
        if failure is None:
            if not self.works:
                logger.info("the log's store is available")
            self.available = self.works = True
            self._has_to_show = False
            self._n_failures = 0
            return True
        if self.works or not self._n_failures:
            logger.warning("the log's store does not take records, so they go to the spool: %s", failure)
        self.available = self.works = False
        drawn = random.random()  # noqa: S311  (spreads retries, no secret)
        pause_s = backoff_s(self._n_failures, first_s=_FIRST_RETRY_S, longest_s=_LAST_RETRY_S, drawn=drawn)
        self._retry_at = time.monotonic() + pause_s
        self._n_failures += 1
        return False


def _parts(batch: Batch, name: str) -> list[tuple[Batch, str]]:
    """Return the parts in which a refused batch is tried again, with their names; none of a single row.

    First each kind by itself, then halves: so one bad row among 500 costs about 20 writes, not 500.
    """
    if len(batch) > 1:
        return [({kind: rows}, name) for kind, rows in batch.items()]
    ((kind, rows),) = batch.items()
    half = len(rows) // 2
    return [({kind: rows[:half]}, f"{name}-a"), ({kind: rows[half:]}, f"{name}-b")] if half else []
