"""No log at all: for trying things out."""

from router_model.serving.decision_log.log import Loggable, LogStats
from router_model.serving.decision_log.log_records import DecisionRecord, SessionRecord


class NoLog:
    """Keeps nothing, and says so: every record counts as dropped."""

    def __init__(self) -> None:
        self._n_dropped = 0

    async def start(self) -> None:
        """Do nothing."""

    async def close(self, deadline_s: float) -> None:
        """Do nothing."""

    def put(self, record: Loggable) -> None:
        """Drop a record."""
        del record
        self._n_dropped += 1

    async def flush(self, deadline_s: float) -> None:
        """Do nothing."""

    @property
    def stats(self) -> LogStats:
        """Say how many were dropped."""
        return LogStats(dropped=self._n_dropped)

    @property
    def writable(self) -> bool:
        """True: no log was asked for, so none is missing."""
        return True

    async def decision(self, decision_id: str) -> DecisionRecord | None:
        """Find nothing."""
        del decision_id
        return None

    async def session(self, session_key: str) -> SessionRecord | None:
        """Find nothing."""
        del session_key
        return None
