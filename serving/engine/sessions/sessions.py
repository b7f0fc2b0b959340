"""The engine's sessions: this process's memory, with a shared store behind it if one is configured.

A shared store is asked for at most a few milliseconds. If it is late or away, the session is what this worker
remembers, or none: that costs stickiness and nothing else. A late answer is kept for the next turn.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from router_model.serving.common.breaker import Breaker
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.decision_log.log_records import SessionRecord
from router_model.serving.engine.sessions.memory import SessionMemory
from router_model.serving.engine.sessions.redis_store import RedisStore
from router_model.serving.engine.sessions.store import LogStore, SharedStore

_PATIENCE_S = 0.02
_PAUSE_S = 0.5  # without asking, after the store failed
_MOST_PENDING = 64  # questions that are late
_MISS_LIVES_S = 2.0
_MOST_MISSES = 10_000
_MOST_TURNS = 10_000
_TURNS_LIVE_S = 3600.0


class Sessions:
    """Remembers the model of each conversation.

    Parameters
    ----------
    memory : SessionMemory
    store : SharedStore, optional
    turns : SessionMemory, optional
        Of answers, by which conversations are recognised; default: as many and as long as 10,000 for an hour.
    clock : returns seconds since 1970
    patience_s : float
        How long the store is waited for.
    """

    def __init__(
        self,
        memory: SessionMemory,
        store: SharedStore | None = None,
        *,
        turns: SessionMemory | None = None,
        clock: Callable[[], float] = time.time,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._memory = memory
        self._turns = SessionMemory(max_sessions=_MOST_TURNS, ttl_s=_TURNS_LIVE_S) if turns is None else turns
        self._store = store
        self._clock = clock
        self._patience_s = patience_s
        self._breaker = Breaker(_PAUSE_S)
        self._pending: set[asyncio.Task[SessionRecord | None]] = set()
        self._misses: OrderedDict[str, float] = OrderedDict()
        self._failures = self._timeouts = 0

    @property
    def counts(self) -> dict[str, int]:
        """Return how many sessions are remembered, and what went wrong with the store since the start."""
        counts = {"in_memory": len(self._memory), "store_failures": self._failures, "store_timeouts": self._timeouts}
        return counts | ({} if self._store is None else self._store.counts)

    async def start(self) -> None:
        """Start the store."""
        if self._store is not None:
            await self._store.start()

    async def close(self) -> None:
        """Stop."""
        for task in self._pending:
            task.cancel()
        if self._store is not None:
            await self._store.close()

    def remember(self, record: SessionRecord) -> None:
        """Keep what a conversation's model is now."""
        self._remember(record, self._memory)

    def recognise(self, turn_key: str, session_key: str) -> None:
        """Keep which session an answer belongs to."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        self._remember(SessionRecord(turn_key, session_key, now, 0), self._turns)

    def recognise_new(self, turn_key: str, session_key: str) -> None:
        """Keep which session an answer belongs to, if this worker knows none of it."""
        if self._turns.get(turn_key, now=self._clock()) is None:
            self.recognise(turn_key, session_key)

    async def session_of(self, turn_keys: Sequence[str]) -> str | None:
        """Return the key of the session that answers belong to, the first one's that is known; None if none is.

        The store is asked only if this worker knows none of them, and for all of them at once. The first one belongs to
        that session from now on, too.
        """
        now = self._clock()
        found = [self._turns.get(key, now=now) for key in turn_keys]
        if self._store is not None and not any(found):
            found = await asyncio.gather(*(self._find(key, self._turns) for key in turn_keys))
        known = next((record.model for record in found if record is not None), None)
        if known is not None and found[0] is None:
            self.recognise(turn_keys[0], known)
        return known

    async def find(self, key: str) -> SessionRecord | None:
        """Return a session, or None; never raises and never waits for long."""
        local = self._memory.get(key, now=self._clock())
        if self._store is not None and local is not None:
            age_s = self._clock() - local.updated_at.timestamp()
            if age_s <= self._store.local_lives_s:
                return local
        return await self._find(key, self._memory)

    def _remember(self, record: SessionRecord, memory: SessionMemory) -> None:
        # The store has the session from now on, and a miss would keep other workers' newer turns from being read.
        self._misses.pop(record.session_key, None)
        memory.put(record)
        if self._store is not None:
            self._store.write(record)

    async def _find(self, key: str, memory: SessionMemory) -> SessionRecord | None:
        """Ask the store, unless there is none or it is to be left alone; return what is known then."""
        now = self._clock()
        left_alone = self._store is None or self._misses.get(key, 0.0) > now or len(self._pending) >= _MOST_PENDING
        if self._store is None or left_alone or not self._breaker.allows(now):
            return memory.get(key, now=now)
        task = asyncio.ensure_future(self._store.read(key))
        await asyncio.wait({task}, timeout=self._patience_s)
        if task.done():
            self._take(task, memory, key)
        else:
            self._timeouts += 1
            self._breaker.fail(now)
            self._pending.add(task)
            task.add_done_callback(partial(self._take_late, memory=memory))
        return memory.get(key, now=now)

    def _take_late(self, task: asyncio.Task[SessionRecord | None], *, memory: SessionMemory) -> None:
        self._pending.discard(task)
        self._take(task, memory)

    def _take(self, task: asyncio.Task[SessionRecord | None], memory: SessionMemory, key: str | None = None) -> None:
        """Keep what the store answered; the newest of its record and our own stays."""
        if task.cancelled():
            return
        if task.exception() is not None:
            self._failures += 1
            self._breaker.fail(self._clock())
            return
        self._breaker.succeed()
        found = task.result()
        if found is not None:
            memory.put(found)
        elif key is not None:
            # Turns that follow at once do not ask the store again for a conversation that it does not know.
            self._misses[key] = self._clock() + _MISS_LIVES_S
            while len(self._misses) > _MOST_MISSES:
                self._misses.popitem(last=False)


def open_sessions(settings: Settings, log: DecisionLog, *, clock: Callable[[], float] = time.time) -> Sessions:
    """Return what remembers sessions; nothing is connected before its `start`.

    Raises
    ------
    SettingsError
        If `session_store` names no store.
    ImportError
        If it names Redis, and its extra is not installed.
    """
    memory, turns = (SessionMemory(max_sessions=settings.max_sessions, ttl_s=settings.session_ttl_s) for _ in range(2))
    return Sessions(memory, _store(settings, log), turns=turns, clock=clock)


def _store(settings: Settings, log: DecisionLog) -> SharedStore | None:
    name = settings.session_store
    if name == "memory":
        return None
    if name == "log":
        return LogStore(log)
    if name.startswith(("redis://", "rediss://", "unix://")):
        return RedisStore(name, ttl_s=settings.session_ttl_s)
    # the value is not repeated: it may be a URL with a password and a typing error
    raise SettingsError("session_store: expected 'memory', 'log' or a redis:// URL")
