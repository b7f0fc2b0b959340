"""Write the spool's records to the store: those that it missed, or a segment that is due."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from typing import Final

from router_model.serving.decision_log.gate import StoreGate
from router_model.serving.decision_log.rows import WHOLE_TEXTS, Batch, Kind, Row, batch_of
from router_model.serving.decision_log.spool import Segment, Spool

_ROWS_BETWEEN_PAUSES: Final = 32
_CHARS_AT_ONCE: Final = 8_000_000
"""Characters of long texts in one write to a database: all of it has to arrive before the store counts as away."""
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
        spool_batching = self.gate.store.spool_batching
        if spool_batching is None:
            return True
        return segment.n_bytes >= spool_batching.n_bytes or time.monotonic() - segment.began >= spool_batching.seconds

    async def _replay(self, segment: Segment) -> bool:
        index = 0
        async for batch in self._batches(segment):
            # The same batch has the same name when it is tried again, so that it replaces what was half done.
            n_written = await self.gate.write(batch, f"{segment.path.stem}-{index:04d}")
            if n_written is None:
                return False
            self.n_replayed += n_written
            index += 1
        self.spool.finish(segment)
        return True

    async def _batches(self, segment: Segment) -> AsyncIterator[Batch]:
        """Yield the records of a segment in batches that the store takes in good time, with pauses in between."""
        store = self.gate.store
        # A store that gathers makes one file of a segment, so the length of texts does not cut it.
        most_chars = _CHARS_AT_ONCE if store.spool_batching is None else math.inf
        part: list[tuple[Kind, Row]] = []
        n_chars = 0
        for row in segment.rows(self.gate.rejects.add_line):
            part.append(row)
            n_chars += sum(len(row[1].get(name) or "") for name in WHOLE_TEXTS[row[0]])
            if len(part) % _ROWS_BETWEEN_PAUSES == 0:
                await asyncio.sleep(_PAUSE_S)
            if len(part) == store.rows_at_once or n_chars >= most_chars:
                yield batch_of(part)
                part, n_chars = [], 0
        if part:
            yield batch_of(part)
