from dataclasses import replace

import pytest
from fake_results import fake_results
from hypothesis import given
from hypothesis import strategies as st

from router_model.training.benchmark.glossary import GLOSSARY
from router_model.training.benchmark.results import Interval
from router_model.training.benchmark.verdicts import Verdict, by_kind, comparisons, ours, ranked, summary, verdict


@pytest.mark.parametrize(
    ("low", "high", "lower_is_better", "expected"),
    [
        (0.001, 0.003, False, Verdict.AHEAD),
        (0.001, 0.003, True, Verdict.BEHIND),
        (-0.003, -0.001, False, Verdict.BEHIND),
        (-0.003, -0.001, True, Verdict.AHEAD),
        (-0.001, 0.003, False, Verdict.NOISE),
        (0.0, 0.0, True, Verdict.NOISE),
        (None, None, False, Verdict.UNTESTED),
    ],
)
def test_a_verdict_follows_from_the_interval(low, high, lower_is_better, expected):
    assert verdict(Interval(0.002, low, high, 3), lower_is_better=lower_is_better) is expected


bounds = st.floats(-1, 1)


@given(bounds, bounds, st.booleans())
def test_exchanging_ours_and_the_rival_exchanges_ahead_and_behind(one, other, lower):
    low, high = sorted((one, other))
    exchanged = {Verdict.AHEAD: Verdict.BEHIND, Verdict.BEHIND: Verdict.AHEAD, Verdict.NOISE: Verdict.NOISE}
    found = verdict(Interval((low + high) / 2, low, high, 1), lower_is_better=lower)
    assert verdict(Interval(-(low + high) / 2, -high, -low, 1), lower_is_better=lower) is exchanged[found]


def test_methods_without_a_metric_are_ranked_last():
    methods = fake_results().methods
    assert ranked(methods, "log_loss")[-1].name == "paretobandit"
    assert ranked(methods)[0].name == "oracle"


def test_kinds_stand_together_ours_first_and_bounds_last():
    kinds = [method.kind for method in by_kind(fake_results().methods)]
    assert kinds == ["ours", *["learned"] * 7, "package", *["simple"] * 3, "bound", "bound"]


def test_bounds_are_no_rivals():
    rivals = {comparison.rival.name for comparison in comparisons(fake_results(), "aiq")}
    assert len(rivals) == 11
    assert not rivals & {"oracle", "oracle by task", "ours"}


def test_the_summary_says_where_a_rival_wins_and_what_is_noise():
    said = "\n".join(summary(fake_results()))
    assert "AIQ: ours is first of 9 learned methods (ours 0.6857, next k-means clusters 0.6821" in said
    assert "AIQ-log: kNN 40 + cost is first of 9 learned methods, ours is number 2" in said
    assert "[-0.0145, -0.0035], behind)" in said
    assert "within noise of 1 (MLP + cost)" in said
    assert "without an interval against 1 (paretobandit)" in said
    assert "AIQ, against 3 simple methods: ours is ahead of all." in said


def test_without_ours_nothing_is_claimed():
    results = fake_results()
    rivals = replace(results, methods=tuple(method for method in results.methods if method.kind != "ours"))
    assert ours(rivals) is None
    assert summary(rivals) == ["Ours was not run: nothing is compared with it."]


def test_ours_alone_has_nobody_to_be_compared_with():
    results = fake_results()
    alone = replace(results, methods=(results.methods[-1],))
    assert summary(alone)[0] == "AIQ: ours 0.6857; no other learned method has it."


def test_every_metric_of_the_results_is_in_the_glossary():
    assert set(fake_results().methods[0].metrics) == set(GLOSSARY)
