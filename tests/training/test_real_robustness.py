"""Robustness on the real outcome tables, at the default operating point: no rewording flips 15 % of decisions."""

import pytest

from router_model.training.measuring.robustness import measure_robustness

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

N_PROMPTS = 300


@pytest.fixture(scope="module", params=["zeroeval", "mmlu_pro"])
def robustness(request, real_run):
    """Of a router of seed 0, on some test prompts."""
    run, router = real_run(request.param)
    return measure_robustness(router, run.outcomes.take(run.split.test), include_seen=True, max_prompts=N_PROMPTS)


def test_no_rewording_flips_fifteen_percent(robustness):
    worst = max(robustness.rewordings, key=lambda flips: flips.flipped)
    assert worst.flipped <= 0.15, worst
