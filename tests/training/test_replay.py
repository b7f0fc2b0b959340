"""A replay on hand-worked numbers, and the pacer's promises on the real tables."""

import numpy as np
import pytest
from pacing_replay import Spent, Stream, replay

from router_model import BudgetPacer, PacingBudget, PredictionTable, SpendCurve, TrainingError
from router_model.training.table.costs import realised_costs


@pytest.fixture
def stream():
    """'good' (10 cents) succeeds on both prompts, 'cheap' (1 cent) on the second; it was expected on the first, too."""
    p, cost = np.array([[0.8, 0.9], [0.5, 0.9]]), np.array([[0.01, 0.10], [0.01, 0.10]])
    table = PredictionTable(("cheap", "good"), p, cost, cost * 1000, np.ones(2), 0.5)
    return Stream(table, cost, np.array([[0.0, 1.0], [1.0, 1.0]]))


def test_the_best_static_value_under_a_limit(stream):
    """From 0.225 USD 'good' pays on the second prompt only, at 5.5 cents on average, which gains nothing."""
    assert stream.best_static(0.06) == Spent(pytest.approx(0.01), 0.5)
    assert stream.best_static(0.10) == Spent(pytest.approx(0.10), 1.0)
    with pytest.raises(TrainingError, match="a limit of 0.005 USD per request; the cheapest choices cost 0.01"):
        stream.best_static(0.005)


@pytest.mark.parametrize("delay", [0, 1, 5])
def test_a_replay_counts_what_the_pacer_chose(stream, delay):
    """A limit that 'good' fits, and a curve on which it costs a success worth more than a dollar."""
    pacer = BudgetPacer(SpendCurve((0.1, 2.0), (0.01, 0.1)), PacingBudget.per_request(0.1, n_requests=2))
    assert replay(pacer, stream, stream.decisions(), np.array([1, 0]), delay=delay) == Spent(pytest.approx(0.1), 1.0)
    assert pacer.spent_usd == pytest.approx(0.2)


@pytest.fixture(scope="module", params=["zeroeval", "mmlu_pro"])
def real_stream(request, real_run):
    run, router = real_run(request.param)
    test = run.outcomes.take(run.split.test)
    table = router.predict_features(run.features.take(run.split.test))
    return (
        router.artifact.spend_curve,
        Stream(table, realised_costs(test, run.catalog), test.quality),
        np.array(test.tasks),
    )


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("share", [0.1, 0.8])
def test_a_budget_is_kept_and_costs_little_quality(real_stream, share):
    """Against hindsight: a point in random orders, on average; in the order of tasks more (docs/decisions/0005)."""
    curve, stream, tasks = real_stream
    mean = stream.cost_usd.mean(axis=0)
    low, high = mean.min(), mean[stream.quality.mean(axis=0).argmax()]
    limit = float(low * (high / low) ** share)
    best, decisions, by_task = stream.best_static(limit), stream.decisions(), np.argsort(tasks, kind="stable")
    shuffled = [np.random.default_rng(seed).permutation(len(tasks)) for seed in range(3)]
    lost = []
    for order in (*shuffled, by_task, by_task[::-1]):
        pacer = BudgetPacer(curve, PacingBudget.per_request(limit, n_requests=len(tasks)))
        spent = replay(pacer, stream, decisions, order)
        assert spent.cost_usd <= 1.015 * limit
        lost.append(best.quality - spent.quality)
    print(share, np.round(lost, 4))
    assert np.mean(lost[:3]) <= 0.015
    assert max(lost) <= 0.03
