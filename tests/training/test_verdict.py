import math

import pytest

from router_model.training.measuring.verdict import (
    REFERENCE_IS_FREE,
    Difference,
    Estimate,
    Finding,
    comparison_verdict,
    judge,
    prompts_needed,
    routing_verdict,
)

NO_COST = (0.0, 0.0, 0.0)
SAVES = (0.57, 0.53, 0.61)
COSTS = (-0.3, -0.4, -0.2)
FLAT = (0.0, -0.005, 0.005)
GAINS = (0.02, 0.012, 0.028)
LOSES = (-0.03, -0.04, -0.02)
WIDE = (-0.01, -0.05, 0.03)


def difference(quality, saving, *, n=2000, same=False):
    return Difference(Estimate(*quality), Estimate(*saving), n, n, same_choices=same)


@pytest.mark.parametrize(
    ("quality", "saving", "finding"),
    [
        (FLAT, SAVES, Finding.BETTER),
        (GAINS, NO_COST, Finding.BETTER),
        (GAINS, SAVES, Finding.BETTER),
        (GAINS, COSTS, Finding.BETTER_DEARER),
        (FLAT, NO_COST, Finding.TIE),
        (FLAT, (0.002, 0.001, 0.003), Finding.BETTER),
        ((-0.004, -0.006, -0.002), (0.002, 0.001, 0.003), Finding.TIE),  # a little cheaper, a little worse
        (FLAT, COSTS, Finding.WORSE),
        (LOSES, NO_COST, Finding.WORSE),
        (LOSES, COSTS, Finding.WORSE),
        (LOSES, SAVES, Finding.CHEAPER_WORSE),
        (WIDE, SAVES, Finding.UNCLEAR),
        (WIDE, NO_COST, Finding.UNCLEAR),
        (GAINS, (0.0, -0.2, 0.2), Finding.UNCLEAR),
    ],
)
def test_what_two_intervals_show(quality, saving, finding):
    assert judge(difference(quality, saving)) is finding


def test_a_router_that_chooses_what_the_reference_chooses_ties_on_any_number_of_prompts():
    assert judge(difference(NO_COST, NO_COST, n=3, same=True)) is Finding.TIE


def test_routing_is_not_judged_by_one_prompt_on_which_it_chose_the_best_model():
    verdict = routing_verdict({"large": difference(NO_COST, NO_COST, n=1, same=True)}, "large")
    assert verdict.finding is Finding.UNCLEAR


def test_nothing_is_shown_by_fewer_than_thirty_independent_prompts():
    few = Difference(Estimate(*FLAT), Estimate(*SAVES), 200, 20)
    assert judge(few) is Finding.UNCLEAR
    assert prompts_needed(few) == 100  # ten prompts to each independent one, ten of these are missing


def test_a_smaller_margin_asks_for_more():
    assert judge(difference((0.0, -0.008, 0.008), SAVES), margin=0.005) is Finding.UNCLEAR


@pytest.mark.parametrize(
    ("quality", "needed"),
    [
        # 0 ± 4 points must become ± 1: 16 times 2.04 times as many prompts, less the 1,000 there are
        ((0.0, -0.04, 0.04), 32_000),
        # +1 ± 4 must become ± 2 to lie above -1, a quarter of the above
        ((0.01, -0.03, 0.05), 7_200),
        # -2 ± 4 must become ± 2 to lie below 0
        ((-0.02, -0.06, 0.02), 7_200),
    ],
)
def test_prompts_needed_follow_the_root_of_n(quality, needed):
    assert prompts_needed(difference(quality, SAVES, n=1000)) == pytest.approx(needed, rel=0.03)


def test_no_number_is_needed_where_the_finding_is_clear_and_none_given_where_it_is_astronomic():
    assert prompts_needed(difference(FLAT, SAVES)) is None
    at_the_limit = difference((-0.01, -2.0, 2.0), SAVES)
    assert prompts_needed(at_the_limit) is None
    assert "very many more" in comparison_verdict(at_the_limit).sentence


def test_routing_pays_against_the_best_single_model():
    verdict = routing_verdict({"dear": difference(FLAT, SAVES), "cheap": difference((0.1, 0.08, 0.12), COSTS)}, "dear")
    assert verdict.finding is Finding.BETTER
    assert verdict.sentence == "routing pays: saves 57 % ± 4 at 0.0 ± 0.5 points against dear"


def test_a_router_that_does_what_a_cheap_model_does_ties_with_it():
    """It saves 90 % against the best model, but so does the cheap model that gets all prompts."""
    against = {"dear": difference(FLAT, (0.9, 0.88, 0.92)), "cheap": difference(NO_COST, NO_COST, same=True)}
    verdict = routing_verdict(against, "dear")
    assert (verdict.finding, verdict.reference) == (Finding.TIE, "cheap")
    assert verdict.sentence.startswith("a tie: send all to cheap")


def test_equal_models_are_a_tie_even_where_the_interval_is_wide():
    """Nothing speaks for routing: no saving, and the best model of six looks better than it is."""
    verdict = routing_verdict({f"m{i}": difference((-0.005 * i, -0.05, 0.04), NO_COST) for i in range(6)}, "m5")
    assert verdict.sentence == "a tie: send all to m5 (the router saves 0 % at -2.5 ± 4.5 points)"


@pytest.mark.parametrize(
    ("quality", "saving", "sentence"),
    [
        (GAINS, COSTS, "routing pays in quality: costs 30 % ± 10 more at +2.0 ± 0.8 points against dear"),
        (LOSES, SAVES, "routing gives up quality for cost: saves 57 % ± 4 at -3.0 ± 1.0 points against dear"),
        (LOSES, COSTS, "routing does not pay: send all to dear (the router costs 30 % ± 10 more at -3.0 ± 1.0 points)"),
        (
            WIDE,
            SAVES,
            "too few prompts to tell; about 63,000 more (against dear the router saves 57 % ± 4 at -1.0 ± 4.0 points)",
        ),
    ],
)
def test_routing_in_words(quality, saving, sentence):
    assert routing_verdict({"dear": difference(quality, saving)}, "dear").sentence == sentence


@pytest.mark.parametrize(
    ("quality", "saving", "start"),
    [
        (FLAT, SAVES, "new is better: it saves 57 % ± 4"),
        (GAINS, COSTS, "new is better and dearer: it costs 30 % ± 10 more"),
        (FLAT, NO_COST, "a tie: new saves 0 % at 0.0 ± 0.5 points against old"),
        (LOSES, SAVES, "new is cheaper and worse: "),
        (LOSES, COSTS, "old is better: new costs"),
        (WIDE, SAVES, "too few prompts to tell; about 63,000 more (new saves"),
    ],
)
def test_two_routers_in_words(quality, saving, start):
    assert comparison_verdict(difference(quality, saving), first="old", second="new").sentence.startswith(start)


def test_a_free_reference_is_said_and_written_without_infinity():
    against = Difference(Estimate(*FLAT), REFERENCE_IS_FREE, 2000, 2000)
    verdict = routing_verdict({"free": against}, "free")
    assert verdict.sentence == (
        "routing does not pay: send all to free (the router costs money where the other is free at 0.0 ± 0.5 points)"
    )
    assert against.as_dict()["saving"] == {"value": None, "low": None, "high": None}
    assert not math.isfinite(against.saving.value)
