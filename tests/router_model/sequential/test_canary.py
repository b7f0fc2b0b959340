"""A canary's five metrics: by hand, at the edges, and in simulation (`canary_streams`)."""

from dataclasses import replace

import numpy as np
import pytest
from canary_streams import EFFECTS, canary_sessions

from router_model.sequential.canary import Limits, Sessions, examine, slow_thresholds

NAN = np.nan


def sessions(is_canary, **known):
    """Sessions with some values that nobody knows."""
    n = len(is_canary)
    columns = {name: np.asarray(known.get(name, [NAN] * n), dtype=float) for name in Sessions.__slots__[1:]}
    return Sessions(np.asarray(is_canary, dtype=bool), **columns)


def found(some, share, **limits):
    return {finding.metric: finding for finding in examine(some, share, Limits(**limits))}


def test_failures_stop_where_the_e_value_reaches_its_share_of_alpha():
    """One of two sessions is the canary's; all k failures are its. E = 2^(k+1) (1 - 2^-(k+1)) / (k + 1) >= 100.

    At k = 9: (2^10 - 1) / 10 = 102.3; at 8: 56.8. The ninth failure is that of session 17.
    """
    arms = [True, False] * 20
    failed_at = [t if arm else NAN for t, arm in enumerate(arms)]
    finding = found(sessions(arms, failed_at=failed_at), 0.5)["failures"]
    assert (finding.shown, finding.stopped_after) == ("worse", 17)
    assert (finding.n_canary, finding.n_others, finding.effect, finding.high) == (20, 0, np.inf, np.inf)
    assert finding.low > 1
    assert "20 of 20 sessions that failed are the canary's" in finding.says


def test_failures_count_in_the_order_in_which_they_happened():
    """The canary's nine come last, though their sessions began first, after 40 of the others: too late to stop."""
    arms = [True] * 9 + [False] * 40
    late = [100.0 + t for t in range(9)] + [float(t) for t in range(40)]
    assert found(sessions(arms, failed_at=late), 0.5)["failures"].shown == "better"
    early = [float(t) for t in range(9)] + [100.0 + t for t in range(40)]
    assert found(sessions(arms, failed_at=early), 0.5)["failures"].shown == "worse"


def test_sessions_that_get_lost_stop_the_canary_and_say_why():
    arms = np.random.default_rng(0).random(5_000) < 0.08
    finding = found(sessions(arms), 0.1)["assignment"]
    assert finding.shown == "worse"
    assert "nothing else can be believed" in finding.says


def test_quality_within_the_tolerance_is_not_worse_and_beyond_it_stops():
    rng = np.random.default_rng(1)
    arms = rng.random(20_000) < 0.5
    quality = (rng.random(20_000) < np.where(arms, 0.75, 0.8)).astype(float)
    assert found(sessions(arms, quality=quality), 0.5)["quality"].shown == "worse"
    tolerated = found(sessions(arms, quality=quality), 0.5, quality_loss=0.1)["quality"]
    assert tolerated.shown == "not worse"
    assert tolerated.low < -0.05 < tolerated.high < 0
    assert found(sessions(~arms, quality=quality), 0.5)["quality"].shown == "better"


def test_cost_is_compared_with_the_others_mean():
    rng = np.random.default_rng(2)
    arms = rng.random(5_000) < 0.2
    cost = rng.lognormal(0, 1, 5_000) * np.where(arms, 0.5, 1.0)
    cheaper = found(sessions(arms, cost_usd=cost), 0.2)["cost"]
    assert cheaper.shown == "better"
    assert cheaper.low < -0.5 < cheaper.high
    dearer = found(sessions(~arms, cost_usd=cost), 0.8)["cost"]
    assert dearer.shown == "worse"


def test_one_session_that_cost_a_fortune_stops_nothing():
    """It counts as ten times the mean."""
    cost = [1.0, 1.0] * 20
    cost[20] = 1e6
    assert found(sessions([True, False] * 20, cost_usd=cost), 0.5)["cost"].shown == "nothing"


def test_thresholds_of_latency_come_from_the_champions_sessions_before():
    waits = np.arange(200.0)
    arms = waits % 2 == 0
    median, late = slow_thresholds(arms, waits)
    assert np.isinf(median[:64]).all()
    assert (median[64:128] == np.median(np.arange(1.0, 64, 2))).all()
    assert (late[128:192] == np.quantile(np.arange(1.0, 128, 2), 0.95)).all()


def test_latency_within_the_tolerance_is_not_worse_and_beyond_it_stops():
    rng = np.random.default_rng(3)
    arms = rng.random(5_000) < 0.5
    waits = rng.lognormal(0, 0.6, 5_000) * np.where(arms, 1.6, 1.0)
    assert found(sessions(arms, latency_s=waits), 0.5)["latency"].shown == "worse"
    assert found(sessions(arms, latency_s=waits), 0.5, latency_rise=1.0)["latency"].shown == "not worse"


@pytest.mark.parametrize("n", [0, 1, 2])
def test_next_to_nothing_shows_nothing(n):
    some = sessions([True, False][:n], failed_at=[0.0, NAN][:n], quality=[1.0, 0.0][:n], cost_usd=[0.0, 0.0][:n],
                    latency_s=[1.0, 1.0][:n])  # fmt: skip
    for finding in examine(some, 0.1):
        assert finding.shown == "nothing"
        assert not finding.low > finding.high


@pytest.mark.parametrize("share", [0.0, 1.0, NAN])
def test_without_both_arms_there_is_nothing_to_compare(share):
    with pytest.raises(ValueError, match="expected a number between 0 and 1: without both arms nothing is compared"):
        examine(sessions([True]), share)


def test_what_was_shown_at_an_earlier_look_stays_shown():
    """A look at the first sessions alone stops at the same one as a look at all, though later ones were better."""
    rng = np.random.default_rng(4)
    some = canary_sessions(rng, 4_000, 0.5, failures=0.2)
    forgiven = some.is_canary & (np.arange(4_000) > 2_000)
    better = replace(some, failed_at=np.where(forgiven, NAN, some.failed_at))
    beginning = Sessions(*(getattr(better, name)[:2_000] for name in Sessions.__slots__))
    first, whole = (found(each, 0.5)["failures"].stopped_after for each in (beginning, better))
    assert first == whole is not None


@pytest.mark.slow
def test_an_equal_canary_is_stopped_in_at_most_alpha_of_400_runs():
    """At an alpha of 0.2, too, where the promise is less far from what is seen."""
    share = 0.05
    runs = [canary_sessions(np.random.default_rng(run), 2_000, share) for run in range(400)]
    for alpha in (0.05, 0.2):
        stopped = [
            any(one.shown == "worse" for one in examine(run, share, Limits(alpha, 0.0, 0.0, 0.0))) for run in runs
        ]
        assert np.mean(stopped) <= alpha


@pytest.mark.slow
@pytest.mark.parametrize(
    ("effect", "most"),
    [("failures +20 points", 1_500), ("quality -20 points", 4_000), ("cost x2", 3_000),
     ("latency p95 x2, median equal", 3_000)],
)  # fmt: skip
def test_a_bad_canary_is_stopped_by_what_is_bad_about_it(effect, most):
    """A share of 10 %: in nine of ten runs within so many sessions (`bench_canary.py` prints how soon)."""
    metric = effect.partition(" ")[0]
    runs = [canary_sessions(np.random.default_rng(run), most, 0.1, **EFFECTS[effect]) for run in range(60)]
    found_worse = [[one.metric for one in examine(run, 0.1) if one.shown == "worse"] for run in runs]
    assert np.mean([metric in metrics for metrics in found_worse]) >= 0.9
