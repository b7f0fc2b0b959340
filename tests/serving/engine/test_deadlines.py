"""A predictor that hangs waits for an event of the test's, so that nothing depends on how fast the machine is."""

import asyncio
import threading
from dataclasses import replace

from simulated_world import CATALOG, SUM
from waiting import until

from router_model.serving.engine.read_query import ReadQuery


def hangs(free):
    def route(*_args, **_fields):
        free.wait()
        raise ValueError("too late")

    return route


def of_lanes():
    """Return the threads that decide; others come and go with what looks at files."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("router")}


async def test_a_predictor_that_hangs_costs_a_deadline_once_and_is_asked_again_later(bench, query):
    free = threading.Event()
    async with bench(decision_deadline_s=0.05) as b:
        router = b.engine.router
        b.replace_router(decide=hangs(free))
        threads = of_lanes()
        first = await b.engine.decide(query(SUM))
        assert (first.degraded_by, first.reason) == ("deadline", "fallback_default")
        rest = await asyncio.gather(*[b.engine.decide(query(SUM)) for _ in range(200)])
        assert {one.degraded_by for one in rest} == {"deadline"}
        assert of_lanes() == threads
        assert b.engine.status["breaker_open"]
        assert b.engine.status["degraded"] == {"deadline": 201}
        b.replace_router(decide=router.decide)
        free.set()

        async def answers():
            return not (await b.engine.decide(query(SUM))).degraded

        await until(answers)
        assert not b.engine.status["breaker_open"]


async def test_a_new_router_gets_a_thread_of_its_own_where_the_old_ones_hangs(bench, query, tmp_path):
    """The settings' catalog changes, so that the same artifact is another policy."""
    free, catalog = threading.Event(), tmp_path / "catalog.toml"
    catalog.write_text(CATALOG)
    async with bench(decision_deadline_s=0.2, catalog=catalog) as b:
        b.replace_router(decide=hangs(free))
        assert (await b.engine.decide(query(SUM))).degraded
        catalog.write_text(CATALOG.replace("0.3", "0.4"))
        assert (await b.engine.reload()).changed

        async def answers():  # at the latest when a busy machine keeps a deadline
            return not (await b.engine.decide(query(SUM))).degraded

        await until(answers)
        free.set()


async def test_an_explanation_that_hangs_leaves_decisions_alone(bench, query, trained):
    free, begun = threading.Event(), threading.Event()

    def decide(*args, **fields):
        if fields["explain"]:
            begun.set()
            free.wait()
        return trained.router.decide(*args, **fields)

    async with bench() as b:
        b.replace_router(decide=decide)
        slow = asyncio.create_task(b.engine.decide(query(SUM, explain=True)))
        await asyncio.to_thread(begun.wait)
        assert not (await b.engine.decide(query(SUM))).degraded
        free.set()
        assert (await slow).explanation is not None


async def test_a_batch_past_its_deadline_gets_default_plans(bench, query):
    """Twenty times 0.01 s."""
    free = threading.Event()
    async with bench(decision_deadline_s=0.01) as b:
        b.replace_router(decide=hangs(free))
        results = await b.engine.decide_batch([query(SUM), query(SUM)])
        assert [one.degraded_by for one in results] == ["deadline"] * 2
        free.set()


async def test_deciding_leaves_the_loop_free(bench, query):
    free, begun = threading.Event(), threading.Event()

    def decide(*_args, **_fields):
        begun.set()
        free.wait()
        raise ValueError("released")

    async with bench() as b:
        b.replace_router(decide=decide)
        task = asyncio.create_task(b.engine.decide(query(SUM)))
        await asyncio.to_thread(begun.wait)
        await asyncio.sleep(0)  # the loop turns while the predictor is at work
        assert not task.done()
        free.set()
        assert (await task).degraded_by == "predictor_error"


async def test_a_batch_is_decided_a_few_at_a_time_and_others_have_their_turn(bench, query):
    """Of 20 prompts, 8, 8 and 4; who comes during the first slice is decided for before the second."""
    order, begun, free = [], threading.Event(), threading.Event()

    async with bench() as b:
        real = b.engine.router

        def decide(prompts, goal, **fields):
            order.append("other" if fields["explain"] else len(prompts))
            begun.set()
            free.wait()
            return real.decide(prompts, goal, **fields)

        b.replace_router(decide=decide)
        batch = asyncio.create_task(b.engine.decide_batch([query(SUM)] * 20))
        await asyncio.to_thread(begun.wait)
        other = asyncio.create_task(b.engine.decide(replace(query(SUM, explain=True), key_id="other")))
        await asyncio.sleep(0)
        free.set()
        assert not any(one.degraded for one in [*await batch, await other])
        assert order == [8, "other", 8, 4]


async def test_a_body_of_very_many_parts_is_read_beside_the_loop(bench, query, monkeypatch):
    threads = []
    read = ReadQuery.read

    def watched(one):
        threads.append(threading.current_thread() is threading.main_thread())
        return read(one)

    monkeypatch.setattr(ReadQuery, "read", watched)
    async with bench() as b:
        parts = [{"type": "text", "text": SUM}] * 3000
        for said in (SUM, [{"role": "user", "content": parts}], [{"role": "user", "content": SUM}] * 3000):
            assert not (await b.engine.decide(query(said))).degraded
        assert threads == [True, False, False]
