"""OpenRouter's ``provider`` object, and what our own measurements make of ``sort``."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from router_model.catalog import ModelCard
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.providers.provider import Kind, Provider, Target
from router_model.serving.proxy.envelope import ProviderOptions
from router_model.serving.proxy.preferences import NONE, Preferences
from router_model.serving.proxy.speeds import Speeds

CARD = ModelCard("m", Decimal(1), Decimal(2), tools=False)
OURS = Provider("Ours", Kind.OPENAI, "https://api.example/v1")
ROUTER = Provider("openrouter", Kind.OPENAI, "https://openrouter.ai/api/v1")


def target(provider, card=CARD):
    return Target("m", provider, "m", card)


def arranged(options, *targets, speeds=None):
    found = Preferences.of(ProviderOptions.model_validate(options)).arranged(targets, speeds or Speeds())
    return [one.provider.name for one in found]


def test_nothing_said_is_one_object_that_changes_nothing():
    assert Preferences.of(None) is NONE
    assert NONE.arranged((target(OURS),), Speeds()) == (target(OURS),)


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"only": ["ours"]}, ["Ours", "openrouter"]),
        ({"only": ["azure"]}, ["openrouter"]),
        ({"ignore": ["OpenRouter"]}, ["Ours"]),
        ({"data_collection": "deny"}, ["openrouter"]),
        ({"order": ["openrouter"]}, ["openrouter", "Ours"]),
    ],
)
def test_openrouter_keeps_the_rules_itself_unless_it_is_named(options, left):
    assert arranged(options, target(OURS), target(ROUTER)) == left


def attempt(provider, latency_s, first_token_s, output_tokens=100):
    return AttemptRecord(
        "a", None, datetime(2026, 11, 23, tzinfo=UTC), model="m", provider=provider, status=200,
        latency_s=latency_s, first_token_s=first_token_s, output_tokens=output_tokens,
    )  # fmt: skip


def test_sort_goes_by_what_was_seen_lately():
    """'a' starts after 0.1 s and writes 10 tokens a second, 'b' after 0.5 s and 50; 'c' was never called."""
    speeds, names = Speeds(), ("c", "a", "b")
    speeds.observe(attempt("a", 10.0, 0.1))
    speeds.observe(attempt("b", 2.0, 0.5))
    targets = [target(replace(OURS, name=name)) for name in names]
    assert arranged({"sort": "latency"}, *targets, speeds=speeds) == ["a", "b", "c"]
    assert arranged({"sort": {"by": "throughput"}}, *targets, speeds=speeds) == ["b", "a", "c"]


def test_a_whole_answer_is_not_taken_for_a_first_token():
    """'a' begins streams after 0.1 s and takes 2 s for whole answers, 'b' begins after 0.5 s; 'c' has 3 s, 'd' none."""
    speeds, names = Speeds(), ("d", "c", "b", "a")
    for seen in (("a", 4.0, 0.1), *[("a", 2.0, None)] * 9, ("b", 4.0, 0.5), ("c", 3.0, None)):
        speeds.observe(attempt(*seen))
    targets = [target(replace(OURS, name=name)) for name in names]
    assert arranged({"sort": "latency"}, *targets, speeds=speeds) == ["a", "b", "c", "d"]


def test_failures_say_nothing_of_speed():
    speeds = Speeds()
    speeds.observe(replace(attempt("a", 0.01, None), error_type="server"))
    assert speeds.first_s(target(replace(OURS, name="a"))) == float("inf")


def test_price_puts_the_unknown_last():
    cheap = ModelCard("m", Decimal(1), Decimal(1))
    targets = [target(replace(OURS, name=n), card) for n, card in (("x", None), ("y", CARD), ("z", cheap))]
    assert arranged({"sort": "price"}, *targets) == ["z", "y", "x"]


def test_required_parameters_are_held_against_the_card():
    wants = Preferences(require_parameters=True)
    assert not wants.fits(CARD, {"tools": [{}]})
    assert wants.fits(CARD, {"response_format": {"type": "json_object"}})
    assert NONE.fits(CARD, {"tools": [{}]})


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({}, True),
        ({"tools": [{"type": "function"}]}, False),
        ({"response_format": {"type": "json_object"}}, False),
        ({"response_format": {"type": "text"}}, True),
        ({"response_format": "json"}, True),
        ({"response_format": 5, "tools": None}, True),
    ],
)
def test_required_parameters_are_read_of_any_body(body, fits):
    """A body whose fields are of the wrong types is the provider's to refuse."""
    required = Preferences.of(ProviderOptions(require_parameters=True))
    assert required.fits(replace(CARD, structured_output=False), body) is fits
