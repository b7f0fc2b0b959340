"""What labels say about a judge: each finding once, in a world made for it."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from router_model.training.grading.judge_quality import LabelledGrades, Shown, measure_judge

N = 400


def world(levels, judge, *, n_labels=200, n_chars=None, seed=0):
    """Models with these shares of right answers; `judge` turns quality, lengths and chance into grades."""
    rng = np.random.default_rng(seed)
    quality = (rng.random((N, len(levels))) < levels).astype(float)
    lengths = (
        rng.integers(100, 3200, quality.shape).astype(float) if n_chars is None else np.full(quality.shape, n_chars)
    )
    labels = np.where((np.arange(N) < n_labels)[:, None], quality, np.nan)
    names = [f"m{number}" for number in range(len(levels))]
    return LabelledGrades(names, judge(quality, lengths, rng), labels, lengths, np.arange(N))


def fair(quality, _, rng):
    return np.where(rng.random(quality.shape) < 0.1, 1 - quality, quality)


def kind_to_the_last(quality, _, rng):
    return np.where(
        (quality == 0) & (rng.random(quality.shape) < [[0.0] * (quality.shape[1] - 1) + [0.8]]), 1.0, quality
    )


def test_a_fair_judge_is_confirmed():
    report = measure_judge(world((0.9, 0.6), fair))
    (pair,) = report.pairs
    assert (pair.better, pair.worse, pair.shown) == ("m0", "m1", Shown.CONFIRMED)
    assert report.sentence == ("of 1 pair of models that differ by the grades, the labels confirm 1 and contradict 0")
    assert 0.6 < report.agreement.kappa.low < report.agreement.kappa.value < report.agreement.kappa.high < 0.8


def test_a_judge_that_favours_one_model_cannot_tell_them_apart():
    """Both are right in 70 % of the cases, and the judge sees 0.94 for the second."""
    report = measure_judge(world((0.7, 0.7), kind_to_the_last))
    (pair,) = report.pairs
    assert (pair.better, pair.shown) == ("m1", Shown.REFUTED)
    assert report.sentence.startswith("this judge cannot tell these models apart: of 1 pair")
    fair_bias, kind_bias = (means.bias for means in report.means)
    assert fair_bias.low <= 0 <= fair_bias.high
    assert kind_bias.value == pytest.approx(0.24, abs=0.05)


def test_a_judge_that_reverses_the_order_is_found_out():
    report = measure_judge(world((0.75, 0.5), kind_to_the_last))
    (pair,) = report.pairs
    assert (pair.better, pair.shown) == ("m1", Shown.REVERSED)
    assert pair.corrected.high < 0 < pair.judge.low


def test_few_labels_leave_it_open_and_say_how_many_would_do():
    """A judge that is right in 90 % of the cases and sees 0.08; fifteen labels are known to within 0.2."""
    report = measure_judge(world((0.8, 0.6), fair, n_labels=15))
    (pair,) = report.pairs
    assert pair.shown is Shown.OPEN
    expected = 15 * 2.04 * (pair.corrected.half_width / pair.judge.value) ** 2
    assert pair.n_labels_needed == pytest.approx(expected, abs=1)
    assert report.sentence.startswith("so few labels cannot say whether this judge tells the models apart; about ")


def test_a_judge_that_guesses_cannot_tell_models_apart_that_the_labels_can():
    """0.9 against 0.5, and a grade of 1 in 70 % of the cases, whatever the answer."""
    report = measure_judge(world((0.9, 0.5), lambda quality, _, rng: (rng.random(quality.shape) < 0.7).astype(float)))
    assert report.pairs[0].shown is Shown.MISSED
    assert report.sentence == (
        "this judge cannot tell these models apart: 1 pair differs by the labels, and none by its grades"
    )
    assert all(means.tuning < 0.2 for means in report.means)
    assert abs(report.agreement.kappa.value) < 0.15


def test_equal_models_and_a_fair_judge_show_no_difference():
    report = measure_judge(world((0.7, 0.7), fair, seed=1))
    assert report.pairs[0].shown is Shown.ALIKE
    assert report.sentence == "neither the grades nor the labels show a difference between the models"


def test_without_labels_nothing_is_claimed():
    report = measure_judge(world((0.9, 0.6), fair, n_labels=0))
    assert (report.pairs, report.agreement, report.length_bias) == ([], None, None)
    assert report.sentence == "no labels of people, so nothing shows how good these grades are"
    assert [means.corrected for means in report.means] == [None, None]
    few = measure_judge(world((0.9, 0.6), fair, n_labels=9))
    assert few.sentence == "fewer than 10 labels for each of two models, so the grades stand uncorrected"


def test_twenty_models_that_are_equal_are_rarely_ordered_by_chance():
    """190 pairs share the 5 %: without that, about nine of them would be "confirmed"."""
    report = measure_judge(world((0.7,) * 20, fair, n_labels=400))
    assert sum(pair.shown is not Shown.ALIKE for pair in report.pairs) <= 1


def test_a_judge_that_likes_long_answers_is_measured():
    """Each doubling of the length moves a grade by 0.1."""

    def likes_length(quality, n_chars, _):
        return np.clip(0.3 + 0.4 * quality + 0.1 * np.log2(n_chars / 800), 0, 1)

    found = measure_judge(world((0.8, 0.6), likes_length)).length_bias
    assert found.low < 0.1 < found.high
    assert found.half_width < 0.03
    honest = measure_judge(world((0.8, 0.6), fair)).length_bias
    assert honest.low < 0 < honest.high
    assert measure_judge(world((0.8, 0.6), fair, n_chars=500.0)).length_bias is None


def test_intervals_stay_among_what_there_can_be_and_are_never_without_width():
    """Twelve labels that all agree: by the rule of three, 1/4 may be otherwise. All grades of the 400 are 1, too."""
    report = measure_judge(world((1.0, 0.99), lambda quality, *_: quality, n_labels=12))
    for means in report.means:
        for found in (means.judge, means.corrected, means.labels):
            assert 0 <= found.low < found.high <= 1
        assert -1 <= means.bias.low < means.bias.high <= 1
    assert report.means[0].judge.low == pytest.approx(1 - 3 / N, abs=2e-4)
    assert report.means[0].labels.low == pytest.approx(0.7215, abs=1e-4)
    agreeing = measure_judge(world((0.8, 0.6), lambda quality, *_: quality, n_labels=40))
    assert agreeing.agreement.kappa.value == 1.0
    assert 0.5 < agreeing.agreement.kappa.low < 0.9
    assert agreeing.length_bias.low < 0 < agreeing.length_bias.high


def test_agreement_is_that_of_scikit_learn():
    grades = world((0.8, 0.6), fair)
    found = measure_judge(grades).agreement
    judge, people = (values[grades.both] >= 0.5 for values in (grades.judged, grades.labels))
    assert found.kappa.value == pytest.approx(cohen_kappa_score(judge, people))
    assert found.share == pytest.approx((judge == people).mean())
    assert (found.only_judge, found.only_labels) == ((judge & ~people).sum(), (~judge & people).sum())


def test_kappa_of_a_judge_that_always_says_the_same_is_zero_and_json_has_no_nan():
    grades = world((1.0, 1.0), lambda quality, *_: np.ones_like(quality))
    report = measure_judge(grades)
    assert np.isnan(report.agreement.kappa.value)
    assert report.as_dict()["agreement"]["kappa"]["value"] is None
