"""Traffic: shares within the noise of their draws, from the seed alone."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from small_world import small_world

from router_model.errors import RequestError
from router_model.serving.simulation.traffic import ADVERSARY, Traffic, draw_arrivals
from router_model.serving.simulation.world import TaskChange, phases_of

N = 20_000


def arrivals_of(traffic, *changes, seed=0):
    phases = phases_of(small_world(), changes, traffic.n_requests, np.random.default_rng(seed))
    return draw_arrivals(traffic, phases, np.random.default_rng(seed))


def is_near(count, n, share):
    """Whether a count is within four standard deviations of a binomial one."""
    return abs(count - n * share) <= 4 * (n * share * (1 - share)) ** 0.5


def test_shares_are_as_asked():
    traffic = Traffic(n_requests=N, degraded=0.02, feedback=0.3, duplicates=0.1, noise=0.05)
    arrivals = arrivals_of(traffic)
    judged = [one for one in arrivals if one.judged_after_s is not None]
    assert len(arrivals) == N
    assert is_near(sum(one.is_late for one in arrivals), N, 0.02)
    assert is_near(len(judged), N, 0.3)
    assert is_near(sum(one.is_false for one in judged), len(judged), 0.05)
    assert is_near(sum(one.repeats > 0 for one in judged), len(judged), 0.1)
    assert np.mean([one.judged_after_s for one in judged]) == pytest.approx(3600, rel=0.06)
    assert len({one.key_id for one in arrivals}) == 10


def test_the_adversary_has_its_share_of_the_feedback_and_all_of_it_is_false():
    arrivals = arrivals_of(Traffic(n_requests=N, feedback=0.3, adversary=0.05))
    judged = [one for one in arrivals if one.judged_after_s is not None]
    of_adversary = [one for one in judged if one.key_id == ADVERSARY]
    assert is_near(len(of_adversary), len(judged), 0.05)
    assert all(one.is_false for one in of_adversary)
    assert not any(one.is_false for one in judged if one.key_id != ADVERSARY)


def test_time_goes_on_at_the_asked_rate():
    traffic = Traffic(n_requests=N, requests_per_hour=120, turns=2.5)
    arrivals = arrivals_of(traffic)
    assert all(one.at <= other.at for one, other in pairwise(arrivals))
    assert arrivals[0].at >= traffic.start.timestamp()
    hours = (arrivals[-1].at - arrivals[0].at) / 3600
    assert hours == pytest.approx(N / 120, rel=0.05)


def test_conversations_keep_their_caller_and_task():
    arrivals = arrivals_of(Traffic(n_requests=N, turns=2.5))
    n_turns = Counter(one.session_id for one in arrivals)
    assert np.mean(list(n_turns.values())) == pytest.approx(2.5, rel=0.05)
    tasks = {(one.session_id, small_world().tasks[one.row]) for one in arrivals}
    keys = {(one.session_id, one.key_id) for one in arrivals}
    assert len(tasks) == len(keys) == len(n_turns)


def test_the_mix_of_tasks_changes_when_it_is_told_to():
    """Two of three prompts are sums: two thirds of the requests, then 2 x 2 / (2 x 2 + 1) = 0.8."""
    arrivals = arrivals_of(Traffic(n_requests=N), TaskChange(0.5, "sums", 2))
    sums = [small_world().tasks[one.row] == "sums" for one in arrivals]
    assert is_near(sum(sums[: N // 2]), N // 2, 2 / 3)
    assert is_near(sum(sums[N // 2 :]), N // 2, 0.8)


def test_requests_do_not_depend_on_feedback_but_on_the_seed():
    few, many = (arrivals_of(Traffic(n_requests=500, feedback=share)) for share in (0.1, 0.5))
    assert [one[:5] for one in few] == [one[:5] for one in many]
    assert few == arrivals_of(Traffic(n_requests=500, feedback=0.1))
    assert few != arrivals_of(Traffic(n_requests=500, feedback=0.1), seed=1)


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"feedback": 1.5}, "feedback: got 1.5; expected 0 to 1"),
        ({"noise": float("nan")}, "noise: got nan; expected 0 to 1"),
        ({"adversary": 1}, "adversary: got 1; expected 0 to less than 1"),
        ({"n_requests": 0}, "n_requests: got 0; expected 1 or more"),
        ({"turns": 0.5}, "turns: got 0.5; expected 1 or more"),
        ({"requests_per_hour": 0}, "requests_per_hour: got 0; expected a number above 0"),
        ({"delay_s": -1}, "delay_s: got -1; expected 0 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting, match):
    with pytest.raises(RequestError, match=match):
        Traffic(**setting)
