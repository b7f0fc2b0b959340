"""Certificates of mean quality: on graded outcomes, simulated and through the commands."""

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from command_line import run_command as run
from scipy.stats import beta
from simulated_world import simulate

from router_model import Router
from router_model.certificate import GRADE_STEPS
from router_model.saved.artifact import save_artifact
from router_model.training.measuring.certify import (
    RuleCounts,
    certificates_of,
    certify,
    chosen_by_value,
    whole_grades,
)
from router_model.training.table.outcomes import read_outcomes
from router_model.wording import percent

DELTA = 0.1
N_PROMPTS, N_DRAWS = 400, 250
ERROR = 3 * np.sqrt(DELTA * (1 - DELTA) / N_DRAWS)


class GradedWorld:
    """Sixty kinds of prompts, equally frequent; the qualities of four models' answers are beta distributed."""

    def __init__(self, seed, concentration=3.0):
        rng = np.random.default_rng(seed)
        skill = np.array([-0.5, 0.5, 1.5, 2.5])
        self.mean = 1 / (1 + np.exp(-(skill + rng.normal(0, 1, (60, 1)) + rng.normal(0, 0.7, (60, 4)))))
        predicted = np.clip(self.mean + rng.normal(0, 0.15, self.mean.shape), 0.01, 0.99)
        cost = np.array([1e-5, 1e-4, 1e-3, 1e-2]) * rng.lognormal(0, 0.5, self.mean.shape)
        self.chosen = chosen_by_value(predicted, cost, np.ones(predicted.shape, bool))
        self.truth = self.mean[np.arange(60), self.chosen].mean(axis=1)  # of each rule
        grid = (np.arange(200) + 0.5) / 200
        shape = concentration * self.mean[..., None], concentration * (1 - self.mean[..., None])
        self.quantiles = beta.ppf(grid, *shape)
        self.mean = self.quantiles.mean(axis=2)
        self.truth = self.mean[np.arange(60), self.chosen].mean(axis=1)

    def draw(self, how, rng):
        """Return the rules' qualities (n_rules, n_prompts), which are missing, sessions, texts, complete prompts."""
        size = {"duplicates": 5, "all": 20}[how]
        group = np.repeat(np.arange(N_PROMPTS // size), size)
        kind, luck = rng.integers(60, size=N_PROMPTS)[group], rng.integers(200, size=N_PROMPTS)[group]
        texts = np.arange(N_PROMPTS)
        if how == "duplicates":
            texts = group
        else:  # half of a session's prompts share their luck, and each text comes twice
            luck = np.where(rng.random(N_PROMPTS) < 0.5, luck, rng.integers(200, size=N_PROMPTS))
            texts = texts // 2 * 2
            luck = luck[texts]
        quality = self.quantiles[kind, :, luck]
        missing = np.zeros(quality.shape, bool)
        if how == "all":  # 5 % of the answers, all of them failed ones
            failed = quality < 0.5
            missing = failed & (rng.random(quality.shape) < 0.05 / failed.mean())
        rows, rules = np.arange(N_PROMPTS), self.chosen[:, kind]
        order = rng.permutation(N_PROMPTS)  # as `certify` mixes them
        sessions = rows if how == "duplicates" else group
        of_rules = quality[rows, rules][:, order], missing[rows, rules][:, order]
        return *of_rules, sessions[order].tolist(), texts[order].tolist(), ~missing.any(axis=1)[order]


@pytest.mark.slow
@pytest.mark.parametrize(("how", "naively_wrong"), [("duplicates", 0.13), ("all", 0.4)])
def test_mean_quality_is_promised_falsely_no_more_often_than_delta(how, naively_wrong):
    """Five copies of each prompt; sessions of 20 similar prompts, each twice, 5 % of the answers gone as they failed.

    Complete prompts counted as independent are wrong oftener. ``pytest -s`` prints what is certified.
    """
    world, rng = GradedWorld(3), np.random.default_rng(1)
    shares = (0.95, 0.9, 0.8)
    wrong, certified, naively = np.zeros(3), np.zeros(3), np.zeros(3)
    for _ in range(N_DRAWS):
        quality, missing, sessions, texts, complete = world.draw(how, rng)
        grades = whole_grades(np.where(missing, np.nan, quality))
        counts = RuleCounts.of(grades, missing, sessions, texts)
        kept = grades[:, complete]
        alone = RuleCounts.of(kept, missing[:, complete], range(kept.shape[1]), range(kept.shape[1]))
        for place, share in enumerate(shares):
            target = float(world.truth[0] * share)
            last, naive = counts.last_certified(target, DELTA), alone.last_certified(target, DELTA)
            certified[place] += last >= 0
            wrong[place] += last >= 0 and world.truth[last] < target
            naively[place] += naive >= 0 and world.truth[naive] < target
    print(f"\n{how}: shares of the best {shares}: certified {certified / N_DRAWS}, wrong {wrong / N_DRAWS}, ", end="")
    print(f"counted naively {naively / N_DRAWS}")
    assert (wrong / N_DRAWS).max() <= DELTA + ERROR
    assert (naively / N_DRAWS).max() >= naively_wrong
    assert certified[-1] / N_DRAWS > 0.7


def test_the_walk_and_the_certificate_by_hand():
    """Rules of mean quality 0.9, 0.85 and 0.5 on 400 prompts: 0.8 is shown of the first two, and 0.95 of none."""
    grades = np.stack([np.tile(row, 100) for row in ([1000, 900, 800, 900], [1000, 700, 800, 900], [500] * 4)])
    counts = RuleCounts.of(grades, np.zeros(grades.shape, bool), range(400), range(400))
    shared = {"delta": 0.1, "models": ("a", "b"), "quality_bar": None, "split_hash": "sha256:0"}
    fair, high = certificates_of(counts, np.array([0.7, 0.9]), targets=(0.8, 0.95), **shared)
    assert (fair.certified, fair.realised_success, fair.grades) == (True, 0.85, (1000, 700, 800, 900) * 100)
    assert (high.certified, high.grades, high.safest_model) == (False, (), "b")
    assert (
        "On 400 calibration prompts mean quality is 0.900 if each goes to the model of the highest" in high.in_words()
    )
    assert "; this shows 0.88" in high.reason


def test_graded_answers_certify_mean_quality_and_a_bar_certifies_success(graded, tmp_path):
    """Through the commands, saved and loaded again; the missing tenth of the best model's answers count as 0."""
    router, table = tmp_path / "router", tmp_path / "new.parquet"
    shutil.copytree(graded.path, router)
    gone = (pl.col("model") == "large") & pl.col("prompt_id").str.ends_with("7")
    frame = simulate(300, seed=31, graded=True)
    frame.with_columns(quality=pl.when(gone).then(None).otherwise(pl.col("quality"))).write_parquet(table)
    targets = ("--target-success", "0.5", "--target-success", "0.99")
    said, high = json.loads(run("certify", router, table, *targets, "--json").stdout)["certificates"]
    assert (said["measure"], said["quality_bar"], said["certified"], "grades" in said) == ("quality", None, True, False)
    assert (high["measure"], high["certified"]) == ("quality", False)
    assert 10 <= high["n_missing"] <= 30
    loaded = Router.load(router)
    certificate, _ = loaded.certificates
    assert np.mean(certificate.grades) / GRADE_STEPS == pytest.approx(said["realised_success"])
    decision = loaded.route("moon verse", target_success=0.5)
    assert (decision.certificate, decision.quality_value_usd) == (certificate, certificate.success_value_usd)
    assert "mean quality >= 0.5, delta 0.1, on 300 prompts: quality 1 is worth" in " ".join(
        run("inspect", router).stdout.split()
    )
    shown = " ".join(run("certify", router, table, "--target-success", "0.5", "--quality-bar", "0.5").stdout.split())
    assert "certified: success >= 0.5 on average" in shown
    assert "Replaced what was certified before: mean quality >= 0.5." in shown
    assert graded.report.certificates[0].measure == "quality"


def test_15_percent_of_missing_pairs_waste_no_prompt(trained, tmp_path):
    """159 prompts: every one counts, though only some 60 % are complete, and a fair target is certified."""
    frame = simulate(159, seed=41)
    gone = np.random.default_rng(0).random(len(frame)) < 0.15
    partial = frame.with_columns(quality=pl.when(pl.Series(gone)).then(None).otherwise(pl.col("quality")))
    partial.write_parquet(tmp_path / "t.parquet")
    outcomes = read_outcomes(tmp_path / "t.parquet")
    assert 70 < (~np.isnan(outcomes.quality).any(axis=1)).sum() < 110
    found = certify(trained.router, outcomes, targets=(0.65,))
    (certificate,) = found.certificates
    assert found.n_prompts + found.n_seen + found.n_ungraded == 159
    assert found.n_prompts >= 155
    assert certificate.certified
    assert f"({percent(certificate.n_missing / found.n_prompts)}) without an outcome" in certificate.in_words()
    save_artifact(replace(trained.router.artifact, certificates=found.certificates), tmp_path / "router")
    assert Router.load(tmp_path / "router").certificates == found.certificates
