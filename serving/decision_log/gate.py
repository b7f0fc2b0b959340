"""The way to the store: whether it is open, and when to try again."""

import asyncio
import logging
import random
import time
from typing import Final

from serving.decision_log.rows import Batch, n_rows
from serving.decision_log.store import RefusedError, Store
from serving.errors import SettingsError

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
    available : bool
        Whether the store did what it was last asked to.
    n_refused : int
        Rows that the store will never take.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.available = False
        self.n_refused = 0
        self._retry_at = 0.0
        self._retry_s = _FIRST_RETRY_S
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
        return self._settled(failure)

    async def reopen(self) -> bool:
        """Open the store again, where a failure of any kind means to wait."""
        return self._settled(await self._outcome(asyncio.create_task(self.store.open())))

    async def write(self, batch: Batch, name: str) -> bool:
        """Write rows; False if the store did not take them. Rows that it will never take are dropped and counted."""
        failure = await self._outcome(asyncio.create_task(self.store.write(batch, name)))
        if isinstance(failure, RefusedError) and n_rows(batch) > 1:
            return await self._write_singly(batch, name)
        if isinstance(failure, RefusedError):
            logger.error("a %s is dropped, as the log will never take it: %s", next(iter(batch)), failure)
            self.n_refused += 1
            failure = None
        return self._settled(failure)

    async def _write_singly(self, batch: Batch, name: str) -> bool:
        single = ({kind: [row]} for kind, rows in batch.items() for row in rows)
        for index, each in enumerate(single):
            if not await self.write(each, f"{name}-{index:06d}"):
                return False
        return True

    async def _outcome(self, asked: "asyncio.Task[None]") -> BaseException | None:
        """Wait for the store, but not forever; return what went wrong."""
        done, _ = await asyncio.wait({asked}, timeout=STORE_TIMEOUT_S)
        if done:
            return asyncio.CancelledError() if asked.cancelled() else asked.exception()
        asked.cancel()  # and not waited for: a store that hangs may hang here, too
        self._abandoned.add(asked)
        asked.add_done_callback(self._forget)
        return TimeoutError(f"no answer in {STORE_TIMEOUT_S:g} s")

    def _forget(self, asked: "asyncio.Task[None]") -> None:
        self._abandoned.discard(asked)
        if not asked.cancelled():
            asked.exception()

    def _settled(self, failure: BaseException | None) -> bool:
        if failure is None:
            if not self.available:
                logger.info("the log's store is available")
            self.available = True
            self._retry_s = _FIRST_RETRY_S
            return True
        if self.available or self._retry_s == _FIRST_RETRY_S:
            logger.warning("the log's store is away, records go to the spool: %s", failure)
        self.available = False
        self._retry_at = time.monotonic() + self._retry_s * random.uniform(0.5, 1.0)  # noqa: S311  (spreads retries)
        self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)
        return False
