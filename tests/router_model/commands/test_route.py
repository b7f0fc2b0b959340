"""Sentences about a target, each for a decision of the kind it is about."""

from dataclasses import replace

import pytest
from certificates import CERTIFIED

from router_model import Constraints
from router_model.commands.route import about_target
from router_model.goal import TargetSuccess

POEM = "river moon verse rhyme autumn silence wind lantern petals dusk sonnet heart"
REFUSED = replace(CERTIFIED, target_success=0.95, success_value_usd=None, reason="of 200 only 0.9 succeed")
CERTIFICATES = (CERTIFIED, REFUSED)


def said(trained, target, *, certificates=CERTIFICATES, **knobs):
    router = replace(trained.router, artifact=replace(trained.router.artifact, certificates=certificates))
    return about_target(router.route(POEM, target_success=target, **knobs), TargetSuccess(target), certificates)


def test_what_a_certificate_says_is_repeated(trained):
    assert said(trained, 0.8) == CERTIFIED.in_words()
    assert said(trained, 0.95) == (
        "not certified: success >= 0.95 on average. Of 200 only 0.9 succeed. Requests for it go to large, the best "
        "single model on these prompts (0.900)"
    )


def test_a_certificate_that_does_not_cover_the_request_promises_nothing(trained):
    assert said(trained, 0.8, constraints=Constraints(deny=("large",))) == (
        "nothing is promised: success >= 0.8 is certified, but not for requests like this. Their constraints rule out "
        "a model, or their prices differ. The certified rule decided nevertheless"
    )


def test_a_safest_model_that_is_left_out_is_replaced_and_one_that_is_not_stays(trained):
    without = said(trained, 0.95, constraints=Constraints(deny=("large",)))
    assert without.endswith("(0.900); it is left out here, so the likeliest of the others to succeed was chosen")
    assert said(trained, 0.95, constraints=Constraints(deny=("small",))) == REFUSED.in_words()


@pytest.mark.parametrize(
    ("target", "certificates", "known", "done"),
    [
        (0.5, CERTIFICATES, "certified: success >= 0.8", "this is the cheapest model with P(success) >= 0.5"),
        (0.999, (), "nothing is certified", "no model's P(success) reaches 0.999, so this is the likeliest to succeed"),
        (
            0.999,
            (REFUSED,),
            "nothing is certified",
            "no model's P(success) reaches 0.999, so this is the likeliest to succeed",
        ),
    ],
)
def test_a_target_without_a_certificate_is_asked_of_the_prompt_alone(trained, target, certificates, known, done):
    assert said(trained, target, certificates=certificates) == (
        f"nothing is promised: success >= {target} has no certificate at quality bar 0.5 ({known}; see "
        f"'router-model certify'). So {target} is the least P(success) for this prompt alone: {done}"
    )


def test_a_certificate_of_another_bar_is_no_certificate(trained):
    assert "no certificate at quality bar 0.6 (nothing is certified; see" in said(trained, 0.8, quality_bar=0.6)


def test_where_one_model_is_left_nothing_was_chosen(trained):
    only = said(trained, 0.5, constraints=Constraints(allow=("small",)))
    assert only.endswith("So 0.5 is the least P(success) for this prompt alone")
