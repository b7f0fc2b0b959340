import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_log import MemoryLog

from router_model.serving.common.turn_marks import marks_of
from router_model.serving.decision_log.log_records import SessionRecord
from router_model.serving.decision_log.session_keys import session_key
from router_model.serving.engine.sessions.memory import SessionMemory
from router_model.serving.engine.sessions.sessions import Sessions
from router_model.serving.engine.sessions.store import LogStore

OWNER = "12345678"
"""What keys of one caller's sessions begin with."""


def record(key="k", model="m", at=0.0, n=10):
    return SessionRecord(key, model, datetime.fromtimestamp(at, UTC), n)


def memory(max_sessions=3, ttl_s=100.0):
    return SessionMemory(max_sessions=max_sessions, ttl_s=ttl_s)


class Store:
    """A shared store that does what a test says."""

    local_lives_s = 1.0

    def __init__(self, answer=None):
        self.answer, self.asked, self.written, self.counts = answer, 0, [], {}
        self.wait = None

    async def start(self): ...

    async def close(self): ...

    async def read(self, _key):
        self.asked += 1
        if self.wait is not None:
            await self.wait.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def write(self, one):
        self.written.append(one)


def test_a_session_is_forgotten_after_its_time():
    sessions = memory(ttl_s=100.0)
    sessions.put(record(at=50.0))
    assert sessions.get("k", now=150.0) == record(at=50.0)
    assert sessions.get("k", now=150.1) is None
    assert len(sessions) == 0


def test_the_longest_silent_one_goes_first():
    sessions = memory(max_sessions=2)
    for key, at in (("a", 1.0), ("b", 2.0), ("a", 3.0), ("c", 4.0)):
        sessions.put(record(OWNER + key, at=at))
    assert [sessions.get(OWNER + key, now=5.0) is not None for key in "abc"] == [True, False, True]


def test_a_caller_cannot_drive_out_anothers_sessions():
    """The healthy one's is the oldest; of 1,000 that the hostile one makes up, two stay beside it."""
    sessions, keys = memory(max_sessions=3), [session_key("hostile", f"s{n}") for n in range(1000)]
    sessions.put(record(session_key("healthy", "s"), at=1.0))
    for key in keys:
        sessions.put(record(key, at=2.0))
    assert sessions.get(session_key("healthy", "s"), now=5.0) is not None
    assert [key for key in keys if sessions.get(key, now=5.0)] == keys[-2:]


@given(st.permutations([1.0, 2.0, 3.0, 4.0]))
def test_the_newest_stays_in_whatever_order_they_come(times):
    sessions = memory()
    for at in times:
        sessions.put(record(model=f"m{at}", at=at))
    assert sessions.get("k", now=5.0).model == "m4.0"


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 50)), max_size=60), st.integers(1, 4))
def test_memory_is_bounded_and_agrees_with_a_plain_reference(events, most):
    sessions, reference, now = SessionMemory(max_sessions=most, ttl_s=20.0), {}, 0.0
    for key, step in events:
        now += step
        sessions.put(record(OWNER + key, at=now))
        reference.pop(key, None)
        reference[key] = now
        assert len(sessions) <= most
    alive = {key for key, at in list(reference.items())[-most:] if now - at <= 20}
    assert {key for key in "abcdef" if sessions.get(OWNER + key, now=now)} == alive


async def test_what_another_worker_remembers_is_found_and_the_newest_counts():
    now, store = [10.0], Store(record(model="theirs", at=9.0))
    sessions = Sessions(memory(), store, clock=lambda: now[0])
    assert (await sessions.find("k")).model == "theirs"
    sessions.remember(record(model="ours", at=10.0))
    assert store.written == [record(model="ours", at=10.0)]
    assert (await sessions.find("k")).model == "ours"
    assert store.asked == 1
    now[0], store.answer = 20.0, record(model="older", at=5.0)
    assert (await sessions.find("k")).model == "ours"
    store.answer = record(model="newer", at=19.0)
    assert (await sessions.find("k")).model == "newer"


async def test_what_is_not_there_is_not_asked_for_again_at_once():
    now, store = [10.0], Store()
    sessions = Sessions(memory(), store, clock=lambda: now[0])
    for _ in range(5):
        assert await sessions.find("k") is None
    assert store.asked == 1
    sessions.remember(record(at=10.0))
    assert await sessions.find("k") is not None
    now[0] = 13.0
    assert await sessions.find("other") is None
    assert store.asked == 2


async def test_a_store_that_fails_is_left_alone_for_a_while():
    now, store = [10.0], Store(OSError("away"))
    sessions = Sessions(memory(), store, clock=lambda: now[0])
    for i in range(5):
        assert await sessions.find(f"k{i}") is None
    assert (store.asked, sessions.counts["store_failures"]) == (1, 1)
    now[0], store.answer = 11.0, record(at=10.5)
    assert await sessions.find("k") is not None


async def test_a_late_answer_is_kept_for_the_next_turn():
    store = Store(record(at=10.0))
    store.wait = asyncio.Event()
    sessions = Sessions(memory(), store, clock=lambda: 10.0, patience_s=0.001)
    assert await sessions.find("k") is None
    assert sessions.counts["store_timeouts"] == 1
    assert await sessions.find("k") is None
    assert store.asked == 1
    store.wait.set()
    await asyncio.gather(*sessions._pending)
    await asyncio.sleep(0)
    assert (await sessions.find("k")).model == "m"
    await sessions.close()


async def test_questions_that_are_late_do_not_pile_up():
    now, store = [10.0], Store()
    store.wait = asyncio.Event()
    sessions = Sessions(memory(), store, clock=lambda: now[0], patience_s=0.0)
    for i in range(200):
        now[0] += 10.0
        assert await sessions.find(f"k{i}") is None
    assert store.asked == 64
    await sessions.close()


async def test_the_log_is_a_store():
    log = MemoryLog()
    one, other = (Sessions(memory(), LogStore(log), clock=lambda: 10.0) for _ in range(2))
    one.remember(record(at=9.0))
    assert await other.find("k") == record(at=9.0)
    await one.start()
    assert one.counts == {"in_memory": 1, "store_failures": 0, "store_timeouts": 0}
    await one.close()


TURNS = [
    {"role": "user", "content": "add subtract multiply divide number sum 12 45 7 total minus plus"},
    {"role": "assistant", "content": "64"},
    {"role": "user", "content": "commit it"},
]
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}


async def test_a_follow_up_finds_the_session_of_its_first_turn(bench, query):
    """Nobody names the session: the conversation's beginning does."""
    async with bench() as b:
        first = await b.engine.decide(query(TURNS[:1], target_success=0.6))
        later = await b.engine.decide(query(TURNS, target_success=0.6))
        assert first.model == later.model == "small"
        assert (first.reason, later.reason) == ("cheapest_above_bar", "session")
        assert first.session_id == later.session_id
        assert b.engine.status["sessions"]["in_memory"] == 1
        again = await b.engine.decide(query(TURNS[:1], target_success=0.6))
        assert again.reason == "cheapest_above_bar"


async def test_a_follow_up_is_decided_with_its_conversation(bench, query):
    """'commit it' after code is read with the code: its candidates are ranked as the code's are, session or not."""
    code = "def return import class loop list index function bug compile string array"
    turns = [{"role": "user", "content": code}, {"role": "assistant", "content": "Done."}, TURNS[-1]]
    async with bench() as b:
        first = await b.engine.decide(query(turns[:1], target_success=0.6))
        alone = await b.engine.decide(query([turns[-1]], target_success=0.6))
        fresh = await b.engine.decide(query(turns, target_success=0.6, session_id="new"))
        kept = await b.engine.decide(query(turns, target_success=0.6))
        assert first.model == fresh.model == kept.model == "coder"
        p = {
            routed.decision_id: {step.model: step.p_success for step in routed.plan} for routed in (first, fresh, alone)
        }
        near, far = (abs(p[one.decision_id]["small"] - p[first.decision_id]["small"]) for one in (fresh, alone))
        assert near < far


async def test_a_named_session_keeps_its_model_in_a_tool_loop_only_while_it_is_a_candidate(bench, query):
    async with bench() as b:
        named = {"session_id": "s", "target_success": 0.6}
        assert (await b.engine.decide(query(TURNS[:1], **named))).model == "small"
        poem = {"role": "user", "content": "river moon verse rhyme autumn silence wind lantern"}
        assert (await b.engine.decide(query([poem, CALL], **named))).model == "small"
        excluded = await b.engine.decide(query([poem, CALL], body={"tools": [{"type": "f"}]}, **named))
        assert excluded.model != "small"
        assert (await b.engine.decide(query([poem], **named))).model == "large"


POEM = {"role": "user", "content": "river moon verse rhyme autumn silence wind lantern"}
ASKED = {"role": "assistant", "content": None, "tool_calls": [{"id": "call_8f0a2b1c44d0", "function": {"name": "f"}}]}
READ = {"role": "tool", "tool_call_id": "call_8f0a2b1c44d0", "content": "64"}
MARK = "call:call_8f0a2b1c44d0"


def at(minute, *turns):
    return [{"role": "system", "content": f"It is 03:{minute:02d}."}, *turns]


@pytest.mark.parametrize("store", ["memory", "log"])
async def test_a_clock_in_the_system_prompt_does_not_lose_the_conversation(bench, query, store):
    """The conversation began with a sum; its later turns, alone, would be answered by 'large'. Workers share that."""
    log, cheap = MemoryLog(), {"target_success": 0.6}
    async with bench(log=log, session_store=store) as b, bench(log=log, session_store="log") as other:
        first = await b.engine.decide(query(at(0, TURNS[0]), **cheap))
        unknown = await b.engine.decide(query(at(1, POEM, ASKED, READ), **cheap))
        b.clock.now += 60
        b.engine.conversations.heard(first, MARK, key_id="key", user_id=None)
        loop = await b.engine.decide(query(at(2, POEM, ASKED, READ), **cheap))
        assert (first.model, unknown.model) == ("small", "large")
        assert (loop.model, loop.reason, loop.session_id) == ("small", "session", first.session_id)
        later = query(at(3, POEM, ASKED, READ, {"role": "assistant", "content": "64"}, READ), **cheap)
        assert (await b.engine.decide(later)).session_id == first.session_id
        assert ((await other.engine.decide(later)).session_id == first.session_id) == (store == "log")
        theirs = type(later)(**{**as_fields(later), "key_id": "another"})
        assert (await b.engine.decide(theirs)).session_id != first.session_id


async def test_two_conversations_that_were_answered_in_the_same_words_stay_two(bench, query):
    """The second one heard the same long refusal later; the first is known by its beginning, and still begins so."""
    words = "I am sorry, but I cannot help with that. Is there anything else that I can do for you?"
    refusal = {"role": "assistant", "content": words}
    cheap = {"target_success": 0.6}
    async with bench() as b:
        sums = await b.engine.decide(query([TURNS[0]], **cheap))
        poems = await b.engine.decide(query([POEM], **cheap))
        for routed in (sums, poems):
            b.clock.now += 1
            b.engine.conversations.heard(routed, marks_of([refusal])[0], key_id="key", user_id=None)
        again = await b.engine.decide(query([TURNS[0], refusal, {"role": "user", "content": "ok"}], **cheap))
        assert sums.session_id != poems.session_id
        assert again.session_id == sums.session_id
        late = await b.engine.decide(query(at(1, TURNS[0], refusal, READ), **cheap))
        assert late.session_id == poems.session_id, "with a clock, only the answer is known: the last who heard it"


async def test_who_only_asks_for_decisions_is_recognised_from_the_second_turn_on(bench, query):
    said = {"role": "assistant", "content": "The parser reads every token twice, wherever a comment ends."}
    async with bench() as b:
        second = await b.engine.decide(query(at(1, TURNS[0], said, READ)))
        third = await b.engine.decide(query(at(2, TURNS[0], said, READ, ASKED, READ)))
        fourth = await b.engine.decide(query(at(3, READ, ASKED, READ)))
        assert second.session_id == third.session_id == fourth.session_id


async def test_marks_of_answers_are_bounded_and_asked_of_the_store_at_once():
    store = Store()
    sessions = Sessions(memory(), store, turns=memory(max_sessions=2), clock=lambda: 10.0)
    for n in range(3):
        sessions.recognise(OWNER + f"t{n}", f"s{n}")
    assert await sessions.session_of([OWNER + "t9", OWNER + "t2"]) == "s2"
    assert store.asked == 0
    assert await sessions.session_of([OWNER + "t0", OWNER + "t8"]) is None
    assert store.asked == 2
    store.answer = record(OWNER + "t7", model="s7", at=9.0)
    assert await sessions.session_of([OWNER + "t7"]) == "s7"
    assert (await sessions.session_of([OWNER + "t7"]), store.asked) == ("s7", 3)
    assert [one.model for one in store.written] == ["s0", "s1", "s2", "s2"]
    assert sessions.counts["in_memory"] == 0


async def test_sessions_of_different_callers_do_not_meet(bench, query):
    async with bench() as b:
        poem = {"role": "user", "content": "river moon verse rhyme autumn silence wind lantern"}
        await b.engine.decide(query(TURNS[:1], session_id="s", target_success=0.6))
        other = query([poem, CALL], session_id="s", target_success=0.6)
        mine, theirs = other, type(other)(**{**as_fields(other), "key_id": "another"})
        assert (await b.engine.decide(mine)).reason == "session"
        assert (await b.engine.decide(theirs)).reason != "session"


def as_fields(query):
    return {name: getattr(query, name) for name in query.__dataclass_fields__}


async def test_a_warm_cache_holds_a_session_until_it_is_cold(bench, query, tmp_path):
    """'large' reads some 1,000 pieces at 5 USD a million or, for 300 s after it has read them, for nothing."""
    path = tmp_path / "catalog.toml"
    path.write_text(CACHED)
    long = [{"role": "user", "content": "add subtract multiply divide number sum 12 45 7 " * 60}, *TURNS[1:]]
    async with bench(catalog=path, session_cache_ttl_s=300.0, session_ttl_s=3600.0, explore_share=1.0) as b:
        knobs = {"session_id": "s", "success_value_usd": 0.005, "explore": False}
        cold = await b.engine.decide(query(long, **{**knobs, "session_id": "t"}))
        assert cold.model == "small"
        await b.engine.decide(query(long, **knobs, constraints=only("large")))
        warm = await b.engine.decide(query(long, **{**knobs, "explore": True}))
        assert (warm.model, warm.reason, warm.propensities[0]) == ("large", "session", 1.0)
        by_model = [{step.model: step.expected_cost_usd for step in one.plan} for one in (cold, warm)]
        assert by_model[1]["large"] < by_model[0]["large"]
        assert by_model[1]["small"] == by_model[0]["small"]
        b.clock.now += 301
        assert (await b.engine.decide(query(long, **knobs))).model == "small"


CACHED = """
[models.small]
usd_per_mtok_input = 0.1
usd_per_mtok_output = 0.3
[models.coder]
usd_per_mtok_input = 0.5
usd_per_mtok_output = 1.5
[models.large]
usd_per_mtok_input = 5
usd_per_mtok_cached_input = 0
usd_per_mtok_output = 0.3
"""


def only(model):
    from router_model import Constraints

    return Constraints(allow=(model,))


async def test_a_degraded_answer_keeps_the_model_of_a_tool_loop(bench, query):
    async with bench() as b:
        named = {"session_id": "s", "target_success": 0.6}
        await b.engine.decide(query(TURNS[:1], **named))
        b.replace_router(decide=lambda *_a, **_k: 1 / 0)
        looped = await b.engine.decide(query([TURNS[0], CALL], **named))
        assert ([step.model for step in looped.plan], looped.reason) == (
            ["small", "large", "coder"],
            "fallback_default",
        )
        assert (await b.engine.decide(query(TURNS, **named))).model == "large"


@pytest.mark.parametrize("store", ["memory", "log"])
async def test_workers_share_sessions_through_the_log(bench, query, store):
    log = MemoryLog()
    async with bench(log=log, session_store=store) as one, bench(log=log, session_store=store) as other:
        await one.engine.decide(query(TURNS[:1], target_success=0.6))
        found = await other.engine.decide(query(TURNS, target_success=0.6))
        assert (found.reason == "session") is (store == "log")
        assert found.model == "small"
