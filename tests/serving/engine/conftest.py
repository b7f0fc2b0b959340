"""Engines on the router of the simulated world."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from memory_log import MemoryLog
from simulated_world import SUM

from router_model.goal import KNOBS, read_goal
from router_model.serving.common.settings import Settings
from router_model.serving.engine.engine import Engine
from router_model.serving.engine.query import Query


@dataclass
class Clock:
    """Time that passes when told."""

    now: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """An engine with everything around it."""

    engine: Engine
    log: MemoryLog
    clock: Clock
    seen: list[Any] = field(default_factory=list)

    def replace_router(self, **methods: Callable[..., Any]) -> None:
        """Let the served router's methods be others."""
        served = self.engine._reloader._served
        self.engine._reloader._served = replace(served, router=Stub(served.router, methods))


class Stub:
    """A router with some methods replaced."""

    def __init__(self, router: Any, methods: dict[str, Callable[..., Any]]) -> None:
        self._router = router
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._router, name)


@pytest.fixture
def bench(trained):
    """Return what opens and starts an engine; deadlines are long, so that a slow machine changes nothing."""

    @asynccontextmanager
    async def opened(log=None, rng=None, clock=None, **settings):
        given = {"artifact": trained.path, "decision_deadline_s": 30.0, "reload_every_s": 3600.0, **settings}
        log, clock, seen = log or MemoryLog(), clock or Clock(), []
        engine = Engine.open(
            Settings(**given),
            log=log,
            rng=rng,
            clock=clock,
            observers=[lambda query, routed: seen.append((query, routed))],
        )
        await engine.start()
        try:
            yield Bench(engine, log, clock, seen)
        finally:
            await engine.close()

    return opened


@pytest.fixture
def query():
    """Return what makes a query of a text or of messages."""

    def make(said=SUM, **fields):
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
        goal = read_goal(**{name: fields.pop(name, None) for name in KNOBS})
        return Query(body={"messages": messages, **fields.pop("body", {})}, goal=goal, key_id="key", **fields)

    return make


@pytest.fixture
def until():
    """Wait until a coroutine function says yes."""

    async def wait_until(says: Callable[[], Awaitable[bool]]) -> None:
        for _ in range(6000):
            if await says():
                return
            await asyncio.sleep(0.01)
        pytest.fail("it did not happen within a minute")

    return wait_until
