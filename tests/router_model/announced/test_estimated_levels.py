from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from scipy.special import expit, logit

from router_model import Catalog, CatalogError
from router_model.announced.estimated_levels import estimate_levels
from router_model.catalog import ModelCard

KNOWN = {"a": -0.5, "b": 0.0, "c": 0.5, "d": 1.0, "e": 1.5}


def card(model: str, price: float = 1.0, **said: object) -> ModelCard:
    return ModelCard(model, Decimal(str(price)), Decimal(str(price)), **said)


def cards(*more: ModelCard) -> Catalog:
    """Five known models whose scores in a benchmark are their levels, and 0.5 log odds more."""
    known = [card(model, scores={"bench": float(expit(level + 0.5))}) for model, level in KNOWN.items()]
    return Catalog({one.model: one for one in (*known, *more)})


def estimated(**said: object):
    return estimate_levels(cards(card("new", **said)), KNOWN, ["new"])["new"]


def test_the_more_is_said_the_narrower_the_interval():
    price, score = estimated(), estimated(scores={"bench": 0.8})
    both = estimated(scores={"bench": 0.8}, accuracy=0.7, accuracy_prompts=300)
    assert price.error > score.error > both.error
    assert score.log_odds == pytest.approx(logit(0.8) - 0.5, abs=0.15)
    assert price.interval[0] < price.quality < price.interval[1]


def test_an_accuracy_counts_as_its_prompts_do():
    """Of 10,000 prompts, the other sample's error of 0.1 is what is left; of 10, the price says as much."""
    sure, unsure = (estimated(accuracy=0.9, accuracy_prompts=n) for n in (10_000, 10))
    assert sure.quality == pytest.approx(0.9, abs=0.01)
    assert sure.error == pytest.approx(0.1, abs=0.01)
    assert unsure.error > 0.4


def test_a_score_that_no_known_model_has_says_nothing():
    assert estimated(scores={"other": 0.99}) == estimated()


def test_a_score_or_an_accuracy_outweighs_the_price_and_a_sibling_does_not():
    """Dear models are expected to be better only as long as nothing else tells how good they are."""
    for said in ({"scores": {"bench": 0.4}}, {"accuracy": 0.4}):
        assert estimated(price=50, **said) == estimated(price=0.1, **said)
    assert estimated(price=50, like="c").log_odds > estimated(price=0.1, like="c").log_odds


def test_dearer_models_are_expected_to_be_better():
    assert estimated(price=50).log_odds > estimated(price=0.1).log_odds
    assert np.isfinite(estimated(price=0).log_odds)


def test_a_sibling_may_be_announced_itself():
    found = estimate_levels(cards(card("new", like="between"), card("between", like="e")), KNOWN, ["new", "between"])
    assert found["between"].log_odds == pytest.approx(1.5, abs=0.5)
    assert found["new"].error > found["between"].error


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"like": "nobody"}, r"\[models.\"new\"\].like: got 'nobody', expected a model of the router or of this"),
        ({"like": "other"}, r"\[models.\"new\"\].like: leads back to 'new'"),
    ],
)
def test_a_sibling_must_be_known(said, error):
    catalog = cards(card("new", **said), card("other", like="new"))
    with pytest.raises(CatalogError, match=error):
        estimate_levels(catalog, KNOWN, ["new"])


def test_ninety_percent_intervals_hold_the_level_nine_times_in_ten():
    """Levels are drawn with a spread of 0.6, and scores with errors as they are expected; five models are known.

    A table's scores err by 0.4 log odds, or by what is usually that times or divided by 1.8.

    Of 300 intervals that hold with 0.9, 255 to 285 do within 2.9 standard deviations, to both sides.
    """
    rng, n_inside = np.random.default_rng(0), 0
    for _ in range(300):
        levels = dict(zip("abcdef", rng.normal(0.5, 0.6, 6), strict=True))
        error = 0.4 * np.exp(rng.normal(0, 0.6))
        scores = {model: float(expit((level + rng.normal(0, error)) / 0.85)) for model, level in levels.items()}
        catalog = Catalog({model: replace(card(model), scores={"bench": score}) for model, score in scores.items()})
        truth = levels.pop("f")
        found = estimate_levels(catalog, levels, ["f"])["f"]
        n_inside += found.interval[0] <= expit(truth) <= found.interval[1]
    assert 255 <= n_inside <= 285
