import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_streams import CARD

from router_model.serving.formats.format import Facts
from router_model.serving.formats.openai.usage import read_usage, usage_json, written_usage
from router_model.serving.providers.usage import Usage


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}, Usage(9, 4), id="plain"),
        pytest.param(
            {
                "prompt_tokens": 2006,
                "completion_tokens": 300,
                "total_tokens": 2306,
                "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 192, "audio_tokens": 0},
            },
            Usage(2006, 300, cached_input_tokens=1920, reasoning_tokens=192),
            id="openai",
        ),
        pytest.param(
            {
                "prompt_tokens": 194,
                "completion_tokens": 2,
                "total_tokens": 196,
                "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100},
                "completion_tokens_details": {"reasoning_tokens": 0},
                "cost": 0.95,
                "cost_details": {"upstream_inference_cost": 19},
            },
            Usage(194, 2, cache_write_tokens=100, billed_usd=0.95),
            id="openrouter",
        ),
        pytest.param(
            {
                "prompt_tokens": 10,
                "completion_tokens": 2,
                "is_byok": True,
                "cost": 0.001,
                "cost_details": {"upstream_inference_cost": 0.02},
            },
            Usage(10, 2, billed_usd=0.021),
            id="openrouter with a key of one's own: 5 % for OpenRouter, the rest upstream",
        ),
        pytest.param(
            {
                "prompt_tokens": 100,
                "completion_tokens": 7,
                "total_tokens": 107,
                "prompt_cache_hit_tokens": 64,
                "prompt_cache_miss_tokens": 36,
            },
            Usage(100, 7, cached_input_tokens=64),
            id="deepseek",
        ),
        pytest.param(
            {"prompt_tokens": 50, "completion_tokens": 1, "cached_tokens": 32}, Usage(50, 1, 32), id="moonshot"
        ),
        pytest.param(
            {
                "prompt_tokens": 10120,
                "completion_tokens": 1499,
                "total_tokens": 14428,
                "prompt_tokens_details": {"cached_tokens": 128},
                "completion_tokens_details": {"reasoning_tokens": 2809},
                "cost_in_usd_ticks": 232856000,
            },
            Usage(10120, 4308, 128, reasoning_tokens=2809, billed_usd=0.0232856),
            id="xai: 10120 + 1499 + 2809 = 14428",
        ),
        pytest.param(
            {"prompt_tokens": 14, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 9}},
            Usage(14, 14, reasoning_tokens=9),
            id="no total, and more reasoning than completion: it is beside",
        ),
        pytest.param(
            {"prompt_tokens": 5, "completion_tokens": 1, "cost": {"input_tokens_cost": 0.001, "total_cost": 0.006}},
            Usage(5, 1, billed_usd=0.006),
            id="perplexity",
        ),
        pytest.param(
            {
                "prompt_tokens": 10,
                "completion_tokens": 4,
                "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 6},
            },
            Usage(27, 10, cached_input_tokens=12, cache_write_tokens=5, reasoning_tokens=6),
            id="parts that are more than their whole are beside it: 10 + 12 + 5 in, 4 + 6 out",
        ),
        pytest.param({"prompt_tokens": 8, "total_tokens": 8}, Usage(8, 0), id="embeddings"),
        pytest.param(
            {"prompt_tokens": 8, "completion_tokens": None, "prompt_tokens_details": None, "cost": -1},
            Usage(8, 0),
            id="null and a negative bill",
        ),
    ],
)
def test_every_dialect_is_read_with_each_token_once(usage, expected):
    read = read_usage(usage)
    assert read.billed_usd == pytest.approx(expected.billed_usd)
    assert read == Usage(**{f: getattr(expected, f) for f in expected.__slots__} | {"billed_usd": read.billed_usd})


COUNTS = st.none() | st.integers(-5, 10**9) | st.floats(0, 1e6) | st.text(max_size=2) | st.booleans()
HIDDEN = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 530}
CLAUDE_AT_A_GATEWAY = {
    "prompt_tokens": 12,
    "completion_tokens": 7,
    "total_tokens": 19,
    "cache_read_input_tokens": 600,
    "cache_creation_input_tokens": 40,
    "cache_creation": {"ephemeral_1h_input_tokens": 30, "ephemeral_5m_input_tokens": 10},
}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(HIDDEN, Usage(10, 520, reasoning_tokens=500), id="thoughts in the total alone"),
        pytest.param(
            HIDDEN | {"completion_tokens_details": {"reasoning_tokens": 500}, "completion_tokens": 520},
            Usage(10, 520, reasoning_tokens=500),
            id="thoughts in the completion, and in the total once",
        ),
        pytest.param(
            {"prompt_tokens": "1,200", "completion_tokens": "34", "total_tokens": "1234"},
            Usage(1200, 34),
            id="texts",
        ),
        pytest.param({"prompt_tokens": 12.0, "completion_tokens": 3.0}, Usage(12, 3), id="floats"),
        pytest.param({"prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -2}, Usage(0, 0), id="negative"),
        pytest.param({"prompt_tokens": True, "completion_tokens": False}, Usage(0, 0), id="flags"),
        pytest.param({"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}, Usage(0, 0), id="null"),
        pytest.param({"prompt_tokens": "many", "completion_tokens": [3]}, Usage(0, 0), id="no numbers"),
        pytest.param({"input_tokens": 12, "output_tokens": 3}, Usage(12, 3), id="names of the Responses API"),
        pytest.param({"completion_tokens": 3, "total_tokens": 15}, Usage(12, 3), id="the prompt in the total alone"),
        pytest.param(
            CLAUDE_AT_A_GATEWAY,
            Usage(652, 7, 600, cache_write_tokens=40, cache_write_1h_tokens=30),
            id="Claude's cache",
        ),
        pytest.param(
            {
                "prompt_tokens": 36,
                "completion_tokens": 7,
                "prompt_cache_hit_tokens": 64,
                "prompt_cache_miss_tokens": 36,
            },
            Usage(100, 7, 64),
            id="the prompt is the misses alone",
        ),
        pytest.param(
            {"prompt_tokens": 50, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 80}},
            Usage(130, 1, 80),
            id="more cached than read: beside it",
        ),
        pytest.param(
            {
                "prompt_tokens": 10,
                "completion_tokens": 2,
                "cost": 0,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.02},
            },
            Usage(10, 2, billed_usd=0.02),
            id="a key of one's own: OpenRouter charges nothing, the upstream does",
        ),
        *(
            pytest.param({"prompt_tokens": 10, "completion_tokens": 2, "cost": cost}, Usage(10, 2), id=f"cost {cost!r}")
            for cost in (-0.5, "free", True, None, [1], {"total_cost": -1})
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 2, "cost": "0.004"}, Usage(10, 2, billed_usd=0.004), id="as text"
        ),
    ],
)
def test_usage_that_is_off_the_book_is_read(usage, expected):
    assert read_usage(usage) == expected


PARTS = st.none() | st.dictionaries(
    st.sampled_from(["cached_tokens", "cache_write_tokens", "reasoning_tokens"]), COUNTS
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(
                ["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "prompt_cache_hit_tokens"],
                COUNTS,
            ),
            "prompt_tokens_details": PARTS,
            "completion_tokens_details": PARTS,
        },
    )
)
def test_whatever_is_said_has_a_price(usage):
    """`ModelCard.cost_usd` refuses parts that are more than the whole."""
    assert read_usage(usage).list_usd(CARD) >= 0


def test_usage_is_written_with_our_counts_and_cost_beside_the_providers_own_fields():
    """1000 tokens, 600 of them from the cache, and 100 written: 400 x 2e-6 + 600 x 0.5e-6 + 100 x 1e-5 = 0.0021."""
    given_usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 3},
        "queue_time": 0.25,
    }
    usage = read_usage(given_usage)
    facts = Facts(usage=usage, cost_usd=usage.list_usd(CARD))
    assert written_usage(given_usage, facts, CARD) == {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 0, "audio_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 0},
        "queue_time": 0.25,
        "cost": pytest.approx(0.0021),
        "cost_details": {
            "upstream_inference_cost": pytest.approx(0.0021),
            "upstream_inference_prompt_cost": pytest.approx(0.0011),
            "upstream_inference_completions_cost": pytest.approx(0.001),
        },
    }


def test_what_was_written_reads_the_same():
    """Reasoning beside the completion (xAI) is within it in what we write: 9 + 94 = 103."""
    given_usage = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": 135,
        "completion_tokens_details": {"reasoning_tokens": 94},
    }
    facts = Facts(usage=read_usage(given_usage))
    written = written_usage(given_usage, facts)
    assert (written["completion_tokens"], written["total_tokens"], written["cost"]) == (103, 135, None)
    assert read_usage(written) == facts.usage


def test_usage_that_nobody_knows_is_not_made_up():
    assert written_usage(None, Facts()) is None
    assert usage_json({"usage": None}) is None
    assert usage_json({"usage": {}}) is None


def test_usage_is_found_where_groq_puts_it():
    assert usage_json({"x_groq": {"id": "req_1", "usage": {"prompt_tokens": 3}}}) == {"prompt_tokens": 3}
