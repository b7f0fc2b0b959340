from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from router_model import Catalog, ModelCard
from router_model.goal import Tradeoff
from router_model.policy import OperatingPoint, best_by_value
from router_model.tradeoff import Dial

prices = st.sampled_from(["0", "0.05", "0.6", "3", "15", "75"])
points = st.builds(OperatingPoint, st.just(0.5), st.one_of(st.just(0.0), st.floats(1e-9, 1e6)))
positions = st.floats(0, 10)


@st.composite
def catalogs(draw):
    drawn = draw(st.lists(st.tuples(prices, prices), min_size=1, max_size=5))
    cards = [ModelCard(f"m{i}", Decimal(into), Decimal(out)) for i, (into, out) in enumerate(drawn)]
    return Catalog({card.model: card for card in cards})


def value_at(position, point, catalog):
    return Dial.of(point, catalog).value_usd(Tradeoff(position))


@given(catalogs(), points, positions, positions)
def test_the_value_never_rises_towards_cost(catalog, point, one, other):
    quality, cost = (value_at(position, point, catalog) for position in sorted((one, other)))
    assert quality >= cost * (1 - 1e-9)
    assert 0 <= cost < float("inf")


@given(catalogs(), points)
def test_the_default_position_is_the_operating_point(catalog, point):
    assert value_at(7, point, catalog) == point.quality_value_usd


@given(catalogs(), points, st.integers(0, 2**32 - 1))
def test_the_ends_are_the_likeliest_and_the_cheapest_model(catalog, point, seed):
    """Costs of calls of 500 to 2,000 tokens at the catalog's prices."""
    rng = np.random.default_rng(seed)
    price = np.array([float(card.cost_usd(input_tokens=1000, output_tokens=1000)) for card in catalog.cards.values()])
    p = rng.integers(1, 1000, (20, len(price))) / 1000
    cost = price * rng.uniform(0.5, 2, p.shape)
    rows, eligible = np.arange(20), np.ones(p.shape, dtype=bool)
    first, last = (best_by_value(p, cost, eligible, success_value_usd=value_at(end, point, catalog)) for end in (0, 10))
    assert np.array_equal(p[rows, first], p.max(axis=1))
    assert np.array_equal(cost[rows, last], cost.min(axis=1))
