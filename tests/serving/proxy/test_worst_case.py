"""What a call can cost at most, as the budget reserves it."""

from decimal import Decimal

import orjson
import pytest
from starlette.datastructures import Headers

from router_model.catalog import ModelCard
from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Surface
from router_model.serving.formats.worst_cases import worst_cases_usd
from router_model.serving.providers.provider import Kind, Provider, Target
from router_model.serving.proxy.proxy_request import read_proxy_request

PROVIDER = Provider("p", Kind.ECHO, "http://127.0.0.1:1")
CARD = ModelCard("m", Decimal(1), Decimal(10), max_output_tokens=1000)


def asked(surface=Surface.CHAT, **body):
    return read_proxy_request(surface, body, Headers({}), by_policy={"p": "default"}.get, most_s=1.0, ours=frozenset())


def worst(body, *cards, **more):
    return max(worst_cases_usd(asked(**more, **body).call, [Target("m", PROVIDER, "m", card) for card in cards]))


def test_bytes_bound_the_input_and_max_tokens_the_output():
    """N bytes at 1 USD a million, and 2 answers of 100 tokens at 10: (N + 2,000) / 1,000,000."""
    body = {"messages": [{"role": "user", "content": "żółw"}], "max_tokens": 100, "n": 2}
    assert worst(body, CARD) == Decimal(len(orjson.dumps(body)) + 2000) / 1_000_000


def test_the_dearest_candidate_counts_and_the_card_says_how_much_it_writes():
    dear = ModelCard("m", Decimal(2), Decimal(20), max_output_tokens=1000)
    body = {"messages": []}
    assert worst(body, CARD, dear) == Decimal(2 * len(orjson.dumps(body)) + 20_000) / 1_000_000


def test_an_image_is_no_text():
    """A megabyte of base64 counts as 2,000 tokens: 0.002 USD, not more than one."""
    url = "data:image/png;base64," + "A" * 1_000_000
    body = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}
    assert worst(body | {"max_tokens": 1}, CARD) < Decimal("0.003")


def test_without_a_price_nothing_can_be_reserved():
    with pytest.raises(InvalidRequestError, match="has no price in the catalog"):
        worst({"messages": []}, None)


@pytest.mark.parametrize(
    "cheat",
    [
        {"max_output_tokens": 1},
        {"generationConfig": {"maxOutputTokens": 1}},
        {"max_completion_tokens": 1, "max_tokens": 1000},
        {"n": 1.0},
    ],
)
def test_fields_that_a_provider_does_not_keep_to_reserve_no_less(cheat):
    """The card's 1,000 tokens at 10 USD a million are 0.01 USD."""
    assert worst({"messages": [], **cheat}, CARD) >= Decimal("0.01")


@pytest.mark.parametrize(
    ("body", "unseen"),
    [
        ({"input": "Hi"}, False),
        ({"input": "Hi", "previous_response_id": "r"}, True),
        ({"input": [{"type": "item_reference", "id": "m"}]}, True),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, True),
    ],
)
def test_what_is_kept_elsewhere_may_fill_the_window(body, unseen):
    """5 tokens of output at 10 USD a million, and the bytes, or else the 100,000 tokens of the window, at 1."""
    card = ModelCard("m", Decimal(1), Decimal(10), context_window=100_000)
    body = {**body, "max_output_tokens": 5}
    n_input = 100_000 if unseen else len(orjson.dumps(body))
    assert worst(body, card, surface=Surface.RESPONSES) == Decimal(n_input + 50) / 1_000_000


def test_text_that_speaks_of_base64_is_text():
    """1,000,000 bytes at 1 USD a million."""
    body = {"messages": [{"role": "user", "content": "what is base64," + "A" * 1_000_000}]}
    assert worst(body | {"max_tokens": 1}, CARD) > 1


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": {"data": "A" * 1_000_000}}]}]},
        {"messages": [], "tools": [{"name": "f", "input_schema": {"data": "A" * 1_000_000}}]},
        {"contents": [{"parts": [{"functionCall": {"name": "f", "args": {"data": "A" * 1_000_000}}}]}]},
        {"contents": [{"parts": [{"function_response": {"response": {"data": "A" * 1_000_000}}}]}]},
    ],
)
def test_what_a_tool_is_given_or_answers_is_text_also_where_it_looks_like_a_file(body):
    """1,000,000 bytes at 1 USD a million."""
    assert worst(body | {"max_tokens": 1}, CARD) > 1
