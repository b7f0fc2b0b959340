from datetime import date
from decimal import Decimal

import pytest

from router_model import Catalog, CatalogError, ModelCard
from router_model.training.table.prices import complete_catalog, look_up

GIVEN = Catalog.parse('[models."gpt-4o"]\nusd_per_mtok_input = 7\nusd_per_mtok_output = 8\n', origin="c")


@pytest.mark.parametrize("model", ["gpt-4o", "openai/gpt-4o", "mistralai/mistral-large-2512", "google/gemini-2.5-pro"])
def test_known_models_are_found_with_their_source(model):
    card = look_up(model)
    assert card is not None
    assert card.model == model
    assert 0 < card.usd_per_mtok_input < card.usd_per_mtok_output
    assert card.price_source.startswith("genai-prices ")
    assert card.price_date == date(2026, 11, 2)  # of the look-up, whatever the day of the training


def test_cache_prices_and_fees_are_looked_up_too():
    """A token that Anthropic reads from its cache costs a tenth, one it writes 1.25 times the price of input."""
    card = look_up("anthropic/claude-sonnet-4-5")
    assert card is not None
    assert card.usd_per_mtok_cached_input == card.usd_per_mtok_input / 10
    assert card.usd_per_mtok_cache_write == card.usd_per_mtok_input * Decimal("1.25")
    assert (card.usd_per_mtok_reasoning, card.usd_per_request) == (None, None)
    assert Catalog({card.model: card}) == Catalog.parse(Catalog({card.model: card}).dump(), origin="again")


@pytest.mark.parametrize("model", ["minimax/MiniMax-M2.1-highspeed", "google/gemini-2.5-pro", "openai/gpt-4o"])
def test_a_cache_write_below_the_price_of_input_is_not_believed(model):
    """The list has 0.375 for the first one's cache writes, and 0.6 for its input."""
    card = look_up(model)
    assert card is not None
    write = card.usd_per_mtok_cache_write
    assert write is None or write >= card.usd_per_mtok_input


def test_the_catalog_wins_over_the_list():
    assert complete_catalog(GIVEN, ["gpt-4o"])["gpt-4o"].usd_per_mtok_input == Decimal(7)
    assert complete_catalog(None, ["gpt-4o"])["gpt-4o"].usd_per_mtok_input != Decimal(7)


def test_models_without_a_price_are_all_named_with_the_remedy():
    with pytest.raises(CatalogError, match="no price for my-llama, my-qwen; ") as raised:
        complete_catalog(GIVEN, ["gpt-4o", "my-llama", "my-qwen"])
    first, *tables = str(raised.value).splitlines()
    assert first.endswith("and give the file with --catalog:")
    blanks = ["usd_per_mtok_input = ", "usd_per_mtok_output = "]
    assert tables == ['[models."my-llama"]', *blanks, '[models."my-qwen"]', *blanks]


def test_a_window_that_a_card_lacks_is_looked_up_and_its_prices_stay():
    given = {
        "openai/gpt-4o": ModelCard("openai/gpt-4o", Decimal(1), Decimal(2)),
        "fast": ModelCard("fast", Decimal(1), Decimal(2), base_model="openai/gpt-4o", reasoning_effort="high"),
        "ours": ModelCard("ours", Decimal(1), Decimal(2)),
        "said": ModelCard("said", Decimal(1), Decimal(2), context_window=5),
    }
    cards = complete_catalog(Catalog(given), given).cards
    assert {name: card.context_window for name, card in cards.items()} == {
        "openai/gpt-4o": 128000, "fast": 128000, "ours": None, "said": 5,
    }  # fmt: skip
    assert {card.usd_per_mtok_input for card in cards.values()} == {1}
