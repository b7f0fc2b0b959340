"""Write records from the queue to the store, or to the spool while the store is away.

What a record goes through, and why a killed process loses no more than the records of one flush interval:

- it waits in the queue for at most half an interval;
- then its batch is written to the store. If the store has not answered after the other half, the batch is put into
  the spool as well (a guard), and dropped from there when the answer comes;
- while the store is away, or if it gathers (`SpoolBatching`), batches go to the spool at once.

A batch may so reach the store twice; writing a row twice changes nothing.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from router_model.serving.decision_log.gate import StoreGate
from router_model.serving.decision_log.log import Loggable
from router_model.serving.decision_log.log_records import LogRecord
from router_model.serving.decision_log.rows import Batch, Kind, Row, batch_of, n_rows, row_of
from router_model.serving.decision_log.spool import Segment, Spool

logger = logging.getLogger(__name__)

_TURNED_AT_ONCE: Final = 16
"""Records turned into rows in one go: the interpreter's lock is held for half a millisecond."""
_TAKEN_AT_ONCE: Final = 500


def _row(record: Loggable) -> tuple[Kind, Row]:
    return row_of(record) if isinstance(record, LogRecord) else (Kind.DECISION, record.row())


class Writer:
    """Moves records from the queue to the store; used from one event loop, except for `inbox.append`.

    Parameters
    ----------
    gate : StoreGate
    spool : Spool
    patience_s : float
        How long the store may take before a batch is put into the spool, too.
    crowded : int
        With more records than this in the inbox they go to the spool, which is faster than the store.
    settled : callable
        Is told of records that leave the queue for good.

    Attributes
    ----------
    inbox : deque of records
        Any thread appends new records here.
    taken : list of records
        Taken from the inbox and not yet in the store or the spool.
    n_settled : int
        Records that left the queue for good; they do so in the order of their arrival.
    n_written, n_spooled, n_dropped : int
        Records.
    keeping : bool
        Whether the last batch was kept, in the store or the spool.
    give_up : bool
        Drop what neither of them takes; else it is tried until one does.
    """

    def __init__(
        self,
        gate: StoreGate,
        spool: Spool,
        *,
        patience_s: float,
        crowded: int,
        settled: Callable[[list[Loggable]], object] = lambda _: None,
    ) -> None:
        self.gate = gate
        self.spool = spool
        self.inbox: deque[Loggable] = deque()
        self.taken: list[Loggable] = []
        self.n_settled = self.n_written = self.n_spooled = self.n_dropped = 0
        self.keeping = True
        self.give_up = False
        self._patience_s = patience_s
        self._crowded = crowded
        self._settled = settled
        self._late: asyncio.Task[None] | None = None

    async def take_all(self) -> None:
        """Write the records that are in the inbox now to the store or the spool."""
        left = len(self.inbox)
        while left > 0:
            n = min(left, _TAKEN_AT_ONCE)
            left -= n
            await self._take(n)

    async def settle(self) -> None:
        """Wait for a write that is late."""
        if self._late is not None:
            await asyncio.wait({self._late})

    async def _take(self, n: int) -> None:
        crowded = len(self.inbox) > self._crowded
        for _ in range(n):
            # A record enters the next place before it leaves the last one, so that a search always finds it.
            self.taken.append(self.inbox[0])
            self.inbox.popleft()
        try:
            await self._keep(await self._batch_of(self.taken), crowded=crowded)
        finally:
            self._settled(self.taken)
            self.taken = []
            self.n_settled += n

    async def _keep(self, batch: Batch, *, crowded: bool) -> None:
        """Try the store and the spool until one takes the batch."""
        while batch and not await self._deliver(batch, crowded=crowded):
            if self.give_up:
                logger.error("%d records are lost: neither the store nor the spool accepts them", n_rows(batch))
                self.n_dropped += n_rows(batch)
                return
            await asyncio.sleep(self._patience_s)

    async def _batch_of(self, records: list[Loggable]) -> Batch:
        rows: list[tuple[Kind, Row]] = []
        for start in range(0, len(records), _TURNED_AT_ONCE):
            for record in records[start : start + _TURNED_AT_ONCE]:
                try:
                    rows.append(_row(record))
                except Exception:
                    # A record with values of wrong types is a bug of its maker, and the others must not be lost for it.
                    logger.exception("a record cannot be written and is dropped")
                    self.n_dropped += 1
            await asyncio.sleep(0)  # look-ups run in this loop, too, and get their turn
        return batch_of(rows)

    async def _deliver(self, batch: Batch, *, crowded: bool) -> bool:
        """Write a batch to its proper place, or else to the other one; False if neither accepts it."""
        # The spool is faster than the store, so a crowded queue empties sooner.
        if crowded or self.gate.store.spool_batching is not None:
            self.keeping = self._to_spool(batch) or await self._to_store(batch)
        else:
            self.keeping = await self._to_store(batch) or self._to_spool(batch)
        return self.keeping

    async def _to_store(self, batch: Batch) -> bool:
        """Write to the store; True also if the batch is on its way and safe in the spool meanwhile."""
        # One late write at a time: behind a slow store they would gather without end.
        if not self.gate.available or self._late is not None:
            return False
        write = asyncio.create_task(self.gate.write(batch, f"direct-{uuid4().hex}"))
        done, _ = await asyncio.wait({write}, timeout=self._patience_s)
        if not done:
            try:
                guard = self.spool.guard(batch)
            except OSError as exc:
                self._say_spool_failed(exc)
            else:
                self._late = asyncio.create_task(self._settle_late(write, guard))
                return True
        # Without a guard the batch is nowhere else, so it waits for the store here.
        n_written = await write
        self.n_written += n_written or 0
        return n_written is not None

    async def _settle_late(self, write: "asyncio.Task[int | None]", guard: Segment) -> None:
        n_written = await write
        self.n_written += n_written or 0
        self.n_spooled += guard.n_records * (n_written is None)
        self.spool.settle_guard(guard, arrived=n_written is not None)
        self._late = None

    def _to_spool(self, batch: Batch) -> bool:
        try:
            self.spool.append(batch)
        except OSError as exc:
            self._say_spool_failed(exc)
            return False
        if self.gate.store.spool_batching is None:
            self.n_spooled += n_rows(batch)
        return True

    def _say_spool_failed(self, exc: OSError) -> None:
        """Once, and not for every batch until it works again."""
        if self.keeping:
            logger.error("the spool does not accept records: %s", exc)
