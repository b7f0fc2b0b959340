from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.access.key_budget import MAX_USD, NANOS, KeyBudget, Per, dollars, nanos, usd_of

amounts = st.decimals(0, MAX_USD, places=9, allow_nan=False)


@pytest.mark.parametrize("usd", ["0", "-1", "NaN", "Infinity", "1000000001"])
def test_a_budget_has_to_be_an_amount(usd):
    with pytest.raises(ValueError, match=f"a budget of {usd} USD; expected more than 0 and at most 1,000,000,000"):
        KeyBudget(Decimal(usd))


@pytest.mark.parametrize(
    ("per", "begin", "end"),
    [
        (Per.DAY, date(2028, 2, 29), datetime(2028, 3, 1, tzinfo=UTC)),
        (Per.MONTH, date(2028, 2, 1), datetime(2028, 3, 1, tzinfo=UTC)),
        (Per.TOTAL, date.min, None),
    ],
)
def test_periods_are_those_of_the_calendar(per, begin, end):
    budget = KeyBudget(Decimal(1), per)
    assert (budget.begin(date(2028, 2, 29)), budget.end(date(2028, 2, 29))) == (begin, end)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.sampled_from([Per.DAY, Per.MONTH]))
def test_a_period_ends_where_the_next_begins(today, per):
    budget = KeyBudget(Decimal(1), per)
    end = budget.end(today).date()
    assert budget.begin(today) <= today < end
    assert budget.begin(end) == end
    assert budget.begin(date.fromordinal(end.toordinal() - 1)) == budget.begin(today)


@given(amounts)
def test_nano_usd_are_exact(usd):
    assert usd_of(nanos(usd)) == usd


@given(st.floats(0, 1e6))
def test_nano_usd_are_never_too_few(usd):
    assert 0 <= nanos(usd) - Decimal(repr(usd)) * NANOS <= 1


def test_negative_amounts_are_nothing_and_endless_ones_refused():
    assert nanos(-3.0) == 0
    with pytest.raises(ValueError, match="an amount of nan USD; expected a finite one"):
        nanos(float("nan"))


@pytest.mark.parametrize(("usd", "text"), [("10", "$10"), ("0.000001", "$0.000001"), ("12345.60", "$12,345.6")])
def test_dollars_are_read_by_people(usd, text):
    assert dollars(Decimal(usd)) == text
