"""Certificates on the real outcome tables: resplit after resplit, they are broken no more often than delta."""

import numpy as np
import pytest
from resplits import certify_draws, naive_draws, random_sides, with_replacement

from router_model.training.measuring.certify import chosen_by_value
from router_model.training.measuring.evaluate import eligible_models

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

DELTA = 0.1
N_DRAWS = 500
ERROR = 3 * np.sqrt(DELTA * (1 - DELTA) / N_DRAWS)
SHARES = (1.0, 0.98, 0.95, 0.9, 0.8)  # of the best single model's success rate in training


@pytest.fixture(scope="module", params=["zeroeval", "mmlu_pro"])
def world(request, real_run):
    """Of one router (seed 0): targets, size of the calibration side, and every rule's successes on unseen prompts."""
    run, router = real_run(request.param)
    outcomes, features, split = run.outcomes, run.features, run.split
    best = outcomes.quality[split.train].mean(axis=0).max()
    rows = np.concatenate([split.calibration, split.test])
    kept, taken = outcomes.take(rows), features.take(rows)
    table = router.predict_features(taken)
    eligible = eligible_models(router, kept, taken, table)
    chosen = chosen_by_value(table.p_success, table.expected_cost_usd, eligible)
    succeeded = (kept.quality >= 0.5)[np.arange(len(rows)), chosen]
    return [np.floor(share * best * 100) / 100 for share in SHARES], len(split.calibration), succeeded


def test_resplits_break_the_promise_no_more_often_than_delta(world):
    """The test side of a resplit adds its own noise to the promised rate, so it is given half of delta more."""
    targets, n_calibration, succeeded = world
    calibration = random_sides(succeeded.shape[1], n_calibration, N_DRAWS, seed=0)
    for target in targets:
        draws = certify_draws(succeeded, calibration, ~calibration, target=target, level=DELTA)
        assert draws.violations(target) <= DELTA, target
        assert draws.violations(target, on_test=True) <= 1.5 * DELTA + ERROR, target
        if target <= 0.95 * targets[0]:
            assert draws.certified > 0.9


def test_independent_draws_break_it_no_more_often_than_delta(world):
    targets, n_calibration, succeeded = world
    drawn = with_replacement(succeeded.shape[1], n_calibration, N_DRAWS, seed=0)
    for target in targets:
        draws = certify_draws(succeeded, drawn, drawn == 0, target=target, level=DELTA)
        assert draws.violations(target) <= DELTA + ERROR, target


def test_choosing_what_reached_the_target_breaks_it_far_more_often(world):
    targets, n_calibration, succeeded = world
    calibration = random_sides(succeeded.shape[1], n_calibration, N_DRAWS, seed=0)
    violated = [
        naive_draws(succeeded, calibration, ~calibration, target=target).violations(target) for target in targets
    ]
    assert np.mean(violated) > 3 * DELTA  # single targets differ: between two rules the rate may jump over one
