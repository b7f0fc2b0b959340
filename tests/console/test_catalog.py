"""The models that a service can choose or call."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from tiled_router import tiled

from router_model import Catalog, Router
from router_model.serving.console.catalog import PAGE, Health, Standing, catalog_page
from router_model.serving.console.router_facts import price_ages
from router_model.serving.providers.fleet import Fleet
from router_model.serving.providers.health import HealthState, Trouble

TODAY = date(2026, 11, 30)
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
PROVIDERS = """
[one]
kind = "echo"
models = ["small", "coder", "only/named"]
[two]
kind = "echo"
models = ["small", "large"]
"""


@pytest.fixture(scope="module")
def dated(trained) -> Router:
    """The prices of one model are today's, of another 90 days old, and of the third not dated."""
    days = {"small": 0, "coder": 90}
    cards = {
        model: replace(card, price_date=TODAY - timedelta(days[model]) if model in days else None)
        for model, card in trained.router.catalog.cards.items()
    }
    return replace(trained.router, catalog=Catalog(cards))


@pytest.fixture
def proxy(tmp_path, dated):
    """The real providers, and breakers in states of our choice."""
    (tmp_path / "providers.toml").write_text(PROVIDERS)
    fleet = Fleet(tmp_path / "providers.toml", lambda: dated.catalog.cards)
    breakers = {
        ("one", "small"): HealthState.OPEN,
        ("two", "small"): HealthState.CLOSED,
        ("one", "coder"): HealthState.OPEN,
        ("one", "only/named"): HealthState.HALF_OPEN,
    }
    return SimpleNamespace(
        providers=fleet,
        candidates=SimpleNamespace(served_models=fleet.models),
        breaker_states=lambda: breakers,
        troubles=lambda: {("two", "small"): Trouble("two", "server (503)", NOW, is_last=False)},
        key_states=lambda: {("two", "KEY", None): HealthState.CLOSED},
    )


def rows(*arguments, **wanted):
    return {row.model: row for row in catalog_page(*arguments, today=TODAY, **wanted).rows}


def test_model_answers_as_long_as_one_of_its_providers_does(dated, proxy):
    found = rows(dated, proxy)
    assert {model: row.health for model, row in found.items()} == {
        "small": Health.READY,
        "coder": Health.PAUSED,
        "large": Health.NOT_CALLED,
        "only/named": Health.PROBED,
    }
    proxy.key_states = lambda: {("two", "KEY", None): HealthState.OPEN, ("two", "KEY", "small"): HealthState.CLOSED}
    assert rows(dated, proxy)["small"].health is Health.PAUSED  # no key of the other provider works
    assert rows(dated, None)["small"].health is None


def test_model_whose_last_call_failed_is_not_called_ready(dated, proxy):
    """It is not paused after one failure, and says what failed and when; one that works again says so, too."""
    small = rows(dated, proxy)["small"]
    assert (small.health, [(one.error, one.at, one.is_last) for one in small.troubles]) == (
        Health.READY,
        [("server (503)", NOW, False)],
    )
    proxy.troubles = lambda: {("two", "small"): Trouble("two", "server (503)", NOW, is_last=True)}
    assert rows(dated, proxy)["small"].health is Health.FAILING


def test_what_is_unknown_is_marked_and_old_prices_too(dated, proxy):
    found = rows(dated, proxy)
    assert [(found[model].price_days, found[model].is_old) for model in ("small", "coder", "large")] == [
        (0, False),
        (90, True),
        (None, False),
    ]
    assert found["only/named"].card is None
    assert found["only/named"].standing is Standing.NOT_CANDIDATE
    assert found["only/named"].capabilities == {"unknown": ["tools", "vision", "audio", "structured output"]}
    assert found["small"].capabilities["no"] == ["tools"]
    ages = price_ages(dated, TODAY)
    assert (ages.n_models, ages.n_unknown, ages.n_old, ages.oldest_days) == (3, 1, 1, 90)


def test_search_finds_models_and_providers_in_any_case(dated, proxy):
    assert set(rows(dated, proxy, search="ONE")) == {"small", "coder", "only/named"}
    assert set(rows(dated, proxy, search="arg")) == {"large"}
    assert set(rows(dated, proxy, standing="not a candidate")) == {"only/named"}
    assert rows(dated, proxy, search="<script>") == {}


def test_page_of_400_models_is_bounded(trained):
    many = Router.assemble(tiled(trained.router.artifact, 400), trained.router.encoder)
    first, last = (catalog_page(many, None, today=TODAY, number=number) for number in (1, 99))
    assert (len(first.rows), first.n_found, first.n_pages) == (PAGE, 400, 8)
    assert last.number == 8


def test_without_a_router_and_providers_there_are_no_models():
    found = catalog_page(None, None, today=TODAY)
    assert (found.rows, found.n_all, found.n_pages) == ([], 0, 1)
