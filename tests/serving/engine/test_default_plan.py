import math
from dataclasses import replace
from decimal import Decimal

import pytest

from router_model import Catalog, Constraints, ModelCard, NoCandidateError
from router_model.certificate import Certificate
from router_model.features import Prompt
from router_model.serving.engine.default_plan import by_record, default_plan


def certificate(bar=0.5, safest="coder"):
    return Certificate(0.8, bar, 0.1, 1, "sha256:0", 200, 0.85, 0.001, safest, 0.9, None)


def test_models_come_by_their_records(trained):
    """Over three tasks 'large' succeeds in 0.92, 'coder' in 0.57 and 'small' in 0.47 of all prompts."""
    assert by_record(trained.router.artifact) == ("large", "coder", "small")


def test_the_safest_model_comes_first(trained):
    artifact = trained.router.artifact
    assert by_record(replace(artifact, certificates=(certificate(),)))[0] == "coder"
    assert by_record(replace(artifact, certificates=(certificate(bar=0.9),)))[0] == "large"
    assert by_record(replace(artifact, certificates=(), safe_model="small")) == ("small", "large", "coder")


def test_ties_go_to_the_cheaper_model(trained):
    artifact = trained.router.artifact
    evidence = artifact.predictor.evidence_model
    level = replace(evidence, bank=replace(evidence.bank, base=evidence.bank.base * 0))
    tied = replace(artifact, certificates=(), predictor=replace(artifact.predictor, evidence_model=level))
    assert by_record(tied) == ("small", "coder", "large")


def test_settings_come_first_and_the_routers_others_stand_by(trained):
    plan = default_plan(["small", "x", "small"], trained.router.artifact, trained.router.catalog)
    assert (plan.models, plan.reserves) == (("small", "x"), ("large", "coder"))


@pytest.mark.parametrize(
    ("prompt", "constraints", "expected"),
    [
        (Prompt("hi", 2), Constraints(), "a b c"),
        (Prompt("hi", 2, has_tools=True), Constraints(), "b c"),
        (Prompt("hi", 2, n_images=1), Constraints(), "a c"),
        (Prompt("hi", 2, wants_json=True), Constraints(), "a b c"),
        (Prompt("hi", 40_004), Constraints(), "b c"),
        (Prompt("hi", 39_000, max_output_tokens=300), Constraints(), "b c"),
        (Prompt("hi", 2), Constraints(deny=("b",)), "a c"),
        (Prompt("hi", 2), Constraints(providers=("P",)), "a"),
        (Prompt("hi", 2), Constraints(ignore_providers=("p",)), "b c"),
        (Prompt("hi", 2), Constraints(max_usd_per_mtok_input=1), "a c"),
        (Prompt("hi", 2), Constraints(max_cost_usd=1e-9, max_latency_s=1e-9), "a b c"),
        (Prompt("hi", 2), Constraints(allow=("r",)), "r"),
    ],
)
def test_constraints_hold_as_far_as_they_need_no_prediction(prompt, constraints, expected):
    """'a' has a window of 10,000 tokens, some 40,000 characters; of 'c' nothing is known; 'r' is in reserve."""
    cards = {
        "a": ModelCard("a", Decimal(1), Decimal(1), provider="p", tools=False, context_window=10_000),
        "b": ModelCard("b", Decimal(2), Decimal(2), vision=False),
    }
    plan = replace(default_plan(["a", "b", "c"], catalog=Catalog(cards)), reserves=("r",))
    steps, excluded = plan.steps(prompt, constraints)
    assert " ".join(step.model for step in steps) == expected
    assert not {one.model for one in excluded} & {step.model for step in steps}
    assert all(math.isnan(step.p_success) for step in steps)


def test_a_window_that_is_too_small_by_a_guess_is_better_than_no_answer():
    card = ModelCard("a", Decimal(1), Decimal(1), context_window=100)
    plan = default_plan(["a"], catalog=Catalog({"a": card}))
    assert [step.model for step in plan.steps(Prompt("x", 10_000), Constraints())[0]] == ["a"]
    with pytest.raises(NoCandidateError, match="ruled out by denied"):
        plan.steps(Prompt("x", 10_000), Constraints(deny=("a",)))
