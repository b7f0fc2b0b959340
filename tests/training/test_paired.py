import numpy as np
import pytest

from router_model.training.measuring.paired import (
    Resampling,
    against_singles,
    independent_groups,
    paired_difference,
)
from router_model.training.measuring.verdict import NOTHING_SAVED, REFERENCE_IS_FREE, Finding, routing_verdict


def world(n, *, rates, costs, seed=0):
    rng = np.random.default_rng(seed)
    quality = (rng.random((n, len(rates))) < rates).astype(float)
    return quality, np.tile(np.array(costs, dtype=float), (n, 1))


def each_for_itself(n):
    return Resampling.of(np.arange(n))


def test_a_difference_is_that_of_the_means_and_its_interval_that_of_a_paired_test():
    """Standard error of the mean of paired differences, times 1.96."""
    quality, cost = world(1000, rates=[0.5, 0.6], costs=[1.0, 2.0])
    first, second = np.zeros(1000, dtype=np.intp), np.ones(1000, dtype=np.intp)
    found = paired_difference(second, first, quality, cost, each_for_itself(1000))
    values = quality[:, 1] - quality[:, 0]
    assert found.quality.value == pytest.approx(values.mean())
    assert found.quality.half_width == pytest.approx(1.96 * values.std() / np.sqrt(1000), rel=0.1)
    assert found.saving.value == -1.0
    assert found.saving.half_width == pytest.approx(0.0, abs=1e-6)


def test_five_copies_of_each_prompt_say_no_more_than_one():
    quality, cost = world(200, rates=[0.5, 0.6], costs=[1.0, 2.0])
    chosen = np.random.default_rng(1).integers(2, size=200)
    zeros = np.zeros(200, dtype=np.intp)
    once = paired_difference(chosen, zeros, quality, cost, each_for_itself(200))
    copies = np.tile(np.arange(200), 5)
    groups = independent_groups([f"p{i}" for i in range(1000)], copies.tolist())
    five = paired_difference(chosen[copies], zeros[copies], quality[copies], cost[copies], Resampling.of(groups))
    assert (five.n_prompts, five.n_independent) == (1000, 200)
    assert five.quality.half_width == pytest.approx(once.quality.half_width, rel=0.15)
    assert five.saving.half_width == pytest.approx(once.saving.half_width, rel=0.15)


def test_groups_join_what_shares_a_session_or_a_text():
    assert independent_groups(["s", "t", "s", "u"], ["a", "b", "c", "d"]).tolist() == [0, 1, 0, 2]
    assert independent_groups(["s", "t", "u", "v"], ["a", "b", "a", "b"]).tolist() == [0, 1, 0, 1]


def test_equal_outcomes_on_few_prompts_do_not_prove_that_two_models_are_equal():
    """Thirty prompts that both answer: up to three in thirty may still differ."""
    found = paired_difference(
        np.ones(30, dtype=np.intp), np.zeros(30, dtype=np.intp), np.ones((30, 2)), np.ones((30, 2)), each_for_itself(30)
    )
    assert (found.quality.low, found.quality.high) == (-0.1, 0.1)


@pytest.mark.parametrize(("cost", "saving"), [([0.0, 0.0], NOTHING_SAVED), ([0.0, 1.0], REFERENCE_IS_FREE)])
def test_nothing_is_divided_by_the_cost_of_a_free_model(cost, saving):
    quality, costs = world(50, rates=[0.5, 0.6], costs=cost)
    found = paired_difference(
        np.ones(50, dtype=np.intp), np.zeros(50, dtype=np.intp), quality, costs, each_for_itself(50)
    )
    assert found.saving == saving


def test_more_prompts_get_fewer_resamples():
    assert len(each_for_itself(1000).weights) == 1000
    assert len(each_for_itself(50_000).weights) == 400


@pytest.mark.parametrize("costs", [[1.0] * 6, [1.0, 1.0, 2.0, 3.0, 5.0, 9.0]])
@pytest.mark.parametrize("seed", range(3))
def test_routing_by_chance_between_equal_models_never_pays(costs, seed):
    """Six models that succeed on 60 % of 600 prompts, and a router that knows nothing but sends all to the cheapest
    (or, where all cost the same, anywhere)."""
    quality, cost = world(600, rates=[0.6] * 6, costs=costs, seed=seed)
    rng = np.random.default_rng(100 + seed)
    chosen = rng.integers(6, size=600) if len(set(costs)) == 1 else np.zeros(600, dtype=np.intp)
    models = [f"m{i}" for i in range(6)]
    best = models[int(quality.mean(axis=0).argmax())]
    against = against_singles(chosen, models, quality, cost, each_for_itself(600))
    verdict = routing_verdict(against, best)
    assert verdict.finding in (Finding.TIE, Finding.WORSE)
    assert "send all to m" in verdict.sentence
