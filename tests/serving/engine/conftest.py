"""Engines on the router of the simulated world."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from memory_log import MemoryLog
from one_engine import Bench, Clock, one_engine
from simulated_world import SUM

from router_model.goal import KNOBS, read_goal
from router_model.serving.common.settings import Settings
from router_model.serving.engine.query import Query


@pytest.fixture
def bench(trained):
    """Return what opens and starts an engine; deadlines are long, so that a slow machine changes nothing."""

    @asynccontextmanager
    async def opened(log=None, rng=None, clock=None, **settings):
        given = {"artifact": trained.path, "decision_deadline_s": 30.0, "reload_every_s": 3600.0, **settings}
        log, clock, seen = log or MemoryLog(), clock or Clock(), []
        observers = [lambda query, routed: seen.append((query, routed))]
        async with one_engine(Settings(**given), log=log, rng=rng, clock=clock, observers=observers) as engine:
            yield Bench(engine, log, clock, seen)

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
