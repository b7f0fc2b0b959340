"""The decision log's interface for the rest of the service."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from router_model.serving.decision_log.log_records import (
    AttemptRecord,
    DecisionRecord,
    LogRecord,
    ResponseRecord,
    SessionRecord,
)
from router_model.serving.decision_log.rows import Row
from router_model.serving.decision_log.store import LogReader

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LogStats:
    """Counters of a log, since the start.

    Attributes
    ----------
    depth : records that wait for the writer now
    written, spooled, replayed, dropped : records
    rejected : records
        The part of `dropped` that lies in the rejects file, as the store will never take it.
    spool_depth : records that lie in the spool now
    available : whether the store took the last batch
    """

    depth: int = 0
    written: int = 0
    spooled: int = 0
    replayed: int = 0
    dropped: int = 0
    spool_depth: int = 0
    available: bool = True
    rejected: int = 0


class PendingDecision(Protocol):
    """A decision whose record is yet to be made: by the log's writer, off the path of the request."""

    @property
    def decision_id(self) -> str:
        """The decision's id."""

    @property
    def n_chars(self) -> int:
        """The length of what the record will have of the prompt."""

    def record(self) -> DecisionRecord:
        """Make the record."""

    def row(self) -> Row:
        """Make the record's row (`router_model.serving.decision_log.rows.row_of`)."""


Loggable: TypeAlias = LogRecord | PendingDecision
"""The kinds of records that a log takes."""


class DecisionLog(Protocol):
    """A log that nothing waits for.

    ``put`` never blocks, never raises and is called from the event loop; a writer of its own takes batches to the
    store, or to the spool while the store is away. Reading is asynchronous and may fail with `NotReadyError`.
    """

    async def start(self) -> None:
        """Open the store (migrating it) and start the writer; an unreachable store is not an error, spooling is on."""

    async def close(self, deadline_s: float) -> None:
        """Write what waits, to the store or else the spool, and stop."""

    def put(self, record: Loggable) -> None:
        """Queue one record, or a pending decision that becomes one."""

    async def flush(self, deadline_s: float) -> None:
        """Return when everything put so far is in the store or the spool."""

    @property
    def stats(self) -> LogStats:
        """Counters, now."""

    @property
    def writable(self) -> bool:
        """Whether records are kept: the store or the spool takes them."""

    async def decision(self, decision_id: str) -> DecisionRecord | None:
        """Look one decision up, also one that still waits in the queue."""

    async def session(self, session_key: str) -> SessionRecord | None:
        """Look a session up in the store."""

    async def attempt(self, response_id: str, key_id: str | None = None) -> AttemptRecord | None:
        """Look the call up that was made here and had an answer of this id; of a key's, or of anybody's."""

    async def spent_usd(self, key_id: str, since: Sequence[datetime]) -> list[float]:
        """Return what a key's calls that were made here have cost, since each of these times."""

    async def responses(self, response_key: str, most: int) -> list[ResponseRecord]:
        """Look a response up with those that it goes on from, the newest first; what is missing ends the list."""

    async def ask(self, question: Callable[[LogReader], Coroutine[Any, Any, T]]) -> T:
        """Return the answer to a question of the console, which may take some seconds."""
