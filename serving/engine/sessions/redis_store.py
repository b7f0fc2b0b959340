"""Sessions in Redis: JSON values that expire, and are used only if this service could have written them.

Writes wait in memory for one background task, the newest of a session only, and go out many at a time. While Redis is
away they are dropped and counted: a session that is not shared costs stickiness and nothing else.
"""

import asyncio
import json
import logging
import math
from collections import OrderedDict
from datetime import UTC, datetime
from itertools import islice

from router_model.install_line import install_line
from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.decision_log.log_records import SessionRecord

_log = logging.getLogger(__name__)

_PREFIX = "router:session:"
_PATIENCE_S = 0.1  # of one command; requests wait for less (`router_model.serving.engine.sessions.sessions`)
_MOST_WAITING = 10_000
_AT_ONCE = 200
_PAUSE_S = 0.5
_LARGEST_VALUE = 4096
_LARGEST_COUNT = 1 << 40
_LATEST = 1e11
_MOST_CONNECTIONS = 100


class RedisStore:
    """Sessions in Redis.

    Parameters
    ----------
    url : ``redis://`` or ``rediss://``; may hold a password, so it is never logged
    ttl_s : float

    Raises
    ------
    ImportError
        If the extra ``redis`` is not installed.
    """

    local_lives_s = 1.0

    def __init__(self, url: str, *, ttl_s: float) -> None:
        try:
            from redis.asyncio import Redis  # noqa: PLC0415 - an extra
            from redis.asyncio.retry import Retry  # noqa: PLC0415
            from redis.backoff import NoBackoff  # noqa: PLC0415
        except ImportError as exc:
            raise ImportError(f"sessions in Redis need an extra: {install_line('redis')}") from exc
        self._redis = Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),  # decisions wait for a session a few milliseconds only
            socket_timeout=_PATIENCE_S,
            socket_connect_timeout=_PATIENCE_S,
            max_connections=_MOST_CONNECTIONS,
        )
        self._ttl_s = max(1, math.ceil(ttl_s))
        self._waiting: OrderedDict[str, SessionRecord] = OrderedDict()
        self._something = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._corrupt = self._dropped = 0
        self._throttle = LogThrottle()

    @property
    def counts(self) -> dict[str, int]:
        """Return the numbers of values that were not sessions, and of sessions that could not be written."""
        return {"store_corrupt": self._corrupt, "store_dropped": self._dropped}

    async def start(self) -> None:
        """Start the writer."""
        self._writer = asyncio.create_task(self._write_on(), name="session-writer")

    async def close(self) -> None:
        """Write what waits, once, and stop."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
            while self._waiting and await self._write_some():
                pass
        await self._redis.aclose()

    async def read(self, key: str) -> SessionRecord | None:
        """Return a session; a value that is none is ignored, counted, and overwritten by the next turn."""
        value = await self._redis.get(_PREFIX + key)
        if value is None:
            return None
        record = parse_session(key, value)
        if record is None:
            self._corrupt += 1
            if self._throttle.due("corrupt"):
                _log.warning(
                    "a value in Redis is not a session that this service wrote (%d so far); it is ignored",
                    self._corrupt,
                )
        return record

    def write(self, record: SessionRecord) -> None:
        """Queue a session."""
        self._waiting[record.session_key] = record
        # To the end, because those at the front are the oldest, and are dropped first.
        self._waiting.move_to_end(record.session_key)
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popitem(last=False)
            self._dropped += 1
        self._something.set()

    async def _write_on(self) -> None:
        while True:
            await self._something.wait()
            if not await self._write_some():
                await asyncio.sleep(_PAUSE_S)
            if not self._waiting:
                self._something.clear()

    async def _write_some(self) -> bool:
        """Write the sessions that have waited longest; return whether Redis took them. They are gone either way."""
        records = [self._waiting.pop(key) for key in list(islice(self._waiting, _AT_ONCE))]
        try:
            async with self._redis.pipeline(transaction=False) as pipe:  # sessions do not depend on each other
                for record in records:
                    pipe.set(_PREFIX + record.session_key, dump_session(record), ex=self._ttl_s)
                await pipe.execute()
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with Redis, deciding goes on
            self._dropped += len(records)
            if self._throttle.due("dropped"):
                _log.warning("sessions cannot be written to Redis (%s); %d so far", type(exc).__name__, self._dropped)
            return False
        return True


def dump_session(record: SessionRecord) -> bytes:
    """Return a session as JSON."""
    updated_at = record.updated_at.timestamp()
    return json.dumps(
        {"v": 1, "model": record.model, "updated_at": updated_at, "n_input_tokens": record.n_input_tokens}
    ).encode()


def parse_session(key: str, value: bytes | str) -> SessionRecord | None:
    """Read what `dump_session` wrote, or return None.

    >>> parse_session("k", b'{"v": 1, "model": "m", "updated_at": 0.0, "n_input_tokens": 7}').model
    'm'
    >>> parse_session("k", b'{"v": 1, "model": ["m"], "updated_at": 0.0, "n_input_tokens": 7}') is None
    True
    """
    try:
        # A long value cannot be a session, and parsing it would hold up the event loop.
        said = json.loads(value) if len(value) <= _LARGEST_VALUE else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("v") != 1:
        return None
    model, updated_at, n_tokens = said.get("model"), said.get("updated_at"), said.get("n_input_tokens")
    # `type` and not `isinstance`, because True is an int, too.
    if not isinstance(model, str) or type(n_tokens) is not int or not 0 <= n_tokens < _LARGEST_COUNT:
        return None
    if not isinstance(updated_at, int | float) or not 0 <= updated_at < _LATEST:  # NaN is neither
        return None
    return SessionRecord(key, model, datetime.fromtimestamp(updated_at, UTC), n_tokens)
