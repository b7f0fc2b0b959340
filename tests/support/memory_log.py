"""A decision log that keeps its records in a list."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from router_model.serving.decision_log.log import Loggable, LogStats
from router_model.serving.decision_log.log_records import (
    AttemptRecord,
    DecisionRecord,
    LogRecord,
    ResponseRecord,
    SessionRecord,
)


@dataclass
class MemoryLog:
    """Keeps everything; as a store of sessions it finds what was put."""

    records: list[LogRecord] = field(default_factory=list)
    stats: LogStats = field(default_factory=LogStats)
    writable: bool = True
    closed: bool = False

    async def start(self) -> None:
        """Do nothing."""

    async def close(self, deadline_s: float) -> None:
        assert deadline_s > 0
        self.closed = True

    def put(self, record: Loggable) -> None:
        """Keep one."""
        self.records.append(record if isinstance(record, LogRecord) else record.record())

    async def flush(self, deadline_s: float) -> None:
        """Do nothing."""

    @property
    def decisions(self) -> list[DecisionRecord]:
        """Return the decisions."""
        return [record for record in self.records if isinstance(record, DecisionRecord)]

    async def decision(self, decision_id: str) -> DecisionRecord | None:
        """Look one up."""
        return next((one for one in self.decisions if one.decision_id == decision_id), None)

    async def session(self, session_key: str) -> SessionRecord | None:
        """Look the newest one up."""
        found = [one for one in self.records if isinstance(one, SessionRecord) and one.session_key == session_key]
        return max(found, key=lambda one: one.updated_at, default=None)

    async def attempt(self, response_id: str, key_id: str | None = None) -> AttemptRecord | None:
        """Look one that succeeded up."""
        tried = (one for one in self.records if isinstance(one, AttemptRecord) and one.error_type is None)
        return next((one for one in tried if one.response_id == response_id and key_id in (None, one.key_id)), None)

    async def spent_usd(self, key_id: str, since: Sequence[datetime]) -> list[float]:
        """Add up."""
        calls = [one for one in self.records if isinstance(one, AttemptRecord) and one.key_id == key_id]
        return [sum(one.cost_usd or 0.0 for one in calls if one.created_at >= time) for time in since]

    async def responses(self, response_key: str, most: int) -> list[ResponseRecord]:
        """Look one up with those before it."""
        kept = {one.response_key: one for one in self.records if isinstance(one, ResponseRecord)}
        found: list[ResponseRecord] = []
        key: str | None = response_key
        while key in kept and len(found) < most:
            found.append(kept[key])
            key = found[-1].previous_key
        return found
