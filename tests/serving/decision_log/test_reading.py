"""What the console asks of the log, in SQLite and PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from asked_log import asked, opened, put, written
from log_records import BEGAN, attempt, candidate, decision, feedback
from sqlalchemy import update

from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.decision_log import rolled_hours
from router_model.serving.decision_log.days import DAY
from router_model.serving.decision_log.judged import judged_lately
from router_model.serving.decision_log.opening import open_spool, open_store
from router_model.serving.decision_log.queued_log import QueuedLog
from router_model.serving.decision_log.rows import batch_of, row_of
from router_model.serving.decision_log.store import Place, Selection, Wanted
from router_model.serving.decision_log.summaries import (
    ALL,
    AttemptRow,
    DecisionRow,
    FeedbackRow,
    added,
    of_router,
    summarise,
)
from router_model.serving.decision_log.tables import HOURS

HOUR_S = 3600
NOW = BEGAN + timedelta(hours=2, minutes=20)
"""The hours of `BEGAN` and the next one are over for more than a quarter of an hour, the third one is not."""


async def rolled(store):
    """Sum up all hours; return how many."""
    n = 0
    while await store.reader.roll_next(now=NOW):
        n += 1
    return n


async def total(store, key=ALL):
    found, tree = await store.reader.summaries(BEGAN, key=key, now=NOW), {}
    for _, part in found.parts:
        added(tree, part)
    return tree, found.n_missing


async def spent(store):
    """Return what k1 spent on calls that were made here: since the first hour, since five seconds later, and now."""
    async with store.reading() as connection:
        return await rolled_hours.spent_usd(connection, "k1", [BEGAN, BEGAN + timedelta(seconds=5), NOW], NOW)


def test_summary_worked_by_hand():
    """Small was expected to cost $1 and cost $3; large, the best by 0.95, would have cost $10."""
    columns = {"model": ["small", "large"], "expected_cost_usd": [1.0, 10.0], "p_success": [0.9, 0.95]}
    decided = DecisionRow("d1", BEGAN, "small", "value", "k1", columns, 0.5, True, False, 0.001, "code")
    calls = [
        AttemptRow("d1", BEGAN, "small", "acme", "k1", "overloaded", None, 2.0, None, 10, 0, None),
        AttemptRow("d1", BEGAN, "large", "acme", "k1", None, 3.0, 1.0, 0.5, 10, 20, None),
        AttemptRow("d1", BEGAN, "large", "acme", "k1", None, 99.0, 1.0, 0.5, 10, 20, "own"),  # reported once more
        AttemptRow(None, BEGAN, "coder", None, None, None, None, 1.0, None, 5, 5, None),
    ]
    judged = [FeedbackRow(BEGAN, 0.4, 0.5, "small", "k1", "code"), FeedbackRow(BEGAN, 1.0, None, None, None, None)]
    found = summarise([decided], calls, judged)
    own = found["k1"]
    assert own["compared"] == {"n": 1, "c": 3.0, "cc": 9.0, "p": 0.9}
    assert own["against"]["large"] == {"n": 1, "p": 0.95, "e": 10.0, "ee": 100.0, "ec": 30.0}
    assert (own["n_calls"], own["n_answered"], own["n_retried"], own["n_fallbacks"]) == (2, 1, 1, 1)
    assert own["errors"] == {"overloaded": 1}
    assert own["judged"] == {"small": {"n": 1, "won": 0, "score": 0.4}}
    assert own["spend"]["k1"]["large"] == {"n": 1, "usd": 3.0, "unpriced": 0, "in": 10, "out": 20}
    assert own["latency_s"] == {"0": 1}
    assert "met" not in own  # two calls: what it cost is not what one call of small costs
    spent = {"n": 1, "usd": 0.0, "unpriced": 1, "in": 5, "out": 5}
    assert found["-"]["spend"] == {"-": {"coder": spent}}
    assert (found["-"]["n_named"], found["-"]["n_answered"], found["-"]["n_unplaced"]) == (1, 1, 1)
    assert found[ALL]["n_called"] == 2
    assert found[of_router("code")] == own  # no key but k1 asked it, and k1 asked nothing else


async def test_hours_are_summed_up_once_and_say_what_their_records_do(database_url):
    async with opened(database_url) as store:
        await put(store, *(one(n) for n in (0, 10, HOUR_S, 2 * HOUR_S) for one in (decision, attempt, feedback)))
        before = await total(store)
        n_hours, again = await rolled(store), await rolled(store)
        (tree, n_missing), own, other = await total(store), await total(store, "k1"), await total(store, "other")
    assert (before[0]["n_decisions"], before[1]) == (1, 2)  # the hour that is not over is read record by record
    assert (n_hours, again) == (2, 0)
    assert (tree["n_decisions"], tree["n_calls"], n_missing) == (4, 4, 0)
    assert tree["judged"] == {"small": {"n": 4, "won": 4, "score": 4.0}}
    assert tree["spend"]["k1"]["small"]["usd"] == pytest.approx(0.008)
    assert own == (tree, 0)
    assert other == ({}, 0)


async def test_hours_that_an_older_version_summed_up_are_summed_up_again_for_routers(database_url):
    async with opened(database_url) as store:
        await put(store, decision(0), decision(HOUR_S))
        await rolled(store)
        async with store.writing() as connection:
            await connection.execute(update(HOURS).values(claim="1:0123456789abcdef"))
        older = await total(store, of_router(DEFAULT_ROUTER))
        n_hours, again = await rolled(store), await total(store, of_router(DEFAULT_ROUTER))
        assert (await total(store, of_router("code")))[0] == {}
    assert (older[1], n_hours) == (2, 2)
    assert (again[0]["n_decisions"], again[1]) == (2, 0)


async def test_half_days_of_a_month_are_kept_until_an_hour_is_summed_up_again(database_url):
    async with opened(database_url) as store:

        def month():
            return store.reader.summaries(NOW - timedelta(days=30), now=NOW)

        await put(store, *(decision(n) for n in (0, HOUR_S)))
        await rolled(store)
        first, again = await month(), await month()
        await put(store, decision(5))
        late = await month()
        await rolled(store)
        last = await month()
    n_decisions = [sum(tree.get("n_decisions", 0) for _, tree in one.parts) for one in (first, again, late, last)]
    assert n_decisions == [2, 2, 1, 3]
    assert [one.n_missing for one in (first, again, late, last)] == [0, 0, 1, 0]
    assert again.parts[0][1] is first.parts[0][1]
    assert {begin.hour % 12 for begin, _ in last.parts if begin < NOW - timedelta(hours=3)} <= {0}


async def test_reports_of_calls_that_were_measured_do_not_count_again(database_url):
    """An hour later a gateway reports one call by its answer and one by its decision; a third was not made here."""
    async with opened(database_url) as store:
        reports = [
            attempt(100, attempt_id="r0", decision_id=None, response_id="resp_0", cost_usd=1.0, authority="own"),
            attempt(101, attempt_id="r1", decision_id=decision(10).decision_id, response_id=None, authority="own"),
            attempt(102, attempt_id="r2", decision_id=None, response_id="resp_elsewhere", authority="own"),
        ]
        later = [replace(one, created_at=BEGAN + timedelta(hours=1, minutes=5)) for one in reports]
        await put(store, decision(0), attempt(0), decision(10), attempt(10), *later)
        before = await spent(store)
        await rolled(store)
        after, (tree, n_missing) = await spent(store), await total(store)
    assert before == after == pytest.approx([0.004, 0.002, 0.0])
    assert (tree["n_calls"], tree["n_named"], n_missing) == (3, 1, 0)
    assert tree["spend"]["k1"]["small"]["usd"] == pytest.approx(0.006)


async def test_late_and_deleted_records_have_their_hour_summed_up_again(database_url):
    async with opened(database_url) as store:
        await put(store, decision(0), decision(1, user_id="gone"), decision(HOUR_S))
        await rolled(store)
        await put(store, decision(2))
        late = (await total(store))[1]
        await rolled(store)
        first = (await total(store))[0]["n_decisions"]
        await store.delete(Selection(user_id="gone"))
        deleted = (await total(store))[1]
        await rolled(store)
        second = (await total(store))[0]["n_decisions"]
        await store.delete(Selection(before=BEGAN + timedelta(hours=1)))
        (tree, _) = await total(store)
    assert (late, first) == (1, 4)
    assert (deleted, second) == (1, 3)
    assert tree["n_decisions"] == 1


async def test_deleting_a_person_forgets_the_hours_of_later_judgements_too(database_url):
    """The decision is of the first hour, and what was said of it of the second, which has nothing else."""
    async with opened(database_url) as store:
        later = BEGAN + timedelta(hours=1, minutes=1)
        await put(store, decision(0, user_id="gone"), attempt(0, created_at=later), feedback(0, created_at=later))
        await put(store, decision(1, user_id="stays"))
        await rolled(store)
        before, _ = await total(store)
        await store.delete(Selection(user_id="gone"))
        await rolled(store)
        after, n_missing = await total(store)
    assert (before["n_calls"], before["judged"]["small"]["n"]) == (1, 1)
    assert (after["n_decisions"], n_missing) == (1, 0)
    assert after.keys().isdisjoint({"n_calls", "judged"})


async def test_hours_before_the_first_record_are_not_missing(database_url):
    """A log of two hours has a month without records before it, which nobody has to wait for."""
    async with opened(database_url) as store:
        empty = await store.reader.summaries(NOW - timedelta(days=30), now=NOW)
        await put(store, decision(0), decision(HOUR_S))
        young = await store.reader.summaries(NOW - timedelta(days=30), now=NOW)
        await rolled(store)
        whole = await store.reader.summaries(NOW - timedelta(days=30), now=NOW)
    assert [found.n_missing for found in (empty, young, whole)] == [0, 2, 0]


def test_hour_that_another_machine_may_sum_up_at_any_moment_counts_as_late():
    """Its clock may be ahead of ours by some minutes."""
    batch = batch_of([row_of(decision(0))])
    almost = BEGAN + rolled_hours.HOUR + rolled_hours.GRACE - timedelta(minutes=1)
    assert rolled_hours.late_hours(batch, almost) == {BEGAN}
    assert rolled_hours.late_hours(batch, BEGAN + rolled_hours.HOUR) == set()


async def test_records_that_come_while_an_hour_is_summed_up_are_not_missed(database_url):
    async with opened(database_url) as store:
        await put(store, decision(0))
        async with store.writing() as connection:
            claimed = await rolled_hours.claim(connection, BEGAN)
        by_key = await store.reader._summed(BEGAN, BEGAN + rolled_hours.HOUR)
        await put(store, decision(1))
        async with store.writing() as connection:
            kept = await rolled_hours.keep(connection, BEGAN, claimed, by_key)
        await rolled(store)
        (tree, _) = await total(store)
    assert not kept
    assert tree["n_decisions"] == 2


def test_few_questions_are_answered_at_once_so_that_writing_goes_on(tmp_path):
    """Ten visitors ask at once, and each question takes a while."""
    url, at_once, most = f"sqlite+aiosqlite:///{tmp_path}/log.db", 0, 0

    async def slow(_reader):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.02)
        at_once -= 1
        return "answer"

    async def run():
        log = QueuedLog(open_store(url), open_spool(url, tmp_path), queue=100, flush_s=0.05)
        await log.start()
        try:
            return await asyncio.gather(*(log.ask(slow) for _ in range(10)))
        finally:
            await log.close(5)

    assert asyncio.run(run()) == ["answer"] * 10
    assert most == 2


async def test_minutes_are_read_in_the_background_before_anybody_looks(tmp_path):
    """The last hour has 61 minutes, as one has just begun; five are read at a time."""
    async with opened(f"sqlite:///{tmp_path}/log.db") as store:
        await put(store, *(decision(n, created_at=NOW - timedelta(minutes=n)) for n in range(0, 70, 10)))
        n_times = 0
        while await store.reader.refresh(now=NOW):
            n_times += 1

        async def read(*_):
            pytest.fail("a minute was read while somebody waited")

        store.reader._read_minutes = read
        hour = await store.reader.summaries(NOW - timedelta(hours=1), now=NOW)
        n_decisions = sum(tree.get("n_decisions", 0) for _, tree in hour.parts)
    assert (n_times, n_decisions) == (13, 7)


async def test_minutes_that_were_read_are_forgotten_though_nobody_looks(tmp_path):
    async with opened(f"sqlite:///{tmp_path}/log.db") as store:
        for hour in range(8):
            while await store.reader.refresh(now=NOW + timedelta(hours=hour)):
                pass
        assert len(store.reader._minutes) <= 240


async def test_minute_that_is_still_filling_is_read_again(tmp_path):
    async with opened(f"sqlite:///{tmp_path}/log.db") as store:
        now, counts = BEGAN + timedelta(seconds=30), []
        await put(store, decision(0))
        for after_s in (0, 1, 10):
            found = await store.reader.summaries(BEGAN, now=now + timedelta(seconds=after_s))
            counts.append(sum(tree.get("n_decisions", 0) for _, tree in found.parts))
            await put(store, decision(after_s + 1))
        assert counts == [1, 1, 3]


def test_search_goes_from_the_newest_to_the_oldest_and_skips_none(database_url):
    """Several decisions have the same time, so the place in the list is a time and an id."""
    times = [BEGAN + timedelta(seconds=n // 3) for n in range(10)]
    records = [decision(n, created_at=time) for n, time in enumerate(times)]

    async def question(store):
        await put(store, *records)
        found, place = [], None
        while True:
            page = await store.reader.find(Wanted(), place, 4)
            found += [row["decision_id"] for row in page.rows]
            place = page.next
            if place is None:
                return found

    assert asked(database_url, question) == [f"dec_{n:032x}" for n in reversed(range(10))]


def test_search_by_each_filter(database_url):
    plain = '[{"role":"user","content":"50% of _all_ Prompts"}]'
    records = (
        decision(0, messages=plain), decision(1, model="large", reason="explored", explored=True, key_id="k2"),
        decision(2, degraded=True), attempt(0), attempt(1, error_type="overloaded"), feedback(0),
    )  # fmt: skip
    wanted = {
        "text": Wanted(text="50% of _ALL_ prompts"), "wildcard": Wanted(text="50_ of"), "model": Wanted(model="large"),
        "key": Wanted(key_id="k2"), "reason": Wanted(reason="explored"), "session": Wanted(session_id="s2"),
        "since": Wanted(since=BEGAN + timedelta(seconds=2)), "until": Wanted(until=BEGAN + timedelta(seconds=1)),
        **{name: Wanted(status=name) for name in ("answered", "failed", "uncalled", "judged", "explored", "degraded")},
    }  # fmt: skip

    async def question(store):
        await put(store, *records)
        found = {name: await store.reader.find(one, None, 10) for name, one in wanted.items()}
        return {name: [int(row["decision_id"][4:], 16) for row in page.rows] for name, page in found.items()}

    assert asked(database_url, question) == {
        "text": [0], "wildcard": [], "model": [1], "key": [1], "reason": [1], "session": [2], "since": [2],
        "until": [0], "answered": [0], "failed": [1], "uncalled": [2], "judged": [0], "explored": [1], "degraded": [2],
    }  # fmt: skip


async def test_search_that_looks_at_too_many_says_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("router_model.serving.decision_log.reading.SEARCHED", 5)
    async with opened(f"sqlite:///{tmp_path}/log.db") as store:
        await put(store, decision(0, model="rare"), *(decision(n) for n in range(1, 8)))
        first = await store.reader.find(Wanted(model="rare"), None, 10)
        second = await store.reader.find(Wanted(model="rare"), first.next, 10)
    assert (first.rows, first.is_cut) == ([], True)
    assert first.next == Place(BEGAN + timedelta(seconds=3), f"dec_{3:032x}")
    assert [row["model"] for row in second.rows] == ["rare"]
    assert (second.next, second.is_cut) == (None, False)


async def test_decision_comes_with_its_calls_and_judgements(database_url):
    async with opened(database_url) as store:
        await put(store, decision(0), attempt(0), attempt(1), feedback(0), feedback(1))
        calls, judgements = await store.reader.belonging("dec_" + 32 * "0")
    assert [call["attempt_id"] for call in calls] == ["att_0"]
    assert [one["feedback_id"] for one in judgements] == ["fb_0"]


def test_candidates_without_predictions_are_not_compared():
    unknown = replace(candidate("small"), p_success=None, expected_cost_usd=None)
    _, row = row_of(decision(0, candidates=(unknown,)))
    tree = summarise([DecisionRow(*(row[name] for name in DecisionRow._fields))], [], [])[ALL]
    assert tree["n_decisions"] == 1
    assert "compared" not in tree


async def test_decisions_of_one_router_are_found(database_url):
    async with opened(database_url) as store:
        await put(store, decision(0), decision(1, router="default"), decision(2, router="code"))
        names = ("default", "code", None)
        assert [len((await store.reader.find(Wanted(router=name), None, 9)).rows) for name in names] == [2, 1, 3]


def test_what_was_judged_lately_is_of_one_router_and_its_artifact(database_url):
    """The limit of one report leaves neither out: it is of the router's own reports."""
    records = [decision(0), decision(1, router="code"), decision(2, router="code", artifact="sha256:other")]
    written(database_url, *records, *(feedback(n, 1.0) for n in range(3)))
    for router, n in (("default", 0), ("code", 1)):
        lately = judged_lately(database_url, artifact="sha256:abc", since=BEGAN - DAY, most=1, router=router)
        assert lately.calls["decision_id"].to_list() == [decision(n).decision_id]


async def test_a_judgement_that_names_an_answer_is_of_its_decision(database_url):
    """An SDK knows the answer's id alone. The second sender is neither the caller nor one who may judge all answers."""
    by_answer = {"decision_id": None, "response_id": "resp_0"}
    judgements = [
        feedback(0, 1.0, **by_answer), feedback(1, 0.0, **by_answer, key_id="k2", authority="own"),
        feedback(2, 0.0, **by_answer, key_id="k3", authority="any"),
    ]  # fmt: skip
    async with opened(database_url) as store:
        await put(store, decision(0), decision(1), attempt(0), attempt(1), *judgements)
        _, said = await store.reader.belonging(decision(0).decision_id)
        judged = await store.reader.find(Wanted(status="judged"), None, 9)
        await rolled(store)
        tree, _ = await total(store)
    assert [one["feedback_id"] for one in said] == ["fb_0", "fb_2"]
    assert [row["decision_id"] for row in judged.rows] == [decision(0).decision_id]
    assert (tree["judged"], tree["n_unplaced"]) == ({"small": {"n": 2, "won": 1, "score": 1.0}}, 1)
