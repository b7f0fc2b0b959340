"""On small sub-tables of real outcomes: the blend beside its members, and what intervals and levels are worth.

`tests/performance/bench_members.py` and `tests/performance/bench_calibration.py` print the figures.
"""

import numpy as np
import pytest
from interval_coverage import covered

from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.training.fitting.fit import FitConfig, fit_predictor
from router_model.training.fitting.uncertainty import kinds_of
from router_model.training.table.outcomes import read_outcomes
from router_model.training.table.split import assign_folds, split_prompts
from router_model.training.table.targets import build_targets

pytestmark = [pytest.mark.slow, pytest.mark.real_data]


@pytest.mark.parametrize("table", ["zeroeval", "mmlu_pro"])
def test_mean_log_loss_over_seeds_is_the_least(real_data, table):
    """120 prompts, two models; `test_real_tables.py` has whole tables."""
    outcomes = read_outcomes(real_data / table / "outcomes.parquet")
    outcomes = outcomes.select_models(outcomes.models[:2])
    features = featurise(outcomes.prompts, load_encoder("static"))
    losses: list[list[float]] = []
    for seed in range(6):
        split = split_prompts(outcomes.prompt_ids, seed=seed)
        predictor, _ = fitted(outcomes, features, split, 120, seed)
        test = features.take(split.test)
        evidence = predictor.evidence_model.evidence(test)
        members = [predictor.evidence_model.bank.base[:, 0], *np.moveaxis(evidence.values[:, :, 0], -1, 0)]
        whole = predictor.predict(test, quality_bar=0.5).p_success
        losses.append([loss(p, outcomes.quality[split.test]) for p in (whole, *members)])
    whole, *alone = np.mean(losses, axis=0)
    assert whole <= min(alone)


def loss(p, success):
    p = np.clip(np.broadcast_to(p, success.shape), 0.02, 0.98)
    return float(-np.mean(success * np.log(p) + (1 - success) * np.log1p(-p)))


@pytest.mark.parametrize("table", ["bfcl", "zeroeval"])
def test_intervals_hold_tasks_and_clusters_and_levels_are_as_good_as_counting(real_data, table):
    """300 prompts, five draws. The tasks of bfcl differ most: 0.87 of its (task, model) pairs are held."""
    outcomes = read_outcomes(real_data / table / "outcomes.parquet")
    features = featurise(outcomes.prompts, load_encoder("static"))
    of_tasks, of_clusters, errors = [], [], []
    for seed in range(5):
        split = split_prompts(outcomes.prompt_ids, seed=seed)
        predictor, rows = fitted(outcomes, features, split, 300, seed)
        test, quality = features.take(split.test), outcomes.quality[split.test]
        prediction = predictor.predict(test, quality_bar=0.5)
        p, spread = prediction.p_success, predictor.uncertainty.spread(prediction.p_success, prediction.trust)
        tasks = np.unique(np.array(outcomes.tasks)[split.test], return_inverse=True)[1]
        of_tasks.append(covered(p, spread, quality, tasks, seed))
        of_clusters.append(covered(p, spread, quality, kinds_of(test.embedding, seed=seed, prompts_per_kind=50), seed))
        counted = outcomes.quality[rows].mean(axis=0)
        errors.append([np.abs(level - quality.mean(axis=0)).mean() for level in (p.mean(axis=0), counted)])
    assert 0.85 <= np.mean(of_tasks) <= 0.98
    assert np.mean(of_clusters) >= 0.87
    predicted, counted = np.mean(errors, axis=0)
    assert predicted <= counted + 0.002


def fitted(outcomes, features, split, n_prompts, seed):
    """Return a predictor fitted on some of the training prompts, and their rows."""
    rows = np.sort(np.random.default_rng(seed).permutation(split.train)[:n_prompts])
    predictor, _ = fit_predictor(
        features.take(rows),
        build_targets(outcomes, (0.5,), rows).take(rows),
        outcomes.models,
        folds=assign_folds([outcomes.prompt_ids[row] for row in rows], seed=seed),
        tasks=[outcomes.tasks[row] for row in rows],
        config=FitConfig(),
        seed=seed,
        advance=lambda _: None,
    )
    return predictor, rows
