"""The queue, the writer and the spool together, over a store that can be told to fail."""

import asyncio
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_store import FaultyStore
from hypothesis import given
from hypothesis import strategies as st
from log_records import BEGAN, attempt, decision, feedback, response, session
from waiting import PATIENT_S, until

from router_model.serving.common.service_errors import NotReadyError, SettingsError
from router_model.serving.decision_log import queued_log, replay
from router_model.serving.decision_log.gate import StoreGate
from router_model.serving.decision_log.gate import logger as gate_log
from router_model.serving.decision_log.queued_log import QueuedLog
from router_model.serving.decision_log.rows import Kind, batch_of, row_of
from router_model.serving.decision_log.spool import Spool
from router_model.serving.decision_log.store import SpoolBatching

SLOWLY = SpoolBatching(seconds=3600, n_bytes=2**30)


def log_over(store, folder, **changes):
    return QueuedLog(store, Spool(folder, "tag"), **{"queue": 1000, "flush_s": 0.02} | changes)


@asynccontextmanager
async def running(store, folder, **changes):
    log = log_over(store, folder, **changes)
    await log.start()
    try:
        yield log
    finally:
        await log.close(PATIENT_S)


def ids(*numbers):
    return [decision(n).decision_id for n in numbers]


def files(folder):
    return sorted(path.name for path in folder.glob("*"))


class Pending:
    """A decision whose record is made later."""

    def __init__(self, record):
        self.decision_id, self.n_chars = record.decision_id, len(record.messages)
        self.record = lambda: record
        self.row = lambda: row_of(record)[1]


async def test_a_decision_whose_record_is_yet_to_be_made_is_found_and_written(tmp_path):
    """Before the writer runs it is found in the queue, and afterwards in the store; one that fails spoils no other."""
    store, broken = FaultyStore(), Pending(decision(2))
    broken.row = None
    log = log_over(store, tmp_path)
    for one in (session(), Pending(decision(1)), broken):
        log.put(one)
    assert await log.decision(decision(1).decision_id) == decision(1)
    await log.start()
    await log.flush(PATIENT_S)
    found = await log.decision(decision(1).decision_id)
    await log.close(PATIENT_S)
    stats = log.stats
    assert found == decision(1)
    assert (stats.written, stats.dropped) == (2, 1)


async def test_what_is_put_is_written(tmp_path):
    store = FaultyStore()
    async with running(store, tmp_path) as log:
        for record in (decision(1), attempt(1), feedback(1), session()):
            log.put(record)
        await log.flush(PATIENT_S)
        stats = log.stats
    assert [len(store.rows[kind]) for kind in Kind] == [1, 1, 1, 1, 0]
    assert (stats.depth, stats.written, stats.spooled, stats.dropped, stats.available) == (0, 4, 0, 0, True)
    assert files(tmp_path) == []


async def test_a_start_that_nobody_waits_for_loses_nothing(tmp_path):
    """A service may be stopped while its log opens."""
    store = FaultyStore()
    log = log_over(store, tmp_path)
    starting = asyncio.create_task(log.start())
    await asyncio.sleep(0)  # the writer's thread is on its way
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    log.put(decision(1))
    await log.close(PATIENT_S)
    assert list(store.rows[Kind.DECISION]) == ids(1)


async def test_a_conversation_is_found_wherever_its_responses_are_on_their_way(tmp_path):
    """a is in the store, b in the spool, c in the queue, with a note that b was deleted; unwritten ones end it."""
    store = FaultyStore()
    gone = replace(response("b", "a", n=9), input=None, output=None, response=None)
    async with running(store, tmp_path) as log:
        log.put(response("a"))
        await log.flush(PATIENT_S)
        store.away = True
        log.put(response("b", "a"))
        await log.flush(PATIENT_S)
        store.away = False
        log.put(response("c", "b"))
        found = [await log.responses("c", most) for most in (9, 2)]
        log.put(gone)
        found.append(await log.responses("b", 9))
        whole, two, deleted, *none = [*found, await log.responses("x", 9), await log.responses("", 9)]
    assert whole == [response("c", "b"), response("b", "a"), response("a")]
    assert (two, deleted) == (whole[:2], [gone, response("a")])
    assert none == [[], []]


@pytest.mark.parametrize("whole", ["queue", "spool", "store"])
@pytest.mark.parametrize("note", ["queue", "spool", "store"])
async def test_what_was_deleted_stays_so_wherever_the_note_and_the_response_lie(tmp_path, whole, note):
    """As the response that is asked for, and as an earlier one of b, which is in the store."""
    store = FaultyStore()
    records = {whole: [response("a")]}
    gone = replace(response("a", n=9), input=None, output=None, response=None)
    records.setdefault(note, []).insert(0, gone)  # a clock or a retry may turn their order round
    store.rows[Kind.RESPONSE]["b"] = row_of(response("b", "a"))[1]
    async with running(store, tmp_path) as log:
        store.away = True
        for record in records.get("spool", ()):
            log.put(record)
        await log.flush(PATIENT_S)
        for record in reversed(records.get("store", ())):
            store.rows[Kind.RESPONSE]["a"] = row_of(record)[1]
        store.away = False
        for record in records.get("queue", ()):
            log.put(record)
        assert (await log.responses("a", 9), await log.responses("b", 9)) == ([gone], [response("b", "a"), gone])


async def test_long_responses_are_replayed_a_few_at_a_time(tmp_path, monkeypatch):
    """At most 100 characters go to the store at once, if one has not more: here each has 120."""
    monkeypatch.setattr(replay, "_CHARS_AT_ONCE", 100)
    store = FaultyStore()
    store.away = True
    async with running(store, tmp_path) as log:
        for key in "abc":
            log.put(response(key, output="x" * 60, input="y" * 60))
        await log.flush(PATIENT_S)
        store.away = False
        await until(lambda: log.stats.replayed == 3)
    assert len(set(store.names)) == 3


async def test_a_call_is_found_by_its_answer_and_key(tmp_path):
    """In the queue, in the spool and in the store; what a gateway reported under the id of an answer is none."""
    store = FaultyStore()
    reported = attempt(2, response_id="resp_1", key_id="k2", authority="own")
    async with running(store, tmp_path) as log:
        log.put(attempt(1))
        log.put(reported)
        waiting = await log.attempt("resp_1", "k1")
        await log.flush(PATIENT_S)
        store.away = True
        log.put(attempt(3, response_id="resp_3"))
        await log.flush(PATIENT_S)
        assert await log.attempt("resp_3", "k1") == attempt(3, response_id="resp_3")
        store.away = False
        found = [await log.attempt("resp_1", key) for key in ("k1", None, "k2")]
    assert (waiting, found) == (attempt(1), [attempt(1), attempt(1), None])


async def test_what_cannot_be_looked_up_now_is_said(tmp_path):
    store = FaultyStore()
    async with running(store, tmp_path) as log:
        store.away = True
        for asked in (log.responses("a", 9), log.attempt("resp_1"), log.spent_usd("k1", [BEGAN])):
            with pytest.raises(NotReadyError, match="the decision log cannot be read now"):
                await asked


async def test_what_the_store_does_not_take_is_spooled_and_replayed_in_order(tmp_path):
    store = FaultyStore()
    store.away = True
    async with running(store, tmp_path) as log:
        for n in (2, 1, 3):
            log.put(decision(n))
            await log.flush(PATIENT_S)
        away = log.stats
        store.away = False
        await until(lambda: log.stats.replayed == 3)
        back = log.stats
    assert (away.spooled, away.spool_depth, away.written, away.available) == (3, 3, 0, False)
    assert (back.spooled, back.spool_depth, back.written, back.available) == (3, 0, 3, True)
    assert list(store.rows[Kind.DECISION]) == ids(2, 1, 3)
    assert files(tmp_path) == []


def test_a_store_that_opens_and_takes_nothing_is_away_until_it_takes_something(tmp_path, caplog):
    """A database with a full disk: whenever it is opened again, the next write fails. That is one outage, said once."""
    store, batch = FaultyStore(), batch_of([row_of(decision(1))])
    gate = StoreGate(store, Spool(tmp_path, "tag").rejects)

    async def run():
        await gate.open()
        store.full = True
        pauses = []
        assert await gate.write(batch, "a") is None
        for _ in range(6):
            assert (await gate.reopen(), gate.available, gate.works) == (True, True, False)
            assert await gate.write(batch, "a") is None
            pauses.append(gate._retry_at - time.monotonic())
        store.full = False
        assert await gate.reopen()
        assert await gate.write(batch, "a") == 1
        return pauses

    with caplog.at_level("INFO", gate_log.name):
        pauses = asyncio.run(run())
    assert max(pauses) > 4.0  # the sixth of them; a first one is a quarter of a second
    assert gate.works
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the log's store is available",
        "the log's store does not take records, so they go to the spool: no space left",
        "the log's store is available",
    ]


async def test_a_store_that_hangs_does_not_keep_records_from_the_disk(tmp_path):
    """The batch on its way is put into the spool too, and dropped from there when the store has answered."""
    store = FaultyStore()
    store.hangs = True
    async with running(store, tmp_path) as log:
        log.put(decision(1))
        await log.flush(PATIENT_S)
        hanging = log.stats
        store.hangs = False
        await until(lambda: log.stats.written == 1)
        answered = log.stats
    assert (hanging.spool_depth, hanging.written, hanging.depth) == (1, 0, 0)
    assert (answered.spool_depth, answered.spooled, answered.replayed) == (0, 0, 0)
    assert (store.ids(), len(store.names)) == (ids(1), 1)


async def test_a_lost_answer_duplicates_nothing(tmp_path):
    """The store took the batch and failed then: it is replayed, which changes nothing."""
    store = FaultyStore()
    store.loses_answers = True
    async with running(store, tmp_path) as log:
        log.put(decision(1))
        await log.flush(PATIENT_S)
        store.loses_answers = False
        await until(lambda: log.stats.replayed == 1)
    assert store.ids() == ids(1)


async def test_one_refused_record_does_not_hold_up_the_others(tmp_path):
    store = FaultyStore()
    store.refuses = lambda row: row["decision_id"] == decision(2).decision_id
    async with running(store, tmp_path) as log:
        for n in (1, 2, 3):
            log.put(decision(n))
        await log.flush(PATIENT_S)
        stats = log.stats
    assert store.ids() == ids(1, 3)
    assert (stats.dropped, stats.spool_depth, stats.available) == (1, 0, True)


async def test_what_is_no_record_is_dropped_alone(tmp_path):
    store = FaultyStore()
    async with running(store, tmp_path) as log:
        for record in (decision(1), "nonsense", decision(2, created_at="yesterday"), decision(3)):
            log.put(record)
        await log.flush(PATIENT_S)
        assert log.stats.dropped == 2
    assert store.ids() == ids(1, 3)


async def test_a_crowded_queue_goes_to_the_spool_and_a_full_one_is_dropped(tmp_path):
    """A queue of 5: of 13 records put before the writer starts, 10 fit; they are too many for the store's pace."""
    store = FaultyStore()
    log = log_over(store, tmp_path, queue=5)
    for n in range(13):
        log.put(decision(n, key_id=None))
    assert (log.stats.depth, log.stats.dropped) == (10, 3)
    await log.start()
    await log.flush(PATIENT_S)
    spooled = log.stats.spooled
    await log.close(PATIENT_S)
    assert spooled == 10
    assert store.ids() == ids(*range(10))


def test_memory_is_bounded_by_the_size_of_prompts(tmp_path, monkeypatch):
    monkeypatch.setattr(queued_log, "MAX_QUEUED_CHARS", 100)
    log = log_over(FaultyStore(), tmp_path)
    for n in range(4):
        log.put(decision(n, key_id=None, messages="x" * 40))
    assert (log.stats.depth, log.stats.dropped) == (2, 2)


@pytest.mark.parametrize("messages", ["x" * 40, None])
def test_one_caller_cannot_fill_the_queue(tmp_path, monkeypatch, messages):
    """Of 160 characters, or of 8 records, the hostile one's get three quarters; the healthy one's record is kept."""
    monkeypatch.setattr(queued_log, "MAX_QUEUED_CHARS", 160)
    log = log_over(FaultyStore(), tmp_path, queue=4)
    for n in range(50):
        log.put(decision(n, key_id="hostile", messages=messages))
    kept = log.stats.depth
    log.put(decision(99, key_id="healthy", messages=messages))
    assert (kept, log.stats.depth) == ((3, 4) if messages else (6, 7))


async def test_without_store_and_spool_records_wait_and_the_log_is_not_writable(tmp_path):
    store = FaultyStore()
    store.away = True
    (tmp_path / "spool").write_text("a file where the folder should be")
    async with running(store, tmp_path / "spool") as log:
        log.put(decision(1))
        await until(lambda: not log.writable)
        waiting = log.stats.depth
        store.away = False
        await until(lambda: log.stats.written == 1)
        assert (waiting, log.writable) == (1, True)
    assert store.ids() == ids(1)


async def test_what_neither_takes_until_the_end_is_counted(tmp_path):
    store = FaultyStore()
    store.away = True
    (tmp_path / "spool").write_text("")
    log = log_over(store, tmp_path / "spool")
    await log.start()
    log.put(decision(1))
    await log.close(0.5)
    assert log.stats.dropped == 1


async def test_records_gather_in_the_spool_for_a_store_that_wants_them_so(tmp_path):
    store = FaultyStore(spool_batching=SLOWLY)
    async with running(store, tmp_path) as log:
        for n in range(3):
            log.put(decision(n))
            await log.flush(PATIENT_S)
        stats = log.stats
    assert (stats.spool_depth, stats.written, stats.spooled) == (3, 0, 0)
    assert (store.ids(), len(store.names), files(tmp_path)) == (ids(0, 1, 2), 1, [])


async def test_a_segment_has_the_same_name_when_it_is_tried_again(tmp_path):
    """So a Parquet file that a crash left behind is replaced, not doubled."""
    store = FaultyStore(spool_batching=SpoolBatching(seconds=0, n_bytes=1))
    store.loses_answers = True
    async with running(store, tmp_path) as log:
        log.put(decision(1))
        await until(lambda: len(store.names) >= 2)
        store.loses_answers = False
    assert len(set(store.names)) == 1


@pytest.mark.parametrize("spool_batching", [None, SLOWLY])
async def test_a_decision_is_found_on_its_way(tmp_path, spool_batching):
    """In the queue, in the spool, in the store."""
    store = FaultyStore(spool_batching=spool_batching)
    async with running(store, tmp_path) as log:
        log.put(decision(1))
        queued = await log.decision(decision(1).decision_id)
        await log.flush(PATIENT_S)
        assert (queued, await log.decision(decision(1).decision_id), await log.decision("dec_unknown")) == (
            decision(1),
            decision(1),
            None,
        )


async def test_the_newest_session_is_found_wherever_it_is(tmp_path):
    store = FaultyStore()
    async with running(store, tmp_path) as log:
        log.put(session(n=1, model="stored"))
        await log.flush(PATIENT_S)
        stored = await log.session("sess")
        log.put(session(n=3, model="newest"))
        log.put(session(n=2, model="late"))
        assert (stored.model, (await log.session("sess")).model, await log.session("other")) == (
            "stored",
            "newest",
            None,
        )


async def test_looking_up_says_when_the_store_is_away(tmp_path):
    store = FaultyStore()
    async with running(store, tmp_path) as log:
        store.away = True
        with pytest.raises(NotReadyError, match="the decision log cannot be read now .the store is away."):
            await log.decision("dec_1")


def test_an_unusable_log_ends_the_start(tmp_path):
    class Newer(FaultyStore):
        async def open(self, **_):
            raise SettingsError("the log's tables are at version '9999'")

    with pytest.raises(SettingsError, match="version '9999'"):
        asyncio.run(log_over(Newer(), tmp_path).start())


def test_flush_gives_up_at_its_deadline(tmp_path):
    log = log_over(FaultyStore(), tmp_path)
    log.put(decision(1))
    with pytest.raises(TimeoutError):
        asyncio.run(log.flush(0.05))


async def test_old_records_are_deleted_where_a_retention_is_set(tmp_path):
    store = FaultyStore()
    async with running(store, tmp_path, retention_days=30):
        await until(lambda: store.deleted)
    assert store.deleted[0].before is not None


async def test_what_a_dead_process_left_is_adopted_at_the_start(tmp_path):
    store = FaultyStore()
    store.away = True
    async with running(store, tmp_path) as log:
        log.put(decision(1))
    left = files(tmp_path)
    store.away = False
    async with running(store, tmp_path) as log:
        await until(lambda: log.stats.replayed == 1)
    assert len(left) == 1
    assert (store.ids(), files(tmp_path)) == (ids(1), [])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 5)),
        st.sampled_from(["away", "back", "loses answers", "flush", "wait", "reopen", "second"]).map(lambda s: (s, 0)),
    ),
    max_size=14,
)


@given(steps=STEPS, gathers=st.booleans(), size=st.integers(1, 4))
def test_any_interleaving_keeps_exactly_what_was_put(steps, gathers, size):
    """Puts, failures, recoveries, restarts and a second process in any order: each record once, none missing."""
    with tempfile.TemporaryDirectory() as folder:
        store = FaultyStore(
            spool_batching=SpoolBatching(seconds=0.03, n_bytes=400) if gathers else None, rows_at_once=size
        )
        n_put = asyncio.run(_play(steps, store, Path(folder)))
        assert store.ids() == ids(*range(n_put))
        assert not gathers or store.ids_in_files() == store.ids()
        assert files(Path(folder)) == []


async def _play(steps, store, folder):
    n_put = 0
    logs = [log_over(store, folder)]
    await logs[0].start()
    for step, n in steps:
        if step == "put":
            for log in [logs[k % len(logs)] for k in range(n)]:
                log.put(decision(n_put))
                n_put += 1
        elif step in ("away", "back"):
            store.away, store.loses_answers = step == "away", False
        elif step == "loses answers":
            store.loses_answers = True
        elif step == "flush":
            await logs[-1].flush(PATIENT_S)
        elif step == "wait":
            await asyncio.sleep(0.03)
        elif step == "second":
            logs.append(log_over(store, folder))
            await logs[-1].start()
        else:
            await logs.pop(0).close(PATIENT_S if not store.away else 0.2)
            logs.append(log_over(store, folder))
            await logs[-1].start()
    store.away = store.loses_answers = False
    for log in logs:
        await log.close(PATIENT_S)
    async with running(store, folder) as last:
        await until(lambda: last.stats.spool_depth == 0)
    return n_put
