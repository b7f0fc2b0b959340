"""The figures of a benchmark, as the data that they are drawn from."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fake_results import MODELS, TASKS, fake_results

pytest.importorskip("altair", reason="extra 'report' is not installed")

from router_model.training.benchmark.report.figures import (
    differences_figure,
    frontier_figures,
    hull,
    mean_frontier,
    mean_shares,
    mean_singles,
    reliability_figures,
    savings_figures,
    shares_figure,
    shift_figures,
    task_savings,
)
from router_model.training.benchmark.results import Curve


@pytest.fixture(scope="module")
def results():
    return fake_results()


def drawn(figure, width=760):
    return json.dumps(figure.draw(width).to_dict(), ensure_ascii=False)


def test_frontiers_have_every_method_that_is_no_single_model(results):
    above, below = (drawn(figure) for figure in frontier_figures(results))
    learned = [method.name for method in results.methods if method.kind in {"learned", "package", "ours"}]
    assert all(name in above for name in [*learned, "oracle", "random mix"])
    assert all(name in below for name in learned)
    assert "oracle" not in below


def test_free_models_are_left_off_a_logarithmic_axis(results):
    trial = results.trials[0]
    free = replace(trial, singles=(replace(trial.singles[0], cost_usd=0.0), *trial.singles[1:]))
    assert len(mean_singles(replace(results, trials=(free,)))) == len(MODELS) - 1


def test_a_mean_frontier_is_taken_at_equal_costs():
    """Two frontiers, both from 1 to 4 USD: at 1 the mean of 0.2 and 0.4, from 2 on that of 0.6 and 0.4."""
    cost, quality = mean_frontier([Curve((1.0, 2.0, 4.0), (0.2, 0.6, 0.6)), Curve((1.0, 4.0), (0.4, 0.4))])
    assert (cost[0], cost[-1]) == (pytest.approx(1.0), pytest.approx(4.0))
    assert quality[0] == pytest.approx(0.3)
    assert quality[cost >= 2.0] == pytest.approx(0.5)
    assert [len(part) for part in mean_frontier([Curve((0.0,), (0.5,))])] == [0, 0]


def test_the_hull_is_what_mixing_by_lot_reaches():
    """Halfway between models of quality 0.5 for $1 and 0.9 for $3, lots reach 0.7; beyond them it is flat."""
    height = hull(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.6, 0.9]), np.array([0.5, 2.0, 5.0]))
    assert height.tolist() == pytest.approx([0.5, 0.7, 0.9])


def test_shares_are_means_over_trials_and_add_up_to_1(results):
    for method in results.methods:
        assert sum(mean_shares(method).values()) == pytest.approx(1.0)
    assert "other models" in drawn(shares_figure(results))


def test_savings_are_weighted_by_prompts_and_far_ones_are_told(results):
    savings = task_savings(results.method("ours"))
    assert {row.task for row in savings} == set(TASKS)
    far = replace(savings[0], saving=-1.5)
    free = replace(savings[1], saving=None)
    saved, _ = savings_figures([far, free, *savings[2:]])
    assert "2.5 x cost" in drawn(saved)
    assert "the best single model is free" in drawn(saved)
    assert savings_figures([]) == ()


def test_differences_name_every_rival_and_bounds_are_none(results):
    said = drawn(differences_figure(results, "aiq"))
    assert "kNN 100" in said
    assert "oracle" not in said


def test_reliability_begins_with_ours_and_shift_needs_margins(results):
    first, *_ = reliability_figures(results)
    assert '"ours"' in drawn(first)
    assert len(shift_figures(fake_results(shift=True))) == 2
    lonely = replace(results, methods=tuple(m for m in results.methods if m.kind == "bound"))
    assert reliability_figures(lonely) == ()
    assert shift_figures(lonely) == ()
