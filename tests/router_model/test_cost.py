from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model import Catalog, ModelCard
from router_model.cost import Prices

PLAIN = ModelCard("plain", Decimal(2), Decimal(10))
FEES = ModelCard(
    "fees", Decimal(2), Decimal(10), usd_per_mtok_cached_input=Decimal("0.5"), usd_per_request=Decimal("0.005"),
    usd_per_image=Decimal("0.001"),
)  # fmt: skip
CATALOG = Catalog({"plain": PLAIN, "fees": FEES})


def expected(**optional):
    return Prices.of(CATALOG, ["plain", "fees"]).expected_cost_usd(
        n_input_tokens=np.array([100.0]),
        tokens_per_piece=np.array([1.0, 2.0]),
        output_tokens=np.array([[50.0, 50.0]]),
        **optional,
    )[0]


def test_tokens_and_fees_add_up():
    """100 x 2 + 50 x 10 per million; 200 x 2 + 50 x 10 per million and 0.005 a request; 0.001 an image."""
    assert expected() == pytest.approx([0.0007, 0.0059])
    assert expected(n_images=np.array([3.0])) == pytest.approx([0.0007, 0.0089])


def test_a_warm_cache_saves_where_the_catalog_has_its_price():
    """60 tokens at 0.5 instead of 2 per million save 0.00009; never more than the 200 tokens of the input, 0.0003."""
    assert expected(cached_input_tokens=np.array([60.0])) == pytest.approx([0.0007, 0.00581])
    assert expected(cached_input_tokens=np.array([[60.0, 0.0]])) == pytest.approx([0.0007, 0.0059])
    assert expected(cached_input_tokens=np.array([[0.0, 10_000.0]])) == pytest.approx([0.0007, 0.0056])


@given(n_input=st.integers(0, 10**6), cached=st.integers(0, 10**6), n_output=st.integers(0, 10**5))
def test_expected_cost_of_known_tokens_is_the_exact_cost(n_input, cached, n_output):
    cached = min(cached, n_input)
    matrix = Prices.of(CATALOG, ["fees"]).expected_cost_usd(
        n_input_tokens=np.array([float(n_input)]),
        tokens_per_piece=np.ones(1),
        output_tokens=np.array([[float(n_output)]]),
        cached_input_tokens=np.array([float(cached)]),
        n_images=np.array([2.0]),
    )
    exact = FEES.cost_usd(input_tokens=n_input, output_tokens=n_output, cached_input_tokens=cached, n_images=2)
    assert matrix[0, 0] == pytest.approx(float(exact), rel=1e-12)
