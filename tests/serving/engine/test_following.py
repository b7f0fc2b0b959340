"""Levels follow feedback: when, how far, and by whose reports."""

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random

import numpy as np
import pytest
from one_engine import Bench, Clock, one_engine
from simulated_world import CATALOG, POEM, SUM

from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log_records import ANY, OWN, AttemptRecord, FeedbackRecord
from router_model.serving.decision_log.opening import open_log
from router_model.serving.engine.following import (
    ALARM,
    Judged,
    LevelFollower,
    fitted,
    level_shift,
    log_likelihood_ratios,
    narrowed_level,
)

HALF = 0.5


def judged(*grades, predicted=HALF, judge=None):
    return [Judged(predicted, grade, judge) for grade in grades]


def test_evidence_is_counted_by_hand():
    """After n failures at even odds each offset d has the ratio (2 / (1 + e^d))^n; they are averaged, and added up.

    Offsets of -2, -1 and -1/2 have the ratios 1.7616, 1.4621 and 1.2449; 1/2, 1 and 2 have 0.7551, 0.5379, 0.2384.
    """
    ratios = np.array([1.7616, 1.4621, 1.2449, 0.7551, 0.5379, 0.2384])
    sums = np.cumsum([np.mean(ratios**n) for n in range(1, 30)])
    first = int(np.argmax(sums >= ALARM)) + 1
    assert np.exp(log_likelihood_ratios(np.zeros(2), np.zeros(2)))[1] == pytest.approx(ratios**2, abs=1e-3)
    assert level_shift(judged(*[0.0] * (first - 1))) is None
    assert level_shift(judged(*[0.0] * first)).log_odds < -2


def test_the_fit_balances_residuals_and_the_prior():
    """30 of 100 at even odds: sum of residuals 30 - 100 p = the prior's d, so p is a little above 0.3."""
    shift = fitted(np.zeros(100), np.repeat([1.0, 0.0], [30, 70]))
    p = 1 / (1 + np.exp(-shift.log_odds))
    assert 30 - 100 * p == pytest.approx(shift.log_odds, abs=1e-6)
    assert shift.error == pytest.approx((100 * p * (1 - p) + 1) ** -0.5)


def test_only_the_last_answers_count_after_a_change():
    """200 answers as predicted, then 60 failures: the shift is that of the failures, not of the mean."""
    before = judged(*[1.0, 0.0] * 100)
    assert level_shift(before) is None
    assert level_shift(before + judged(*[0.0] * 60)).log_odds == pytest.approx(
        level_shift(judged(*[0.0] * 60)).log_odds, abs=0.3
    )
    assert level_shift(before + judged(*[1.0] * 60)).log_odds > 2


def test_partly_good_answers_count_in_part():
    """Grades of 0.3 where 0.5 was predicted say what three successes of ten say."""
    shift = level_shift(judged(*[0.3] * 300))
    assert shift.log_odds == pytest.approx(np.log(0.3 / 0.7), abs=0.05)


def test_one_key_moves_nothing_and_two_do():
    false, true = [0.0] * 60, [1.0, 0.0] * 60
    assert level_shift(judged(*false)) is not None  # trusted
    assert level_shift(judged(*false, judge="a")) is None
    assert level_shift(judged(*true, judge="b") + judged(*false, judge="a")) is None
    both = level_shift(judged(*false, judge="a") + judged(*false, judge="b"))
    assert both.log_odds == pytest.approx(level_shift(judged(*false)).log_odds, abs=1e-6)


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_said():
    """Of 60 streams of 500 right predictions, whatever they are, about one is to reach the alarm, at most."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(60):
        p = rng.beta(3, 1.5, size=500)
        y = (rng.random(500) < p).astype(float)
        stream = [Judged(*pair) for pair in zip(p.tolist(), y.tolist(), strict=True)]
        alarms += any(level_shift(stream[:n]) is not None for n in range(20, 501, 5))
    assert alarms <= 4  # more have a probability of 0.4 % if one is expected


@pytest.fixture
def following(trained, tmp_path):
    """Return what opens an engine that follows levels, on a log in SQLite."""

    @asynccontextmanager
    async def opened(rng=None, **changes):
        settings = Settings(
            artifact=trained.path,
            decision_deadline_s=30.0,
            reload_every_s=3600.0,
            log_spool=tmp_path / "spool",
            log_flush_s=0.1,
            **{"log": f"sqlite:///{tmp_path / 'log.db'}", "follow_levels": 1.5, "follow_every_s": 3600.0} | changes,
        )
        log, clock = open_log(settings), Clock()
        await log.start()
        try:
            async with one_engine(settings, log=log, clock=clock, rng=rng) as engine:
                yield Bench(engine, log, clock)
        finally:
            await log.close(10)

    return opened


def report(routed, score, n, **fields):
    at = routed.created_at + timedelta(seconds=1)
    known = {"key_id": "admin", "authority": ANY} | fields
    return FeedbackRecord(f"fb_{n}", at, routed.decision_id, None, score, "user", "quality", None, **known)


async def judge(b, query, n, *, score, start=0, **fields):
    """Decide `n` times, judge each answer of the chosen model, and wait until the engine has read it all."""
    for i in range(start, start + n):
        routed = await b.engine.decide(query(SUM, target_success=0.6))
        b.log.put(report(routed, score, i, **fields))
        b.clock.now += 1
    await read(b, start + n)
    return routed


async def read(b, n):
    """Let the engine follow until it has read `n` reports: the log may take them to its spool first."""
    give_up_at = time.monotonic() + 40
    while time.monotonic() < give_up_at:
        await b.log.flush(30)
        await b.engine.follow_levels()
        levels = b.engine.status["levels"]
        if levels is None or sum(levels["judged"].values()) >= n:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{n} reports were not read: {levels}, {b.log.stats}")


async def test_feedback_moves_a_level_and_the_log_says_by_how_much(following, query):
    async def check(b):
        policy = b.engine.policy_version
        first = await judge(b, query, 10, score=0.0)
        assert first.model == "small"
        assert b.engine.status["levels"]["shifts"] == {}
        assert b.engine.status["levels"]["judged"] == {"small": 10}
        assert b.engine.policy_version == policy
        await judge(b, query, 10, score=0.0, start=10)
        status = b.engine.status["levels"]
        assert status["shifts"]["small"]["log_odds"] == -1.5  # the bound
        assert (status["judged"], status["failed"]) == ({"small": 20}, None)
        assert b.engine.policy_version != policy
        routed = await b.engine.decide(query(SUM, target_success=0.6))
        assert routed.model != "small"
        await b.log.flush(30)
        logged = {one.model: one for one in (await b.log.decision(routed.decision_id)).candidates}
        assert {model: one.level_shift for model, one in logged.items()} == {"small": -1.5, "large": 0.0, "coder": 0.0}
        # The same artifact, loaded again, keeps the levels; the predictions that are compared are without the shift.
        await b.engine.reload()
        assert b.engine.router.levels.log_odds("small") == -1.5
        before = next(one for one in first.plan if one.model == "small").p_success
        (known,) = {round(one.predicted, 4) for one in b.engine._follower._judged["small"].values()}
        assert known == pytest.approx(before, abs=1e-3)
        # Another worker, or the next start, reads the same log and finds the same.
        async with following() as other:
            await other.engine.follow_levels()
            assert other.engine.router.levels == b.engine.router.levels
            assert other.engine.policy_version == b.engine.policy_version

    async with following() as b:
        await check(b)


@pytest.mark.parametrize(("settings", "follows"), [({}, True), ({"follow_levels": 0.0}, False)])
async def test_levels_stay_as_trained_by_default_and_by_one_keys_word(following, query, settings, follows):
    async with following(**settings) as b:
        await judge(b, query, 25, score=0.0, key_id="key", authority=OWN)
        assert b.engine.router.levels is None
        assert (b.engine.status["levels"] is not None) is follows


async def test_feedback_by_the_answers_id_counts_for_the_model_that_answered(following, query, database_url):
    async with following(log=database_url) as b:
        for i in range(20):
            routed = await b.engine.decide(query(SUM, target_success=0.6))
            told = {"key_id": "admin", "authority": ANY, "status": 200, "response_id": f"r{i}"}
            b.log.put(AttemptRecord(f"att_{i}", routed.decision_id, routed.created_at, model="large", **told))
            about = report(routed, 0.0, i)
            b.log.put(FeedbackRecord(**{**as_dict(about), "decision_id": None, "response_id": f"r{i}"}))
        await read(b, 20)
        assert list(b.engine.status["levels"]["shifts"]) == ["large"]


def as_dict(record):
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


async def test_a_log_that_cannot_be_read_changes_nothing(following, query, tmp_path, caplog):
    async with following() as b:
        await judge(b, query, 25, score=0.0)
        levels = b.engine.router.levels
        assert levels is not None
        with sqlite3.connect(tmp_path / "log.db") as connection:
            connection.execute("ALTER TABLE router_feedback RENAME TO gone")
        await b.engine.follow_levels()
        assert b.engine.router.levels == levels
        assert "StoreError" in b.engine.status["levels"]["failed"]
    assert "feedback could not be read for levels, 1 times" in caplog.text


@pytest.mark.parametrize("log", ["none", "parquet:folder"])
def test_a_log_without_a_database_is_refused(log):
    with pytest.raises(SettingsError, match="--follow-levels reads feedback from the log, and .* is no database"):
        LevelFollower.of(Settings(artifact="a", log=log, follow_levels=1.0), clock=lambda: 0.0)
    assert LevelFollower.of(Settings(artifact="a", log=log), clock=lambda: 0.0) is None


def test_every_judged_answer_narrows_an_announced_level():
    """With n answers at even odds the information is n/4 and that of the prior, 1/0.5^2 = 4."""
    even = judged(*[0.0, 1.0] * 10)
    assert narrowed_level(even, 0.5).error == pytest.approx((20 / 4 + 4) ** -0.5)
    assert narrowed_level(even, 0.5).log_odds == pytest.approx(0, abs=1e-9)
    assert narrowed_level([], 0.5).error == 0.5


def test_no_single_key_moves_an_announced_level():
    one, others = judged(*[1.0] * 40, judge="one"), judged(*[0.0] * 10, judge="two")
    assert narrowed_level(one, 0.5).log_odds == 0
    assert narrowed_level([*one, *others], 0.5).log_odds == 0  # without the first, the second says the opposite
    trusted = narrowed_level([*one, *judged(*[1.0] * 40)], 0.5)
    assert 0 < trusted.log_odds == narrowed_level(judged(*[1.0] * 40), 0.5).log_odds


CROWD = "".join(
    f"[models.{name}]\nusd_per_mtok_input = 0.1\nusd_per_mtok_output = 0.3\naccuracy = 0.6\naccuracy_prompts = 40\n"
    for name in ["better", *(f"worse{i}" for i in range(9))]
)
"""Ten announced models that are cheap; the catalog says the same of each."""


@pytest.mark.slow
async def test_a_better_model_is_found_among_announced_ones(following, query, tmp_path):
    """One of ten answers poems as the dear model does, and the others as the cheap one: feedback shows which.

    Each answer is judged. What is drawn costs no more than the bound, and the log has the probability of each draw.
    """
    (tmp_path / "catalog.toml").write_text(CATALOG + CROWD)
    rng, settings = Random(0), {"explore_share": 0.4, "explore_max_cost_ratio": 3.0, "rng": Random(0)}

    async def ruled(b):
        return (await b.engine.decide(query(POEM, quality_value_usd=0.01, explore=False))).plan

    async def check(b):
        before, asked = await ruled(b), []
        assert before[0].model == "large"
        while len(asked) < 300 and (await ruled(b))[0].model != "better":
            for i in range(len(asked), len(asked) + 20):
                routed = await b.engine.decide(query(f"{POEM} {i}", quality_value_usd=0.01))
                good = rng.random() < (0.9 if routed.model in ("better", "large") else 0.3)
                b.log.put(report(routed, float(good), i))
                b.clock.now += 1
                asked.append(routed)
            await read(b, len(asked))
        first, (was,) = (await ruled(b))[0], [step for step in before if step.model == "better"]
        assert first.model == "better"
        assert first.level_error < was.level_error
        assert first.caution < was.caution
        assert b.engine.router.levels.log_odds("better") > 0
        explored = [one for one in asked if one.explored]
        assert len(explored) == pytest.approx(0.4 * len(asked), rel=0.5)
        rules_choice = [max(zip(one.propensities, one.plan, strict=True), key=lambda pair: pair[0])[1] for one in asked]
        for one, ruled_one in zip(asked, rules_choice, strict=True):
            assert sum(one.propensities) == pytest.approx(1)
            assert one.plan[0].expected_cost_usd <= 3.0 * ruled_one.expected_cost_usd + 1e-12
        await b.log.flush(30)
        logged = (await b.log.decision(explored[-1].decision_id)).candidates[0]
        assert (logged.model, logged.propensity) == (explored[-1].model, pytest.approx(explored[-1].propensities[0]))

    async with following(catalog=tmp_path / "catalog.toml", **settings) as b:
        await check(b)
