"""An engine of its own, with a log, a clock that stands still and nothing of a service around it."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.engine.conversations import open_conversations
from router_model.serving.engine.engine import Engine
from router_model.serving.engine.engines import Engines
from router_model.serving.engine.recording import PromptVolume


@dataclass
class Clock:
    """Time that passes when told."""

    now: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


class Stub:
    """A router with some methods replaced."""

    def __init__(self, router: Any, methods: dict[str, Callable[..., Any]]) -> None:
        self._router = router
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._router, name)


@dataclass
class Bench:
    """An engine with everything around it."""

    engine: Engine
    log: Any
    clock: Clock
    seen: list[Any] = field(default_factory=list)

    def replace_router(self, **methods: Callable[..., Any]) -> None:
        """Let the served router's methods be others."""
        served = self.engine._reloader._served
        self.engine._reloader._served = replace(served, router=Stub(served.router, methods))


@asynccontextmanager
async def one_engine(
    settings: Settings, *, log: DecisionLog, clock: Callable[[], float] = time.time, **given: Any
) -> AsyncIterator[Engine]:
    conversations = open_conversations(settings, log, clock=clock)
    volume = PromptVolume(settings.log_prompt_chars_a_minute)
    engine = Engine(settings, log=log, conversations=conversations, volume=volume, clock=clock, **given)
    engines = Engines({DEFAULT_ROUTER: engine}, sessions=conversations.sessions)
    await engines.start()
    try:
        yield engine
    finally:
        await engines.close()
