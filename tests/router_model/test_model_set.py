from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from router_model import ArtifactError, Catalog, ModelCard, Router
from router_model.model_set import announce_model, graded_prompts_of_added, recorded, remove_model
from router_model.saved.artifact import save_artifact

POEM = "river moon verse rhyme autumn silence wind lantern petals dusk sonnet heart"
NEW = ModelCard("newcomer", Decimal(0), Decimal(0))


def reloaded(trained, artifact, folder):
    save_artifact(artifact, folder / "changed")
    return Router.load(folder / "changed", encoder=trained.router.encoder)


def test_a_removed_model_is_gone_everywhere(trained, tmp_path):
    router = reloaded(trained, remove_model(trained.router.artifact, "small"), tmp_path)
    assert router.models == ("coder", "large")
    assert list(router.artifact.catalog) == ["coder", "large"]
    assert router.artifact.provenance["changes"] == [{"removed": "small"}]
    assert router.route(POEM, cost_quality_tradeoff=10).model == "coder"
    assert router.predict([POEM]).p_success.shape == (1, 2)


def test_removing_a_model_keeps_the_others_evidence(trained):
    before = trained.router.artifact.predictor.evidence_model
    left = remove_model(trained.router.artifact, "large").predictor.evidence_model
    assert np.array_equal(left.bank.base, before.bank.base[[0, 2]])
    assert np.array_equal(left.bank.outcome, before.bank.outcome[:, [0, 2]])
    assert np.array_equal(left.kernel.weights, before.kernel.weights[:, [0, 2]])


def test_what_was_promised_of_the_old_models_is_dropped(trained):
    """The operating point stays: it is what a success is worth."""
    before = trained.router.artifact
    after = remove_model(before, "small")
    assert before.certificates
    assert (after.certificates, dict(after.metrics), after.spend_curve) == ((), {}, None)
    assert after.operating_point == before.operating_point


def test_two_models_must_stay(trained):
    two = remove_model(trained.router.artifact, "small")
    with pytest.raises(ArtifactError, match="at least 2 must stay"):
        remove_model(two, "large")


def test_an_unknown_model_cannot_be_removed(trained):
    with pytest.raises(ArtifactError, match="no model 'gone' to remove; the router has coder, large, small"):
        remove_model(trained.router.artifact, "gone")


def test_a_model_without_outcomes_is_listed_and_never_chosen(trained, tmp_path):
    """It is free, so any rule that looked at its price would take it."""
    router = reloaded(trained, announce_model(trained.router.artifact, NEW), tmp_path)
    for knobs in ({"cost_quality_tradeoff": 10}, {"success_value_usd": 0.0}, {"target_success": 0.01}, {}):
        decision = router.route(POEM, **knobs)
        assert "newcomer" not in [step.model for step in decision.plan]
        assert [(e.model, e.reason) for e in decision.excluded] == [("newcomer", "no_outcomes")]


def test_announcing_a_model_changes_no_decision(trained, tmp_path):
    """Not even where the dial stands on the prices of all models."""
    router = reloaded(trained, announce_model(trained.router.artifact, NEW), tmp_path)
    for position in (0, 3, 7, 9, 10):
        before = trained.router.route(POEM, cost_quality_tradeoff=position)
        after = router.route(POEM, cost_quality_tradeoff=position)
        assert (after.plan, after.success_value_usd) == (before.plan, before.success_value_usd)


def test_an_announced_model_can_be_removed(trained):
    announced = announce_model(trained.router.artifact, NEW)
    after = remove_model(announced, "newcomer")
    assert list(after.catalog) == list(trained.router.artifact.catalog)
    assert after.certificates == trained.router.artifact.certificates
    assert after.provenance["changes"] == [{"announced": "newcomer"}, {"removed": "newcomer"}]


def test_graded_prompts_of_added_models_are_those_of_the_last_addition(trained):
    """'large' was added twice, 60 and 90; 'gone' is none of the router's models and 'newcomer' has no outcomes."""
    artifact = announce_model(trained.router.artifact, NEW)
    for change in ({"added": "large", "n_prompts": 60}, {"removed": "large"}, {"added": "gone", "n_prompts": 70}):
        artifact = recorded(artifact, change)
    assert graded_prompts_of_added(recorded(artifact, {"added": "large", "n_prompts": 90})) == {"large": 90}
    assert graded_prompts_of_added(trained.router.artifact) == {}


def test_a_price_change_changes_the_decision_without_retraining(trained):
    """'large' for nothing is the best and the cheapest; the probabilities stay as they were."""
    cards = trained.router.catalog.cards
    free = replace(cards["large"], usd_per_mtok_input=Decimal(0), usd_per_mtok_output=Decimal(0))
    router = Router.load(trained.path, catalog=Catalog({**cards, "large": free}), encoder=trained.router.encoder)
    assert trained.router.route(POEM, success_value_usd=0.0).model == "small"
    assert router.route(POEM, success_value_usd=0.0).model == "large"
    assert np.array_equal(router.predict([POEM]).p_success, trained.router.predict([POEM]).p_success)
