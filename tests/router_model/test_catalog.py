from decimal import Decimal

import pytest

from router_model import Catalog, CatalogError, ModelCard

GOOD = "usd_per_mtok_input = 1\nusd_per_mtok_output = 2\n"


def parse(entry: str) -> Catalog:
    return Catalog.parse(f'[models."a/b"]\n{entry}', origin="catalog.toml")


def test_prices_stay_exact():
    card = parse("usd_per_mtok_input = 0.1\nusd_per_mtok_output = 0.3\n")["a/b"]
    assert card.usd_per_mtok_input == Decimal("0.1")
    assert card.cost_usd(input_tokens=3, output_tokens=1) == Decimal("0.0000006")


def test_dump_reads_back_equal():
    catalog = parse(GOOD + 'context_window = 8000\ntools = false\nprovider = "a"\nusd_per_mtok_cached_input = 0.25\n')
    assert Catalog.parse(catalog.dump(), origin="again") == catalog


def test_only_names_every_missing_model_and_the_remedy():
    with pytest.raises(CatalogError, match=r"(?s)no price for x, y; add to the catalog.*\[models\.\"x\"\]"):
        parse(GOOD).only(["a/b", "x", "y"])


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ("usd_per_mtok_input = 1\n", "usd_per_mtok_output missing"),
        (GOOD + "colour = 3\n", "unknown key colour; expected some of context_window"),
        (GOOD.replace("1", "-1"), r"usd_per_mtok_input: got -1, expected USD per million tokens, 0 or more"),
        (GOOD.replace("1", "nan"), "usd_per_mtok_input: got Decimal"),
        (GOOD.replace("1", '"one"'), "usd_per_mtok_input: got 'one'"),
        (GOOD.replace("1", "true"), "usd_per_mtok_input: got True"),
        (GOOD + "context_window = 0\n", "context_window: got 0, expected a positive whole number"),
        (GOOD + "context_window = true\n", "context_window: got True"),
        (GOOD + "tools = 1\n", "tools: got 1, expected true or false"),
        (GOOD + "provider = 1\n", "provider: got 1, expected text"),
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
