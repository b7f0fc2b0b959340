"""Sessions as the settings want them."""

import time
from collections.abc import Callable

from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.engine.sessions.memory import SessionMemory
from router_model.serving.engine.sessions.redis_store import RedisStore
from router_model.serving.engine.sessions.sessions import Sessions
from router_model.serving.engine.sessions.store import LogStore, SharedStore


def open_sessions(settings: Settings, log: DecisionLog, *, clock: Callable[[], float] = time.time) -> Sessions:
    """Return what remembers sessions; nothing is connected before its `start`.

    Raises
    ------
    SettingsError
        If `session_store` names no store.
    ImportError
        If it names Redis, and its extra is not installed.
    """
    memory = SessionMemory(max_sessions=settings.max_sessions, ttl_s=settings.session_ttl_s)
    return Sessions(memory, _store(settings, log), clock=clock)


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
