"""Threads that hang are simulated with events, so that no test depends on how fast the machine is."""

import asyncio
import threading
from functools import partial

import pytest

from router_model.serving.engine.lane import DeadlineMissedError, Lane

PATIENT = 60.0  # never reached


async def test_results_and_errors_come_back():
    lane = Lane("test", deadline_s=PATIENT)
    assert await lane.run(lambda: threading.current_thread().name) == "test"
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        await lane.run(lambda: 1 / 0)
    for exit_ in (SystemExit(1), StopIteration()):
        with pytest.raises(RuntimeError, match=f"{type(exit_).__name__} in a worker thread"):
            await lane.run(partial(throw, exit_))
    assert not lane.is_open
    lane.close()


def throw(error):
    raise error


async def test_a_thread_that_hangs_costs_one_deadline_and_then_none():
    """The first waits its deadline; 1,000 more are refused at once and start no threads."""
    lane, free = Lane("stuck", deadline_s=0.05), threading.Event()
    before = threading.active_count()
    with pytest.raises(DeadlineMissedError):
        await lane.run(free.wait)
    await asyncio.sleep(0.05)  # its thread may have begun a moment after the deadline had
    refused = await asyncio.gather(*[lane.run(lambda: 1) for _ in range(1000)], return_exceptions=True)
    assert {type(error) for error in refused} == {DeadlineMissedError}
    assert lane.is_open
    assert lane._queue.qsize() == 0
    assert threading.active_count() == before
    free.set()
    assert await eventually(lane) == "back"
    assert not lane.is_open
    lane.close()


async def eventually(lane):
    """Ask until a half-open breaker lets one through."""
    while True:
        try:
            return await lane.run(lambda: "back")
        except DeadlineMissedError:
            await asyncio.sleep(0.01)


async def test_what_expires_in_the_queue_is_never_done():
    lane, free, done = Lane("queue", deadline_s=0.2), threading.Event(), []
    first = asyncio.create_task(lane.run(free.wait))
    await asyncio.sleep(0)
    with pytest.raises(DeadlineMissedError):
        await lane.run(lambda: done.append(1), spent_s=0.19)
    free.set()
    assert await first
    assert await lane.run(lambda: "next") == "next"
    assert done == []
    lane.close()


async def test_nothing_is_begun_after_its_deadline():
    lane = Lane("late", deadline_s=1.0)
    with pytest.raises(DeadlineMissedError):
        await lane.run(lambda: 1, spent_s=1.5)
    lane.close()


async def test_overload_is_refused_at_the_door():
    """At 0.1 s a piece, eight that wait are 0.8 s of work, of a deadline of 1 s. The tenth is refused at once."""
    lane, begun, free = Lane("busy", deadline_s=1.0), threading.Event(), threading.Event()
    tasks = [asyncio.create_task(lane.run(lambda: (begun.set(), free.wait())))]
    await asyncio.to_thread(begun.wait)
    lane._mean_s = 0.1
    tasks += [asyncio.create_task(lane.run(lambda: 1)) for _ in range(9)]
    await asyncio.sleep(0)
    with pytest.raises(DeadlineMissedError):
        await lane.run(lambda: 1)
    free.set()
    assert (await asyncio.gather(*tasks))[1:] == [1] * 9
    lane.close()


async def test_callers_take_turns():
    """Of 0.8 s that may be waited, the hostile one's pieces of 0.1 s take all; the healthy one's is next but one."""
    lane, begun, free, done = Lane("turns", deadline_s=1.0), threading.Event(), threading.Event(), []
    tasks = [asyncio.create_task(lane.run(lambda: (begun.set(), free.wait())))]
    await asyncio.to_thread(begun.wait)
    lane._mean_s = 0.1
    hostile = [asyncio.create_task(lane.run(partial(done.append, n), caller="hostile")) for n in range(12)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(lane.run(partial(done.append, "healthy"), caller="healthy")))
    await asyncio.sleep(0)
    free.set()
    await asyncio.gather(*tasks)
    refused = [one for one in await asyncio.gather(*hostile, return_exceptions=True) if one is not None]
    assert [type(one) for one in refused] == [DeadlineMissedError] * 3
    assert done == [0, "healthy", *range(1, 9)]
    lane.close()


async def test_a_caller_that_goes_away_leaves_the_lane_working():
    lane, free = Lane("gone", deadline_s=PATIENT), threading.Event()
    task = asyncio.create_task(lane.run(free.wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    free.set()
    assert await lane.run(lambda: 2) == 2
    lane.close()


async def held(lane, free):
    """Let the thread wait for an event, so that what comes next waits together."""
    begun = threading.Event()
    task = asyncio.create_task(lane.run(lambda: (begun.set(), free.wait())))
    await asyncio.to_thread(begun.wait)
    return task


async def test_what_waits_is_done_together_and_in_its_order():
    """Five wait, three go at once: 3 and 2. A piece that comes alone is done alone."""
    goes, free = [], threading.Event()

    def together(pieces):
        goes.append(len(pieces))
        return [int(*args) for args in pieces]

    lane = Lane("together", deadline_s=PATIENT, together=together, most_together=3)
    first = await held(lane, free)
    tasks = [asyncio.create_task(lane.run(int, i)) for i in range(5)]
    await asyncio.sleep(0)
    lane._mean_s = -PATIENT  # as if all were done in no time, however long the first is held
    free.set()
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4]
    await first
    assert goes == [3, 2]
    assert await lane.run(lambda: "alone") == "alone"
    assert goes == [3, 2]
    lane.close()


async def test_slow_work_is_not_done_together():
    """At 10 ms a piece, the first of two would wait 20 ms."""
    goes, free = [], threading.Event()
    lane = Lane("slow", deadline_s=PATIENT, together=goes.append, most_together=3)
    first = await held(lane, free)
    lane._mean_s = 10.0
    tasks = [asyncio.create_task(lane.run(int, i)) for i in range(2)]
    await asyncio.sleep(0)
    free.set()
    assert await asyncio.gather(first, *tasks) == [(None, True), 0, 1]
    assert goes == []
    lane.close()


async def test_where_together_fails_each_is_done_alone():
    free = threading.Event()
    lane = Lane("failing", deadline_s=PATIENT, together=partial(throw_away, SystemExit(1)), most_together=9)
    first = await held(lane, free)
    tasks = [asyncio.create_task(lane.run(work)) for work in (lambda: 1, lambda: 1 / 0, lambda: 3)]
    await asyncio.sleep(0)
    lane._mean_s = -PATIENT
    free.set()
    found = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert (found[1], type(found[2]), found[3]) == (1, ZeroDivisionError, 3)
    lane.close()


def throw_away(error, _work):
    raise error


async def test_a_deadline_in_the_middle_of_a_go_is_kept():
    """Two are at work together and hang: each is told at its own deadline, and the breaker opens."""
    free, hanging, release = threading.Event(), threading.Event(), threading.Event()

    def together(pieces):
        hanging.set()
        release.wait()
        return [int(*args) for args in pieces]

    lane = Lane("middle", deadline_s=0.5, together=together, most_together=9)
    first = await held(lane, free)
    late = asyncio.create_task(lane.run(int, 1, spent_s=0.1))
    later = asyncio.create_task(lane.run(int, 2))
    await asyncio.sleep(0)
    free.set()
    await asyncio.gather(first, return_exceptions=True)
    found = await asyncio.gather(late, later, return_exceptions=True)
    assert {type(one) for one in found} == {DeadlineMissedError}
    with pytest.raises(DeadlineMissedError):
        await lane.run(lambda: 3)
    release.set()
    assert await eventually(lane) == "back"
    lane.close()


async def test_a_lane_that_is_closed_does_what_waited_before():
    free = threading.Event()

    def together(pieces):
        return [int(*args) for args in pieces]

    lane = Lane("closing", deadline_s=PATIENT, together=together, most_together=9)
    first = await held(lane, free)
    tasks = [asyncio.create_task(lane.run(int, i)) for i in range(2)]
    await asyncio.sleep(0)
    lane.close()
    lane._mean_s = -PATIENT
    free.set()
    assert (await asyncio.gather(first, *tasks))[1:] == [0, 1]
    await asyncio.to_thread(lane._thread.join)
