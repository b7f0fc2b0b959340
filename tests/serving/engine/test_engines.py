"""Several routers in one service: each has an engine of its own, and what is not a router's own is shared."""

import asyncio
import shutil
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest
from memory_log import MemoryLog
from simulated_world import SUM
from waiting import until

from router_model.catalog import FROM_BILLS_ALONE, ModelCard
from router_model.errors import ArtifactError
from router_model.serving.common.callers import INSECURE, Caller
from router_model.serving.common.service_errors import ModelNotFoundError, NotReadyError, ReloadRefusedError
from router_model.serving.common.settings import Settings
from router_model.serving.engine.engines import Engines
from router_model.serving.engine.query import Query

ASKED = {"messages": [{"role": "user", "content": SUM}]}


@asynccontextmanager
async def opened(*routers, **settings):
    log = MemoryLog()
    given = {"router": routers, "decision_deadline_s": 30.0, "reload_every_s": 3600.0, **settings}
    engines = Engines.open(Settings(**given), log=log)
    try:
        await engines.start()
        yield engines, log
    finally:
        await engines.close()


def asking(router, **fields):
    return Query(body=ASKED, key_id="key", router=router, **fields)


async def test_each_router_decides_and_is_loaded_anew_alone_and_equal_encoders_are_one(valued, tmp_path):
    """``dear`` pays for any success, ``cheap`` for none: they choose differently."""
    code = shutil.copytree(valued["cheap"], tmp_path / "code")
    async with opened(f"support={valued['dear']}", f"code={code}") as (engines, log):
        support, cheap = [await engines.decide(asking(name)) for name in ("support", "code")]
        assert support.artifact != cheap.artifact
        assert (support.model, cheap.model) == ("large", "small")
        batch = await engines.decide_batch([asking("code"), asking("support"), asking("code")])
        assert [one.model for one in batch] == ["small", "large", "small"]
        assert engines["support"].router.encoder is engines["code"].router.encoder
        assert sorted(one.router for one in log.decisions) == ["code"] * 3 + ["support"] * 2
        shutil.rmtree(code)
        shutil.copytree(valued["weighing"], code)
        before = engines["support"].policy_version
        reloaded = await engines.reload()
        assert {name: one.changed for name, one in reloaded.items()} == {"support": False, "code": True}
        (code / "manifest.json").write_text("{}")
        with pytest.raises(ReloadRefusedError, match="router 'code': the new artifact was refused") as refused:
            await engines.reload()
        assert refused.value.metadata == {"loaded": ["support"], "refused": ["code"]}
        assert engines.unready == []
        assert engines["support"].policy_version == before
        assert engines["code"].router.encoder is engines["support"].router.encoder


async def test_a_router_that_cannot_be_loaded_keeps_none_of_the_others_back(trained, tmp_path):
    gone = tmp_path / "code"
    async with opened(f"support={trained.path}", f"code={gone}", reload_every_s=0.05) as (engines, _):
        assert (engines.ready, engines.unready) == (True, ["code"])
        assert (await engines.decide(asking("support"))).predicted
        with pytest.raises(NotReadyError, match="router 'code' is not loaded"):
            await engines.decide(asking("code"))
        first, second = await engines.decide_batch([asking("code"), asking("support")])
        assert isinstance(first, NotReadyError)
        assert second.predicted
        shutil.copytree(trained.path, gone)
        await until(lambda: engines.unready == [])
        assert (await engines.decide(asking("code"))).predicted
    async with opened(f"support={trained.path}", f"code={tmp_path / 'x'}", default_plan=("spare",)) as (engines, _):
        assert (await engines.decide(asking("code"))).model == "spare"
    with pytest.raises(ArtifactError, match="none of the routers can be served: a: .*; b: "):
        async with opened(f"a={tmp_path / 'x'}", f"b={tmp_path / 'y'}"):
            pass


async def test_a_conversation_may_go_on_at_another_router(valued):
    """In the middle of a tool loop the model stays: both routers have it."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    loop = [
        *ASKED["messages"],
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "64"},
    ]
    async with opened(f"dear={valued['dear']}", f"cheap={valued['cheap']}") as (engines, _):
        first = await engines.decide(asking("dear", session_id="s"))
        later = Query(body={"messages": loop}, key_id="key", router="cheap", session_id="s")
        second = await engines.decide(later)
        assert (first.model, second.model, second.reason) == ("large", "large", "session")


def test_who_asks_which_router():
    engines = Engines({"support": None, "code": None})
    keyed = Caller("k", frozenset(), "code")
    assert [engines.chosen(asked, INSECURE) for asked in (None, "", "code")] == ["support", "support", "code"]
    assert [engines.chosen(asked, keyed) for asked in (None, "support")] == ["code", "support"]
    with pytest.raises(ModelNotFoundError, match="no router 'x'; its routers are 'auto:support', 'auto:code'"):
        engines.chosen("x", keyed)
    with pytest.raises(
        ModelNotFoundError,
        match="no router 'free'; its routers are 'auto:default', .*; OpenRouter's variants, such as ':free'",
    ):
        Engines({"default": None}).chosen("free", INSECURE)


def test_cards_are_those_of_the_first_with_a_price_and_stay_the_same_object(caplog):
    def having(**usd):
        cards = {name: ModelCard(name, Decimal(abs(price)), Decimal(1)) for name, price in usd.items()}
        billed = {
            name: replace(card, price_source=FROM_BILLS_ALONE) if usd[name] < 0 else card
            for name, card in cards.items()
        }
        return SimpleNamespace(cards=billed or None)

    engines = Engines({"a": having(m=1, n=-1, same=1), "b": having(m=2, n=2, o=2, same=1), "c": having()})
    found = {name: card.usd_per_mtok_input for name, card in engines.cards.items()}
    assert found == {"m": 1, "n": 2, "o": 2, "same": 1}
    assert engines.cards is engines.cards
    assert [one.getMessage() for one in caplog.records] == [
        "m: two routers have two prices of it; calls are billed by the first one's"
    ]
    assert Engines({"c": having()}).cards is None


async def test_one_engine_s_failure_leaves_neither_others_nor_the_sessions_open():
    closed = []

    def closing(name):
        async def close():
            closed.append(name)
            if name == "b":
                raise RuntimeError(name)

        return SimpleNamespace(close=close)

    with pytest.raises(RuntimeError, match="b"):
        await Engines({name: closing(name) for name in "abc"}, sessions=closing("sessions")).close()
    assert closed == ["c", "b", "a", "sessions"]


async def test_all_challengers_are_waited_for_under_one_deadline_and_batches_are_decided_together(monkeypatch):
    """Each challenger never comes. Each batch ends only if the other one has begun."""
    monkeypatch.setattr("router_model.serving.engine.engines.CHALLENGERS_LOAD_S", 0.01)

    barrier = asyncio.Barrier(2)

    class Slow:
        ready, watched = True, False

        async def load(self, *, may_wait):
            assert may_wait

        def find_challenger(self, turn):
            assert not turn.locked()
            self.task = asyncio.create_task(asyncio.Event().wait())
            return self.task

        def watch(self):
            self.watched = True

        async def decide_batch(self, queries):
            await barrier.wait()
            return [query.router for query in queries]

    slow = {"a": Slow(), "b": Slow()}
    engines = Engines(slow)
    await engines.start()
    assert [one.watched for one in slow.values()] == [True, True]
    assert await engines.decide_batch([asking("b"), asking("a"), asking("b")]) == ["b", "a", "b"]
    for one in slow.values():
        one.task.cancel()


async def test_the_log_keeps_no_more_of_a_key_s_prompts_than_of_one_router(trained, tmp_path):
    copy = shutil.copytree(trained.path, tmp_path / "copy")
    n_chars = len(ASKED["messages"][0]["content"]) + len('[{"role":"user","content":""}]')
    chars = n_chars * 3 // 2  # of one prompt, and not of two
    async with opened(f"a={trained.path}", f"b={copy}", log_prompt_chars_a_minute=chars) as (engines, log):
        for name in engines:
            await engines.decide(asking(name))
        assert [one.messages is not None for one in log.decisions] == [True, False]
