"""Simulated production: what the log says is what the world brought."""

import json
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from asked_log import asked
from command_line import run_command
from log_records import decision
from simulated_world import POEM, SUM
from simulated_world import simulate as draw_table

from router_model.commands.simulate import read_world
from router_model.errors import ArtifactError, RequestError
from router_model.levels import Levels, Shift
from router_model.router import Router
from router_model.saved.place import Mode
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.export import export_log
from router_model.serving.decision_log.opening import open_spool
from router_model.serving.decision_log.rows import batch_of, row_of
from router_model.serving.decision_log.store import Period
from router_model.serving.simulation.simulate import Trying, simulate
from router_model.serving.simulation.traffic import ADVERSARY, Traffic
from router_model.serving.simulation.world import PriceChange, QualityChange, Redirect, Retirement, World

N = 1200


@pytest.fixture(scope="module")
def world(trained, tmp_path_factory) -> World:
    """200 prompts that the router never saw, with their outcomes of three models."""
    path = tmp_path_factory.mktemp("world") / "outcomes.parquet"
    draw_table(200, seed=7).write_parquet(path)
    return read_world(path, trained.router).world


@pytest.fixture(scope="module")
def play(trained, world, tmp_path_factory):
    """Return what simulates, and the path of its SQLite log."""

    def run(*changes, of=world, log=None, explore_share=0.3, seed=0, append=False, follow_levels=0.0, **traffic):
        folder = tmp_path_factory.mktemp("log")
        path = log or folder / "sim.db"
        settings = Settings(
            artifact=trained.path,
            log=f"sqlite:///{path}",
            log_spool=folder / "spool",
            explore_share=explore_share,
            explore_max_cost_ratio=1000,
            follow_levels=follow_levels,
        )
        requests = Traffic(**{"n_requests": 300, "feedback": 1.0} | traffic)
        return simulate(settings, of, requests, changes=changes, seed=seed, append=append), path

    return run


@pytest.fixture(scope="module")
def busy(play):
    """A long simulation of everything that can happen without a change."""
    return play(n_requests=N, turns=2, degraded=0.05, feedback=0.4, duplicates=0.2, noise=0.1, adversary=0.05)


def read(path, query):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        return connection.execute(query).fetchall()


def exported(path, tmp_path):
    """Return the log as an outcome table that has gone through ``router-model import``, by decision."""
    asked(f"sqlite:///{path}", lambda store: export_log(store, tmp_path / "log.parquet", Period()))
    done = run_command("import", tmp_path / "log.parquet", "--out", tmp_path / "table.parquet")
    assert done.returncode == 0, done.stderr
    return {row["prompt_id"]: row for row in pl.read_parquet(tmp_path / "table.parquet").iter_rows(named=True)}


def test_three_prompts_by_hand(trained, world):
    """Two sums that all models but ``small`` solve, a poem that only ``large`` can write; prices 1, 2 and 3.

    With s sums among n requests ``coder`` is right on s of them, ``large`` on all, and hindsight takes ``coder`` at 1
    for sums and ``large`` at 2 for poems.
    """
    assert world.models == ("coder", "large", "small")
    quality = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    unknown = np.full((3, 3), np.nan)
    cost_usd, prompts, tasks = np.tile([1.0, 2.0, 3.0], (3, 1)), [SUM, f"{SUM} 9", POEM], ["sum", "sum", "poem"]
    tiny = World(prompts, tasks, world.models, quality, cost_usd, unknown, unknown, unknown)
    done = simulate(Settings(artifact=trained.path, log="none"), tiny, Traffic(n_requests=50))
    n_sums = int((done.rows < 2).sum())
    values = {value.label: (value.quality, value.cost_usd) for value in done.values()}
    assert 20 < n_sums < 45
    assert values["coder"] == (n_sums / 50, 1)
    assert values["large"] == (1, 2)
    assert values["small"] == (0, 3)
    assert values["in hindsight"] == pytest.approx((1, (n_sums + 2 * (50 - n_sums)) / 50))
    assert done.values().singles[0].label == "large"
    right = sum(quality[row, model] for row, model in zip(done.rows, done.answered, strict=True))
    assert values["as logged"][0] == pytest.approx(right / 50)
    assert (done.chosen == done.ruled).all()  # nothing was explored
    assert done.propensity.max(axis=1).tolist() == [1.0] * 50


def test_the_exported_table_is_the_truth(play, world, tmp_path):
    """Every answer is judged truthfully, so each row has its pair's quality, cost and tokens, and its propensity."""
    done, path = play(turns=1.5)
    rows = exported(path, tmp_path)
    assert len(rows) == len(done.decision_ids) == 300
    for i, decision_id in enumerate(done.decision_ids):
        row, at = rows[decision_id], (done.rows[i], done.answered[i])
        assert row["model"] == world.models[at[1]]
        assert (row["quality"], row["cost_usd"]) == (world.quality[at], pytest.approx(world.cost_usd[at]))
        assert row["output_tokens"] == world.output_tokens[at]
        assert row["propensity"] == pytest.approx(done.propensity[i, at[1]])
        assert json.loads(row["messages"]) == [{"role": "user", "content": world.prompts[at[0]]}]


@pytest.fixture(scope="module")
def tried(valued, world, tmp_path_factory):
    """Return what simulates that a router for which cost is all challenges one for which quality is all."""

    def run(mode, share, n=250):
        folder = tmp_path_factory.mktemp("tried")
        settings = Settings(artifact=valued["dear"], log=f"sqlite:///{folder}/sim.db", log_spool=folder / "spool")
        challenger = Trying(Router.load(valued["cheap"]), mode, share)
        traffic = Traffic(n_requests=n, feedback=1.0)
        return simulate(settings, world, traffic, challenger=challenger, seed=5), folder / "sim.db"

    return run


@pytest.mark.slow
def test_ope_reads_targeted_exploration_as_any_other(tried, valued):
    """The challenger always takes ``small``; ope's difference is compared with the truth, and every choice has support.

    Where the two disagree each has half of the draws, so the largest weight is 2.
    """
    done, path = tried(Mode.EXPLORE, 0.5)
    small = done.models.index("small")
    differ = done.ruled != small
    assert (done.propensity[differ, small] == 0.5).all()
    assert (done.propensity[differ, done.ruled[differ]] == 0.5).all()
    assert (done.propensity[~differ, small] == 1).all()
    said = run_command("ope", valued["cheap"], "--log", f"sqlite:///{path}", "--json")
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert (found["n_decisions"], found["left_out"]) == (250, {})
    assert found["overlap"]["largest_weight"] == 2
    assert found["overlap"]["share_different"] == pytest.approx(differ.mean())
    values = {value.label: value for value in done.values()}
    quality = found["challenger_minus_champion"]["quality"]
    truth = values["small"].quality - values["without exploration"].quality
    assert abs(quality["value"] - truth) < 4 / 1.96 * (quality["high"] - quality["value"])


def test_a_simulated_canary_has_its_share_and_the_export_says_which(tried, tmp_path):
    done, path = tried(Mode.CANARY, 0.4)
    extras = [json.loads(row["extra"]) for row in exported(path, tmp_path).values()]
    arms = [extra["arm"] for extra in extras]
    assert arms.count("challenger") / len(arms) == pytest.approx(0.4, abs=0.15)  # of 250: 4.8 standard errors
    assert {extra["canary_share"] for extra in extras} == {0.4}
    assert len({extra["challenger"] for extra in extras}) == 1
    assert done.counts["explored"] == 0


def test_choices_are_as_frequent_as_their_propensities(busy):
    """The sum of 1 - propensity over a model's choices is that of the others' propensities, within its noise."""
    done, _ = busy
    assert done.propensity.sum(axis=1) == pytest.approx(1)
    fair = ~done.degraded
    was_chosen = np.eye(len(done.models))[done.chosen[fair]]
    p = done.propensity[fair]
    off = (was_chosen - p).sum(axis=0) / np.sqrt((p * (1 - p)).sum(axis=0))
    assert (np.abs(off) < 4).all()
    assert done.counts["explored"] == (done.chosen != done.ruled).sum() > 50
    # An unbiased estimate of what the rule alone brings, against the truth: four standard errors.
    weights = np.where(done.chosen == done.ruled, 1 / done.propensity[np.arange(len(done.rows)), done.chosen], 0)[fair]
    each = weights * done.quality[np.arange(len(done.rows)), done.chosen][fair]
    assert abs(each.mean() - done.value(done.ruled, among=fair).quality) < 4 * each.std() / len(each) ** 0.5


def test_the_log_has_what_was_counted(busy):
    done, path = busy
    decisions = read(path, "SELECT reason, degraded, session_id, created_at FROM router_decisions ORDER BY decision_id")
    assert len(decisions) == done.counts["decisions"] == N
    assert sum(degraded for _, degraded, _, _ in decisions) == done.counts["degraded"] == done.degraded.sum() > 20
    assert sum(reason == "session" for reason, *_ in decisions) == done.counts["kept"] > 50
    assert len({session for *_, session, _ in decisions}) == pytest.approx(N / 2, rel=0.15)
    times = [created_at for *_, created_at in decisions]
    assert times == sorted(times)
    assert times[0].startswith("2026-01-01 0")
    assert read(path, "SELECT count(*) FROM router_attempts")[0][0] == done.counts["attempts"] == N


def test_feedback_is_late_doubled_noisy_and_false_as_asked(busy):
    done, path = busy
    feedback = read(
        path,
        "SELECT f.feedback_id, f.decision_id, f.score, f.key_id, d.key_id, julianday(f.created_at) - "
        "julianday(d.created_at) FROM router_feedback f JOIN router_decisions d USING (decision_id)",
    )
    at = {decision_id: i for i, decision_id in enumerate(done.decision_ids)}
    truth = {one: done.quality[i, done.answered[i]] for one, i in at.items()}
    first = {decision_id: (score, key) for _, decision_id, score, key, *_ in feedback}
    assert all(key == owner for *_, key, owner, _ in feedback)
    assert len(first) == done.counts["judged"]
    false = {one: key for one, (score, key) in first.items() if score != truth[one]}
    assert len(false) == done.counts["judged_falsely"]
    assert {one for one, (_, key) in first.items() if key == ADVERSARY} <= set(false)
    assert sum(key == ADVERSARY for key in false.values()) > 10
    n_noisy = sum(key != ADVERSARY for key in false.values())
    assert abs(n_noisy - 0.1 * len(first)) < 4 * (0.09 * len(first)) ** 0.5
    # Of every two that come twice one has its id again, which the log keeps once.
    assert len(feedback) == len(first) + sum(one[0].endswith("_2") for one in feedback)
    assert 0 < len(feedback) - len(first) < done.counts["judged_twice"]
    assert np.mean([days * 24 for *_, days in feedback]) == pytest.approx(1, rel=0.25)  # an hour


def test_two_runs_of_one_seed_write_the_same(play):
    of_decisions = "decision_id, created_at, model, reason, candidates, session_id, messages, policy_version"
    queries = [f"SELECT {of_decisions} FROM router_decisions ORDER BY 1"]
    queries += [f"SELECT * FROM router_{kind} ORDER BY 1" for kind in ("attempts", "feedback")]
    noisy = {"n_requests": 100, "turns": 2, "noise": 0.3, "duplicates": 0.5}
    (_, one), (_, two), (_, three) = play(**noisy), play(**noisy), play(seed=1, **noisy)
    assert [read(one, query) for query in queries] == [read(two, query) for query in queries]
    assert read(one, queries[0]) != read(three, queries[0])


def test_a_log_with_decisions_is_refused_or_added_to(play):
    _, path = play(n_requests=20)
    with pytest.raises(RequestError, match="holds 20 decisions already.*delete it, or add to it with --append"):
        play(n_requests=20, log=path)
    play(n_requests=20, log=path, append=True)
    assert read(path, "SELECT count(*) FROM router_decisions") == [(40,)]


def test_a_retired_model_fails_and_the_next_one_answers(play, world, tmp_path):
    done, path = play(Retirement(0.5, "large"))
    large, gone = world.column("large"), done.phase == 1
    assert (done.chosen == large)[gone].any()
    assert not (done.answered == large)[gone].any()
    assert not done.quality[gone, large].any()
    failed = read(path, "SELECT decision_id FROM router_attempts WHERE status = 404 AND error_type = 'model_gone'")
    of_large = [
        one
        for one, chosen, of in zip(done.decision_ids, done.chosen, done.phase, strict=True)
        if chosen == large and of
    ]
    assert sorted(one for (one,) in failed) == sorted(of_large)
    assert done.counts["fallbacks"] == len(of_large)
    rows = exported(path, tmp_path)
    assert [rows[one]["propensity"] for one in of_large] == [None] * len(of_large)
    assert all(rows[one]["model"] != "large" for one in of_large)


def test_a_redirected_name_is_answered_and_billed_by_the_other(play, world):
    done, path = play(Redirect(0.5, "small", "large"))
    small, large = world.column("small"), world.column("large")
    after = done.phase == 1
    assert (done.cost_usd[after, small] == world.cost_usd[done.rows[after], large]).all()
    answers = read(path, "SELECT decision_id, response_model, cost_usd FROM router_attempts WHERE model = 'small'")
    index = {one: i for i, one in enumerate(done.decision_ids)}
    assert {(name, bool(after[index[one]])) for one, name, _ in answers} == {("small", False), ("large", True)}
    assert all(cost == pytest.approx(done.cost_usd[index[one], small]) for one, _, cost in answers)


@pytest.mark.slow
def test_levels_follow_a_fall_and_lose_nothing_without_one(play, trained, world):
    """``coder`` falls by 20 points after 300 of 1,500 requests, which are all judged.

    Once 500 were judged since, the rule brings what the best shift of ``coder`` would have brought, less a point at
    most. Without following it loses several. Where nothing changes, following loses 0.004 at most.
    """
    value_usd, coder = trained.router.artifact.operating_point.quality_value_usd, world.column("coder")
    late, always = np.arange(1500) >= 850, np.ones(1500, np.bool_)

    def worth(done, choice, among):
        value = done.value(choice, among=among)
        return value.quality - value.cost_usd / value_usd

    fall = QualityChange(0.2, "coder", -0.2)
    usual = {"n_requests": 1500, "explore_share": 0.1, "delay_s": 600.0}
    followed, unfollowed = (play(fall, follow_levels=most, **usual)[0] for most in (1.5, 0.0))
    table = trained.router.predict(world.prompts)
    choices = [chosen(trained.router, table, by, coder)[followed.rows] for by in np.linspace(-3, 1, 41)]
    best = max(worth(followed, choice, late) for choice in choices)
    assert best - worth(followed, followed.ruled, late) <= 0.01
    assert best - worth(unfollowed, unfollowed.ruled, late) > 0.03
    quiet, still = (play(follow_levels=most, **usual)[0] for most in (1.5, 0.0))
    assert worth(still, still.ruled, always) - worth(quiet, quiet.ruled, always) <= 0.004


def chosen(router, table, by, column):
    """Return what the rule chooses for every prompt if one model's level is shifted."""
    shifted = Levels({router.models[column]: Shift(by, 0.0)})
    same = replace(router, levels=shifted)
    eligible = np.ones(table.p_success.shape, np.bool_)
    return same.rank(same.rule(), shifted.apply(table), eligible)[:, 0]


def test_drifts_of_quality_and_price_show_in_the_values(play, world):
    """``large`` falls by 0.3 and costs twice as much from the middle on; the others stay."""
    done, _ = play(QualityChange(0.5, "large", -0.3), PriceChange(0.5, "large", 2.0))
    before, after = ({value.label: value for value in each.values} for each in done.stretches())
    rows = [done.rows[done.phase == phase] for phase in (0, 1)]
    assert before["large"].quality == pytest.approx(world.quality[rows[0], world.column("large")].mean())
    noise = 4 * (0.25 / 150 + 0.25 / 150) ** 0.5
    assert after["large"].quality - before["large"].quality == pytest.approx(-0.3, abs=noise)
    assert after["large"].cost_usd == pytest.approx(2 * world.cost_usd[rows[1], world.column("large")].mean())
    assert after["small"].cost_usd == pytest.approx(world.cost_usd[rows[1], world.column("small")].mean())
    assert done.stretches()[1].changes == ("quality of large -0.3", "price of large x 2")


def test_a_world_without_a_model_and_a_folder_without_a_router_are_refused(trained, world, tmp_path):
    settings = Settings(artifact=trained.path, log="none")
    with pytest.raises(RequestError, match="no model 'large' in this world; it has coder, big, small"):
        simulate(settings, replace(world, models=("coder", "big", "small")), Traffic(n_requests=1))
    with pytest.raises(ArtifactError, match="not a trained router"):
        simulate(Settings(artifact=tmp_path, log="none"), world, Traffic(n_requests=1))


def test_a_log_in_parquet_and_what_a_killed_process_left_in_its_spool(trained, world, tmp_path):
    settings = Settings(artifact=trained.path, log=f"parquet:{tmp_path}/log", log_spool=tmp_path / "spool")
    spool = open_spool(settings.log, settings.log_spool)
    spool.append(batch_of([row_of(decision(0))]))
    spool.close()
    with pytest.raises(RequestError, match="holds 1 decisions already"):
        simulate(settings, world, Traffic(n_requests=50))
    shutil.rmtree(tmp_path / "log")
    done = simulate(settings, world, Traffic(n_requests=50))
    found = pl.read_parquet(tmp_path / "log" / "decisions" / "**/*.parquet")
    assert sorted(found["decision_id"]) == sorted(done.decision_ids)
