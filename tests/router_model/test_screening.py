import pickle
from dataclasses import replace
from decimal import Decimal
from fnmatch import fnmatchcase

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model import Constraints, ModelCard, NoCandidateError
from router_model.features import Prompt
from router_model.screening.constraint_checks import CHECKS
from router_model.screening.screening import screen

CARD = ModelCard(
    "openai/small", Decimal("0.3"), Decimal(2), context_window=1000, max_output_tokens=100, tools=False, vision=False,
    audio=False, structured_output=False, provider="OpenAI", usd_per_request=Decimal("0.01"),
)  # fmt: skip
UNKNOWN = ModelCard("x", Decimal(0), Decimal(0))


def body(content="x", **knobs):
    return {"messages": [{"role": "user", "content": content}], **knobs}


TOOLS = body(tools=[{"type": "function"}])
IMAGE = body([{"type": "image_url"}])
AUDIO = body([{"type": "input_audio"}])


def screened(constraints, cards=(CARD,), *, prompt="x", tokens=10.0, cost=0.001, latency=None):
    shape = (1, len(cards))
    return screen(
        constraints,
        [Prompt.parse(prompt)],
        cards,
        n_input_tokens=np.broadcast_to(tokens, shape),
        expected_cost_usd=np.broadcast_to(cost, shape),
        expected_latency_s=None if latency is None else np.broadcast_to(latency, shape),
    )


@pytest.mark.parametrize(
    ("constraints", "request_", "said"),
    [
        ({}, {}, None),
        ({"unavailable": (CARD.model,)}, {}, "unavailable: no provider that is allowed serves it"),
        ({"unavailable": ("openai/*",)}, {}, None),
        ({"allow": ("openai/*",)}, {}, None),
        ({"allow": ("anthropic/*", "x")}, {}, "not_allowed: matches none of anthropic/*, x"),
        ({"allow": ("openai/*",), "deny": ("*small", "y")}, {}, "denied: matches *small"),
        ({"providers": ("azure", "openai")}, {}, None),
        ({"providers": ("azure",)}, {}, "provider: provider OpenAI, allowed azure"),
        ({"ignore_providers": ("azure",)}, {}, None),
        ({"providers": ("openai",), "ignore_providers": ("OPENAI",)}, {}, "ignored_provider: provider OpenAI"),
        ({}, {"tokens": 1000.4}, None),
        ({}, {"tokens": 1001}, "context_window: needs 1,001 tokens, has 1,000"),
        ({"max_output_tokens": 50}, {"tokens": 950}, None),
        ({"max_output_tokens": 50}, {"tokens": 951}, "context_window: needs 1,001 tokens (951 in, 50 out), has 1,000"),
        (
            {},
            {"prompt": body(max_tokens=50), "tokens": 951},
            "context_window: needs 1,001 tokens (951 in, 50 out), has 1,000",
        ),
        ({"max_output_tokens": 50}, {"prompt": body(max_tokens=101)}, None),
        ({"max_output_tokens": 100}, {}, None),
        (
            {"max_output_tokens": 1234},
            {"tokens": -500},
            "max_output_tokens: asked for 1,234 tokens, writes at most 100",
        ),
        ({}, {"prompt": TOOLS}, "tools: the request has tools, the model takes none"),
        ({}, {"prompt": IMAGE}, "vision: the request has images (1), the model takes none"),
        ({}, {"prompt": AUDIO}, "audio: the request has audio, the model takes none"),
        (
            {},
            {"prompt": body(response_format={"type": "json_schema"})},
            "structured_output: the request asks for JSON, the model cannot be held to it",
        ),
        ({}, {"prompt": body(response_format={"type": "text"})}, None),
        ({"max_usd_per_mtok_input": 0.3}, {}, None),
        (
            {"max_usd_per_mtok_input": 0.25},
            {},
            "max_usd_per_mtok_input: 0.3 USD per million input tokens, allowed 0.25",
        ),
        ({"max_usd_per_mtok_output": 2}, {}, None),
        (
            {"max_usd_per_mtok_output": Decimal("1.99")},
            {},
            "max_usd_per_mtok_output: 2 USD per million output tokens, allowed 1.99",
        ),
        ({"max_usd_per_request": 0.01}, {}, None),
        ({"max_usd_per_request": 0}, {}, "max_usd_per_request: 0.01 USD per request, allowed 0"),
        ({"max_cost_usd": 0.001}, {}, None),
        ({"max_cost_usd": 0.001}, {"cost": 0.0011}, "max_cost_usd: expected to cost 0.0011 USD, allowed 0.001"),
        ({"max_cost_usd": 1e-6}, {"cost": 0.00001}, "max_cost_usd: expected to cost 0.00001 USD, allowed 0.000001"),
        ({"max_latency_s": 2}, {"latency": 2.0}, None),
        ({"max_latency_s": 2}, {"latency": 2.31}, "max_latency_s: expected to take 2.31 s, allowed 2"),
        ({"max_latency_s": 2}, {"latency": np.nan}, None),
        ({"max_latency_s": 2}, {}, None),
    ],
)
def test_each_constraint_has_its_reason_and_its_numbers(constraints, request_, said):
    """A price of 0.3 is within a cap of 0.3, though the float 0.3 is a little less."""
    found = screened(Constraints(**constraints), **request_).exclusions(0)
    assert [f"{e.reason}: {e.detail}" for e in found] == ([] if said is None else [said])


@pytest.mark.parametrize("prompt", [TOOLS, IMAGE, AUDIO, body(response_format={"type": "json_object"})])
def test_unknown_capabilities_rule_nothing_out(prompt):
    knobs = Constraints(max_output_tokens=10**6, max_latency_s=0.1, max_usd_per_request=0, ignore_providers=("x",))
    assert screened(knobs, cards=[UNKNOWN], prompt=prompt, tokens=10**9).eligible.all()


def test_an_unknown_provider_is_on_no_list():
    (found,) = screened(Constraints(providers=("openai",)), cards=[UNKNOWN]).exclusions(0)
    assert (found.reason, found.detail) == ("provider", "provider unknown, allowed openai")


CARDS = [replace(CARD, model=name) for name in "abc"]


def test_an_empty_set_names_what_emptied_it_and_what_to_relax():
    """'a' breaks the cost and the tools, 'b' and 'c' only the tools."""
    found = screened(Constraints(max_cost_usd=0.01), CARDS, prompt=TOOLS, cost=[0.02, 0.001, 0.001])
    with pytest.raises(
        NoCandidateError,
        match=r"ruled out by tools \(3 of 3\). Relax tools \(drop the tools\), which alone rules out 2 \(b: .*; c: ",
    ) as caught:
        found.require_candidate(0)
    assert caught.value.relax == "tools"
    assert [exclusion.model for exclusion in caught.value.excluded] == ["a", "b", "c"]
    assert pickle.loads(pickle.dumps(caught.value)).relax == "tools"


def test_where_each_model_breaks_several_the_nearest_is_named():
    knobs = Constraints(deny=("a", "b"), max_cost_usd=0.01, max_output_tokens=200)
    found = screened(knobs, CARDS[:2], prompt=TOOLS, cost=[0.02, 0.001])
    with pytest.raises(
        NoCandidateError,
        match=r"denied \(2 of 2\). Each breaks several; b is nearest and needs denied and max_output_tokens and",
    ) as caught:
        found.require_candidate(0)
    assert caught.value.relax is None


def test_of_many_models_a_few_are_named_and_of_many_prompts_the_one():
    cards = [replace(CARD, model=f"m{i}") for i in range(9)]
    prompts = [Prompt.parse("x"), Prompt.parse(TOOLS)]
    found = screen(Constraints(), prompts, cards, n_input_tokens=np.ones((2, 9)), expected_cost_usd=np.ones((2, 9)))
    found.require_candidate(0)
    with pytest.raises(NoCandidateError, match=r"prompts\[1\]: no candidate .*; m4: [^;]*; and 4 more\)"):
        found.require_candidate(1)


def test_no_models_at_all_is_said():
    with pytest.raises(NoCandidateError, match="There are no models"):
        screened(Constraints(), cards=()).require_candidate(0)


flags = st.sampled_from([True, False, None])
prices = st.sampled_from([Decimal(0), Decimal("0.3"), Decimal(2)])
cards_ = st.lists(
    st.builds(
        ModelCard,
        model=st.sampled_from(["openai/a", "openai/b", "mistral/c"]),
        usd_per_mtok_input=prices,
        usd_per_mtok_output=prices,
        usd_per_request=st.none() | prices,
        context_window=st.sampled_from([None, 100, 1000]),
        max_output_tokens=st.sampled_from([None, 10, 100]),
        provider=st.sampled_from([None, "openai", "Mistral"]),
        tools=flags,
        vision=flags,
        audio=flags,
        structured_output=flags,
        reasoning_effort=st.sampled_from([None, None, "low"]),
    ),
    min_size=1,
    max_size=5,
)
prompts_ = st.builds(
    Prompt,
    text=st.just("x"),
    n_chars=st.just(1),
    has_tools=st.booleans(),
    wants_json=st.booleans(),
    has_audio=st.booleans(),
    n_images=st.integers(0, 1),
    max_output_tokens=st.sampled_from([None, 5, 50]),
    reasoning_effort=st.sampled_from([None, "low", "high"]),
)
names = st.sampled_from([(), ("openai",), ("OpenAI", "mistral"), ("azure",)])
KNOBS = {
    "allow": st.sampled_from([(), ("openai/*",), ("mistral/*", "*b")]),
    "deny": st.sampled_from([(), ("openai/a",), ("mistral/*",)]),
    "providers": names,
    "ignore_providers": names,
    "max_cost_usd": st.sampled_from([None, 0.1, 10]),
    "max_usd_per_mtok_input": st.sampled_from([None, 0, 0.3, 1]),
    "max_usd_per_mtok_output": st.sampled_from([None, 0, 0.3, 1]),
    "max_usd_per_request": st.sampled_from([None, 0, 1]),
    "max_latency_s": st.sampled_from([None, 1, 5.5]),
    "max_output_tokens": st.sampled_from([None, 5, 50, 500]),
    "unavailable": st.sampled_from([(), ("openai/a",), ("x",)]),
}
constraints_ = st.builds(Constraints, **KNOBS)


@st.composite
def cases(draw):
    cards, prompts = draw(cards_), draw(st.lists(prompts_, min_size=1, max_size=3))
    shape = (len(prompts), len(cards))
    n = shape[0] * shape[1]

    def matrix(*values):
        return np.array(draw(st.lists(st.sampled_from(values), min_size=n, max_size=n)), dtype=float).reshape(shape)

    known = {
        "n_input_tokens": matrix(1, 97, 980, 2000),
        "expected_cost_usd": matrix(0.05, 5, 50),
        "expected_latency_s": matrix(0.5, 3, 9, np.nan),
    }
    return prompts, cards, known


def first_broken(constraints, prompt, card, known):
    """The plain rule for one prompt and model, as the docstring of `Constraints` has it."""
    tokens, cost, latency = known
    c, wanted = constraints, constraints.output_limit(prompt) or 0
    provider = None if card.provider is None else card.provider.lower()
    over = {
        name: cap is not None and (getattr(card, name.removeprefix("max_")) or 0) > Decimal(str(cap))
        for name in ("max_usd_per_mtok_input", "max_usd_per_mtok_output", "max_usd_per_request")
        for cap in [getattr(c, name)]
    }
    broken = {
        "unavailable": card.model in c.unavailable,
        "not_allowed": c.allow and not any(fnmatchcase(card.model, glob) for glob in c.allow),
        "denied": any(fnmatchcase(card.model, glob) for glob in c.deny),
        "provider": c.providers and provider not in [name.lower() for name in c.providers],
        "ignored_provider": provider in [name.lower() for name in c.ignore_providers],
        "context_window": card.context_window is not None and tokens + wanted > card.context_window,
        "max_output_tokens": card.max_output_tokens is not None and wanted > card.max_output_tokens,
        "tools": prompt.has_tools and card.tools is False,
        "vision": prompt.has_images and card.vision is False,
        "audio": prompt.has_audio and card.audio is False,
        "structured_output": prompt.wants_json and card.structured_output is False,
        "reasoning_effort": None not in (prompt.reasoning_effort, card.reasoning_effort)
        and prompt.reasoning_effort != card.reasoning_effort,
        **over,
        "max_cost_usd": c.max_cost_usd is not None and cost > c.max_cost_usd,
        "max_latency_s": c.max_latency_s is not None and not np.isnan(latency) and latency > c.max_latency_s,
    }
    return next((reason for reason, is_broken in broken.items() if is_broken), None)


@given(constraints_, cases())
def test_all_at_once_is_each_by_itself(constraints, case):
    prompts, cards, known = case
    found = screen(constraints, prompts, cards, **known)
    for row, prompt in enumerate(prompts):
        plain = [
            first_broken(constraints, prompt, card, [m[row, j] for m in known.values()]) for j, card in enumerate(cards)
        ]
        assert found.eligible[row].tolist() == [reason is None for reason in plain]
        assert [e.reason for e in found.exclusions(row)] == [reason for reason in plain if reason is not None]
        assert all(exclusion.detail for exclusion in found.exclusions(row))


@given(constraints_, cases(), st.data())
def test_one_more_constraint_never_adds_a_candidate(constraints, case, data):
    prompts, cards, known = case
    name = data.draw(st.sampled_from(sorted(KNOBS)))
    none = replace(constraints, **{name: getattr(Constraints(), name)})
    before, after = (screen(knobs, prompts, cards, **known).eligible for knobs in (none, constraints))
    if name != "max_output_tokens" or not any(prompt.max_output_tokens for prompt in prompts):
        assert not (after & ~before).any()  # to ask for less than the chat body does is no further constraint


@given(cases())
def test_constraints_that_nobody_breaks_change_nothing(case):
    prompts, cards, known = case
    roomy = Constraints(
        allow=("*",), deny=("nobody/*",), ignore_providers=("nobody",), max_cost_usd=1e9, max_latency_s=1e9,
        max_usd_per_mtok_input=1e9, max_usd_per_mtok_output=1e9, max_usd_per_request=1e9, max_output_tokens=None,
    )  # fmt: skip
    free, held = (screen(knobs, prompts, cards, **known) for knobs in (Constraints(), roomy))
    assert np.array_equal(free.eligible, held.eligible)


def relaxed(reason, constraints, prompts, cards, known):
    """The same case without one constraint, or without the prompt's need of it."""
    of_request = {
        "not_allowed": "allow",
        "denied": "deny",
        "provider": "providers",
        "ignored_provider": "ignore_providers",
    }
    of_prompt = {"tools": "has_tools", "vision": "n_images", "audio": "has_audio", "structured_output": "wants_json"}
    if reason in of_prompt:
        prompts = [replace(prompt, **{of_prompt[reason]: False}) for prompt in prompts]
    elif reason == "reasoning_effort":
        prompts = [replace(prompt, reasoning_effort=None) for prompt in prompts]
    elif reason == "context_window":
        cards = [replace(card, context_window=None) for card in cards]
    elif reason == "unknown_window":
        known = known | {"n_input_tokens": np.ones_like(known["n_input_tokens"])}
    elif reason == "max_output_tokens":
        constraints = replace(constraints, max_output_tokens=1)  # ask for less
    else:
        name = of_request.get(reason, reason)
        constraints = replace(constraints, **{name: getattr(Constraints(), name)})
    return screen(constraints, prompts, cards, **known)


@given(constraints_, cases())
def test_relaxing_the_named_constraint_leaves_a_candidate(constraints, case):
    prompts, cards, known = case
    found = screen(constraints, prompts, cards, **known)
    for row in np.flatnonzero(found.eligible.any(axis=1)):
        found.require_candidate(row)
    for row in np.flatnonzero(~found.eligible.any(axis=1)):
        with pytest.raises(NoCandidateError) as caught:
            found.require_candidate(row)
        without = {c.reason: relaxed(c.reason, constraints, prompts, cards, known).eligible[row].any() for c in CHECKS}
        able = {reason for reason, is_left in without.items() if is_left}
        assert caught.value.relax in able if caught.value.relax else able <= {"max_output_tokens"}
        assert len(caught.value.excluded) == len(cards)


def test_every_check_has_a_code_of_its_own():
    assert len({check.reason for check in CHECKS}) == len(CHECKS)


def test_an_effort_that_a_request_asks_for_is_that_of_the_candidates_that_have_one():
    """A word decides, in OpenAI's field or OpenRouter's; a budget of tokens and no word leave all in."""
    cards = (UNKNOWN, *(replace(UNKNOWN, model=f"x:{e}", base_model="x", reasoning_effort=e) for e in ("low", "high")))
    asked = {
        (): [True, True, True],
        ("reasoning_effort", "high"): [True, False, True],
        ("reasoning_effort", "medium"): [True, False, False],
        ("reasoning", "low"): [True, True, False],
    }
    for said, eligible in asked.items():
        knobs = {} if not said else {said[0]: {"effort": said[1]} if said[0] == "reasoning" else said[1]}
        assert screened(Constraints(), cards, prompt=body(**knobs)).eligible.tolist() == [eligible]
    budget = screened(Constraints(), cards, prompt=body(reasoning={"max_tokens": 2000}))
    assert budget.eligible.all()
    low = screened(Constraints(), cards, prompt=body(reasoning_effort="low"))
    assert [(one.model, one.detail) for one in low.exclusions(0)] == [
        ("x:high", "the request asks for the effort low, this is x with high")
    ]


def test_a_model_of_unknown_window_gets_a_long_prompt_only_where_no_other_can():
    """A prompt of 719,000 tokens once went to a model whose context window was not in the catalog."""
    known, unknown = (
        ModelCard("a", Decimal(1), Decimal(2), context_window=50_000),
        ModelCard("b", Decimal(1), Decimal(2)),
    )
    tokens = np.array([[32_768.0] * 2, [32_769.0] * 2, [719_000.0] * 2])
    found = screen(
        Constraints(), [Prompt("x", 1)] * 3, [known, unknown], n_input_tokens=tokens, expected_cost_usd=np.ones((3, 2))
    )
    assert found.eligible.tolist() == [[True, True], [True, False], [False, True]]
    (left_out,) = found.exclusions(1)
    assert (left_out.reason, left_out.detail) == (
        "unknown_window",
        "the prompt has 32,769 tokens; its window is not in the catalog, so 32,768 are assumed",
    )
