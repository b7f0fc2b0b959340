from dataclasses import replace

import numpy as np
import pytest

from router_model.training.table.outcomes import Outcomes
from router_model.training.table.targets import build_targets

NAN = np.nan


def outcomes(quality, tokens=None, propensity=None):
    quality = np.array(quality, dtype=float)
    unknown = np.full(quality.shape, NAN)
    n, m = quality.shape
    return Outcomes(
        prompt_ids=[f"p{i}" for i in range(n)],
        prompts=["x"] * n,
        tasks=[""] * n,
        models=tuple("abc"[:m]),
        quality=quality,
        input_tokens=unknown,
        output_tokens=unknown if tokens is None else np.array(tokens, dtype=float),
        cost_usd=unknown,
        latency_s=unknown,
        propensity=unknown if propensity is None else np.array(propensity, dtype=float),
    )


def test_success_at_each_bar_and_nothing_for_the_unknown():
    """Three qualities occur, so three bars are learned: 0.2, 0.6 and 1."""
    targets = build_targets(outcomes([[0.6, NAN], [1.0, 0.2]]), (0.5, 0.9), np.arange(2))
    assert targets.grid.bars == pytest.approx([0.2, 0.6, 1.0])
    assert targets.grid.stepwise
    assert targets.outcome.tolist() == [[[1, 1, 0], [0, 0, 0]], [[1, 1, 1], [1, 0, 0]]]
    assert targets.weight.tolist() == [[[1] * 3, [0] * 3], [[1] * 3, [1] * 3]]
    assert targets.graded.tolist() == [[True, False], [True, True]]
    assert targets.amounts == ()


def test_quality_equal_to_the_bar_succeeds():
    assert build_targets(outcomes([[0.7, 0.69]]), (0.7,), np.arange(1)).outcome[0].tolist() == [[1, 1], [1, 0]]


def test_token_target_is_the_log_less_the_models_mean():
    """Tokens e^2 - 1 and e^4 - 1 have mean log 3: targets -1 and 1."""
    tokens = [[np.exp(2) - 1, NAN], [np.exp(4) - 1, NAN]]
    targets = build_targets(outcomes([[1, 0], [1, 0]], tokens), (0.5,), np.arange(2))
    assert targets.amounts == ("output_tokens",)
    assert targets.outcome[:, 0, -1] == pytest.approx([-1, 1])
    assert targets.weight[:, :, -1].tolist() == [[1, 0], [1, 0]]
    assert targets.mean_log["output_tokens"] == pytest.approx([3, 3])  # a model without tokens gets the others' mean


def test_bars_are_told_apart_by_training_prompts_only():
    table = outcomes([[0.0, 1.0], [0.6, 1.0]])
    assert build_targets(table, (0.5, 0.9), np.array([0])).grid.bars.tolist() == [1.0]
    assert build_targets(table, (0.5, 0.9), np.array([0, 1])).grid.bars == pytest.approx([0.6, 1.0])


def test_latency_is_an_amount_like_tokens():
    table = outcomes([[1, 0], [1, 0]], tokens=[[10, 10], [10, 10]])
    table = replace(table, latency_s=np.array([[1.0, NAN], [3.0, 2.0]]))
    targets = build_targets(table, (0.5,), np.arange(2))
    assert targets.amounts == ("output_tokens", "latency_s")
    assert targets.column("latency_s") == 2
    half = np.log(4 / 2) / 2  # log(1 + 3) and log(1 + 1) lie this far from their mean
    assert targets.outcome[:, 0, 2] == pytest.approx([-half, half])
    assert targets.weight[:, :, 2].tolist() == [[1, 0], [1, 1]]


def test_propensities_do_not_weigh_rows():
    """They serve evaluation; as weights of the fit they cost accuracy (docs/decisions/0022)."""
    targets = build_targets(outcomes([[1, NAN], [NAN, 0]], propensity=[[0.9, NAN], [NAN, 0.01]]), (0.5,), np.arange(2))
    assert targets.weight[:, :, 0].tolist() == [[1, 0], [0, 1]]
