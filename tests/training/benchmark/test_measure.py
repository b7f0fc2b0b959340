import numpy as np
import pytest
from small_trials import small_routed, small_side, small_trial

from router_model.training.benchmark.measure import choose, measure, with_pareto_distances
from router_model.training.benchmark.method import MethodCard

CARD = MethodCard("a router", "learned", "nowhere", "none")

TEST = small_side(
    [[0, 1], [1, 1], [0, 1], [0, 0]],
    [[1, 4], [1, 4], [1, 4], [1, 4]],
    tasks=["a", "a", "b", ""],
    tokens=[[10, 20], [10, 20], [10, 0], [10, 20]],
)
VALIDATION = small_side([[0, 1], [1, 1]], [[1, 4], [1, 4]])
TRIAL = small_trial(VALIDATION, TEST)
"""Model m0 costs 1 and is right once in four, m1 costs 4 and is right three times; on validation 1 and 2 of 2."""

ROUTED = small_routed(
    [[0, 0], [1, 0], [1, 1]],
    [[0, 0, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]],
    p_success=[[0.2, 0.9], [0.8, 0.9], [0.2, 0.6], [0.2, 0.6]],
    cost=[[1, 5], [1, 5], [1, 5], [1, 5]],
    tokens=[[10, 10], [10, 10], [10, 10], [10, 10]],
    settings={"k": 3},
    fit_s=2.0,
    decide_s=0.5,
)
"""All cheap; as good as all dear on validation (2 of 2 at cost 2.5) and on test (3 of 4); all dear."""


@pytest.fixture(scope="module")
def measured():
    return measure(TRIAL, ROUTED, CARD)


def test_frontier_metrics_are_of_the_test_prompts(measured):
    """Configurations (1, 0.25), (2.5, 0.75), (4, 0.75); hull from (1, 0.25) to (2.5, 0.75), then flat: 0.5 and 0.75.

    Steps: 0.25 up to 2.5, then 0.75. Alone the models make a line from 0.25 to 0.75.
    """
    low = np.log(2.5) / np.log(4)
    assert measured.metrics["aiq"] == pytest.approx(0.625)
    assert measured.metrics["aiq_log"] == pytest.approx(0.25 * low + 0.75 * (1 - low))
    assert measured.metrics["aiq_singles"] == pytest.approx(0.5)
    assert measured.metrics["aiq_gain"] == pytest.approx(0.125)
    assert measured.metrics["perf_gain"] == pytest.approx(0.0)
    assert measured.metrics["cost_save"] == pytest.approx(0.375)
    assert measured.metrics["cost_save_95"] == pytest.approx(0.375)


def test_the_frontier_has_no_dominated_configuration(measured):
    assert measured.frontier.x == pytest.approx((1.0, 2.5))
    assert measured.frontier.y == pytest.approx((0.25, 0.75))


def test_the_chosen_configuration_is_the_cheapest_that_was_good_enough_on_validation(measured):
    """The second: cost 2.5 of m1's 4, and its quality of 0.75; RouterArena's scores clamp both to 200 USD per 1,000."""
    assert choose(TRIAL, ROUTED).configuration == 1
    assert measured.chosen.cost_usd == pytest.approx(2.5)
    assert measured.metrics["chosen_saving"] == measured.chosen.saving == pytest.approx(0.375)
    assert measured.metrics["chosen_quality_kept"] == measured.chosen.quality_kept == pytest.approx(1.0)
    assert measured.metrics["chosen_saving_95"] == pytest.approx(0.375)
    assert measured.metrics["arena_score"] == 0.0


def test_shares_and_tasks_are_of_the_chosen_configuration(measured):
    """Task a: m1 then m0, both right, at 5 of 8; task b: m1; the prompt without a task is in none."""
    assert measured.shares == {"m0": 0.5, "m1": 0.5}
    assert list(measured.by_task) == ["a", "b"]
    assert measured.by_task["a"].n_prompts == 2
    assert measured.by_task["a"].saving == pytest.approx(0.375)
    assert measured.by_task["b"].saving == pytest.approx(0.0)
    assert measured.by_task["b"].quality_kept == pytest.approx(1.0)


def test_prediction_metrics(measured):
    """m0's one success is its likeliest; m1's failure ties with one of three successes: (1 + 2.5 / 3) / 2.

    Costs are 0 or 25 % off, half of them each; output tokens 0 (four) or 50 % (three; one true value is 0).
    """
    assert measured.auc_by_model == pytest.approx({"m0": 1.0, "m1": 2.5 / 3})
    assert measured.metrics["auc"] == pytest.approx((1 + 2.5 / 3) / 2)
    assert measured.metrics["cost_error"] == pytest.approx(0.125)
    assert measured.metrics["tokens_error"] == pytest.approx(0.0)
    assert measured.log_loss_by_task["b"] == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    assert measured.metrics["brier"] == pytest.approx((5 * 0.04 + 2 * 0.01 + 0.16 + 0.36 - 0.04) / 8)
    assert sum(measured.reliability.n) == 8


def test_two_models_have_routellms_metrics(measured):
    """All of the gap at half of the calls: area 0.25 + 0.5; half of the gap at a quarter, 0.8 of it at 0.4."""
    assert measured.metrics["apgr"] == pytest.approx(0.75)
    assert measured.metrics["cpt_50"] == pytest.approx(0.25)
    assert measured.metrics["cpt_80"] == pytest.approx(0.4)


def test_bookkeeping(measured):
    assert (measured.trial, measured.settings, measured.fit_s) == ("seed 0", {"k": 3}, 2.0)
    assert measured.decide_ms == pytest.approx(125.0)
    assert measured.metrics["pareto_distance"] is None


def test_a_method_without_predictions_has_no_metrics_of_them():
    found = measure(TRIAL, small_routed([[1, 1]], [[1, 1, 1, 1]]), CARD)
    for name in ("auc", "log_loss", "brier", "calibration_error", "excess_calibration_error", "cost_error"):
        assert found.metrics[name] is None
    assert found.reliability is None
    assert found.auc_by_model == found.log_loss_by_task == {}


def test_three_models_have_no_metrics_of_two():
    side = small_side([[0, 1, 1]], [[1, 2, 3]])
    found = measure(small_trial(side, side), small_routed([[1]], [[1]]), CARD)
    assert found.metrics["apgr"] is found.metrics["cpt_50"] is found.metrics["cpt_80"] is None


def test_where_validation_reaches_nothing_its_best_configuration_is_chosen():
    """m1 is always right there, m0 never: 0.0 at cost 1, 0.5 at 2.5 and 0.5 at 2, which is the one."""
    trial = small_trial(small_side([[0, 1], [0, 1]], [[1, 4], [1, 3]]), TEST)
    chosen = choose(trial, small_routed([[0, 0], [1, 0], [0, 1]], [[0] * 4] * 3))
    assert (chosen.configuration, chosen.reference) == (2, 1)


def test_a_share_of_the_best_single_models_quality_may_be_enough():
    """95 % of m1's 20 of 20 is 19: sending one prompt to m0, which is never right, is good enough, two are too many."""
    side = small_side([[0, 1]] * 20, [[1, 4]] * 20)
    sent_to_m0 = np.arange(20) < np.array([[2], [1], [0]])
    routed = small_routed(np.where(sent_to_m0, 0, 1), np.where(sent_to_m0, 0, 1))
    assert choose(small_trial(side, side), routed, share=0.95).configuration == 1
    assert choose(small_trial(side, side), routed).configuration == 2


def test_the_reference_is_the_best_single_model_of_validation_not_of_test():
    """m0 is best on validation, m1 on test: choosing m0 keeps all of m0's quality."""
    trial = small_trial(small_side([[1, 0]], [[1, 4]]), small_side([[0, 1], [1, 1]], [[1, 4], [1, 4]]))
    found = measure(trial, small_routed([[0]], [[0, 0]]), CARD)
    assert (found.chosen.saving, found.chosen.quality_kept) == (0.0, 1.0)


def test_always_choosing_a_model_is_exactly_that_model():
    """Means of costs that are not binary fractions, whichever way the array lies in memory: no saving of 1e-17."""
    rng = np.random.default_rng(0)
    side = small_side(rng.random((1000, 5)) < 0.5, rng.random((1000, 5)), bar=0.5)
    best = choose(small_trial(side, side), small_routed([[0] * 1000], [[0] * 1000])).reference
    found = measure(small_trial(side, side), small_routed([[best] * 1000], [[best] * 1000]), CARD)
    assert found.metrics["cost_save"] == found.metrics["perf_gain"] == found.metrics["chosen_saving"] == 0.0


def test_free_models_and_wrong_answers_leave_ratios_undefined():
    side = small_side([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    found = measure(small_trial(side, side), small_routed([[0, 1]], [[0, 1]]), CARD)
    assert found.chosen.saving is None
    assert found.chosen.quality_kept is None
    assert found.metrics["perf_gain"] is found.metrics["cost_save"] is found.metrics["apgr"] is None
    assert found.metrics["aiq"] == 0.0


def test_pareto_distances_are_filled_in_once_all_methods_are_known():
    """Costs 1 to 4, qualities 0.25 to 0.75. Only all dear is off the frontier, by half a range."""
    routed = {"mix": small_routed([[0, 1]], [[1, 0, 1, 0]]), "cheap": small_routed([[0, 0]], [[0] * 4])}
    routed["dear"] = small_routed([[1, 1]], [[1] * 4])
    measured = {name: measure(TRIAL, each, CARD) for name, each in routed.items()}
    measured["oracle"] = measured["mix"]
    found = {
        name: each.metrics["pareto_distance"] for name, each in with_pareto_distances(TRIAL, routed, measured).items()
    }
    assert found == pytest.approx({"mix": 0.0, "cheap": 0.0, "dear": 0.5, "oracle": None})


@pytest.mark.parametrize(
    ("validation", "test", "p", "message"),
    [
        ([[0, 0]], [[0] * 4] * 2, None, "a router, seed 0: 1 configurations on validation, 2 on test"),
        ([[0, 0]], [[0] * 3], None, r"test: choices of shape \(1, 3\), expected \(n, 4\)"),
        ([[0, 2]], [[0] * 4], None, "validation: choices from 0 to 2, expected columns 0 to 1"),
        ([[0, 0]], [[0, -1, 0, 0]], None, "test: choices from -1 to 0"),
        ([[0, 0]], [[0] * 4], [[0.5, 0.5]] * 3, r"p_success of shape \(3, 2\) with 0 NaN, expected \(4, 2\)"),
        ([[0, 0]], [[0] * 4], [[np.nan, 0.5]] * 4, r"p_success of shape \(4, 2\) with 4 NaN"),
    ],
)
def test_answers_that_do_not_fit_the_trial_are_refused(validation, test, p, message):
    with pytest.raises(ValueError, match=message):
        measure(TRIAL, small_routed(validation, test, p), CARD)


def test_a_trial_without_validation_prompts_is_refused():
    trial = small_trial(VALIDATION.take(np.arange(0)), TEST)
    with pytest.raises(ValueError, match="validation: no prompts"):
        measure(trial, small_routed(np.zeros((1, 0), dtype=np.intp), [[0] * 4]), CARD)
