from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from router_model import Catalog, CatalogError, Router
from router_model.candidates import Candidates, CardTable
from router_model.catalog import ModelCard
from router_model.tradeoff import Dial


def test_a_table_of_cards_says_what_is_known():
    """'a' has a window and takes no images; of 'b' nothing is known, which is infinite room and no lack."""
    cards = [
        ModelCard("a", Decimal(1), Decimal(2), context_window=1000, vision=False, tools=True),
        ModelCard("b", Decimal(1), Decimal(2), max_output_tokens=50),
    ]
    table = CardTable.of(cards)
    assert table.context_window.tolist() == [1000, np.inf]
    assert table.max_output_tokens.tolist() == [np.inf, 50]
    assert {name: lacking.tolist() for name, lacking in table.lacks.items()} == {
        "tools": [False, False],
        "vision": [True, False],
        "audio": [False, False],
        "structured_output": [False, False],
    }


def test_what_is_read_once_follows_the_catalog_that_replaces_it(trained):
    """Prices ten times as high: the same plan costs ten times as much, and the certificates' prices are not these."""
    router = trained.router
    assert router._candidates.has_own_prices
    prices = ("usd_per_mtok_input", "usd_per_mtok_output")
    cards = router.catalog.cards.values()
    dearer = [replace(card, **{name: 10 * getattr(card, name) for name in prices}) for card in cards]
    other = replace(router, catalog=Catalog({card.model: card for card in dearer}))
    assert not other._candidates.has_own_prices
    cost, ten_times = (one.predict(["add 12 45"]).expected_cost_usd for one in (router, other))
    assert ten_times == pytest.approx(10 * cost)


def test_the_dial_is_the_one_of_the_artifacts_prices(trained):
    artifact = trained.router.artifact
    dearer = {model: replace(card, usd_per_mtok_input=Decimal(99)) for model, card in artifact.catalog.cards.items()}
    dial = Candidates.of(artifact, Catalog(dearer)).dial
    assert dial == Dial.of(artifact.operating_point, artifact.catalog)


def test_a_candidate_without_a_card_is_refused_when_the_router_is_made(trained):
    router = trained.router
    lacking = Catalog({model: card for model, card in router.catalog.cards.items() if model != "small"})
    with pytest.raises(CatalogError, match="no price for small"):
        Router(router.artifact, router.encoder, lacking)
