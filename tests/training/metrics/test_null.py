from dataclasses import replace

import numpy as np
import pytest
from simulated_world import outcomes_in, simulate

from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.training.measuring.evaluate import evaluate
from router_model.training.metrics import Points, Singles, aiq, frontier_null, level_predictions
from router_model.training.metrics.null import N_PERMUTATIONS
from router_model.training.table.split import split_prompts
from router_model.training.train import Run, TrainConfig


def gain(choices, quality, cost):
    rows = np.arange(len(quality))
    singles = Singles(cost.mean(axis=0), quality.mean(axis=0))
    height = aiq(Points(cost[rows, choices].mean(axis=1), quality[rows, choices].mean(axis=1)), singles)
    return height - aiq(Points(singles.cost_usd, singles.quality), singles)


def choices_of(p, cost):
    values = np.geomspace(1e-2, 1e4, 60)
    return np.array([np.argmax(p * value - cost, axis=1) for value in values])


def world(rng, n):
    """Three models, the dearer the better; how hard a prompt is has nothing to do with what it costs."""
    skill = rng.normal(0, 1, (n, 3))
    p = 1 / (1 + np.exp(-(skill + np.array([-0.3, 0.2, 0.6]))))
    quality = (rng.random((n, 3)) < p).astype(float)
    cost = np.array([1.0, 4.0, 10.0]) * rng.lognormal(0, 0.6, (n, 1))
    return p, quality, cost


def test_two_prompts_by_hand():
    """The cheap model costs 1, the dear one 3; the router sends one prompt to each, at cost 2.

    In the order as given, both succeed: quality 1, as the dear model alone, where half the way up would be 0.75. The
    hull rises from (1, 0.5) to (2, 1) and is flat to (3, 1): height 0.875. The models' line has 0.75, so the gain is
    0.125. With the outcomes exchanged, the router has 0.5, which is the cheap model's: the gain is -0.25. About half of
    the permutations exchange the two.
    """
    choices = np.array([[0, 1]])
    quality = np.array([[1.0, 1.0], [0.0, 1.0]])
    cost = np.tile([1.0, 3.0], (2, 1))
    assert gain(choices, quality, cost) == pytest.approx(0.125)
    assert gain(choices, quality[::-1], cost) == pytest.approx(-0.25)
    n_exchanged = N_PERMUTATIONS * (0.125 - frontier_null(choices, quality, cost)["aiq_null"]) / 0.375
    assert n_exchanged == pytest.approx(round(n_exchanged))
    assert 10 <= n_exchanged <= 30


def test_the_null_of_an_informed_router_is_far_below_its_gain_and_shrinks_with_more_prompts():
    found = {}
    for n in (100, 3000):
        p, quality, cost = world(np.random.default_rng(3), n)
        uninformed = choices_of(level_predictions(p), cost)
        found[n] = frontier_null(uninformed, quality, cost)["aiq_null"]
        assert gain(choices_of(p, cost), quality, cost) > found[n] + 0.03
    assert found[100] > found[3000]


def test_the_same_seed_and_the_same_configurations_give_the_same_null():
    p, quality, cost = world(np.random.default_rng(1), 60)
    choices = choices_of(p, cost)
    null = frontier_null(choices, quality, cost)
    assert frontier_null(np.concatenate([choices[::-1], choices]), quality, cost) == null


def test_a_gain_that_is_not_defined_has_no_null():
    assert frontier_null(np.zeros((1, 5), dtype=int), np.zeros((5, 2)), np.ones((5, 2)))["perf_gain_null"] is None


def test_predictions_that_learned_nothing_gain_as_much_as_the_null_says():
    """Mean over 40 tables of 100 prompts: predictions are a model's level and a little noise, as of shuffled labels."""
    gains, nulls = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        p, quality, cost = world(rng, 100)
        level = np.tile(p.mean(axis=0), (100, 1))
        gains.append(gain(choices_of(level + rng.normal(0, 0.02, level.shape), cost), quality, cost))
        nulls.append(frontier_null(choices_of(level, cost), quality, cost)["aiq_null"])
    error = np.std(gains) / np.sqrt(len(gains))
    assert np.mean(nulls) == pytest.approx(np.mean(gains), abs=3 * error)
    assert np.mean(nulls) > 0.003


@pytest.mark.slow
def test_training_on_shuffled_labels_gains_what_the_null_says(catalog):
    """Eight tables of 300 prompts: the null of a router that learned, and the gain of one that could learn nothing."""
    encoder, shuffled, nulls, gains = load_encoder("static"), [], [], []
    for seed in range(8):
        outcomes = outcomes_in(simulate(300, seed=seed))
        order = np.random.default_rng(seed).permutation(300)
        features, split = featurise(outcomes.prompts, encoder), split_prompts(outcomes.split_keys, seed=seed)
        for quality in (outcomes.quality, outcomes.quality[order]):
            table = replace(outcomes, quality=quality)
            run = Run(None, table, features, split, catalog, encoder, TrainConfig(seed=seed))
            router, _ = run.fit(lambda _: None)
            test = table.take(split.test)
            metrics = evaluate(router, test, features=features.take(split.test), include_seen=True).metrics
            if quality is outcomes.quality:
                nulls.append(metrics["aiq_null"])
                gains.append(metrics["aiq_gain"])
            else:
                shuffled.append(metrics["aiq_gain"])
    error = np.std(np.subtract(shuffled, nulls)) / np.sqrt(len(nulls))
    assert np.mean(nulls) == pytest.approx(np.mean(shuffled), abs=3 * error)
    assert np.mean(gains) > np.mean(nulls) + 0.02
