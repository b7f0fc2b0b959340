from decimal import Decimal

import pytest

from router_model import Constraints, RequestError
from router_model.features import Prompt


@pytest.mark.parametrize(
    ("asked", "prompt", "limit"), [(None, None, None), (50, None, 50), (None, 80, 80), (50, 80, 50), (90, 80, 80)]
)
def test_the_smaller_limit_on_output_holds(asked, prompt, limit):
    found = Constraints(max_output_tokens=asked).output_limit(Prompt("x", 1, max_output_tokens=prompt))
    assert found == limit


def test_lists_become_tuples_so_that_constraints_are_values():
    assert hash(Constraints(allow=["a", "b"])) == hash(Constraints(allow=("a", "b")))


def test_amounts_may_be_exact():
    assert Constraints(max_usd_per_mtok_input=Decimal("0.3"), max_cost_usd=Decimal("0.01")).max_cost_usd == Decimal(
        "0.01"
    )


@pytest.mark.parametrize(
    ("knobs", "match"),
    [
        ({"max_cost_usd": 0.0}, "max_cost_usd=0.0; expected a positive amount in USD"),
        ({"max_cost_usd": float("nan")}, "max_cost_usd=nan"),
        ({"max_cost_usd": "1"}, "max_cost_usd='1'; expected a positive amount"),
        ({"max_cost_usd": True}, "max_cost_usd=True"),
        ({"max_latency_s": -1}, "max_latency_s=-1; expected a positive number of seconds"),
        ({"max_latency_s": float("inf")}, "max_latency_s=inf"),
        ({"max_usd_per_mtok_input": -1}, "max_usd_per_mtok_input=-1; expected USD per million tokens, 0 or more"),
        ({"max_usd_per_mtok_output": "free"}, "max_usd_per_mtok_output='free'; expected USD per million tokens"),
        ({"max_usd_per_request": float("nan")}, "max_usd_per_request=nan; expected USD, 0 or more"),
        ({"max_output_tokens": 0}, "max_output_tokens=0; expected 1 or more"),
        ({"max_output_tokens": 1.5}, "max_output_tokens=1.5; expected 1 or more"),
        ({"max_output_tokens": True}, "max_output_tokens=True"),
        ({"allow": "openai/*"}, r"allow='openai/\*'; expected a list of globs"),
        ({"deny": (1,)}, r"deny=\(1,\); expected a list of globs"),
        ({"providers": "openai"}, r"providers='openai'; expected a list of names, e.g. \['openai'\]"),
        ({"ignore_providers": None}, "ignore_providers=None; expected a list of names"),
    ],
)
def test_impossible_constraints_are_refused(knobs, match):
    with pytest.raises(RequestError, match=match):
        Constraints(**knobs)
