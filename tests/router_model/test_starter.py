"""The starter: a router from a catalog and the shipped anchors."""

import json
import re
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from command_line import run_command
from scipy.special import expit, logit

from router_model import Router
from router_model.announced.level import Level, level_of_accuracy
from router_model.announced.starter_levels import starter_levels
from router_model.catalog import Catalog, ModelCard
from router_model.errors import CatalogError
from router_model.features import load_encoder
from router_model.prediction_table import lowered
from router_model.saved.artifact import Artifact, load_artifact, save_artifact, sealed
from router_model.starter import load_anchors, start
from router_model.starter_rule import MOST_LOSS, least_gain
from router_model.training.metrics.frontier import Points, Singles, aiq

EASY = "If Tom has 3 apples and buys 2 more, how many apples does he have?"
HARD = (
    "Let $f(x) = \\sum_{k=1}^{2024} \\frac{\\sin(kx)}{k^2}$. Find the number of ordered triples $(a, b, c)$ of "
    "positive integers with $\\gcd(a, b, c) = 1$ such that $f$ vanishes at $\\frac{a \\pi}{b}$ and $abc \\leq 10^6$."
)
PRICES = {"small": ("0.1", "0.4"), "middle": ("0.5", "2"), "large": ("3", "15")}


def catalog_of(**said: str) -> Catalog:
    """Return a catalog of three models; `said` adds lines to their tables."""
    tables = [
        f"[models.{model}]\nusd_per_mtok_input = {into}\nusd_per_mtok_output = {out}\n{said.get(model, '')}"
        for model, (into, out) in PRICES.items()
    ]
    return Catalog.parse("\n".join(tables), origin="catalog.toml")


def measured(n: int, *, small: float = 0.6, middle: float = 0.8, large: float = 0.9) -> Catalog:
    """Return a catalog whose accuracies were counted on n prompts."""
    shares = {"small": small, "middle": middle, "large": large}
    return catalog_of(**{model: f"accuracy = {p}\naccuracy_prompts = {n}" for model, p in shares.items()})


def counted(share: float, n: int) -> Level:
    """Return what an accuracy says of the level."""
    level = level_of_accuracy(ModelCard("any", Decimal(1), Decimal(1), accuracy=share, accuracy_prompts=n))
    assert level is not None
    return level


def router_of(artifact: Artifact) -> Router:
    return Router.assemble(sealed(artifact), load_encoder("static"))


@pytest.fixture(scope="module")
def sure():
    return start(measured(1000))


@pytest.fixture(scope="module")
def by_price():
    return start(catalog_of())


def test_levels_are_those_that_the_catalog_says():
    """One benchmark: 0.9, 0.8 and 0.6 are log odds of 2.20, 1.39 and 0.41, so 0.86, 0.05 and -0.93 from their mean.

    Times 0.85, that is 0.73, 0.04 and -0.79 from the mean level by price. Scores have an error of 0.3 and prices one of
    0.6 or more, so the scores count four times or more.
    """
    scores = catalog_of(small="scores = { b = 0.9 }", middle="scores = { b = 0.8 }", large="scores = { b = 0.6 }")
    levels, alone = starter_levels(scores), starter_levels(catalog_of())
    mean = np.mean([level.log_odds for level in alone.values()])
    for model, share in {"small": 0.9, "middle": 0.8, "large": 0.6}.items():
        said = mean + 0.85 * (logit(share) - np.mean(logit([0.9, 0.8, 0.6])))
        weight = 0.3**-2, alone[model].error ** -2
        expected = np.average([said, alone[model].log_odds], weights=weight)
        assert levels[model].log_odds == pytest.approx(expected)
        assert levels[model].error == pytest.approx(sum(weight) ** -0.5)
    assert levels["small"].log_odds > levels["large"].log_odds  # whatever they cost
    # 320 of 400 are 321 of 402 by Laplace's rule; the error of counting is joined by one of 0.1 for other prompts
    p, counted = 321 / 402, starter_levels(measured(400))["middle"]
    weight = 1 / (1 / (400 * p * (1 - p)) + 0.1**2), alone["middle"].error ** -2
    assert counted.log_odds == pytest.approx(np.average([logit(p), alone["middle"].log_odds], weights=weight))
    assert counted.error == pytest.approx(sum(weight) ** -0.5)


def test_a_sibling_has_the_level_of_the_model_that_it_is_like_whatever_their_order():
    levels = starter_levels(catalog_of(small='like = "middle"', middle='like = "large"', large="accuracy = 0.9"))
    alone = starter_levels(catalog_of(large="accuracy = 0.9"))
    assert levels["large"] == alone["large"]
    assert alone["middle"].log_odds < levels["middle"].log_odds < levels["large"].log_odds
    assert levels["large"].error < levels["middle"].error < levels["small"].error
    by_price = starter_levels(catalog_of())["middle"]  # siblings are 0.5 apart, as for announced models
    weight = 1 / (levels["large"].error ** 2 + 0.5**2), by_price.error**-2
    assert levels["middle"].error == pytest.approx(sum(weight) ** -0.5)


def test_it_routes_where_accuracies_are_sure_and_hard_prompts_are_less_likely_to_succeed(sure):
    assert (sure.routes, sure.always_model) == (True, None)
    assert "routes by difficulty" in sure.why
    router = router_of(sure.artifact)
    table = router.predict([EASY, HARD])
    assert (table.p_success[0] > table.p_success[1]).all()
    decision = router.route(HARD)
    assert (decision.reason, decision.certificate) == ("starter", None)
    assert {step.model for step in decision.plan} == set(PRICES)
    assert router.route(EASY, constraints=None, target_success=0.9).reason == "starter"
    assert router.certificates == ()


@pytest.mark.parametrize(
    ("catalog", "why"),
    [
        (catalog_of(), "needs two models with an accuracy, and the catalog has none"),
        (catalog_of(small="accuracy = 0.9\naccuracy_prompts = 5000"), "and the catalog has 1"),
        (measured(100, small=0.8, middle=0.84, large=0.82), r"levels are too unsure. Routing may lose 0\.0\d\d of"),
        (catalog_of(small="accuracy = 0.6", large="accuracy = 0.9"), "too unsure"),  # `middle` may be the best
    ],
)
def test_it_does_not_route_where_levels_are_unknown_or_unsure_and_says_why(catalog, why):
    started = start(catalog)
    assert not started.routes
    assert re.search(why, started.why)
    assert started.always_model in PRICES
    router = router_of(started.artifact)
    table = router.predict([EASY, HARD])
    np.testing.assert_allclose(table.p_success[0], table.p_success[1], atol=1e-4)
    assert {decision.model for decision in router.route_batch([EASY, HARD])} == {started.always_model}
    assert {decision.reason for decision in router.route_batch([EASY, HARD])} == {"starter"}


def test_models_that_are_nearly_equal_need_accuracies_of_more_prompts():
    """They differ by 0.02: an accuracy of 400 prompts has a standard error of 0.02, and more for other prompts."""
    gains = [start(measured(n, small=0.80, middle=0.84, large=0.82)).least_gain for n in (100, 400, 10_000)]
    assert gains[0] < gains[1] < gains[2] <= 0


@pytest.mark.slow
def test_where_routing_is_said_not_to_lose_it_does_not():
    """Simulated catalogs of five models, whose true levels and prices are drawn, and accuracies counted.

    Those that may route lose more than 0.003 in one case of twenty at most, if difficulty tells nothing.
    """
    rng, lost = np.random.default_rng(0), []
    for _ in range(150):
        cost = np.sort(10 ** rng.uniform(-5, -2, 5))
        truth = expit(rng.normal(1, 1, 5))
        levels = [counted(rng.binomial(1000, p) / 1000, 1000) for p in truth]
        quality = lowered(expit(np.array([[one.log_odds for one in levels]])), np.array([one.error for one in levels]))
        if least_gain(quality, cost, levels) < -MOST_LOSS:
            continue
        chosen = [
            int(np.argmax(quality[0] * value - cost)) for value in np.geomspace(cost.min(), 1e4 * cost.max(), 200)
        ]
        singles = Singles(cost, truth)
        lost.append(aiq(Points(cost, truth), singles) - aiq(Points(cost[chosen], truth[chosen]), singles))
    assert 20 < len(lost) < 150
    assert np.mean(np.array(lost) > MOST_LOSS) < 0.05


def test_prices_alone_leave_wide_intervals_and_the_dearest_is_expected_to_be_the_best(by_price):
    assert by_price.always_model == "large"
    low, high = np.array([step.p_interval for step in router_of(by_price.artifact).route(EASY).plan]).T
    assert (high - low > 0.4).all()


def test_the_models_of_scores_that_say_otherwise_win_over_prices():
    scores = catalog_of(small="scores = { b = 0.9 }", middle="scores = { b = 0.8 }", large="scores = { b = 0.6 }")
    assert start(scores).always_model == "small"


def test_what_is_saved_is_loaded_and_is_the_same_each_time(sure, tmp_path):
    first = save_artifact(sure.artifact, tmp_path / "a")
    assert first == save_artifact(start(measured(1000)).artifact, tmp_path / "b") == sealed(sure.artifact).content_hash
    loaded = Router.load(tmp_path / "a")
    assert loaded.route(HARD).as_dict() == router_of(sure.artifact).route(HARD).as_dict()
    assert load_artifact(tmp_path / "a").is_starter
    assert load_artifact(tmp_path / "a").provenance["starter"]["routes"]


def test_the_shipped_anchors_hold_no_text_and_are_small():
    anchors = load_anchors()
    assert anchors.bank_prompts is None
    assert anchors.is_starter
    assert len(anchors.predictor.evidence_model.vocabulary.codes) <= 2_000
    assert 0 < anchors.reference.slope <= 1


@pytest.mark.parametrize(
    ("catalog", "match"),
    [
        (catalog_of().only(["small"]), "the catalog has one model, small; expected at least 2"),
        (
            Catalog({**catalog_of().cards, "anchor-1": catalog_of()["small"]}),
            "a model is named 'anchor-1', as an anchor of the starter is",
        ),
        (
            catalog_of(small='like = "other"'),
            r'models\."small"\]\.like: got \'other\', expected a model of this catalog',
        ),
        (catalog_of(small='like = "large"', large='like = "small"'), r"like: leads back to"),
    ],
)
def test_catalogs_that_cannot_start_a_router_are_refused(catalog, match):
    with pytest.raises(CatalogError, match=match):
        start(catalog)


def test_what_a_good_answer_is_worth_may_be_said_and_free_models_are_no_obstacle():
    assert start(measured(1000), quality_value_usd=0.5).artifact.operating_point.quality_value_usd == 0.5

    nothing = {"usd_per_mtok_input": Decimal(0), "usd_per_mtok_output": Decimal(0)}
    free = Catalog({model: replace(card, **nothing) for model, card in measured(1000).cards.items()})
    assert router_of(start(free).artifact).route(EASY).model == "large"


def test_the_command_says_what_it_expects_and_whether_it_routes(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text(catalog_of().dump())
    done = run_command("start", "--catalog", path, "--out", tmp_path / "router")
    assert done.returncode == 0, done.stderr
    assert "does not route" in " ".join(done.stdout.split())
    routed = run_command("route", tmp_path / "router", EASY, "--json")
    assert json.loads(routed.stdout)["reason"] == "starter"
    path.write_text(measured(1000).dump())
    said = json.loads(run_command("start", "--catalog", path, "--out", tmp_path / "router", "--json").stdout)
    assert (said["routes"], set(said["levels"])) == (True, set(PRICES))
    assert said["least_gain"] > -MOST_LOSS
    inspected = run_command("inspect", tmp_path / "router")
    assert inspected.returncode == 0, inspected.stderr


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "expected tables [models."),
        ('[models."a"]\nusd_per_mtok_input = 1', "usd_per_mtok_output missing"),
    ],
)
def test_the_command_refuses_a_catalog_without_models_or_prices(content, match, tmp_path):
    (tmp_path / "catalog.toml").write_text(content)
    done = run_command("start", "--catalog", tmp_path / "catalog.toml", "--out", tmp_path / "router")
    assert (done.returncode, match in done.stderr) == (2, True)


def test_of_many_models_the_best_are_shown_and_the_one_that_answers_everything(tmp_path):
    prices = [f"[models.m{k}]\nusd_per_mtok_input = 1\nusd_per_mtok_output = {k + 1}\n" for k in range(60)]
    (tmp_path / "catalog.toml").write_text("".join(prices))
    done = run_command("start", "--catalog", tmp_path / "catalog.toml", "--out", tmp_path / "router")
    assert re.search(r"and \d+ more \(--json has all\)", done.stdout)
    shown = re.findall(r"^(m\d+) ", done.stdout, re.MULTILINE)
    always = load_artifact(tmp_path / "router").operating_point.always_model
    assert (len(shown) <= 21, shown[0], always in shown) == (True, "m59", True)
    assert max(map(len, done.stdout.splitlines())) <= 80 + len(str(tmp_path))
