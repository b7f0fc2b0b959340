"""Grades that the other judges contradict are left out."""

import json
from dataclasses import replace

import numpy as np
import pytest

from router_model.training.fitting.judges import (
    FULL_Z,
    NO_Z,
    Finding,
    Grades,
    leave_out_contradicted,
    screen,
    write_quarantine,
)
from router_model.training.table.outcomes import Outcomes


def world(n=2000, n_judges=20, n_kinds=10, seed=0, p=0.95):
    """Honest grades of one model: success rates differ by kind of prompt around `p`; each judge has 1 in `n_judges`."""
    rng = np.random.default_rng(seed)
    kind, judge = rng.integers(n_kinds, size=n), rng.integers(n_judges, size=n)
    rate = np.clip(p + rng.normal(0, 0.04, n_kinds), 0, 1)
    return Grades.of(rng.random(n) < rate[kind], judge, kind)


def test_the_standard_error_of_a_judge_by_hand():
    """One kind; the operator gave 160 ones and 40 zeros (mean 0.8, variance 0.16); judge 0 gave 9 zeros.

    Prior: 0.16 / 0.15^2 = 7.11 grades of the level 160.5 / 201 = 0.7985. Expected (160 + 7.11 x 0.7985) / 207.11 =
    0.7999 a grade, 7.20 in all. Variance 0.16 x (9 + 81 / 207.11) = 1.503, grace 1, spread of few judges (0.1 x 9)^2 =
    0.81: 3.313. z = -7.20 / 1.820 = -3.96: it counts with (4 - 3.96) / 1.5 = 0.03.
    """
    grades = Grades.of([1.0] * 160 + [0.0] * 49, [-1] * 200 + [0] * 9, [0] * 209)
    weight, found = screen(grades)
    assert found[0].z == pytest.approx(-3.955, abs=0.005)
    assert (found[0].mean, found[0].expected) == (0.0, pytest.approx(0.7999, abs=1e-4))
    assert weight[:200].tolist() == [1.0] * 200
    assert weight[200:] == pytest.approx((NO_Z - abs(found[0].z)) / (NO_Z - FULL_Z))


@pytest.mark.parametrize("seed", range(5))
def test_honest_judges_count_in_full(seed):
    weight, _ = screen(world(seed=seed))
    assert weight.mean() > 0.99


@pytest.mark.parametrize("lies", [10, 30, 100])
@pytest.mark.parametrize("honest", [0, 100, 600])
def test_no_judge_moves_a_level_by_much(lies, honest):
    """A judge turns grades into failures among honest grades of its own. Unscreened the level falls by lies / 2000.

    Screened it stays within 1.5 points: thirty lies among six hundred grades are three standard errors, and pass.
    """
    grades = world()
    mine = np.random.default_rng(1).permutation(len(grades))[: lies + honest]
    quality, judge = grades.quality.copy(), grades.judge.copy()
    quality[mine[:lies]], judge[mine] = 0.0, 20
    weight, _ = screen(Grades(quality, judge, grades.kind))
    level = np.average(quality, weights=weight)
    assert abs(level - grades.quality.mean()) < 0.015
    if lies > 10 and honest < 10 * lies:
        assert weight[mine[:lies]].max() < 0.1


def test_a_liar_about_one_topic_is_found_there():
    """Twenty lies about one kind, among 400 honest grades of all kinds: the kind is left out, the others stay."""
    grades = world(n=4000)
    judge, quality = grades.judge.copy(), grades.quality.copy()
    kind_3 = np.flatnonzero(grades.kind == 3)[:20]
    judge[kind_3], quality[kind_3] = 20, 0.0
    others = np.flatnonzero(grades.kind != 3)[:400]
    judge[others] = 20
    weight, found = screen(Grades(quality, judge, grades.kind))
    assert weight[kind_3].max() == 0
    assert {each.kind for each in found} & {3, None}


def test_colluding_judges_are_left_out_one_after_the_other():
    """Five of twenty-five judges lie: each makes the honest look wrong a little, and the worst goes first."""
    grades = world()
    mine = np.random.default_rng(1).permutation(len(grades))[:100]
    quality, judge = grades.quality.copy(), grades.judge.copy()
    quality[mine], judge[mine] = 0.0, 20 + np.arange(100) % 5
    weight, _ = screen(Grades(quality, judge, grades.kind))
    assert weight[mine].max() == 0
    assert np.delete(weight, mine).mean() > 0.99


@pytest.mark.parametrize(
    ("judge", "quality"),
    [
        ([0] * 300, [1.0] * 270 + [0.0] * 30),  # nobody to compare with
        ([-1] * 300, [1.0] * 270 + [0.0] * 30),  # the operator's own
        ([0] * 200 + [1] * 2, [1.0] * 200 + [0.0] * 2),  # two thumbs down are no lie
        ([0] * 280 + [1] * 20, [1.0] * 280 + [1.0] * 18 + [0.0] * 2),
    ],
)
def test_what_proves_nothing_leaves_all_in(judge, quality):
    assert screen(Grades.of(quality, judge, [0] * len(judge)))[0].min() == 1


def test_most_grades_are_the_yardstick():
    """Two judges contradict each other: the one with few grades is left out."""
    weight, _ = screen(Grades.of([1.0] * 300 + [0.0] * 40, [0] * 300 + [1] * 40, [0] * 340))
    assert (weight[:300].min(), weight[300:].max()) == (1, 0)


def test_enough_grades_of_the_operator_outvote_any_number_of_judges():
    """150 grades of the operator say 0.9; ten judges with 60 each say 0: none has half, all are left out."""
    quality = [1.0] * 135 + [0.0] * 15 + [0.0] * 600
    judge = [-1] * 150 + np.repeat(np.arange(10), 60).tolist()
    weight, _ = screen(Grades.of(quality, judge, [0] * 750))
    assert (weight[:150].min(), weight[150:].max()) == (1, 0)


def outcomes_of(grades, model="m"):
    n = len(grades)
    matrix = np.full((n, 1), np.nan)
    ids = [f"p{i}" for i in range(n)]
    names = tuple(f"judge {i}" for i in range(grades.judge.max() + 1))
    rest = dict.fromkeys(("input_tokens", "output_tokens", "latency_s", "propensity"), matrix)
    return Outcomes(
        ids, list(ids), [""] * n, (model,), grades.quality[:, None], cost_usd=matrix + 1, judge=grades.judge[:, None],
        judge_names=names, **rest,
    )  # fmt: skip


def test_left_out_grades_take_their_costs_along_and_are_reported(tmp_path):
    grades = world()
    mine = np.arange(50)
    quality, judge = grades.quality.copy(), grades.judge.copy()
    quality[mine], judge[mine] = 0.0, 20
    outcomes = replace(outcomes_of(Grades(quality, judge, grades.kind)), cost_usd=np.ones((len(grades), 1)))
    noise = np.random.default_rng(0).normal(0, 0.01, (len(grades), 10))
    embedding = (np.eye(10)[grades.kind] + noise).astype(np.float32)
    kept, findings = leave_out_contradicted(outcomes, embedding, seed=0)
    gone = np.isnan(kept.quality[:, 0])
    assert gone[mine].all()
    assert gone.sum() < 60
    assert np.isnan(kept.cost_usd[gone]).all()
    assert findings[0].judge == "judge 20"
    assert str(findings[0]).startswith("judge judge 20: 50 of 50 grades of m left out: it gave 0.00 on average, while")
    write_quarantine(tmp_path / "router", findings)
    written = json.loads((tmp_path / "router.quarantine.json").read_text())
    assert written["left_out"][0]["reason"] == str(findings[0])
    write_quarantine(tmp_path / "router", ())
    assert not (tmp_path / "router.quarantine.json").exists()


def test_a_finding_about_one_kind_says_so():
    assert "prompts of one kind" in str(Finding("k", "m", 9, 5, 0.0, 0.9, -8.0, is_of_topic=True))
