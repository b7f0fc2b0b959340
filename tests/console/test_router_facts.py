"""What a saved router says of itself, and what it does not hold."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from router_model import Catalog, Router
from router_model.catalog import ModelCard
from router_model.features import load_encoder
from router_model.levels import Levels, Shift
from router_model.serving.console.router_facts import router_facts
from router_model.starter import start

TODAY = date(2026, 11, 30)


def test_measured_router_says_where_it_stands(trained):
    metrics, facts = trained.router.artifact.metrics, router_facts(trained.router, TODAY)
    assert facts.measured.n_prompts == metrics["n_prompts"]
    assert facts.measured.point.quality == metrics["router"]["quality"]
    assert facts.measured.verdict == metrics["verdict"]["sentence"]
    costs = [point.cost_usd for point in facts.measured.frontier]
    assert costs == sorted(costs)
    assert {point.label for point in facts.measured.singles} == set(trained.router.models)
    assert sum(share for _, share in facts.measured.shares) == pytest.approx(1)
    assert [promise.words for promise in facts.promises] == [one.in_words() for one in trained.router.certificates]
    assert facts.content_hash.startswith(f"sha256:{facts.name}")


def test_what_an_artifact_does_not_hold_is_said(trained):
    bare = replace(
        trained.router.artifact, metrics={}, certificates=(), spend_curve=None, bank_prompts=None, reference=None
    )
    facts = router_facts(replace(trained.router, artifact=bare), TODAY)
    assert (facts.measured, facts.promises) == (None, [])
    assert [what for what, _ in facts.missing] == [
        "measurements",
        "certificate",
        "spend curve",
        "reference for announced models",
        "texts of logged prompts",
    ]


def test_starter_has_no_graded_models():
    card = ModelCard("new", Decimal(1), Decimal(2), scores={"mmlu_pro": 0.8})
    started = start(Catalog({"new": card, "other": replace(card, model="other", scores={"mmlu_pro": 0.5})}))
    facts = router_facts(Router.assemble(started.artifact, load_encoder("static")), TODAY)
    assert (facts.is_starter, facts.n_graded, facts.n_announced) == (True, 0, 2)
    assert "nobody has graded them" in facts.trained_on


def test_levels_that_feedback_shifted_are_told_the_largest_first(trained):
    levels = Levels({"small": Shift(-0.3, 0.1), "large": Shift(0.5, 0.1)})
    assert router_facts(replace(trained.router, levels=levels), TODAY).shifts == [("large", 0.5), ("small", -0.3)]
