"""Engines on the router of the simulated world."""

from contextlib import asynccontextmanager

import pytest
from memory_log import MemoryLog
from one_engine import Bench, Clock, one_engine
from simulated_world import SUM

from router_model.goal import KNOBS, read_goal
from router_model.saved.artifact import read_manifest
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
def untried(monkeypatch):
    """Artifacts are not tried in another process, which takes seconds: `test_trial` has that."""
    monkeypatch.setattr(
        "router_model.serving.engine.loading.try_artifact", lambda folder, **_: read_manifest(folder)["content_hash"]
    )
