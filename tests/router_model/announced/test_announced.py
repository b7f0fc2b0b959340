from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from scipy.special import expit, logit

from router_model import Catalog, CatalogError, Router
from router_model.catalog import ModelCard
from router_model.levels import Levels, Shift, shifted
from router_model.model_set import announce_model, remove_model
from router_model.policy import Rule
from router_model.prediction_table import lowered
from router_model.saved.artifact import load_artifact, save_artifact

PROMPTS = ["add 12 45 sum", "moon river verse rhyme", "def return loop index", "divide 300 by 7"]


def announcing(router: Router, *cards: ModelCard) -> Router:
    catalog = Catalog({**router.artifact.catalog.cards, **{card.model: card for card in cards}})
    return Router.assemble(router.artifact, router.encoder, catalog=catalog)


def new_card(model: str = "new", price: str = "0.01", **said: object) -> ModelCard:
    return ModelCard(model, Decimal(price), Decimal(price), **said)


def test_an_announced_model_is_a_candidate_after_the_graded_ones(trained):
    router = announcing(trained.router, new_card(accuracy=0.8, accuracy_prompts=500))
    table, before = router.predict(PROMPTS), trained.router.predict(PROMPTS)
    assert router.models == (*trained.router.models, "new")
    assert table.p_success[:, :-1] == pytest.approx(before.p_success)
    assert table.announced.tolist() == [False, False, False, True]
    low, high = table.p_interval[:, -1].T
    assert (low < table.p_success[:, -1]).all()
    assert (table.p_success[:, -1] < high).all()
    assert ((high - low) > (before.p_interval[..., 1] - before.p_interval[..., 0]).min(axis=1)).all()


def test_it_finds_hard_what_known_models_of_its_level_find_hard(trained):
    """At the level of one known model, its log odds are those of the known ones by their nearness, and a shift."""
    router = announcing(trained.router, new_card(accuracy=0.5, accuracy_prompts=10**6))
    table, announced = router.predict(PROMPTS), router.announced
    expected = logit(table.p_success[:, :3]) @ announced.weights[:, 0] + announced.shift[0]
    assert table.p_success[:, 3] == pytest.approx(expit(expected), abs=1e-5)


def test_its_mean_on_typical_prompts_is_its_level(trained):
    router = announcing(trained.router, new_card(accuracy=0.7, accuracy_prompts=10**6))
    reference, announced = router.artifact.reference, router.announced
    mean = expit(reference.log_odds @ announced.weights[:, 0] + announced.shift[0]).mean()
    assert mean == pytest.approx(announced.levels["new"].quality, abs=1e-4)


def test_rules_weigh_the_lower_end(trained):
    """0.9 less 0.82 log odds is weighed as 2.2 - 0.82."""
    assert lowered(np.array([0.9]), np.array([0.82])) == pytest.approx(expit(logit(0.9) - 0.82))
    router = announcing(trained.router, new_card(accuracy=0.9, accuracy_prompts=50))
    table = router.predict(PROMPTS)
    assert (table.cautious().p_success[:, 3] < table.p_success[:, 3]).all()
    step = router.route(PROMPTS[0]).plan[-1]
    assert [step.announced for step in router.route(PROMPTS[0]).plan].count(True) == 1
    assert step.level_error is None or step.cautious_p_success < step.p_success


def test_the_more_are_announced_the_more_is_taken_off_and_feedback_makes_that_less(trained):
    """One is weighed 1.645 standard errors lower, and each of ten 2.568 (0.95 to the power of 0.1 is 0.9949).

    Feedback that leaves half of the error, so a quarter of the variance, leaves a quarter of what was added for ten.
    """
    cards = [new_card(f"new{i}", accuracy=0.8, accuracy_prompts=300) for i in range(10)]
    one, ten = (announcing(trained.router, *some) for some in (cards[:1], cards))
    error = one.announced.errors[0]
    alone, among = (router.predict(PROMPTS[:1]).caution[3] for router in (one, ten))
    assert (alone, among) == pytest.approx((1.6449 * error, 2.5685 * error), abs=1e-3)
    levels = Levels({"new0": Shift(0.0, error / 2)}, frozenset({"new0"}))
    after = replace(ten, levels=levels).predict(PROMPTS[:1]).caution
    assert after[3] == pytest.approx(1.6449 * error / 2 + (2.5685 - 1.6449) * error / 4, abs=1e-3)
    assert after[:3].tolist() == [0, 0, 0]
    assert after[4] == among


@pytest.mark.parametrize(("n_prompts", "is_first"), [(5, False), (10**6, True)])
def test_it_is_chosen_where_it_wins_at_its_lower_end(trained, n_prompts, is_first):
    """A model that costs next to nothing and succeeds always wins if that was seen often, and not if five times."""
    router = announcing(trained.router, new_card(price="9", accuracy=1.0, accuracy_prompts=n_prompts))
    first = [decision.model for decision in router.route_batch(PROMPTS, success_value_usd=1.0)]
    assert (set(first) == {"new"}) is is_first


def test_certified_decisions_leave_it_last(trained):
    certified = [one for one in trained.router.certificates if one.certified]
    router = announcing(trained.router, new_card(accuracy=1.0, accuracy_prompts=10**6))
    rule = Rule(None, 1.0, certified[0]) if certified else pytest.fail("the fixture's router certifies something")
    table = router.predict(PROMPTS)
    ranked = rule.rank(table, np.ones(table.p_success.shape, bool))
    assert (ranked[:, -1] == 3).all()


def test_a_price_alone_makes_no_candidate(trained):
    router = Router.assemble(announce_model(trained.router.artifact, new_card()), trained.router.encoder)
    assert router.announced is None
    (excluded,) = router.route(PROMPTS[0]).excluded
    assert (excluded.model, excluded.reason) == ("new", "no_outcomes")
    assert "like" in excluded.detail


def test_a_saved_router_keeps_what_it_announces(trained, tmp_path):
    artifact = announce_model(trained.router.artifact, new_card(scores={"mmlu": 0.8}, like="large"))
    save_artifact(artifact, tmp_path / "router")
    loaded = load_artifact(tmp_path / "router")
    assert loaded.catalog["new"] == artifact.catalog["new"]
    there, here = (Router.assemble(one, trained.router.encoder).predict(PROMPTS) for one in (loaded, artifact))
    assert there.p_success == pytest.approx(here.p_success)
    assert Router.assemble(remove_model(loaded, "new"), trained.router.encoder).announced is None


def test_anchors_predict_and_are_no_candidates(trained, tmp_path):
    artifact = replace(
        announce_model(trained.router.artifact, new_card(accuracy=0.9, accuracy_prompts=400)),
        anchors=("small", "large", "coder"),
    )
    save_artifact(artifact, tmp_path / "router")
    router = Router.load(tmp_path / "router")
    assert router.models == ("new",)
    decision = router.route(PROMPTS[0], explain=True)
    assert decision.model == "new"
    assert decision.plan[0].announced
    assert not decision.excluded


def test_an_older_router_announces_nobody(trained):
    artifact = replace(announce_model(trained.router.artifact, new_card(like="large")), reference=None)
    assert Router.assemble(artifact, trained.router.encoder).announced is None


def test_its_explanation_adds_up(trained):
    router = announcing(trained.router, new_card(accuracy=1.0, accuracy_prompts=10**6))
    decision = router.route(PROMPTS[1], success_value_usd=1e-4, explain=True)
    assert decision.model == "new"
    said = decision.explanation.chosen
    parts = said.record_log_odds + said.calibration + sum(one.log_odds for one in said.contributions)
    assert said.log_odds == pytest.approx(parts)
    assert said.p_success == pytest.approx(decision.plan[0].p_success, abs=1e-3)


def test_feedback_takes_the_place_of_the_levels_error(trained):
    router = announcing(trained.router, new_card(accuracy=0.8, accuracy_prompts=30))
    levels = Levels({"new": Shift(0.5, 0.1)}, frozenset({"new"}))
    before, after = router.predict(PROMPTS), replace(router, levels=levels).predict(PROMPTS)
    assert after.level_error[-1] == 0.1
    assert logit(after.p_success[:, -1]) == pytest.approx(logit(before.p_success[:, -1]) + 0.5, abs=1e-6)
    narrower = np.diff(logit(after.p_interval[:, -1])) < np.diff(logit(before.p_interval[:, -1]))
    assert narrower.all()
    assert after.p_success[:, :-1] == pytest.approx(before.p_success[:, :-1])


def test_a_shift_of_announced_models_alone_breaks_no_promise(trained):
    certificate = trained.router.certificates[0]
    levels = Levels({"new": Shift(0.5, 0.1)}, frozenset({"new"}))
    assert levels.rule(Rule(None, 1.0, certificate)).certificate is certificate
    assert levels.rule(Rule(None, 1.0, always_model="large")).always_model is None
    fallen = Levels({"new": Shift(-0.5, 0.1)}, frozenset({"new"}))
    assert fallen.rule(Rule(None, 1.0, always_model="large")).always_model == "large"


def test_a_catalog_with_an_unknown_sibling_is_refused(trained):
    with pytest.raises(CatalogError, match="like: got 'nobody'"):
        announcing(trained.router, new_card(like="nobody"))


def test_the_luckiest_of_395_is_not_chosen_for_its_luck(trained):
    """Each is a little worse than the best graded model, at the price of the dearest, and 30 prompts say how good.

    The luckiest are seen to be better than the best. At no value of a success may choosing among all lose more than
    0.003 of quality (net of cost) against the graded models alone; believing the estimates loses more.
    """
    router, rng = trained.router, np.random.default_rng(0)
    level = router.artifact.reference.levels.max() - 0.3
    dearest = max(router.catalog.cards.values(), key=lambda card: card.usd_per_mtok_output)
    cards = [
        replace(dearest, model=f"new{i}", accuracy=float(rng.binomial(30, expit(level)) / 30), accuracy_prompts=30)
        for i in range(395)
    ]
    many = announcing(router, *cards)
    table = many.predict(PROMPTS * 5)
    offset = np.append(np.zeros(3), level - np.array([one.log_odds for one in many.announced.levels.values()]))
    truth = shifted(table.mean_quality, offset)
    eligible, rows = np.ones(truth.shape, bool), np.arange(len(truth))
    graded = eligible & ~table.announced

    def net(value, seen, among):
        chosen = Rule(None, None, quality_value_usd=value).rank(seen, among)[:, 0]
        return float((truth - table.expected_cost_usd / value)[rows, chosen].mean())

    for value in np.geomspace(1e-4, 10, 12):
        assert net(value, table, eligible) >= net(value, table, graded) - 0.003
    assert net(10.0, replace(table, level_error=None, caution=None), eligible) < net(10.0, table, eligible) - 0.002
