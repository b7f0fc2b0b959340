from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model import Catalog, CatalogError, ModelCard, UsageError

GOOD = "usd_per_mtok_input = 1\nusd_per_mtok_output = 2\n"


def parse(entry: str) -> Catalog:
    return Catalog.parse(f'[models."a/b"]\n{entry}', origin="catalog.toml")


def test_prices_stay_exact():
    card = parse("usd_per_mtok_input = 0.1\nusd_per_mtok_output = 0.3\n")["a/b"]
    assert card.usd_per_mtok_input == Decimal("0.1")
    assert card.cost_usd(input_tokens=3, output_tokens=1) == Decimal("0.0000006")


@pytest.mark.parametrize("said", ['"2026-11-29"', "20261129", "2026-11-29T00:00:00Z"])
def test_the_day_of_the_prices_is_a_date(said):
    card = parse(f"{GOOD}price_date = 2026-11-29\n")["a/b"]
    assert card.price_date == date(2026, 11, 29)
    assert Catalog.parse(Catalog({"a/b": card}).dump(), origin="again")["a/b"] == card
    assert parse(GOOD)["a/b"].price_date is None
    with pytest.raises(CatalogError, match=r"price_date: got .*, expected a date without quotes, e.g. 2026-11-29"):
        parse(f"{GOOD}price_date = {said}\n")


FULL = ModelCard(
    "full", Decimal(2), Decimal(10), usd_per_mtok_cached_input=Decimal("0.5"), usd_per_mtok_cache_write=Decimal("2.5"),
    usd_per_mtok_reasoning=Decimal(4), usd_per_request=Decimal("0.005"), usd_per_image=Decimal("0.001"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"input_tokens": 1000, "output_tokens": 100}, "0.003"),  # 0.002 + 0.001
        ({"input_tokens": 1000, "output_tokens": 100, "cached_input_tokens": 800}, "0.0018"),  # 0.0004 + 0.0004 + 0.001
        ({"input_tokens": 1000, "output_tokens": 100, "cache_write_tokens": 400}, "0.0032"),  # 0.0012 + 0.001 + 0.001
        (
            {"input_tokens": 1000, "output_tokens": 100, "cached_input_tokens": 500, "cache_write_tokens": 500},
            "0.0025",  # 0.00025 + 0.00125 + 0.001
        ),
        ({"input_tokens": 1000, "output_tokens": 100, "reasoning_tokens": 75}, "0.00255"),  # 0.002 + 0.00025 + 0.0003
        ({"input_tokens": 0, "output_tokens": 0, "n_images": 3}, "0.003"),
    ],
)
def test_a_call_costs_each_token_once_and_its_fee(usage, cost):
    """At 2 USD in, 0.5 cached, 2.5 cache write, 10 out, 4 reasoning a million; 0.005 USD a request, 0.001 an image."""
    assert FULL.cost_usd(**usage) == Decimal("0.005") + Decimal(cost)


def test_parts_without_a_price_of_their_own_cost_as_the_whole():
    card = ModelCard("m", Decimal("0.1"), Decimal("0.3"))
    parts = {"cached_input_tokens": 3, "cache_write_tokens": 2, "reasoning_tokens": 4, "n_images": 1}
    whole = {"input_tokens": 7, "output_tokens": 5}
    assert card.cost_usd(**whole, **parts) == card.cost_usd(**whole) == Decimal("0.0000022")


@pytest.mark.parametrize(
    ("usage", "match"),
    [
        (
            {"cached_input_tokens": 11},
            "input_tokens=10 with parts of 11 and 0; expected counts of 0 or more",
        ),
        ({"cached_input_tokens": 6, "cache_write_tokens": 5}, "input_tokens=10 with parts of 6 and 5"),
        ({"reasoning_tokens": 6}, "output_tokens=5 with parts of 6"),
        ({"reasoning_tokens": -1}, "output_tokens=5 with parts of -1"),
        ({"input_tokens": -1}, "input_tokens=-1 with parts of 0 and 0"),
        ({"n_images": -1}, "n_images=-1; expected 0 or more"),
    ],
)
def test_counts_that_contradict_each_other_are_refused(usage, match):
    with pytest.raises(UsageError, match=match):
        FULL.cost_usd(**{"input_tokens": 10, "output_tokens": 5, **usage})


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=20))
def test_a_bill_is_the_same_in_any_order(calls):
    """Calls at 0.1 and 0.3 USD a million tokens add up to the price of all their tokens at once."""
    card = ModelCard("m", Decimal("0.1"), Decimal("0.3"))
    n_input, n_output = (sum(counts) for counts in zip(*calls, strict=True))
    bill = sum(card.cost_usd(input_tokens=read, output_tokens=wrote) for read, wrote in calls)
    assert bill == card.cost_usd(input_tokens=n_input, output_tokens=n_output)


def test_dump_reads_back_equal():
    catalog = parse(
        GOOD + 'context_window = 8000\ntools = false\naudio = true\nprovider = "a"\nusd_per_mtok_cached_input = 0.25\n'
        "usd_per_mtok_cache_write = 3.75\nusd_per_mtok_reasoning = 0.1\nusd_per_request = 0.01\nusd_per_image = 0\n"
    )
    assert Catalog.parse(catalog.dump(), origin="again") == catalog


def test_only_names_every_missing_model_and_the_remedy():
    with pytest.raises(CatalogError, match=r"(?s)no price for x, y; write the provider.*\[models\.\"x\"\]"):
        parse(GOOD).only(["a/b", "x", "y"])


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ("usd_per_mtok_input = 1\n", "usd_per_mtok_output missing"),
        (GOOD + "colour = 3\n", "unknown key colour; expected some of audio, context_window"),
        (GOOD.replace("1", "-1"), r"usd_per_mtok_input: got -1, expected USD per million tokens, 0 or more"),
        (GOOD.replace("1", "nan"), "usd_per_mtok_input: got NaN"),
        (GOOD.replace("1", '"one"'), "usd_per_mtok_input: got 'one'"),
        (GOOD.replace("1", "true"), "usd_per_mtok_input: got True"),
        (GOOD + "usd_per_mtok_reasoning = -1\n", "usd_per_mtok_reasoning: got -1, expected USD per million tokens"),
        (GOOD + "usd_per_request = -1\n", "usd_per_request: got -1, expected USD, 0 or more"),
        (GOOD + "usd_per_image = inf\n", "usd_per_image: got Infinity"),
        (GOOD + "audio = 'yes'\n", "audio: got 'yes', expected true or false"),
        (GOOD + "context_window = 0\n", "context_window: got 0, expected a positive whole number"),
        (GOOD + "context_window = true\n", "context_window: got True"),
        (GOOD + "tools = 1\n", "tools: got 1, expected true or false"),
        (GOOD + "provider = 1\n", "provider: got 1, expected text"),
        (GOOD + "usd_per_image = 1e12\n", "usd_per_image: got 1E\\+12"),
        (GOOD + f"usd_per_image = 0.{'1' * 99}\n", "usd_per_image: got 0.1111"),
        (GOOD + f"context_window = {10**13}\n", "context_window: got 10000000000000"),
        (GOOD + 'provider = "a\\nb"\n', "provider: got 'a"),
    ],
)
def test_wrong_entries_are_named(entry, match):
    with pytest.raises(CatalogError, match=match):
        parse(entry)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("[models", "catalog.toml: not valid TOML"),
        ("x = 1", r"expected tables \[models"),
        ("models = {}", r"expected tables \[models"),
        ("[models]\na = 1", "expected a table; got 1"),
    ],
)
def test_wrong_files_are_named(content, match):
    with pytest.raises(CatalogError, match=match):
        Catalog.parse(content, origin="catalog.toml")


def test_a_missing_or_binary_file_is_named(tmp_path):
    with pytest.raises(CatalogError, match=r"none\.toml: the catalog cannot be read"):
        Catalog.load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CatalogError, match=r"binary\.toml: the catalog cannot be read"):
        Catalog.load(tmp_path / "binary.toml")


def test_a_card_is_a_mapping_like_member():
    catalog = Catalog({"m": ModelCard("m", Decimal(1), Decimal(2))})
    assert "m" in catalog
    assert list(catalog) == ["m"]
    assert len(catalog) == 1
    with pytest.raises(CatalogError, match="no price for other"):
        catalog["other"]


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ({}, "2"),
        ({"usd_per_mtok_cache_write": "1.25"}, "2"),
        ({"usd_per_mtok_cache_write": "2.5"}, "2.5"),
        ({"usd_per_mtok_cache_write": "1.25", "usd_per_mtok_cache_write_1h": "1.6"}, "1.6"),
        ({"usd_per_mtok_cache_write_1h": "0"}, "0"),
    ],
)
def test_an_hour_in_the_cache_costs_twice_the_input_unless_the_card_says(prices, expected):
    """A million tokens written for an hour, at an input price of 1 USD a million."""
    card = ModelCard("m", Decimal(1), Decimal(5), **{name: Decimal(price) for name, price in prices.items()})
    million = 1_000_000
    known = {"input_tokens": million, "output_tokens": 0, "cache_write_tokens": million}
    assert card.cost_usd(**known, cache_write_1h_tokens=million) == Decimal(expected)


def test_a_cache_write_is_billed_for_its_time_once():
    """400 read at 1, 500 written for 5 minutes at 1.25 and 100 for an hour at 2 USD a million: 0.001225."""
    card = ModelCard("m", Decimal(1), Decimal(5), usd_per_mtok_cache_write=Decimal("1.25"))
    counts = {"input_tokens": 1000, "output_tokens": 0, "cache_write_tokens": 600}
    assert card.cost_usd(**counts, cache_write_1h_tokens=100) == Decimal("0.001225")
    with pytest.raises(UsageError, match="cache_write_tokens=600 with parts of 601"):
        card.cost_usd(**counts, cache_write_1h_tokens=601)


BASE = """
[models."openai/gpt-5"]
usd_per_mtok_input = 1.25
usd_per_mtok_output = 10
tools = true
price_date = 2026-11-29
"""
HIGH = 'model = "openai/gpt-5"\nreasoning_effort = "high"\n'


def with_effort(entry: str, base: str = BASE) -> Catalog:
    return Catalog.parse(f'{base}[models."openai/gpt-5:high"]\n{entry}', origin="catalog.toml")


def test_an_entry_with_an_effort_has_what_it_does_not_say_from_its_model():
    card = with_effort(f"{HIGH}tools = false\n")["openai/gpt-5:high"]
    assert (card.model, card.served_model, card.parameters) == (
        "openai/gpt-5:high", "openai/gpt-5", {"reasoning_effort": "high"},
    )  # fmt: skip
    assert (card.usd_per_mtok_input, card.price_date, card.tools) == (Decimal("1.25"), date(2026, 11, 29), False)
    alone = Catalog({card.model: card})
    assert Catalog.parse(alone.dump(), origin="again") == alone, "it needs its model's entry only once"


def test_an_own_price_does_not_take_over_the_day_of_the_models_prices():
    card = with_effort(f"{HIGH}usd_per_mtok_output = 12\n")["openai/gpt-5:high"]
    assert (card.usd_per_mtok_input, card.usd_per_mtok_output, card.price_date) == (Decimal("1.25"), Decimal(12), None)


def test_a_model_without_an_entry_is_looked_up():
    listed = ModelCard("openai/gpt-5", Decimal(3), Decimal(4), price_source="a list")
    entry = '[models.fast]\nmodel = "openai/gpt-5"\nreasoning_effort = "low"\n'
    card = Catalog.parse(entry, origin="c", look_up={"openai/gpt-5": listed}.get)["fast"]
    assert (card.usd_per_mtok_output, card.price_source, card.served_model) == (Decimal(4), "a list", "openai/gpt-5")


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ('reasoning_effort = "high"\n', r'reasoning_effort is given without model; name .* model = "openai/gpt-5"'),
        ('model = "openai/gpt-5"\n', "model is given without reasoning_effort; give one of none, minimal, low"),
        ('model = "openai/gpt-5"\nreasoning_effort = "hard"\n', "got 'hard', expected one of none, minimal, low"),
        ('model = "openai/gpt-5"\nreasoning_effort = ["high"]\n', r"got \['high'\], expected one of none"),
        ('model = "openai/gpt-5:high"\nreasoning_effort = "high"\n', "its model is itself; give the candidate another"),
        (f'model = 5\nreasoning_effort = "high"\n{GOOD}', "model: got 5, expected text"),
        (
            'model = "openai/gpt-4"\nreasoning_effort = "high"\n',
            "usd_per_mtok_input and usd_per_mtok_output missing; .* or an entry of 'openai/gpt-4' to take it from",
        ),
        (
            # two that name each other
            'model = "b"\nreasoning_effort="max"\n[models.b]\nmodel="openai/gpt-5:high"\nreasoning_effort="low"\n',
            "its model, 'b', has parameters itself .it is 'openai/gpt-5:high' with reasoning_effort = 'low'",
        ),
    ],
)  # fmt: skip
def test_an_entry_with_an_effort_that_cannot_be_is_refused(entry, match):
    with pytest.raises(CatalogError, match=match):
        with_effort(entry)
