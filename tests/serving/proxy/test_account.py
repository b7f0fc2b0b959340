"""What a caller's budget counts of calls whose provider reports what cannot be."""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from unittest.mock import Mock

import orjson
import pytest

from router_model.catalog import ModelCard
from router_model.serving.access.admission import Admission
from router_model.serving.access.budgets import Budgets
from router_model.serving.access.key_budget import KeyBudget, Per
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.errors import BudgetExceededError
from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.provider import Kind, Provider, Target
from router_model.serving.providers.sent import Sent
from router_model.serving.proxy.account import Account

CARD = ModelCard("m", Decimal(1), Decimal(10), context_window=100_000, max_output_tokens=8_000)
BODY = {"messages": [{"role": "user", "content": "Which rivers cross Vienna?"}], "max_tokens": 150}
WORDS = "word " * 80
"""400 bytes: 100 tokens by estimate, which are $0.001."""
CENT = KeyBudget(Decimal("0.01"), Per.TOTAL)


def provider(kind):
    return Target("m", Provider("p", kind, "https://p.example/v1"), "m", CARD)


def chat(usage):
    message = {"role": "assistant", "content": WORDS}
    return {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }


def counts(n_in, n_out, **more):
    return {"prompt_tokens": n_in, "completion_tokens": n_out, **more}


def attempt(kind, answer, adapter):
    """Return the record of a call that a provider answered, and its facts."""
    target, call = provider(kind), Call(Surface.CHAT, BODY)
    sent = adapter.request(call, target, "k").sent
    body, facts = adapter.answer(target, "application/json", orjson.dumps(answer), {}, call=call, sent=sent)
    record = AttemptRecord(
        "att_1",
        None,
        datetime.now(UTC),
        status=200,
        cost_usd=facts.cost_usd,
        usage_estimated=", ".join(facts.estimate_reasons) or None,
        budget_usd=facts.budget_usd,
    )
    return record, body


def n_calls_for_a_cent(record, path):
    """Return how often such a call is let in; its worst case is taken to be $0.001."""
    budgets, n_calls = Budgets(path), 0
    with suppress(BudgetExceededError):
        while n_calls < 50:
            admission = Admission()
            admission.reservation = budgets.reserve("key", CENT, lambda: Decimal("0.001"), within_s=60)
            account = Account(Mock(), Mock(), Mock(), Mock(), admission, Mock())
            account.observe(record)
            account.close()
            n_calls += 1
    budgets.close()
    return n_calls


@pytest.mark.parametrize(
    ("usage", "estimated"),
    [
        pytest.param(None, "input_missing, output_missing", id="missing"),
        pytest.param({}, "input_missing, output_missing", id="empty"),
        pytest.param(counts(0, 0), "input_zero, output_zero", id="all zero"),
        pytest.param(counts(0, 100), "input_zero", id="input zero"),
        pytest.param(counts(14, 0), "output_zero", id="output zero"),
        pytest.param(counts(14, 1), "output_too_few", id="one token for 400 bytes"),
        pytest.param(counts(14, 100, cost=0), "cost_too_low", id="cost zero"),
        pytest.param(counts(14, 100, cost=1e-9), "cost_too_low", id="cost next to nothing"),
        pytest.param(counts(14, 100, cost=-1), None, id="cost negative"),
        pytest.param(counts(14, 100, cost="free"), None, id="cost a word"),
        pytest.param(counts(14, 100, cost="0.0"), "cost_too_low", id="cost zero as text"),
        pytest.param(counts(0, 0, cost=0), "input_zero, output_zero, cost_too_low", id="all zero and cost zero"),
        pytest.param(counts("14", "100"), None, id="texts"),
        pytest.param(counts(-14, -100), "input_zero, output_zero", id="negative"),
        pytest.param(counts(True, True), "input_zero, output_zero", id="flags"),
        pytest.param(counts(None, None), "input_zero, output_zero", id="null"),
        pytest.param(counts(10**12, 10**12), "input_too_many, output_too_many", id="absurd"),
        pytest.param(counts(14, 20, total_tokens=134), None, id="thoughts in the total alone"),
        pytest.param(
            counts(14, 20, total_tokens=134, completion_tokens_details={"reasoning_tokens": 100}),
            None,
            id="thoughts beside the completion",
        ),
    ],
)
def test_a_cent_is_not_passed_uncounted(usage, estimated, tmp_path):
    """Each call costs $0.001 or more by list price, so that eleven are too many for a cent."""
    record, body = attempt(Kind.OPENAI, chat(usage), adapter_for(Surface.CHAT, Kind.OPENAI))
    assert record.usage_estimated == estimated
    assert ("estimated" in body["usage"]) is (estimated is not None)
    assert n_calls_for_a_cent(record, tmp_path / "budgets.db") <= 10


def test_a_free_model_spends_nothing(tmp_path):
    """Its id ends in ``:free``; the catalog has the price of the model that is not free."""
    target = Target("m:free", Provider("p", Kind.OPENAI, "https://p.example/v1"), "m:free", CARD)
    answer = orjson.dumps(chat(counts(14, 100, cost=0)))
    _, facts = adapter_for(Surface.CHAT, Kind.OPENAI).answer(target, "application/json", answer, {}, sent=Sent(b"{}"))
    assert (facts.cost_usd, facts.estimated) == (0.0, ())
    record = AttemptRecord("att_1", None, datetime.now(UTC), status=200, cost_usd=facts.cost_usd)
    assert n_calls_for_a_cent(record, tmp_path / "budgets.db") == 50


def test_a_cache_that_keeps_an_hour_is_dearer():
    """1,000 tokens written for an hour at 2, and 100 tokens at 10 USD a million."""
    usage = {"input_tokens": 0, "output_tokens": 100, "cache_creation_input_tokens": 1000}
    usage["cache_creation"] = {"ephemeral_1h_input_tokens": 1000}
    message = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": WORDS}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    record, _ = attempt(Kind.ANTHROPIC, message, adapter_for(Surface.CHAT, Kind.ANTHROPIC))
    assert (record.cost_usd, record.usage_estimated) == (pytest.approx(0.003), None)
