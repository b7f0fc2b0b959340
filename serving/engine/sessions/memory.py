"""Sessions in this process: limited in number, and forgotten after a while."""

from collections import Counter, OrderedDict
from datetime import UTC, datetime

from router_model.serving.decision_log.log_records import SessionRecord
from router_model.serving.decision_log.session_keys import owner


class SessionMemory:
    """The sessions used last. Small, so that 100,000 of them are a few tens of megabytes.

    Parameters
    ----------
    max_sessions : int
        Of the caller that has most of them, the one that was silent for longest goes first: no caller can drive out
        the others' with sessions that it makes up.
    ttl_s : float
        One that is silent for longer is forgotten.
    """

    def __init__(self, *, max_sessions: int, ttl_s: float) -> None:
        self._max_sessions = max_sessions
        self._ttl_s = ttl_s
        self._sessions: dict[str, OrderedDict[str, tuple[str, float, int]]] = {}
        self._sizes: Counter[str] = Counter()
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def get(self, key: str, *, now: float) -> SessionRecord | None:
        """Return a session, or None if it has expired or is unknown; `now` in seconds since 1970."""
        sessions = self._sessions.get(owner(key))
        found = None if sessions is None else sessions.get(key)
        if found is None:
            return None
        model, updated_at, n_input_tokens = found
        if now - updated_at > self._ttl_s:
            self._forget(owner(key), key)
            return None
        return SessionRecord(key, model, datetime.fromtimestamp(updated_at, UTC), n_input_tokens)

    def put(self, record: SessionRecord) -> None:
        """Keep a session, unless a newer one is kept already."""
        updated_at = record.updated_at.timestamp()
        whose = owner(record.session_key)
        sessions = self._sessions.setdefault(whose, OrderedDict())
        known = sessions.get(record.session_key)
        # The store may answer late, with a turn that is older than the one kept here.
        if known is not None and known[1] > updated_at:
            return
        sessions[record.session_key] = (record.model, updated_at, record.n_input_tokens)
        sessions.move_to_end(record.session_key)
        self._sizes[whose] = len(sessions)
        self._n += known is None
        while self._n > self._max_sessions:
            most = max(self._sizes, key=self._sizes.__getitem__)
            self._forget(most, next(iter(self._sessions[most])))

    def _forget(self, whose: str, key: str) -> None:
        sessions = self._sessions[whose]
        del sessions[key]
        self._n -= 1
        self._sizes[whose] = len(sessions)
        if not sessions:
            del self._sessions[whose], self._sizes[whose]
