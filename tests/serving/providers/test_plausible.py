"""Which reports of usage and cost are believed, and what is counted where they are not."""

from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.catalog import ModelCard
from router_model.serving.providers.plausible import Shown, counted
from router_model.serving.providers.provider import Kind, Provider, Target
from router_model.serving.providers.sent import Sent
from router_model.serving.providers.usage import Usage

PROVIDER = Provider("p", Kind.OPENAI, "https://p.example/v1")
CARD = ModelCard("m", Decimal(1), Decimal(10), context_window=100_000, max_output_tokens=8_000)
QUESTION = {"messages": [{"role": "user", "content": "Which rivers cross Vienna?"}]}
N_WRITTEN = 400
"""Bytes of the answer: 100 tokens by estimate."""


def target_of(card=CARD, *, model="m", upstream="m"):
    return Target(model, PROVIDER, upstream, card)


def shown(body=QUESTION, n_written=N_WRITTEN, **fields):
    said = {"has_content": n_written > 0, "is_complete": True} | fields
    return Shown(Sent(orjson.dumps(body)), n_written, **said)


N_SENT = -(-len(orjson.dumps(QUESTION)) // 4)
"""Tokens of the question by estimate."""


@pytest.mark.parametrize(
    ("reported", "body", "tokens", "reasons"),
    [
        pytest.param(None, {}, (N_SENT, 100), ("input_missing", "output_missing"), id="no usage at all"),
        pytest.param(Usage(0, 0), {}, (N_SENT, 100), ("input_zero", "output_zero"), id="all zero"),
        pytest.param(Usage(0, 90), {}, (N_SENT, 90), ("input_zero",), id="input zero"),
        pytest.param(Usage(14, 0), {}, (14, 100), ("output_zero",), id="output zero though words came"),
        pytest.param(Usage(14, 3), {}, (14, 100), ("output_too_few",), id="133 bytes a token"),
        pytest.param(Usage(100_001, 90), {}, (N_SENT, 90), ("input_too_many",), id="more than the window"),
        pytest.param(Usage(10**12, 10**12), {}, (N_SENT, 100), ("input_too_many", "output_too_many"), id="absurd"),
        pytest.param(Usage(14, 16_001), {}, (14, 100), ("output_too_many",), id="twice what the model writes, and one"),
        pytest.param(
            Usage(14, 401), {"max_tokens": 50}, (14, 100), ("output_too_many",), id="over bytes and 2 x 50 + 64"
        ),
        pytest.param(
            Usage(14, 9_000),
            {"generationConfig": {"maxOutputTokens": 200}},
            (14, 100),
            ("output_too_many",),
            id="Google's name of max_tokens",
        ),
    ],
)
def test_what_cannot_be_is_estimated(reported, body, tokens, reasons):
    asked = QUESTION | body
    result = counted(reported, shown(asked), target_of())
    n_sent = -(-len(orjson.dumps(asked)) // 4)
    assert (result.usage.input_tokens, result.usage.output_tokens) == (
        n_sent if tokens[0] == N_SENT else tokens[0],
        tokens[1],
    )
    assert result.reasons == reasons
    assert result.cost_usd == result.usage.list_usd(CARD)
    assert result.budget_usd >= result.cost_usd


def test_too_little_input_for_the_text_is_estimated():
    """4 + 5 x 519 bytes of text (the role is read, too) in 20 tokens are 130 bytes a token."""
    body = {"messages": [{"role": "user", "content": "word " * 519}]}
    assert counted(Usage(20, 90), shown(body), target_of()).reasons == ("input_too_few",)
    assert counted(Usage(21, 90), shown(body), target_of()).reasons == ()


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0K" * 40_000}}
WEB = {"type": "web_search_20260209", "name": "web_search"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "description": "x" * 9000}}}


@pytest.mark.parametrize(
    ("reported", "body", "n_written"),
    [
        pytest.param(Usage(14, 90), {}, 400, id="usual"),
        pytest.param(Usage(4_800, 90), {}, 400, id="a hidden system prompt"),
        pytest.param(Usage(14, 5), {}, 610, id="few long tokens, as runs of spaces are"),
        pytest.param(Usage(900, 290), {}, 300, id="a token a byte: rare scripts, and tokenizers of bytes"),
        pytest.param(Usage(14, 7_900), {}, 40, id="thoughts that nobody shows, and no limit"),
        pytest.param(Usage(14, 7_900, reasoning_tokens=7_880), {"max_tokens": 50}, 40, id="thoughts beside max_tokens"),
        pytest.param(Usage(14, 16_000), {}, 40, id="a longer answer than the catalog knows of"),
        pytest.param(Usage(14, 164), {"max_tokens": 50}, 100, id="another tokenizer than that of the limit"),
        pytest.param(Usage(14, 3_000), {"max_tokens": 50}, 12_000, id="a server that ignores max_tokens: words came"),
        pytest.param(Usage(14, 400), {"max_tokens": 50, "n": 4}, 300, id="four answers"),
        pytest.param(Usage(85, 4), {"messages": [{"role": "user", "content": [IMAGE]}]}, 9, id="a cheap image"),
        pytest.param(Usage(25_000, 4), {"messages": [{"role": "user", "content": [IMAGE]}]}, 9, id="a dear image"),
        pytest.param(Usage(90_000, 4), {}, 9, id="a file by its id, within the window"),
        pytest.param(Usage(2_300, 40), {"tools": [TOOL]}, 0, id="schemas of tools; nothing shown but a call"),
        pytest.param(Usage(130, 40), {"tools": [TOOL]}, 60, id="schemas written shorter for the model"),
        pytest.param(Usage(700_000, 30_000), {"tools": [WEB]}, 2_000, id="ten rounds of the provider's search"),
        pytest.param(Usage(300_000, 90), {"tools": [{"googleSearch": {}}]}, 400, id="Google's search"),
        pytest.param(Usage(120_000, 90), {"messages": [{"content": "数" * 50_000}]}, 400, id="over an old window"),
        pytest.param(Usage(14, 0), {}, 0, id="nothing was said"),
        pytest.param(Usage(14, 1), {}, 2, id="a word"),
    ],
)
def test_what_can_be_is_believed(reported, body, n_written):
    result = counted(reported, shown(QUESTION | body, n_written), target_of())
    assert (result.usage, result.estimated, result.reasons, result.budget_usd) == (reported, (), (), None)


FREE = ModelCard("m", Decimal(0), Decimal(0))
LIST_USD = 14e-6 + 90e-5
"""Of 14 tokens read and 90 written: 0.000914."""


@pytest.mark.parametrize(
    ("bill", "target", "cost", "reasons"),
    [
        pytest.param(0.0, target_of(), LIST_USD, ("cost_too_low",), id="zero, with a list price"),
        pytest.param(LIST_USD / 101, target_of(), LIST_USD, ("cost_too_low",), id="under a hundredth"),
        pytest.param(10.1, target_of(), LIST_USD, ("cost_too_high",), id="ten dollars for a question"),
        pytest.param(LIST_USD / 50, target_of(), LIST_USD / 50, (), id="cached, in a batch"),
        pytest.param(LIST_USD * 1.3, target_of(), LIST_USD * 1.3, (), id="a reseller's surcharge"),
        pytest.param(0.03, target_of(), 0.03, (), id="a search of three cents"),
        pytest.param(0.0, target_of(upstream="m:free"), 0.0, (), id="free by its id"),
        pytest.param(0.0, target_of(FREE), 0.0, (), id="free by its list price"),
        pytest.param(0.0, target_of(None), 0.0, (), id="no list price is known"),
        pytest.param(None, target_of(), LIST_USD, (), id="no bill: the list price, which is no estimate"),
        pytest.param(None, target_of(None), None, (), id="neither"),
    ],
)
def test_a_bill_is_believed_where_it_can_be(bill, target, cost, reasons):
    result = counted(Usage(14, 90, billed_usd=bill), shown(), target)
    assert result.cost_usd == pytest.approx(cost)
    assert result.reasons == reasons
    assert (result.usage.billed_usd is None) is (bill is None or bool(reasons))


def test_a_bill_stays_where_only_its_tokens_cannot_be():
    """Estimated: 18 x 1e-6 + 100 x 1e-5 by list price. The budget counts the greater of this and the bill."""
    result = counted(Usage(0, 0, billed_usd=0.002), shown(), target_of())
    assert (result.cost_usd, result.budget_usd, result.estimated) == (0.002, 0.002, ("input_tokens", "output_tokens"))
    low = counted(Usage(0, 0, billed_usd=0.0002), shown(), target_of())
    assert (low.cost_usd, low.budget_usd) == (0.0002, pytest.approx(0.001018))
    free = counted(Usage(0, 0, billed_usd=0.0), shown(), target_of(upstream="m:free"))
    assert (free.cost_usd, free.budget_usd) == (0.0, 0.0)


def test_a_report_that_is_too_large_counts_up_to_its_bound_in_the_budget():
    """The window, 100,000 x 1e-6, and 2 x 50 + 64 tokens of output are under the 400 bytes that came: 400 x 1e-5."""
    result = counted(Usage(10**9, 10**9), shown(QUESTION | {"max_tokens": 50}), target_of())
    assert result.budget_usd == pytest.approx(0.1 + 0.004)
    assert result.cost_usd < 0.0011


def test_a_cache_is_believed_with_its_input_only():
    """Cached input costs a tenth: of an input that cannot be, no part is at that price."""
    card = ModelCard("m", Decimal(1), Decimal(10), usd_per_mtok_cached_input=Decimal("0.1"), context_window=100_000)
    absurd = counted(Usage(10**12, 90, cached_input_tokens=10**12), shown(), target_of(card))
    assert (absurd.usage.input_tokens, absurd.usage.cached_input_tokens) == (N_SENT, 0)
    cached = counted(Usage(90_000, 0, cached_input_tokens=90_000), shown(), target_of(card))
    assert (cached.usage, cached.reasons) == (Usage(90_000, 100, cached_input_tokens=90_000), ("output_zero",))
    assert cached.budget_usd == pytest.approx(0.009 + 0.001)


@pytest.mark.parametrize(
    ("reported", "tokens", "reasons"),
    [
        (Usage(14, 3), 100, ("output_cut",)),
        (Usage(14, 120), 120, ()),
        (None, 100, ("input_missing", "output_cut")),
    ],
)
def test_a_stream_that_was_cut_has_what_came_of_it_at_least(reported, tokens, reasons):
    result = counted(reported, shown(is_complete=False), target_of())
    assert (result.usage.output_tokens, result.reasons) == (tokens, reasons)


def test_of_an_attempt_without_usage_and_words_nothing_is_known():
    result = counted(None, shown(n_written=0, is_complete=False), target_of())
    assert (result.usage, result.cost_usd, result.estimated) == (None, None, ())


def test_embeddings_have_no_output():
    result = counted(Usage(6, 0), shown({"input": "a"}, 0, has_content=True, is_text=False), target_of())
    assert (result.usage, result.reasons) == (Usage(6, 0), ())


def test_a_request_that_is_not_known_says_nothing_of_the_input():
    result = counted(Usage(0, 90), Shown(Sent(), 400, has_content=True, is_complete=True), target_of())
    assert (result.usage, result.reasons) == (Usage(0, 90), ())


COUNTS = st.sampled_from([0, 1, 50, 10**4, 10**6, 10**15])


@given(COUNTS, COUNTS, st.none() | st.floats(0, 1e9), st.integers(0, 10**5), st.booleans())
def test_whatever_is_reported_a_budget_counts_no_less_than_a_hundredth_of_what_is_shown(
    n_in, n_out, bill, n_written, is_complete
):
    """Only a discount of the provider's own makes a call of 128 bytes a token cheaper than by list price."""
    result = counted(
        Usage(n_in, n_out, billed_usd=bill), shown(n_written=n_written, is_complete=is_complete), target_of()
    )
    counts = result.cost_usd if result.budget_usd is None else result.budget_usd
    least = Usage(1, n_written // 128).list_usd(CARD) / 100
    assert least <= counts < 1e5
    assert counts >= result.cost_usd
