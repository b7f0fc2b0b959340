from dataclasses import replace

import numpy as np
import pytest

from router_model import Catalog
from router_model.training.table.costs import (
    fill_tokens,
    mean_cost_usd,
    price_mismatches,
    realised_costs,
    tokens_per_piece,
)
from router_model.training.table.outcomes import Outcomes

NAN = np.nan
CATALOG = Catalog.parse("[models.a]\nusd_per_mtok_input = 1\nusd_per_mtok_output = 10\n", origin="c")


def outcomes(**columns):
    empty = np.array([[NAN], [NAN]])
    table = Outcomes(["p", "q"], ["x", "y"], ["", ""], ("a",), empty, empty, empty, empty, empty, empty)
    return replace(table, **{name: np.array(values, dtype=float)[:, None] for name, values in columns.items()})


def test_output_tokens_are_worked_out_of_billed_costs():
    """100 input tokens at 1 and 50 output tokens at 10 USD a million cost 0.0006; less than the input costs is 0."""
    filled = fill_tokens(outcomes(input_tokens=[100, 100], cost_usd=[0.0006, 0.00005]), CATALOG, np.array([7.0, 7.0]))
    assert filled.output_tokens.ravel() == pytest.approx([50, 0])


def test_our_own_count_stands_in_for_missing_input_tokens():
    filled = fill_tokens(outcomes(cost_usd=[0.0006, NAN]), CATALOG, np.array([100.0, 100.0]))
    assert filled.output_tokens[0, 0] == pytest.approx(50)
    assert np.isnan(filled.output_tokens[1, 0])


def test_given_tokens_are_kept_and_nothing_is_invented():
    assert fill_tokens(outcomes(output_tokens=[5, 6]), CATALOG, np.ones(2)).output_tokens.ravel().tolist() == [5, 6]
    assert np.isnan(fill_tokens(outcomes(), CATALOG, np.ones(2)).output_tokens).all()


def test_realised_cost_is_the_bill_or_tokens_at_list_prices():
    table = outcomes(cost_usd=[0.5, NAN], input_tokens=[100, 100], output_tokens=[50, 50])
    assert realised_costs(table, CATALOG).ravel() == pytest.approx([0.5, 0.0006])


def test_a_fee_a_request_is_part_of_the_listed_cost_and_no_tokens():
    """100 x 1 + 50 x 10 per million and 0.001 a request; of a bill of 0.0016, 0.0005 are output, which is 50 tokens."""
    fee = Catalog.parse(f"{CATALOG.dump()}usd_per_request = 0.001\n", origin="fee")
    table = outcomes(input_tokens=[100, 100], output_tokens=[50, NAN], cost_usd=[NAN, 0.0016])
    assert realised_costs(table, fee).ravel() == pytest.approx([0.0016, 0.0016])
    assert fill_tokens(table, fee, np.ones(2)).output_tokens.ravel() == pytest.approx([50, 50])


def test_a_mean_cost_does_not_depend_on_the_order():
    """Small bills and a large one: added in floats from the left, the total depends on which comes first."""
    bills = np.array([1e8, *[1e-9] * 1000])
    assert mean_cost_usd(bills) == mean_cost_usd(bills[::-1]) == pytest.approx((1e8 + 1e-6) / 1001, rel=1e-16)


def test_tokens_per_piece_is_a_ratio_of_sums():
    """30 of theirs for 20 of ours; without any, 1."""
    assert tokens_per_piece(outcomes(input_tokens=[10, 20]), np.array([5.0, 15.0])) == pytest.approx([1.5])
    assert tokens_per_piece(outcomes(), np.array([5.0, 15.0])) == pytest.approx([1.0])


def test_prices_that_do_not_fit_the_bills_are_noticed():
    """Billed 1,000 times the list price: someone gave USD per thousand tokens."""
    table = outcomes(cost_usd=[0.6, 0.6], input_tokens=[100, 100], output_tokens=[50, 50])
    assert price_mismatches(table, CATALOG) == {"a": pytest.approx(1000)}
    assert price_mismatches(outcomes(cost_usd=[0.6, 0.6]), CATALOG) == {}
