"""Sessions in this process: bounded, and forgotten after a while."""

from collections import OrderedDict
from datetime import UTC, datetime

from router_model.log_records import SessionRecord


class SessionMemory:
    """The sessions used last. Small, so that 100,000 of them are a few tens of megabytes.

    Parameters
    ----------
    max_sessions : int
        The one that was silent for longest goes first.
    ttl_s : float
        One that is silent for longer is forgotten.
    """

    def __init__(self, *, max_sessions: int, ttl_s: float) -> None:
        self._max_sessions = max_sessions
        self._ttl_s = ttl_s
        self._sessions: OrderedDict[str, tuple[str, float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, key: str, *, now: float) -> SessionRecord | None:
        """Return a session, or None where there is none that is still alive; `now` in seconds since 1970."""
        found = self._sessions.get(key)
        if found is None:
            return None
        model, updated_at, n_input_tokens = found
        if now - updated_at > self._ttl_s:
            del self._sessions[key]
            return None
        return SessionRecord(key, model, datetime.fromtimestamp(updated_at, UTC), n_input_tokens)

    def put(self, record: SessionRecord) -> None:
        """Keep a session, unless a newer one is kept already."""
        updated_at = record.updated_at.timestamp()
        known = self._sessions.get(record.session_key)
        if known is not None and known[1] > updated_at:
            return
        self._sessions[record.session_key] = (record.model, updated_at, record.n_input_tokens)
        self._sessions.move_to_end(record.session_key)
        while len(self._sessions) > self._max_sessions:
            self._sessions.popitem(last=False)
