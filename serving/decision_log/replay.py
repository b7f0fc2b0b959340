"""Take what lies in the spool to the store: what it missed while it was away, or a segment that is due."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from serving.decision_log.gate import StoreGate
from serving.decision_log.rows import Batch, Kind, Row, batch_of
from serving.decision_log.spool import Segment, Spool

_ROWS_BETWEEN_PAUSES: Final = 32
_PAUSE_S: Final = 0.002
"""Left to the threads that answer requests."""


class Replayer:
    """Replays segments, oldest first; each is deleted when the store has all of it.

    Attributes
    ----------
    n_replayed : int
        Records taken from the spool to the store.
    """

    def __init__(self, gate: StoreGate, spool: Spool) -> None:
        self.gate = gate
        self.spool = spool
        self.n_replayed = 0

    async def replay(self, *, all_of_it: bool = False) -> None:
        """Replay the segments that are due.

        Parameters
        ----------
        all_of_it : bool
            Also the one that still gathers records.
        """
        if not self.gate.worth_trying or not (self.gate.available or await self.gate.reopen()):
            return
        while segment := self._next(all_of_it=all_of_it):
            if not await self._replay(segment):
                return

    def _next(self, *, all_of_it: bool) -> Segment | None:
        if not self.spool.sealed and self.spool.active and (all_of_it or self._is_due(self.spool.active)):
            self.spool.seal()
        return self.spool.sealed[0] if self.spool.sealed else None

    def _is_due(self, segment: Segment) -> bool:
        gathering = self.gate.store.gathering
        if gathering is None:
            return True
        return segment.n_bytes >= gathering.n_bytes or time.monotonic() - segment.began >= gathering.seconds

    async def _replay(self, segment: Segment) -> bool:
        index = 0
        async for batch in _batches(segment, self.gate.store.rows_at_once):
            # The same batch has the same name when it is tried again, so that it replaces what was half done.
            if not await self.gate.write(batch, f"{segment.path.stem}-{index:04d}"):
                return False
            index += 1
        self.n_replayed += segment.n_records
        self.spool.finish(segment)
        return True


async def _batches(segment: Segment, size: int) -> AsyncIterator[Batch]:
    """Yield the records of a segment, at most `size` at a time, with pauses while they are read."""
    part: list[tuple[Kind, Row]] = []
    for row in segment.rows():
        part.append(row)
        if len(part) % _ROWS_BETWEEN_PAUSES == 0:
            await asyncio.sleep(_PAUSE_S)
        if len(part) == size:
            yield batch_of(part)
            part = []
    if part:
        yield batch_of(part)
