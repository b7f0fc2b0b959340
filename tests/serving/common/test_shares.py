from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.common.shares import Shares


@pytest.mark.parametrize(("most", "of_one"), [(1, 1), (3, 3), (4, 3), (10, 8), (200, 150)])
def test_a_quarter_is_kept_for_others(most, of_one):
    shares = Shares(most)
    assert sum(shares.take("ann") for _ in range(most)) == of_one
    assert sum(shares.take("bob") for _ in range(most)) == most - of_one


@pytest.mark.parametrize("caller", [None, "insecure"])
def test_a_service_without_keys_has_one_caller(caller):
    shares = Shares(8)
    assert sum(shares.take(caller) for _ in range(20)) == 8


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.integers(1, 9)), max_size=60))
def test_shares_never_exceed_what_there_is(steps):
    shares, held = Shares(20), Counter()
    for takes, caller, amount in steps:
        if takes and shares.take(caller, amount):
            held[caller] += amount
        elif not takes and held[caller] >= amount:
            shares.give(caller, amount)
            held[caller] -= amount
        assert held.total() <= 20
        assert max(held.values(), default=0) <= 15
