"""Tables of PostgreSQL that are partitioned by day: nothing is lost, counted twice or read that is not asked for."""

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from asked_log import asked, migrated_to, opened, put
from log_records import attempt, decision, feedback

from router_model.serving.decision_log import schema
from router_model.serving.decision_log.days import DAY, day_of, near, oldest_kept
from router_model.serving.decision_log.opening import open_store
from router_model.serving.decision_log.partitions import make_days, partitions
from router_model.serving.decision_log.reading import _matching, _window
from router_model.serving.decision_log.rows import Kind, record_of, row_of
from router_model.serving.decision_log.store import Period, Place, Selection, Wanted
from router_model.serving.decision_log.tables import TABLES

NOW = datetime.now(UTC)
TODAY = day_of(NOW)


def made_at(when, n=0, **changes):
    """A decision with an id as the service makes them, which names its time."""
    return decision(n, decision_id=f"dec_{int(when.timestamp() * 1000):012x}7{n:019x}", created_at=when, **changes)


async def placed(store, kind=Kind.DECISION):
    """Return how many rows each partition has."""
    async with store.reading() as connection:
        table = TABLES[kind].name
        found = await connection.exec_driver_sql(f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1")
        return {name.removeprefix(f"{table}_"): n for name, n in found}


async def test_rows_are_in_the_partition_of_their_day_and_leave_the_default_one_when_it_is_made(new_database):
    """Days of last year are not there; no row is refused for that."""
    past = TODAY - 400 * DAY
    async with opened(new_database()) as store:
        await put(store, made_at(TODAY), made_at(past, 1), made_at(past + DAY, 2), made_at(past - DAY, 3))
        before = await placed(store)
        async with store.writing() as connection:
            await make_days(connection, past, past + timedelta(minutes=1))
        rows = await store.read(Kind.DECISION, made_at(past, 1).decision_id)
        after, row = await placed(store), rows
    assert before == {f"{TODAY:%Y%m%d}": 1, "default": 3}
    assert after == {f"{TODAY:%Y%m%d}": 1, f"{past:%Y%m%d}": 1, "default": 2}
    assert record_of(Kind.DECISION, row) == made_at(past, 1)


async def test_a_report_that_is_sent_again_on_another_day_counts_once(new_database):
    """Its id is made of the caller's idempotency key, so that it is the same; its time is not."""
    yesterday, long_ago = NOW - DAY, NOW - 30 * DAY
    reported = attempt(1, created_at=yesterday, authority="own")
    own = attempt(2, created_at=yesterday)
    async with opened(new_database()) as store:
        await put(store, feedback(1, created_at=yesterday), reported, own, feedback(2, created_at=long_ago))
        await put(store, feedback(1, 0.0, created_at=NOW), replace(reported, created_at=NOW), own)
        await put(store, feedback(2, created_at=NOW), feedback(3, created_at=NOW), feedback(3, created_at=TODAY - DAY))
        counts = await store.count()
    assert (counts[Kind.FEEDBACK], counts[Kind.ATTEMPT]) == (4, 2)  # of 1, 3 and twice of 2: a month lies between


def test_a_log_without_partitions_becomes_the_partition_of_its_time(new_database):
    """The migration is killed after its last step, and begins again. A row whose clock was wrong is of no partition."""
    records = [made_at(NOW - n * DAY, n) for n in range(5)]
    stray = made_at(NOW + 300 * DAY, 9)
    url = new_database()

    async def back(store):
        await put(store, *records, stray, attempt(0, created_at=NOW), feedback(0, created_at=NOW))
        async with store.writing() as connection:
            await connection.run_sync(partial(migrated_to, "0008"))

    async def killed():
        store = open_store(url)
        async with store._engine.connect() as connection:
            await connection.begin()
            await connection.run_sync(schema.migrate)
            await connection.rollback()
        async with store.reading() as connection:
            found = await partitions(connection, Kind.DECISION)
        await store.close()
        return found

    async def again(store):
        await put(store, made_at(NOW + timedelta(seconds=1), 5), made_at(TODAY + 2 * DAY, 6), records[0])
        rows = [await store.read(Kind.DECISION, one.decision_id) for one in (*records, stray)]
        return rows, await placed(store), dict(await store.count())

    asked(url, back)
    assert asyncio.run(killed()) == []
    rows, places, counts = asked(url, again)
    assert [record_of(Kind.DECISION, row) for row in rows] == [*records, stray]
    assert places == {"before": 6, f"{TODAY + 2 * DAY:%Y%m%d}": 1, "default": 1}
    assert (counts[Kind.ATTEMPT], counts[Kind.FEEDBACK]) == (1, 1)


async def test_old_days_are_dropped_whole_and_the_sums_of_hours_follow(new_database):
    """Five days with a record each; three are kept, the oldest from its midnight on.

    All of it lies in the past at any time of day: hours that the database's clock has yet to reach are not summed.
    """
    last = TODAY - DAY
    days = [last - n * DAY + timedelta(hours=1) for n in range(5)]
    now = last + timedelta(hours=3)
    async with opened(new_database()) as store:
        async with store.writing() as connection:
            await make_days(connection, days[-1], last)
        await put(store, *(one for n, day in enumerate(days) for one in (made_at(day, n), attempt(n, created_at=day))))
        while await store.reader.roll_next(now=now):
            pass
        deleted = await store.delete(Selection(before=oldest_kept(now, 2)))
        found = await store.reader.summaries(now - 30 * DAY, now=now)
        async with store.reading() as connection:
            left = [one.since for one in await partitions(connection, Kind.ATTEMPT)]
        places = await placed(store)
    assert (deleted[Kind.DECISION], deleted[Kind.ATTEMPT]) == (2, 2)
    assert sum(tree.get("n_calls", 0) for _, tree in found.parts) == 3
    assert found.n_missing == 0
    assert left[0] == last - 2 * DAY
    assert places == {f"{last - n * DAY:%Y%m%d}": 1 for n in range(3)}


def test_questions_read_the_partitions_of_their_time_alone(new_database):
    """Ten days; each question is about one of them, and has an index. Without records sequential scans are as cheap."""
    when = TODAY - 5 * DAY + timedelta(hours=5)
    decisions, attempts = TABLES[Kind.DECISION].c, TABLES[Kind.ATTEMPT].c
    place = Place(when, "dec_")
    failed = Wanted(status="failed", since=when - timedelta(hours=2))
    by_id = sa.select(decisions.model).where(
        decisions.decision_id == "dec_x", decisions.created_at.between(*near(made_at(when).decision_id))
    )
    questions = {
        "one": by_id,
        "a page": _matching(failed, _window(failed, place, 500), Period(failed.since, when), 51),
        "a minute": sa.select(attempts.model).where(
            attempts.created_at >= when, attempts.created_at < when + timedelta(minutes=1)
        ),
    }

    async def question(store):
        plans = {}
        async with store.writing() as connection:
            await make_days(connection, TODAY - 10 * DAY, TODAY)
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            for name, chosen in questions.items():
                said = str(chosen.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
                plans[name] = "\n".join((await connection.exec_driver_sql(f"EXPLAIN {said}")).scalars())
        return plans

    for name, plan in asked(new_database(), question).items():
        read = {word for word in plan.replace(".", " ").split() if word.startswith("router_") and word[-8:].isdigit()}
        days = {
            f"{when + n * DAY:%Y%m%d}" for n in range(2 if name == "a page" else 1)
        }  # calls are reported within a day
        assert {word[-8:] for word in read} == days, (name, plan)
        assert "Seq Scan" not in plan, (name, plan)
        assert "Index" in plan or "Bitmap" in plan, (name, plan)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_generated_traffic_is_what_the_writer_writes(kind, tmp_path, request):
    """Read back by the store's reader and written again by its writer, rows are the same; and they cover the days."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "performance"))
    from fill_log import Traffic, fill

    url = f"sqlite:///{tmp_path}/log.db" if kind == "sqlite" else request.getfixturevalue("new_database")()
    asyncio.run(fill(url, Traffic(400, days=10, seed=3, copies=2)))

    async def question(store):
        rows, folder = {}, tmp_path
        for one in (Kind.DECISION, Kind.ATTEMPT, Kind.FEEDBACK):
            from router_model.serving.decision_log.segments import rows_of, scan

            staged = rows_of(one, scan(one, await store.stage(one, Period(), folder)).collect())
            rows[one] = [(row, row_of(record_of(one, row))[1]) for row in staged]
        return rows

    rows = asked(url, question)
    for pairs in rows.values():
        for row, written in pairs:
            assert row == {
                name: list(value) if isinstance(value, tuple) else value for name, value in written.items()
            } | ({"candidates": row["candidates"], "excluded": row["excluded"]} if "candidates" in row else {})
    decisions = [row for row, _ in rows[Kind.DECISION]]
    assert len(decisions) == 400
    assert len({day_of(row["created_at"]) for row in decisions}) >= 10
    assert {near(row["decision_id"])[0] <= row["created_at"] for row in decisions} == {True}
    assert 0.3 < sum(row["messages"] is not None for row in decisions) / 400 < 0.7
    assert 400 < len(rows[Kind.ATTEMPT]) < 440
    assert 15 < len(rows[Kind.FEEDBACK]) < 80
