from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.catalog import ModelCard
from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.providers.provider import Kind, Provider, Target
from router_model.serving.providers.usage import Usage
from router_model.serving.providers.worst_case import priced, worst_case_usd

ACME = Provider("acme", Kind.OPENAI, "http://localhost")
CARD = ModelCard("m", Decimal(2), Decimal(10))


def target(card):
    return Target("m", ACME, "m", card)


@pytest.mark.parametrize(
    ("asked", "card_says", "n_output"), [(None, None, 4096), (None, 500, 500), (100, 500, 100), (900, 500, 500)]
)
def test_output_is_limited_by_the_request_and_the_card(asked, card_says, n_output):
    """1,000 tokens in at $2 a million: $0.002; those out at $10 a million."""
    card = ModelCard("m", Decimal(2), Decimal(10), max_output_tokens=card_says)
    assert worst_case_usd(card, 1000, asked) == Decimal("0.002") + n_output * Decimal("0.00001")


def test_fees_images_and_answers_count():
    """2 images: 4,000 tokens ($0.008) and 2 x $0.01; 3 answers of 100 tokens: $0.003; the call: $0.05."""
    card = ModelCard("m", Decimal(2), Decimal(10), usd_per_request=Decimal("0.05"), usd_per_image=Decimal("0.01"))
    assert worst_case_usd(card, 0, 100, 2, n_answers=3) == Decimal("0.081")


def test_a_model_without_a_price_is_refused():
    with pytest.raises(InvalidRequestError, match="model 'm' has no price in the catalog.*ask for another") as caught:
        priced(target(None))
    assert caught.value.param == "model"
    assert priced(target(CARD)) is CARD


prices = st.decimals(0, 100, places=2)
some = st.none() | prices


@given(
    card=st.builds(
        ModelCard, st.just("m"), prices, prices, some, some, some, some, max_output_tokens=st.none() | st.just(300)
    ),
    usage=st.integers(0, 500).flatmap(
        lambda n: st.builds(
            Usage, st.just(n), st.integers(0, 200), st.integers(0, n // 2), st.integers(0, n // 2), st.just(0)
        )
    ),
    reasoning=st.floats(0, 1),
)
def test_no_call_within_the_limits_costs_more(card, usage, reasoning):
    usage = Usage(
        usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.cache_write_tokens,
        int(reasoning * usage.output_tokens),
    )  # fmt: skip
    assert usage.list_usd(card) <= float(worst_case_usd(card, 500, 200)) * (1 + 1e-12)
