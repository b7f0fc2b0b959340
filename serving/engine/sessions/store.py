"""The interface of a shared store of sessions: nothing waits for it, and nothing fails without it."""

from typing import Protocol

from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.decision_log.log_records import SessionRecord


class SharedStore(Protocol):
    """A store through which workers share sessions."""

    @property
    def local_lives_s(self) -> float:
        """How long a worker uses its own copy without asking the store."""

    @property
    def counts(self) -> dict[str, int]:
        """Return what went wrong since the start, by name."""

    async def start(self) -> None:
        """Begin; a store that cannot be reached is not an error."""

    async def close(self) -> None:
        """Write what waits, if that is possible at once, and stop."""

    async def read(self, key: str) -> SessionRecord | None:
        """Return a session; may raise anything."""

    def write(self, record: SessionRecord) -> None:
        """Write later; never blocks and never raises."""


class LogStore:
    """Sessions in the log's database: what a worker has not seen itself is looked up there."""

    local_lives_s = float("inf")

    def __init__(self, log: DecisionLog) -> None:
        self._log = log

    @property
    def counts(self) -> dict[str, int]:
        """Return nothing: the log counts for itself."""
        return {}

    async def start(self) -> None:
        """Do nothing: the log's owner starts it."""

    async def close(self) -> None:
        """Do nothing: the log's owner closes it."""

    async def read(self, key: str) -> SessionRecord | None:
        """Look a session up."""
        return await self._log.session(key)

    def write(self, record: SessionRecord) -> None:
        """Queue a session for the log's writer."""
        self._log.put(record)
