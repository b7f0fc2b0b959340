from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model import Catalog, ModelCard, RequestError, Router
from router_model.cost import Prices
from router_model.prompt_cache import saving_usd

SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"


@pytest.fixture(scope="module")
def cached(trained, catalog) -> Router:
    """The simulated world, where 'large' reads cached input at a tenth of its 5 USD."""
    large = replace(catalog["large"], usd_per_mtok_cached_input=Decimal("0.5"))
    return Router.load(trained.path, catalog=Catalog({**catalog.cards, "large": large}))


def test_a_warm_cache_lowers_the_cost_of_its_model_alone(cached):
    """10 warm pieces of 'large' at 4.5 USD a million less; the others cost what they did."""
    cold = {step.model: step for step in cached.route(SUM).plan}
    warm = {step.model: step for step in cached.route(SUM, warm_cache={"large": 10.0, "gone": 5.0}).plan}
    per_piece = cached.artifact.tokens_per_piece[cached.models.index("large")]
    saved = cold["large"].expected_cost_usd - warm["large"].expected_cost_usd
    assert saved == pytest.approx(10 * per_piece * 4.5e-6)
    assert warm["small"] == cold["small"]
    assert warm["large"].p_success == cold["large"].p_success


def test_no_more_is_warm_than_the_prompt_has(cached):
    pieces = cached.route(SUM).n_input_tokens
    assert pieces > 0
    all_warm, more = (cached.route(SUM, warm_cache={"large": n}).plan for n in (pieces, 1e6))
    assert all_warm == more


def test_without_a_cached_price_nothing_is_saved(trained):
    assert trained.router.route(SUM, warm_cache={"large": 10.0}) == trained.router.route(SUM)


def test_each_prompt_of_a_batch_has_its_own_cache(cached):
    cold, warm = cached.route_batch([SUM, SUM], warm_caches=[None, {"large": 10.0}])
    costs = [next(s.expected_cost_usd for s in d.plan if s.model == "large") for d in (cold, warm)]
    assert costs[1] < costs[0]
    with pytest.raises(RequestError, match="warm_caches has 1 entries for 2 prompts; give one each"):
        cached.route_batch([SUM, SUM], warm_caches=[None])


@given(warm=st.floats(0, 5000), pieces=st.floats(1, 5000), per_piece=st.floats(0.5, 2))
def test_saving_is_what_the_cost_model_takes_off_for_cached_tokens(warm, pieces, per_piece):
    card = ModelCard("m", Decimal(2), Decimal(8), usd_per_mtok_cached_input=Decimal("0.2"))
    catalog, n = Catalog({"m": card}), np.array([pieces])
    own = {"n_input_tokens": n, "tokens_per_piece": np.array([per_piece]), "output_tokens": np.array([[50.0]])}
    prices = Prices.of(catalog, ["m"])
    saved = saving_usd(prices, ["m"], [{"m": warm}], n_input_tokens=n, tokens_per_piece=np.array([per_piece]))
    cached_tokens = np.array([min(warm, pieces) * per_piece])
    warm_usd = prices.expected_cost_usd(**own, cached_input_tokens=cached_tokens)
    expected = prices.expected_cost_usd(**own) - warm_usd
    assert saved == pytest.approx(expected, abs=1e-12)
