"""A challenger beside the champion: the log says what it would have chosen, and no request fails because of it."""

import asyncio
import shutil
import threading
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import pytest
from scipy.stats import chisquare
from simulated_world import POEM, SUM
from waiting import until

from router_model import RequestError
from router_model.saved.artifact import read_manifest
from router_model.saved.place import Mode, Place
from router_model.serving.engine.challenger import position_of_session
from router_model.serving.engine.shadow import MOST_WAITING

pytestmark = pytest.mark.usefixtures("untried")

CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}


@pytest.fixture(scope="module")
def published(valued, tmp_path_factory):
    """A place that serves `dear`, for which quality is all; to be copied."""
    place = Place(tmp_path_factory.mktemp("published") / "routers")
    place.publish(valued["dear"], {}, instead_of=None)
    return place


@pytest.fixture
def place(published, tmp_path):
    return Place(shutil.copytree(published.folder, tmp_path / "routers"))


@pytest.fixture
def contest(bench, place, valued):
    """Return what opens an engine that serves `dear`, with `cheap` as its challenger."""

    @asynccontextmanager
    async def opened(mode, share, **settings):
        pointer = place.challenge(valued["cheap"], mode, share)
        async with bench(artifact=place.folder, **settings) as b:
            await b.engine.challenging.follow()
            assert b.engine.challenging.contender.pointer.router == pointer.router
            yield b

    return opened


def asked_of(b, mode):
    return b.engine.status["challenger"]["asked"].get(mode, {})


def replace_challenger(b, **methods):
    """Let the challenger's methods be others."""
    served = b.engine.challenging.contender.served
    router = type("Stub", (), {"__getattr__": lambda _, name: methods.get(name) or getattr(served.router, name)})()
    contender = replace(b.engine.challenging.contender, served=replace(served, router=router))
    b.engine.challenging.take(contender)


async def settled(b, n):
    """Wait until the log has n decisions."""
    for _ in range(1000):
        if len(b.log.decisions) >= n:
            return b.log.decisions
        await asyncio.sleep(0.005)
    return pytest.fail(f"{len(b.log.decisions)} of {n} decisions were logged")


async def test_a_shadow_is_noted_and_changes_nothing(contest, query, place):
    """The champion takes the best model, the challenger the cheapest."""
    async with contest(Mode.SHADOW, 1.0) as b:
        routed = await b.engine.decide(query(POEM))
        assert (routed.model, routed.trial, b.log.decisions) == ("large", None, [])
        (record,) = await settled(b, 1)
        assert (record.decision_id, record.model) == (routed.decision_id, "large")
        assert [one.propensity for one in record.candidates] == [1, 0, 0]
        assert (record.challenger, record.challenger_model) == (place.challenger.router, "small")
        assert (record.arm, record.canary_share) == (None, None)
        status = b.engine.status["challenger"]
        assert (status["mode"], status["loaded"], status["refused"]) == ("shadow", True, None)
        assert status["asked"] == {"shadow": {"different": 1}}
        assert status["moves"] == [{"from": "large", "to": "small", "n": 1}]
        await b.engine.decide_batch([query(POEM), query(SUM)])
        assert len(await settled(b, 3)) == 3


async def test_a_canary_has_its_sessions_from_the_first_request_on(place, valued, bench, query):
    """A worker that has just started answered them with the champion, until it had looked at the place."""
    place.challenge(valued["cheap"], Mode.CANARY, 1.0)
    async with bench(artifact=place.folder) as b:
        routed = await b.engine.decide(query(POEM))
        assert (routed.model, routed.trial.arm) == ("small", "challenger")


async def test_a_shadow_that_has_used_up_its_share_skips_and_every_decision_is_logged(contest, query):
    async with contest(Mode.SHADOW, 1e-6) as b:
        for n in range(1, 4):
            await b.engine.decide(query(POEM))
            await settled(b, n)
        assert asked_of(b, "shadow") == {"different": 1, "skipped": 2}
        assert [one.challenger_model for one in b.log.decisions] == ["small", None, None]


async def test_a_shadow_that_hangs_holds_up_few_records_and_the_end_writes_them(contest, query):
    free = threading.Event()
    async with contest(Mode.SHADOW, 1.0) as b:
        replace_challenger(b, decide=lambda *_a, **_k: free.wait(30))
        for _ in range(MOST_WAITING + 5):
            await b.engine.decide(query(POEM))
        n_skipped, log = asked_of(b, "shadow")["skipped"], b.log
        assert n_skipped in {4, 5}  # the challenger may have one in hand
        assert len(log.decisions) == n_skipped
    free.set()
    assert len({one.decision_id for one in log.decisions}) == MOST_WAITING + 5


async def test_where_two_disagree_answers_come_as_often_as_their_logged_propensities_say(contest, query):
    """800 answers to one request: 0.4 for the challenger's choice, else as the champion explores, 0.1 each."""
    settings = {"explore_share": 0.3, "explore_max_p_drop": 1.0, "explore_max_cost_ratio": 1e9}
    expected = {"large": 0.6 * 0.8, "coder": 0.6 * 0.1, "small": 0.4 + 0.6 * 0.1}
    async with contest(Mode.EXPLORE, 0.4, rng=Random(3), **settings) as b:
        engine = b.engine
        decision = engine.router.decide([POEM], query(POEM).goal, keep_features=True)[0]
        other = engine.challenging.contender.router.decide([POEM], query(POEM).goal)[0]
        b.replace_router(decide=lambda *_a, **_k: [decision])
        replace_challenger(b, decide=lambda *_a, **_k: [other])
        drawn = Counter()
        for _ in range(800):
            routed = await engine.decide(query(POEM))
            drawn[routed.model] += 1
            by_model = dict(zip([step.model for step in routed.plan], routed.propensities, strict=True))
            assert by_model == pytest.approx(expected)
            assert sum(routed.propensities) == pytest.approx(1)
            assert routed.explored is (routed.model != "large") is (routed.reason == "explored")
            assert routed.plan[1 if routed.explored else 0].model == "large"
        counts = [drawn[model] for model in expected]
        assert chisquare(counts, [800 * p for p in expected.values()]).pvalue > 0.001
        record = b.log.decisions[-1]
        assert [one.propensity for one in record.candidates] == list(routed.propensities)
        assert record.challenger_model == "small"
        assert record.policy_version != engine.policy_version


async def test_where_they_agree_nothing_is_drawn(contest, query):
    """Among the cheapest alone, both choose it."""
    async with contest(Mode.EXPLORE, 0.5) as b:
        for _ in range(20):
            routed = await b.engine.decide(query(POEM, success_value_usd=0.0))
            assert (routed.model, routed.explored, routed.propensities) == ("small", False, [1, 0, 0])
            assert routed.trial.model == "small"
        assert asked_of(b, "explore") == {"same": 20}


async def test_what_must_not_be_drawn_is_not(contest, query):
    async with contest(Mode.EXPLORE, 0.5, rng=Random(0)) as b:
        said = [{"role": "user", "content": POEM}]
        decide, promised = b.engine.router.decide, type("Promise", (), {"certified": True})()
        plain = {"decide": decide}
        certified = {"decide": lambda *a, **k: [replace(one, certificate=promised) for one in decide(*a, **k)]}
        await b.engine.decide(query(said, session_id="warm", explore=False))
        cases = {
            "asked not to": (plain, query(said, explore=False)),
            "tool loop": (plain, query([*said, CALL])),
            "warm": (plain, query(said, session_id="warm")),
            "certified": (certified, query(said)),
            "degraded": ({"decide": lambda *_a, **_k: 1 / 0}, query(said)),
        }
        for why, (methods, asked) in cases.items():
            b.replace_router(**methods)
            for _ in range(8):
                routed = await b.engine.decide(asked)
                assert (routed.explored, routed.propensities) == (False, [1, 0, 0]), why
        assert asked_of(b, "explore") == {}


async def test_a_model_that_only_the_challenger_has_is_drawn_too(contest, query):
    """The champion knows of 'new' that it had no outcomes; the challenger learned from some."""
    async with contest(Mode.EXPLORE, 0.5, rng=Random(0)) as b:
        decide = b.engine.challenging.contender.router.decide

        def with_new(*args, **given):
            (one,) = decide(*args, **given)
            return [replace(one, plan=(replace(one.plan[0], model="new"), *one.plan))]

        replace_challenger(b, decide=with_new)
        contender = b.engine.challenging.contender
        cards = {**contender.served.default_plan.cards}
        cards["new"] = replace(cards["small"], provider="elsewhere")
        plan = replace(contender.served.default_plan, cards=cards)
        b.engine.challenging.take(replace(contender, served=replace(contender.served, default_plan=plan)))
        answers = [await b.engine.decide(query(POEM)) for _ in range(40)]
        assert {one.model for one in answers} == {"large", "new"}
        drawn = next(one for one in answers if one.explored)
        assert [step.model for step in drawn.plan] == ["new", "large", "small", "coder"]
        assert (drawn.propensities, drawn.providers[0]) == ([0.5, 0.5, 0, 0], "elsewhere")


async def test_a_canary_has_its_share_of_sessions_and_a_larger_one_keeps_them(contest, query, place, valued):
    async def answers(share):
        async with contest(Mode.CANARY, share) as b:
            for i in range(60):
                await b.engine.decide(query(POEM, session_id=str(i)))
            batch = await b.engine.decide_batch([query(POEM, session_id=str(i)) for i in range(20)])
            records = {one.session_id: one for one in b.log.decisions[:60]}
            assert [one.trial.arm for one in batch] == [records[str(i)].arm for i in range(20)]
            return records

    first, more = [await answers(share) for share in (0.3, 0.6)]
    canary = {name for name, one in first.items() if one.arm == "challenger"}
    assert 8 < len(canary) < 30
    assert canary < {name for name, one in more.items() if one.arm == "challenger"}
    for name, one in first.items():
        assert (one.model, one.artifact == read_manifest(valued["cheap"])["content_hash"]) == (
            ("small", True) if name in canary else ("large", False)
        )
        assert (one.challenger, one.canary_share, one.challenger_model) == (place.challenger.router, 0.3, None)


def test_sessions_fall_evenly_and_differently_for_each_challenger():
    a, b = ([position_of_session(str(i), name) for i in range(2000)] for name in ("a", "b"))
    counts = Counter(int(10 * x) for x in a)
    assert chisquare([counts[i] for i in range(10)]).pvalue > 0.001
    both = sum(x < 0.3 and y < 0.3 for x, y in zip(a, b, strict=True))
    assert both == pytest.approx(2000 * 0.09, abs=60)


@pytest.mark.parametrize("fault", ["raises", "hangs", "says what is not a number"])
async def test_a_challenger_that_fails_costs_no_request(contest, query, fault):
    free = threading.Event()
    async with contest(Mode.CANARY, 1.0, decision_deadline_s=0.6) as b:
        decide = b.engine.challenging.contender.router.decide

        def broken(*args, **given):
            if fault == "raises":
                raise RequestError("a fault")
            if fault == "hangs":
                free.wait(30)
            (one,) = decide(*args, **given)
            return [replace(one, plan=(replace(one.plan[0], p_success=float("nan")),))]

        replace_challenger(b, decide=broken)
        contender = b.engine.challenging.contender
        for i, mode in enumerate(Mode):
            share = 0.5 if mode is Mode.EXPLORE else 1.0
            b.engine.challenging.take(replace(contender, pointer=replace(contender.pointer, mode=mode, share=share)))
            for n in range(1, 4):
                routed = await b.engine.decide(query(POEM))
                assert (routed.model, routed.degraded, list(routed.propensities)) == ("large", False, [1, 0, 0])
                record = (await settled(b, 3 * i + n))[-1]
                assert record.arm == ("champion" if mode is Mode.CANARY else None)
                assert (record.challenger, record.challenger_model) == (contender.pointer.router, None)
            assert asked_of(b, mode.value) == {"too_slow" if fault == "hangs" else "failed": 3}
        free.set()


async def test_a_service_follows_the_pointer_and_outlives_a_damaged_one(bench, query, place, valued):
    async with bench(artifact=place.folder / "current", reload_every_s=0.01) as b:
        assert b.engine.status["challenger"] is None
        pointer = place.challenge(valued["cheap"], Mode.CANARY, 1.0)
        await until(lambda: b.engine.challenging.contender is not None)
        assert (await b.engine.decide(query(POEM))).model == "small"
        (place.folder / "challenger").write_text("{")
        await until(lambda: b.engine.challenging.contender is None)
        assert "is damaged" in b.engine.status["challenger"]["refused"]
        place.challenge(valued["cheap"], Mode.CANARY, 0.5)
        await until(lambda: b.engine.challenging.contender is not None)
        (place.folder / pointer.router / "arrays.safetensors").write_bytes(b"short")
        await until(lambda: b.engine.challenging.contender is None)
        assert (await b.engine.decide(query(POEM))).model == "large"
        place.stop_challenge()
        await until(lambda: b.engine.status["challenger"] is None)
