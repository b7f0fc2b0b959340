"""What the pages work out from summaries."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from router_model.serving.console.figures import Rate, percentiles, saved, series
from router_model.serving.console.rendering import count, seconds, share, usd
from router_model.serving.decision_log.store import Summaries
from router_model.serving.decision_log.summaries import step

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def sums(chosen, best, met=None):
    """Return the summary of decisions that cost `chosen`, where the best model was expected to cost `best`."""
    tree = {
        "compared": {"n": len(chosen), "c": chosen.sum(), "cc": (chosen**2).sum(), "p": 0.8 * len(chosen)},
        "against": {
            "best": {"n": len(best), "p": 0.9 * len(best), "e": best.sum(), "ee": (best**2).sum(),
                     "ec": (best * chosen[: len(best)]).sum()},
        },
    }  # fmt: skip
    return tree if met is None else tree | {"met": {"best": met}}


def test_best_single_model_has_the_highest_mean_chance_among_almost_all_decisions():
    tree = sums(np.ones(10), np.full(10, 3.0))
    tree["against"]["seldom"] = {"n": 5, "p": 4.9, "e": 1.0, "ee": 1.0, "ec": 1.0}
    tree["against"]["weak"] = {"n": 10, "p": 5.0, "e": 1.0, "ee": 1.0, "ec": 1.0}
    found = saved(tree)
    assert (found.best, found.usd, found.low, found.n) == ("best", 20.0, 20.0, 10)
    assert (found.p_best, found.p_chosen) == pytest.approx((0.9, 0.8))


def test_nothing_to_compare_is_nothing_saved():
    assert saved({}) is None
    assert saved({"compared": {"n": 10, "c": 1.0, "cc": 1.0, "p": 1.0}, "against": {}}) is None


def test_best_models_expected_costs_are_corrected_by_what_its_calls_cost():
    """Its forty calls cost twice what was expected, exactly: 10 decisions at $3 would have cost $60."""
    met = {"n": 40, "a": 80.0, "aa": 160.0, "e": 40.0, "ee": 40.0, "ae": 80.0}
    assert saved(sums(np.ones(10), np.full(10, 3.0), met)).usd == pytest.approx(50.0)
    assert saved(sums(np.ones(10), np.full(10, 3.0), met | {"n": 29})).usd == pytest.approx(20.0)


def test_interval_of_what_was_saved_covers_the_truth():
    """True mean saving of a decision: E[best] - E[chosen] = 2 - 1. Of 600 periods, 95 % cover it; allowed: 3 errors."""
    rng, n, covered = np.random.default_rng(0), 200, 0
    for _ in range(600):
        chosen, best = rng.gamma(2.0, 0.5, n), rng.gamma(4.0, 0.5, n)
        found = saved(sums(chosen, best))
        covered += found.low <= n * 1.0 <= found.high
    assert abs(covered / 600 - 0.95) < 3 * (0.95 * 0.05 / 600) ** 0.5


def test_rate_of_nothing_and_of_everything():
    assert Rate.of(0, 0) is None
    assert Rate.of(10, 10).high == pytest.approx(1.0)
    assert Rate.of(0, 10).low == 0.0


def test_percentiles_are_right_within_a_step():
    times = np.random.default_rng(1).lognormal(0, 1, 5000)
    steps = {}
    for time in times:
        steps[step(time)] = steps.get(step(time), 0) + 1
    for part, found in zip((0.5, 0.9, 0.99), percentiles(steps, 0.5, 0.9, 0.99), strict=True):
        assert found == pytest.approx(np.quantile(times, part), rel=0.03)
    assert percentiles({}, 0.5) == [None]


def test_series_has_points_of_one_length_and_leaves_the_unfinished_one_out():
    since = NOW - timedelta(hours=24, minutes=30)
    found = Summaries(since.replace(minute=0), NOW, [(since.replace(minute=0), {"n": 1}), (NOW, {"n": 9})], 0)
    points = series(found, NOW + timedelta(minutes=30))
    assert [point["n"] for _, point in points[:1]] == [1]
    assert {b[0] - a[0] for a, b in pairwise(points)} == {timedelta(hours=1)}
    assert all("n" not in tree for _, tree in points[1:])


@pytest.mark.parametrize(
    ("period", "since", "length"),
    [
        (timedelta(hours=1), timedelta(hours=1, seconds=40), timedelta(minutes=1)),
        (timedelta(days=30), timedelta(days=30, minutes=40), timedelta(hours=12)),
    ],
    ids=["an hour", "a month"],
)
def test_series_of_a_period_that_begins_on_the_full_minute_or_hour_has_many_points(period, since, length):
    points = series(Summaries(NOW - since, NOW, [], 0), NOW)
    assert {b[0] - a[0] for a, b in pairwise(points)} == {length}
    assert len(points) == period / length


def test_numbers_that_are_not_known_are_told_from_zero():
    for write in (usd, share, count, seconds):
        assert "not known" in write(None)
        assert "not known" not in write(0)
    assert "not known" in usd(float("nan"))
