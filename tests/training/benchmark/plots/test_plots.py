import io
from dataclasses import replace

import numpy as np
import pytest
from fake_results import MODELS, TASKS, fake_results
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib", reason="extra 'benchmark' is not installed")

from router_model.training.benchmark.plots import (
    TaskSaving,
    cost_and_quality,
    decision_shares,
    frontiers,
    paired_differences,
    reliability_curves,
    savings_by_task,
    shift_by_task,
)
from router_model.training.benchmark.plots.frontiers import mean_frontier, static_mix
from router_model.training.benchmark.plots.shares import mean_shares
from router_model.training.benchmark.results import Curve, Realised


@pytest.fixture(scope="module")
def results():
    return fake_results()


def test_frontiers_draw_every_method_and_below_the_learned_ones(results):
    above, below = frontiers(results).axes
    assert len(above.lines) == 14
    assert len(below.lines) == 9 + 1  # and the line at 0
    named = [text.get_text() for text in above.get_legend().get_texts()]
    assert named[:3] == ["0.9073  oracle", "0.6868  oracle by task", "0.6857  ours"]
    (singles,) = above.collections
    assert len(singles.get_offsets()) == len(MODELS)


def test_names_of_single_models_cover_no_other(results):
    figure = frontiers(results)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) >= 8
    assert not [1 for i, box in enumerate(boxes) for other in boxes[:i] if box.overlaps(other)]


def test_free_models_are_left_off_a_logarithmic_axis(results):
    trial = results.trials[0]
    free = replace(trial, singles=(replace(trial.singles[0], cost_usd=0.0), *trial.singles[1:]))
    above, _ = frontiers(replace(results, trials=(free,))).axes
    assert len(above.collections[0].get_offsets()) == len(MODELS) - 1


def test_a_mean_frontier_is_taken_at_equal_costs():
    """Two frontiers, both from 1 to 4 USD: at 1 the mean of 0.2 and 0.4, from 2 on that of 0.6 and 0.4."""
    cost, quality = mean_frontier([Curve((1.0, 2.0, 4.0), (0.2, 0.6, 0.6)), Curve((1.0, 4.0), (0.4, 0.4))])
    assert (cost[0], cost[-1]) == pytest.approx((1, 4))
    assert quality[cost < 1.99] == pytest.approx(0.3)
    assert quality[cost > 2.01] == pytest.approx(0.5)


def test_a_frontier_without_costs_is_not_drawn():
    assert len(mean_frontier([Curve((0.0,), (0.5,))])[0]) == 0


@given(st.lists(st.tuples(st.floats(1e-6, 1), st.floats(0, 1)), min_size=1, max_size=9))
def test_a_static_mix_is_at_least_as_good_as_each_model_and_never_falls(models):
    from router_model.training.benchmark.plots.frontiers import _Point

    singles = [_Point("m", cost, quality) for cost, quality in models]
    costs = np.sort([cost for cost, _ in models])
    mix = static_mix(costs, singles)
    assert (np.diff(mix) >= -1e-12).all()
    assert all(static_mix(np.array([cost]), singles)[0] >= quality - 1e-9 for cost, quality in models)


def test_reliability_has_a_panel_each_and_a_line_a_trial(results):
    figure = reliability_curves(results)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown[:2]] == ["ours", "MLP + cost"]
    assert len(shown) == 8
    assert {len(axes.lines) for axes in shown} == {1 + 3}  # the diagonal


def test_savings_average_trials_by_prompts():
    """Task a: 100 prompts saved 0.2, 300 saved 0.4: (20 + 120) / 400 = 0.35. Kept: known in one trial only, 0.9."""
    method = fake_results().methods[-1]
    one, two = (
        replace(trial, by_task={"a": Realised(n, 1.0, 0.5, 0.5, saving, kept)})
        for trial, n, saving, kept in zip(method.trials, (100, 300), (0.2, 0.4), (0.9, None), strict=False)
    )
    (row,) = TaskSaving.of_method(replace(method, trials=(one, two)))
    assert (row.task, row.n_prompts) == ("a", 200)
    assert (row.saving, row.quality_kept) == (pytest.approx(0.35), pytest.approx(0.9))


def test_savings_have_a_bar_a_task(results):
    left, right = savings_by_task(TaskSaving.of_method(results.method("ours"))).axes
    assert len(left.patches) == len(TASKS)
    assert len(right.lines) == 2 * len(TASKS) + 1
    assert savings_by_task([]) is None


def test_of_many_tasks_the_largest_are_drawn():
    rows = [TaskSaving(f"task {n}", n, -3.0 if n == 40 else None, None) for n in range(1, 41)]
    figure = savings_by_task(rows, title="ours")
    assert len(figure.axes[0].patches) == 25
    assert figure.get_suptitle() == "ours; 15 smaller tasks not shown"
    said = [text.get_text() for text in figure.axes[0].texts]
    assert "4.0x the cost" in said
    assert "best single is free" in said


def test_shares_add_up_and_small_models_are_put_together(results):
    shares = {method.name: mean_shares(method) for method in results.methods}
    (axes,) = decision_shares(shares, cheapest_first=MODELS[::-1], emphasised="ours").axes
    assert len(axes.patches) == len(shares) * 9
    for place in range(len(shares)):
        widths = [bar.get_width() for bar in axes.patches if round(bar.get_y() + bar.get_height() / 2) == place]
        assert sum(widths) == pytest.approx(1)
    assert [text.get_text() for text in axes.get_legend().get_texts()][-1] == "other models"


def test_no_other_models_where_all_are_shown():
    (axes,) = decision_shares({"ours": {"a": 0.25, "b": 0.75}}, cheapest_first=["b", "a"]).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["b", "a"]


def test_differences_point_right_where_ours_is_better(results):
    panels = paired_differences(results).axes
    assert len(panels) == 3
    for axes, lower_is_better in zip(panels, (False, False, True), strict=True):
        left, right = axes.get_xlim()
        assert bool(left > right) is lower_is_better
    # eight learned rivals and three simple ones; the three are arrows, paretobandit has no interval
    assert len(panels[0].texts) == 3
    assert len(panels[0].lines) == 1 + 7 * 2 + 1


def test_without_differences_there_is_no_figure(results):
    assert paired_differences(replace(results, methods=(results.methods[-1],))) is None


def test_shift_has_a_point_for_each_task_and_the_mean():
    (axes,) = shift_by_task(fake_results(shift=True)).axes
    *methods, nulls = axes.collections
    assert len(methods) == 9
    assert {len(points.get_offsets()) for points in methods} == {len(TASKS) + 1}
    assert set(nulls.get_offsets()[:, 0]) == {0.0018}
    assert shift_by_task(replace(fake_results(), methods=())) is None


def test_a_router_is_drawn_among_the_single_models(trained):
    (axes,) = cost_and_quality(trained.report.held_out).axes
    assert len(axes.lines) == 2
    assert len(axes.collections[0].get_offsets()) == 3


def test_figures_can_be_saved_whatever_models_are_called(results):
    for figure in (frontiers(results), paired_differences(results)):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg")
        assert buffer.tell() > 10_000
