"""What every store promises, for each of them."""

import asyncio
from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from asked_log import asked, opened, put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_records import BEGAN, attempt, decision, feedback, response, session

from router_model.serving.decision_log.database_errors import database_failures
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.decision_log.rows import Kind, record_of, row_of
from router_model.serving.decision_log.session_keys import session_key
from router_model.serving.decision_log.store import RefusedError, Selection, StoreError


def write(url, *batches):
    async def run():
        async with opened(url) as store:
            for index, records in enumerate(batches):
                await put(store, *records, name=f"batch-{index}")

    asyncio.run(run())


def test_records_come_back_as_they_were(log_url, stored):
    bare = AttemptRecord(attempt_id="bare", decision_id=None, created_at=BEGAN)
    records = [decision(1), attempt(1), bare, feedback(1), session(), response("a")]
    write(log_url, records)
    assert stored(log_url) == [decision(1)]
    assert stored(log_url, Kind.ATTEMPT) == [attempt(1), bare]
    assert stored(log_url, Kind.FEEDBACK) == [feedback(1)]
    assert stored(log_url, Kind.SESSION) == [session()]
    assert stored(log_url, Kind.RESPONSE) == [response("a")]


async def test_a_database_that_says_nothing_is_told_in_words():
    told = "could not open the log's database: it did not answer in time"
    with pytest.raises(StoreError, match=told), database_failures("open"):
        async with asyncio.timeout(0):
            await asyncio.sleep(1)


def test_a_batch_that_is_written_again_changes_nothing(log_url, stored):
    write(log_url, [decision(1), decision(2)])
    write(log_url, [decision(1), decision(2)])
    assert stored(log_url) == [decision(1), decision(2)]


def test_of_a_session_the_newest_counts(log_url):
    """Two updates in one batch, then one that comes too late."""
    write(log_url, [session(n=5, model="b"), session(n=9, model="c")], [session(n=7, model="late")])

    found = record_of(Kind.SESSION, asked(log_url, lambda store: store.read(Kind.SESSION, "sess")))
    assert found.model == ("late" if log_url.startswith("parquet") else "c")


def test_one_record_is_found_by_its_id(log_url):
    write(log_url, [decision(1)], [decision(2)])

    async def read(store):
        return [await store.read(Kind.DECISION, decision(n).decision_id) for n in (1, 2, 3)]

    rows = asked(log_url, read)
    assert [row and record_of(Kind.DECISION, row) for row in rows] == [decision(1), decision(2), None]


def test_the_newest_row_is_found_by_its_values(log_url):
    """The attempt that failed is none of an answer; another key's has the same id."""
    failed = attempt(3, response_id="r", error_type="client_gone")
    others = attempt(2, response_id="r", key_id="k2")
    write(log_url, [attempt(1, response_id="r"), others], [failed])

    async def find(store):
        wanted = [{"key_id": "k1"}, {}, {"key_id": "k3"}]
        return [await store.find(Kind.ATTEMPT, {"response_id": "r", "error_type": None} | one) for one in wanted]

    rows = asked(log_url, find)
    assert [row and row["attempt_id"] for row in rows] == ["att_1", "att_2", None]


@pytest.mark.parametrize("log_url", ["sqlite", "postgresql"], indirect=True)
def test_a_response_is_found_with_those_before_it(log_url):
    """a <- b <- c, a <- d, and e, whose earlier one is missing; a note of a deletion is newer than what it replaces."""
    gone = replace(response("b", "a", n=9), input=None, output=None, response=None)
    told = [response("a"), response("b", "a"), response("c", "b"), response("d", "a"), response("e", "x")]
    write(log_url, told[:2], [*told[2:], gone], [response("b", "a")])

    async def chains(store):
        wanted = [("c", 9), ("c", 2), ("d", 9), ("e", 9), ("x", 9)]
        return [[record_of(Kind.RESPONSE, row) for row in await store.chain(key, most)] for key, most in wanted]

    whole, two, branch, torn, none = asked(log_url, chains)
    assert whole == [response("c", "b"), gone, response("a")]
    assert two == whole[:2]
    assert [one.response_key for one in branch] == ["d", "a"]
    assert ([one.response_key for one in torn], none) == (["e"], [])


def test_times_are_kept_in_utc(log_url, stored):
    """15:00 two hours east of Greenwich is 13:00 UTC."""
    east = BEGAN.astimezone(timezone(timedelta(hours=2))).replace(hour=15)
    write(log_url, [decision(created_at=east)])
    (found,) = stored(log_url)
    assert (found.created_at, found.created_at.hour) == (east, 13)


TEXTS = st.text(max_size=8) | st.sampled_from(["\0", "a\ud800b", "\\u0000", "'; DROP TABLE x; --", '{"a": 1}'])
NUMBERS = st.none() | st.floats()
COUNTS = st.none() | st.integers()


@settings(suppress_health_check=list(HealthCheck))
@given(records=st.lists(
    st.builds(
        attempt, st.just(0), attempt_id=TEXTS, model=TEXTS, provider=TEXTS, error_type=TEXTS, status=COUNTS,
        input_tokens=COUNTS, cost_usd=NUMBERS, created_at=st.datetimes(timezones=st.timezones()),
    )
    | st.builds(decision, st.just(0), decision_id=TEXTS, messages=TEXTS, user_id=TEXTS, threshold=NUMBERS),
    max_size=5,
))  # fmt: skip
@pytest.mark.parametrize("log_url", ["sqlite", "postgresql"], indirect=True)
def test_no_record_is_refused(log_url, records):
    """One that were would hold up all that come after it: NUL, lone surrogates, huge numbers, NaN."""
    write(log_url, records)


def test_rows_that_stores_cannot_take_are_made_so_that_they_can():
    """2^63 does not fit; NUL and half a surrogate pair are no text in a database."""
    odd = attempt(model="a\0b", provider="x\ud800", status=2**63, cost_usd=float("nan"))
    _, row = row_of(odd)
    assert record_of(Kind.ATTEMPT, row) == replace(
        odd, model="a\ufffdb", provider="x?", status=2**63 - 1, cost_usd=None
    )


def test_a_user_is_deleted_with_attempts_and_feedback(log_url, stored):
    """Feedback of decision 1 came by the id of its answer; those of user u2 stay."""
    by_answer = feedback(1, decision_id=None, response_id="resp_1")
    records = [decision(1), decision(2), decision(4), attempt(1), attempt(2), by_answer, feedback(2), feedback(4)]
    write(log_url, records[:5], [*records[5:], response("a", user_id="u1"), response("b", user_id="u2")])

    assert asked(log_url, lambda store: store.delete(Selection(user_id="u1"))) == {
        Kind.DECISION: 2,
        Kind.ATTEMPT: 1,
        Kind.FEEDBACK: 2,
        Kind.SESSION: 0,
        Kind.RESPONSE: 1,
    }
    assert stored(log_url) == [decision(2)]
    assert stored(log_url, Kind.ATTEMPT) == [attempt(2)]
    assert stored(log_url, Kind.FEEDBACK) == [feedback(2)]
    assert stored(log_url, Kind.RESPONSE) == [response("b", user_id="u2")]


def test_a_session_is_deleted_with_what_is_remembered_of_it(log_url, stored):
    """Kept under a hash of its caller's key and its id, or under the id where the caller named none."""
    remembered = [session(session_key("k1", "s1")), session("s1"), session(session_key("k2", "s1")), session("s2")]
    answers = [replace(session(f"a{n}"), model=session_key(f"k{n}", "s1")) for n in (1, 2)]
    write(
        log_url,
        [decision(1), decision(2), decision(11), attempt(11), *remembered, *answers, response("a", session_id="s1")],
    )

    deleted = asked(log_url, lambda store: store.delete(Selection(session_id="s1")))
    assert (deleted[Kind.DECISION], deleted[Kind.SESSION], deleted[Kind.RESPONSE]) == (2, 3, 1)
    assert (stored(log_url), stored(log_url, Kind.ATTEMPT)) == ([decision(2)], [])
    assert {each.session_key for each in stored(log_url, Kind.SESSION)} == {"s2", session_key("k2", "s1"), "a2"}


def test_what_is_older_is_deleted_whatever_it_is(log_url, stored):
    """Before 12:00:05: decisions 0-4, the attempts of 0-3 (a second later each), session at 3 s; no feedback."""
    records = [make(n) for n in range(10) for make in (decision, attempt, feedback)]
    write(log_url, [*records, session(n=3), session("other", n=8), response("a", n=4), response("b", n=6)])

    assert asked(log_url, lambda store: store.delete(Selection(before=BEGAN + timedelta(seconds=5)))) == {
        Kind.DECISION: 5,
        Kind.ATTEMPT: 4,
        Kind.FEEDBACK: 0,
        Kind.SESSION: 1,
        Kind.RESPONSE: 1,
    }
    assert stored(log_url) == [decision(n) for n in range(5, 10)]
    assert stored(log_url, Kind.SESSION) == [session("other", n=8)]


def test_rows_are_counted(log_url):
    write(log_url, [decision(1), decision(2), attempt(1)])

    assert asked(log_url, lambda store: store.count()) == dict.fromkeys(Kind, 0) | {Kind.DECISION: 2, Kind.ATTEMPT: 1}


@pytest.mark.parametrize("wrong", [{"created_at": "yesterday"}, {"n_input_tokens": 2**70}, {"user_id": 3.5j}])
def test_a_row_that_no_store_will_take_is_told_from_a_store_that_is_away(log_url, wrong):
    """Rows of records are never so; but one that is must not be tried forever."""
    kind, row = row_of(decision(1))

    async def write_it(store):
        with pytest.raises(RefusedError):
            await store.write({kind: [row | wrong]}, "name")

    write(log_url)
    asked(log_url, write_it)


def test_what_was_deleted_is_not_in_the_files_of_sqlite(tmp_path):
    url = f"sqlite:///{tmp_path}/log.db"
    secret = '"do not keep this"'
    write(url, [decision(n, messages=secret) for n in range(3)])

    async def delete(store):
        before = secret.encode() in b"".join(path.read_bytes() for path in tmp_path.glob("log.db*"))
        await store.delete(Selection(before=BEGAN + timedelta(days=1)))
        return before, secret.encode() in b"".join(path.read_bytes() for path in tmp_path.glob("log.db*"))

    assert asked(url, delete) == (True, False)


def test_a_row_of_an_older_version_lacks_fields(log_url):
    """As one does that lay in the spool while the service was upgraded."""
    kind, row = row_of(decision(1))
    del row["threshold"], row["excluded"]

    async def write_and_read(store):
        await store.write({kind: [row]}, "name")
        return await store.read(kind, decision(1).decision_id)

    write(log_url)
    assert record_of(kind, asked(log_url, write_and_read)) == replace(decision(1), threshold=None, excluded=())


@pytest.mark.parametrize("log_url", ["sqlite", "postgresql"], indirect=True)
def test_what_a_key_has_spent_is_added_up(log_url):
    """0.002 USD a call, at 1 s, 2 s and 3 s; one is another key's, and one was only reported."""
    reported = attempt(4, authority="own")
    since = [BEGAN, BEGAN + timedelta(seconds=2), BEGAN + timedelta(days=1)]
    write(log_url, [attempt(0), attempt(1), attempt(2), attempt(3, key_id="k2"), reported])
    assert asked(log_url, lambda store: store.spent_usd("k1", since)) == pytest.approx([0.006, 0.004, 0.0])
