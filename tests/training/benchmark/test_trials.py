from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from simulated_world import simulate

from router_model.errors import TableError
from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.training.benchmark import trials
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.split import percentiles, split_prompts
from router_model.wording import percent


@pytest.fixture(scope="module")
def outcomes(table) -> Outcomes:
    return read_outcomes(table)


@pytest.fixture(scope="module")
def features(outcomes):
    return featurise(outcomes.prompts, load_encoder("static"))


@pytest.fixture(scope="module")
def by_seed(features, catalog):
    """A function from outcomes to the first trial by seed."""
    return lambda outcomes: next(
        trials.seed_trials(outcomes, features, catalog, load_encoder("static"), seeds=[0], quality_bar=0.5)
    )


def without(outcomes: Outcomes, unknown: np.ndarray, *names: str) -> Outcomes:
    return replace(outcomes, **{name: np.where(unknown, np.nan, getattr(outcomes, name)) for name in names})


def test_trials_by_seed_follow_the_published_split(outcomes, features, catalog):
    found = list(trials.seed_trials(outcomes, features, catalog, load_encoder("static"), seeds=[0, 3], quality_bar=0.5))
    assert [(trial.name, trial.seed) for trial in found] == [("seed 0", 0), ("seed 3", 3)]
    split = split_prompts(outcomes.prompt_ids, seed=3)
    for side, rows in (("train", split.train), ("validation", split.calibration), ("test", split.test)):
        assert getattr(found[1], side).outcomes.prompt_ids == [outcomes.prompt_ids[row] for row in rows]
    assert set(found[1].catalog.cards) == set(found[1].models)
    assert not found[1].notes


def test_prompts_that_lack_an_outcome_count_by_estimates(outcomes, by_seed):
    """One model lacks an outcome of every other prompt. Its known ones count twice, less its mean in training."""
    unknown = np.zeros(outcomes.quality.shape, dtype=bool)
    unknown[::2, 1] = True
    trial, complete = by_seed(without(outcomes, unknown, "quality")), by_seed(outcomes)
    test = trial.test
    assert test.outcomes.prompt_ids == complete.test.outcomes.prompt_ids
    known, mean = ~np.isnan(test.quality[:, 1]), np.nanmean(trial.train.quality[:, 1])
    share = known.mean()
    assert test.mean_quality[~known, 1] == pytest.approx(mean)
    assert test.mean_quality[known, 1] == pytest.approx(mean + (test.quality[known, 1] - mean) / share)
    assert np.array_equal(test.mean_quality[:, ::2], test.quality[:, ::2])
    assert np.isnan(test.success[~known, 1]).all()
    n = len(test)
    assert trial.notes[1] == (
        f"seed 0, test: {n - known.sum()} of {n} prompts lack an outcome of some model ({percent((1 - share) / 3)} of "
        "all outcomes); doubly robust estimates stand for these, which widens the intervals"
    )


def test_estimates_are_unbiased_and_narrower_than_complete_prompts_alone(by_seed, outcomes):
    """15 % of the pairs missing, drawn 300 times: the best model's lead over the second, against the full table's."""
    full = by_seed(outcomes)
    lead = full.test.quality[:, 1].mean() - full.test.quality[:, 0].mean()
    rng, estimated, complete = np.random.default_rng(0), [], []
    for _ in range(300):
        gone = rng.random(full.test.quality.shape) < 0.15
        partial = replace(full.test, outcomes=without(full.test.outcomes, gone, "quality"))
        quality = partial.estimated(full.train).mean_quality
        estimated.append(quality[:, 1].mean() - quality[:, 0].mean())
        kept = full.test.quality[~gone.any(axis=1)]
        complete.append(kept[:, 1].mean() - kept[:, 0].mean())
    assert np.mean(estimated) == pytest.approx(lead, abs=3 * np.std(estimated) / np.sqrt(300))
    assert np.std(estimated) < 0.8 * np.std(complete)


def test_training_prompts_without_any_outcome_are_dropped(outcomes, by_seed):
    rows = split_prompts(outcomes.prompt_ids, seed=0).train
    unknown = np.zeros(outcomes.quality.shape, dtype=bool)
    unknown[rows[:10]] = True
    assert len(by_seed(without(outcomes, unknown, "quality")).train) == len(rows) - 10


def test_a_model_without_outcomes_on_a_side_is_refused(outcomes, by_seed):
    unknown = np.zeros(outcomes.quality.shape, dtype=bool)
    unknown[split_prompts(outcomes.prompt_ids, seed=0).test, 2] = True
    with pytest.raises(TableError, match="seed 0, test: none of .* prompts has a graded answer of small; have some"):
        by_seed(without(outcomes, unknown, "quality"))


def test_a_table_without_outcomes_is_refused(outcomes, by_seed):
    with pytest.raises(TableError, match="seed 0: no training prompt has a graded answer"):
        by_seed(without(outcomes, np.array(True), "quality"))


def test_a_side_without_prompts_is_refused(outcomes, features, catalog):
    rows = split_prompts(outcomes.prompt_ids, seed=0).train
    found = trials.seed_trials(
        outcomes.take(rows), features.take(rows), catalog, load_encoder("static"), seeds=[0], quality_bar=0.5
    )
    with pytest.raises(TableError, match="seed 0, validation: no prompt falls on this side"):
        next(found)


def test_unknown_costs_are_the_mean_of_training_and_noted(outcomes, by_seed):
    unknown = np.zeros(outcomes.quality.shape, dtype=bool)
    test = split_prompts(outcomes.prompt_ids, seed=0).test
    unknown[test[:4], 0] = True
    trial = by_seed(without(outcomes, unknown, "cost_usd", "output_tokens"))
    assert trial.test.cost_usd[:4, 0] == pytest.approx(trial.train.cost_usd[:, 0].mean())
    assert trial.notes == (f"seed 0, test: 4 of {3 * len(test)} costs unknown, taken as the model's mean",)


def test_a_table_without_costs_is_refused(outcomes, by_seed):
    unknown = np.arange(3) == 1
    with pytest.raises(TableError, match="no training prompt shows the cost of a call of large; give the table cost"):
        by_seed(without(outcomes, unknown, "cost_usd", "output_tokens"))


def test_another_table_is_tested_on_whole(outcomes, features, catalog, tmp_path):
    """Its models are put in the order of the first; one that only it has is left out."""
    other = simulate(60, seed=7)
    spare = other.filter(pl.col("model") == "small").with_columns(model=pl.lit("a-model-more"))
    pl.concat([other, spare]).write_parquet(tmp_path / "other.parquet")
    test = read_outcomes(tmp_path / "other.parquet")
    (trial,) = trials.trials_on_table(
        outcomes,
        features,
        test,
        featurise(test.prompts, load_encoder("static")),
        catalog=catalog,
        encoder=load_encoder("static"),
        seeds=[2],
        quality_bar=0.5,
    )
    assert trial.test.outcomes.models == trial.models == outcomes.models
    assert len(trial.test) == 60
    percent = percentiles(outcomes.prompt_ids, seed=2)
    assert trial.train.outcomes.prompt_ids == [outcomes.prompt_ids[row] for row in np.flatnonzero(percent < 85)]
    assert len(trial.train) + len(trial.validation) == 500


def test_a_test_table_that_lacks_a_model_is_refused(outcomes, features, catalog):
    found = trials.trials_on_table(
        outcomes,
        features,
        outcomes.select_models(["coder", "large"]),
        features,
        catalog=catalog,
        encoder=load_encoder("static"),
        seeds=[0],
        quality_bar=0.5,
    )
    with pytest.raises(TableError, match="no outcomes of small"):
        next(found)


def shifted(outcomes, features, catalog):
    return list(trials.shift_trials(outcomes, features, catalog, load_encoder("static"), quality_bar=0.5))


def test_each_task_is_left_out_in_turn(outcomes, features, catalog):
    found = shifted(outcomes, features, catalog)
    assert [trial.name for trial in found] == ["arithmetic left out", "code left out", "poetry left out"]
    for trial, task in zip(found, ("arithmetic", "code", "poetry"), strict=True):
        assert set(trial.test.outcomes.tasks) == {task}
        assert task not in {*trial.train.outcomes.tasks, *trial.validation.outcomes.tasks}
        assert len(trial.train) + len(trial.validation) + len(trial.test) == 500
        assert 0.8 < len(trial.train) / (len(trial.train) + len(trial.validation)) < 0.92


def test_conversations_with_the_task_are_not_learned_from(outcomes, features, catalog):
    """Every prompt is in the conversation of its neighbour: those that touch the task are gone."""
    sessions = [f"s{row // 2}" for row in range(len(outcomes))]
    _, trial, _ = shifted(replace(outcomes, sessions=sessions), features, catalog)
    tested = set(trial.test.outcomes.sessions)
    assert not tested & {*trial.train.outcomes.sessions, *trial.validation.outcomes.sessions}
    assert set(trial.test.outcomes.tasks) == {"code"}


def test_shift_needs_tasks(outcomes, features, catalog):
    with pytest.raises(TableError, match=r"has 0 tasks \(none\); leaving one out takes at least 2"):
        shifted(replace(outcomes, tasks=[""] * len(outcomes)), features, catalog)
