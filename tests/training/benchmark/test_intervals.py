import json

import numpy as np
import pytest
from small_trials import small_routed, small_side, small_trial

from router_model.training.benchmark.intervals import (
    DIFFERENCES,
    PromptWeights,
    Run,
    differences,
    method_results,
    metric_intervals,
    resample,
)
from router_model.training.benchmark.measure import measure
from router_model.training.benchmark.method import MethodCard
from router_model.training.benchmark.results import Interval, MethodTrial

CARD = MethodCard("ours", "ours", "here", "none")


def some_trial(seed, ids, *, n_models=3):
    rng = np.random.default_rng(seed)
    n = len(ids)
    cost = np.geomspace(1e-4, 1e-2, n_models) * rng.lognormal(0, 0.3, (n, n_models))
    success = (rng.random((n, n_models)) < np.linspace(0.4, 0.8, n_models)).astype(float)
    return small_trial(small_side(success, cost), small_side(success, cost, ids=ids), name=f"seed {seed}", seed=seed)


def some_routed(trial, seed):
    rng = np.random.default_rng(seed)
    choices = rng.integers(0, len(trial.models), (5, len(trial.test)))
    return small_routed(choices, choices, rng.random(trial.test.success.shape))


def some_run(card, trials, weights, seed):
    routed = [some_routed(trial, seed + index) for index, trial in enumerate(trials)]
    return Run(
        card,
        [measure(trial, each, card) for trial, each in zip(trials, routed, strict=True)],
        [resample(weights, trial, each) for trial, each in zip(trials, routed, strict=True)],
    )


@pytest.fixture(scope="module")
def trials():
    """Two trials whose test prompts are partly the same."""
    return [some_trial(0, [f"p{row}" for row in range(60)]), some_trial(1, [f"p{row}" for row in range(30, 90)])]


@pytest.fixture(scope="module")
def weights():
    return PromptWeights.draw([f"p{row}" for row in range(100)], n_resamples=200, seed=1)


def test_a_prompt_has_the_same_weight_in_every_trial(trials, weights):
    first, second = (weights.of(trial.test) for trial in trials)
    assert first.shape == (200, 60)
    assert np.array_equal(first[:, 30:], second[:, :30])
    assert first.flags.c_contiguous


def test_turns_of_a_conversation_are_drawn_together():
    side = small_side([[1], [1], [1]], [[1], [1], [1]], sessions=["s", "", "s"])
    weights = PromptWeights.draw(side.outcomes.split_keys, n_resamples=50)
    assert weights.weights.shape == (50, 2)
    assert np.array_equal(weights.of(side)[:, 0], weights.of(side)[:, 2])


def test_resamples_have_the_names_and_the_values_of_the_measured_metrics(trials):
    """With a weight of 1 for every prompt, every resampled metric is the measured one."""
    ones = PromptWeights({f"p{row}": row for row in range(100)}, np.ones((1, 100), dtype=np.float32))
    for trial in trials:
        routed = some_routed(trial, 5)
        measured = measure(trial, routed, CARD).metrics
        resampled = {name: values[0] for name, values in resample(ones, trial, routed).items()}
        expected = {name: np.nan if measured[name] is None else measured[name] for name in resampled}
        assert resampled == pytest.approx(expected, nan_ok=True)
        assert set(DIFFERENCES) <= set(resampled)


def hand_made(card, **values):
    """Return a run of hand-made metrics: name -> one (value, resamples) a trial."""
    blank = measure(some_trial(0, ["p0", "p1"]), some_routed(some_trial(0, ["p0", "p1"]), 0), card)
    n_trials = len(next(iter(values.values())))
    trials = [
        MethodTrial(
            **{
                **{name: getattr(blank, name) for name in blank.__slots__},
                "trial": f"t{index}",
                "metrics": {name: each[index][0] for name, each in values.items()},
            }
        )
        for index in range(n_trials)
    ]
    resamples = [
        {name: np.array(each[index][1], dtype=float) for name, each in values.items() if each[index][1] is not None}
        for index in range(n_trials)
    ]
    return Run(card, trials, resamples)


def test_the_interval_is_of_the_mean_over_trials():
    """Trials swing against each other by 1; their mean is 2 in every resample."""
    run = hand_made(CARD, aiq=[(1.0, [0, 2, 1]), (3.0, [4, 2, 3])])
    assert metric_intervals(run)["aiq"] == Interval(2.0, 2.0, 2.0, n_trials=2)


def test_intervals_are_corrected_for_bias_but_not_those_of_savings():
    """One resample in a hundred is below the value: the corrected interval is of the lowest, the plain one of all."""
    values = [(0.5, np.arange(100.0))]
    found = metric_intervals(hand_made(CARD, aiq=values, cost_save=values))
    assert (found["cost_save"].low, found["cost_save"].high) == pytest.approx((2.475, 96.525))
    assert found["aiq"].low < 0.5 <= found["aiq"].high < 2


def test_a_metric_that_is_not_always_reached_says_how_often():
    """Reached in one trial of two, and there in 2 of 4 resamples: 2 of 8; the interval is over 0.1 and 0.3."""
    nan = np.nan
    run = hand_made(CARD, cost_save=[(0.2, [0.1, nan, 0.3, nan]), (None, [nan] * 4)])
    found = metric_intervals(run)["cost_save"]
    assert (found.value, found.n_trials, found.reached) == (0.2, 1, 0.25)
    assert (found.low, found.high) == pytest.approx((0.105, 0.295))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([(0.5, None)], Interval(0.5, n_trials=1)),
        ([(None, None)], Interval(None, n_trials=0, reached=0.0)),
        ([(None, [np.nan, 0.3])], Interval(None, n_trials=0, reached=0.5)),
        ([(0.1, [np.nan, np.nan])], Interval(0.1, n_trials=1, reached=0.0)),
    ],
    ids=["not resampled", "never defined", "reached by chance", "reached by luck"],
)
def test_metrics_without_an_interval(values, expected):
    assert metric_intervals(hand_made(CARD, cost_save=values))["cost_save"] == expected


def test_differences_are_paired_by_trial_and_resample():
    """Both methods swing by 2 together: ours is better by exactly 1 throughout. A trial that one lacks is left out."""
    ours = hand_made(CARD, aiq=[(3.0, [1, 3, 5]), (9.0, [9, 9, 9])], brier=[(0.1, [0.1] * 3), (0.1, [0.1] * 3)])
    other = hand_made(CARD, aiq=[(2.0, [0, 2, 4])], brier=[(None, None)])
    assert differences(ours, other) == {"aiq": Interval(1.0, 1.0, 1.0, n_trials=1)}


def test_paired_intervals_are_narrower_than_those_of_the_metrics(trials, weights):
    ours, other = some_run(CARD, trials, weights, 7), some_run(CARD, trials, weights, 8)
    difference, alone = differences(ours, other)["log_loss"], metric_intervals(ours)["log_loss"]
    assert difference.high - difference.low < 2 * (alone.high - alone.low)
    assert difference.value == pytest.approx(alone.value - metric_intervals(other)["log_loss"].value)


def test_method_results_have_differences_to_ours_and_are_json(trials, weights):
    rival = MethodCard("kNN", "learned", "RouterBench", "value of a success")
    runs = [some_run(card, trials, weights, seed) for seed, card in enumerate((CARD, rival))]
    ours, other = method_results(runs)
    assert (other.name, other.kind, other.origin, other.knob) == ("kNN", "learned", "RouterBench", "value of a success")
    assert ours.ours_minus == {}
    assert set(other.ours_minus) == set(DIFFERENCES)
    assert other.metrics["aiq"].low <= other.metrics["aiq"].value <= other.metrics["aiq"].high
    assert other.metrics["pareto_distance"].low is None
    json.dumps([[vars_of(each) for each in result.metrics.values()] for result in (ours, other)], allow_nan=False)


def vars_of(figure):
    return {name: getattr(figure, name) for name in figure.__slots__}


def test_without_ours_there_are_no_differences(trials, weights):
    (alone,) = method_results([some_run(CARD, trials, weights, 1)], ours="another")
    assert alone.ours_minus == {}
