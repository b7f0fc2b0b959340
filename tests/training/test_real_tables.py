"""Floors on the real outcome tables (mean of seeds 0-2), and determinism and limits at their size."""

import resource
import sys

import numpy as np
import pytest

from router_model.training.metrics import excess_calibration_error
from router_model.training.table.costs import realised_costs

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

FLOORS = {
    "zeroeval": {"auc": 0.822, "aiq": 0.889},
    "mmlu_pro": {"auc": 0.702, "aiq": 0.686},
}
N_SEEDS = 3


@pytest.fixture(scope="module", params=FLOORS)
def runs(request, real_run):
    """Evaluations of seeds 0-2 with the static encoder and the defaults."""
    evaluations = []
    for seed in range(N_SEEDS):
        run, router = real_run(request.param, seed)
        evaluations.append((router, run.measure(router), run.split, run.features, run.outcomes))
    return request.param, evaluations


def test_floors_are_reached(runs):
    table, evaluations = runs
    for metric, floor in FLOORS[table].items():
        mean = np.mean([evaluation.metrics[metric] for _, evaluation, *_ in evaluations])
        assert mean >= floor, f"{table} {metric}: {mean:.4f}"


def test_no_member_of_the_blend_beats_the_whole(runs):
    """Log-loss on test prompts: the prediction against the record and every kind of evidence alone."""
    _, evaluations = runs
    for router, evaluation, split, features, outcomes in evaluations:
        model = router.artifact.predictor.evidence_model
        evidence = model.evidence(features.take(split.test))
        success = outcomes.quality[split.test]
        members = [evidence.record[:, :, 0], *np.moveaxis(evidence.values[:, :, 0], -1, 0)]
        for member in members:
            p = np.clip(member, 0.02, 0.98)
            alone = -np.mean(success * np.log(p) + (1 - success) * np.log1p(-p))
            assert evaluation.metrics["log_loss"] < alone


def test_probabilities_are_calibrated(runs):
    """Excess over chance: all models together, and the worst one; docs/decisions/0006 has the figures."""
    _, evaluations = runs
    excess = []
    for router, _, split, features, outcomes in evaluations:
        p, quality = router.predict_features(features.take(split.test)).p_success, outcomes.quality[split.test]
        of_models = [excess_calibration_error(p[:, [m]], quality[:, [m]], n_simulations=50) for m in range(p.shape[1])]
        excess.append((excess_calibration_error(p, quality, n_simulations=50), max(of_models)))
    overall, worst = np.mean(excess, axis=0)
    assert overall < 0.0125
    assert worst < 0.03


def test_tokens_and_costs_are_predicted_a_quarter_better_than_by_means(runs):
    """Median absolute percentage errors against each model's mean on the training prompts."""
    _, evaluations = runs
    for router, _, split, features, outcomes in evaluations:
        test, train = outcomes.take(split.test), outcomes.take(split.train)
        table = router.predict_features(features.take(split.test))
        cost, usual = realised_costs(test, router.catalog), realised_costs(train, router.catalog)
        tokens = table.output_token_quantiles[:, :, 1]
        assert miss(tokens, test.output_tokens) < 0.75 * miss(train.output_tokens.mean(axis=0), test.output_tokens)
        assert miss(table.expected_cost_usd, cost) < 0.75 * miss(usual.mean(axis=0), cost)
        low, high = table.output_token_quantiles[:, :, 0], table.output_token_quantiles[:, :, 2]
        inside = np.mean((low <= test.output_tokens) & (test.output_tokens <= high))
        assert inside == pytest.approx(0.8, abs=0.03)


def miss(predicted, observed):
    return np.median(np.abs(predicted - observed) / np.maximum(observed, 1e-12))


@pytest.mark.usefixtures("runs")
def test_memory_stays_within_three_gigabytes():
    """Of the whole test process, which trained this and more."""
    unit = 1 if sys.platform == "darwin" else 1024
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit < 3e9
