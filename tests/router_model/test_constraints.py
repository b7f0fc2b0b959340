from decimal import Decimal

import pytest

from features import Prompt
from router_model import Constraints, ModelCard, NoCandidateError, RequestError
from router_model.constraints import require_candidate

CARD = ModelCard(
    "openai/small", Decimal(1), Decimal(2), context_window=1000, max_output_tokens=100, tools=False, vision=False,
    structured_output=False,
)  # fmt: skip
UNKNOWN = ModelCard("x", Decimal(1), Decimal(2))
TOOLS = {"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function"}]}
IMAGE = {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}
AS_JSON = {"messages": [{"role": "user", "content": "x"}], "response_format": {"type": "json_schema"}}


def violated(constraints, card=CARD, prompt="x", tokens=10, cost=0.001):
    return constraints.violated_by(card, Prompt.parse(prompt), n_input_tokens=tokens, expected_cost_usd=cost)


@pytest.mark.parametrize(
    ("constraints", "prompt", "tokens", "cost", "reason"),
    [
        (Constraints(), "x", 10, 0.001, None),
        (Constraints(allow=("openai/*",)), "x", 10, 0.001, None),
        (Constraints(allow=("anthropic/*",)), "x", 10, 0.001, "not_allowed"),
        (Constraints(allow=("openai/*",), deny=("*small",)), "x", 10, 0.001, "denied"),
        (Constraints(), "x", 1000, 0.001, None),
        (Constraints(), "x", 1001, 0.001, "context_window"),
        (Constraints(max_output_tokens=50), "x", 951, 0.001, "context_window"),
        (Constraints(max_output_tokens=101), "x", 10, 0.001, "context_window"),
        (Constraints(), TOOLS, 10, 0.001, "tools"),
        (Constraints(), IMAGE, 10, 0.001, "vision"),
        (Constraints(), AS_JSON, 10, 0.001, "structured_output"),
        (Constraints(max_cost_usd=0.001), "x", 10, 0.001, None),
        (Constraints(max_cost_usd=0.001), "x", 10, 0.0011, "max_cost_usd"),
    ],
)
def test_each_constraint_has_its_reason(constraints, prompt, tokens, cost, reason):
    assert violated(constraints, prompt=prompt, tokens=tokens, cost=cost) == reason


@pytest.mark.parametrize("prompt", [TOOLS, IMAGE, AS_JSON])
def test_unknown_capabilities_rule_nothing_out(prompt):
    assert violated(Constraints(max_output_tokens=10**6), card=UNKNOWN, prompt=prompt, tokens=10**9) is None


def test_an_empty_set_names_what_emptied_it():
    with pytest.raises(NoCandidateError, match=r"denied \(1 of 3\), tools \(2 of 3\). Models: a, b, c"):
        require_candidate(["tools", "denied", "tools"], ["a", "b", "c"])
    require_candidate(["tools", None], ["a", "b"])


@pytest.mark.parametrize(
    ("knobs", "match"),
    [
        ({"max_cost_usd": 0.0}, "max_cost_usd=0.0; expected a positive amount"),
        ({"max_cost_usd": float("nan")}, "max_cost_usd=nan"),
        ({"max_output_tokens": 0}, "max_output_tokens=0; expected 1 or more"),
        ({"allow": "openai/*"}, r"allow='openai/\*'; expected a list of globs"),
    ],
)
def test_impossible_constraints_are_refused(knobs, match):
    with pytest.raises(RequestError, match=match):
        Constraints(**knobs)
