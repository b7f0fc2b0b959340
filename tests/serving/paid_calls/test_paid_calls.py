"""Calls for money: none is paid for twice, none exceeds the budget, and each outcome says what came of it."""

import pytest
from billing_provider import billing_provider, catalog_toml

from router_model.catalog import Catalog
from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.paid_calls.calls import CallOutcome, PaidCall
from router_model.serving.paid_calls.journal import Journal, JournalError
from router_model.serving.paid_calls.runner import IN_A_ROW, Why, worst_usd
from router_model.serving.paid_calls.session import ask_models
from router_model.serving.providers.fleet import Fleet

MODELS = ("small", "large")


@pytest.fixture
def provider():
    with billing_provider() as running:
        yield running


@pytest.fixture
def fleet(provider, tmp_path):
    (tmp_path / "providers.toml").write_text(provider.providers_toml(MODELS))
    cards = Catalog.parse(catalog_toml(*MODELS), origin="test").cards
    return lambda: Fleet(tmp_path / "providers.toml", lambda: cards)


def call(text, model="small", n=100, **more):
    return PaidCall(text, model, {"messages": [{"role": "user", "content": text}], "max_tokens": n, **more})


def asked(calls, fleet, path, budget_usd=1.0, **more):
    """Return what was done, the outcome of each call (None if it is left), and the USD that the journal counts."""
    outcomes = {}
    with Journal(path, int(budget_usd * 1e9)) as journal:
        said = ask_models(
            [calls], fleet(), journal, on_outcome=lambda call, outcome: outcomes.update({call.key: outcome}), **more
        )
        return said, [outcomes.get(call.key) for call in calls], journal.spent / 1e9


def test_each_call_has_its_answer_its_tokens_and_its_cost(provider, fleet, tmp_path):
    """The provider counts 8 tokens in and 1 + 2 x 7 out, so it charges (8 + 150) / 1,000,000 USD."""
    _, (outcome,), spent = asked([call("Hi")], fleet, tmp_path / "j")
    assert outcome.answer["choices"][0]["message"]["content"] == "echo: Hi"
    assert outcome.answer["model"] == "small"
    assert (outcome.input_tokens, outcome.output_tokens, outcome.finish_reason) == (8, 15, "stop")
    assert outcome.cost_usd == spent == pytest.approx(0.000158)
    assert outcome.latency_s > 0
    assert provider.bill.usd == pytest.approx(spent)


def test_a_second_run_pays_for_nothing_twice(provider, fleet, tmp_path):
    calls = [call(f"{n}", model) for n in range(5) for model in MODELS]
    first, outcomes, spent = asked([*calls, calls[0]], fleet, tmp_path / "j")
    assert (first.n_asked, first.why) == (10, None)
    again, same, spent_again = asked(calls, fleet, tmp_path / "j")
    assert (again.n_asked, again.why) == (0, None)
    assert same == outcomes[:10]
    assert spent_again == spent
    assert set(provider.bill.asked.values()) == {1}


def test_another_body_or_id_is_another_call(provider, fleet, tmp_path):
    calls = [call("Hi"), call("Hi", seed=1), PaidCall("again", "small", call("Hi").body)]
    said, *_ = asked(calls, fleet, tmp_path / "j")
    assert said.n_asked == provider.bill.asked["small", "Hi"] == 3


def test_calls_at_the_same_time_never_exceed_the_budget(provider, fleet, tmp_path):
    """The worst case of a call is about $0.0011, a tenth of the budget; real calls cost half of it on average."""
    provider.pause_s = 0.01
    calls = [call("x" * n) for n in range(1, 60)]
    budget = 0.011
    said, outcomes, spent = asked(calls, fleet, tmp_path / "j", budget)
    left = [call for call, outcome in zip(calls, outcomes, strict=True) if outcome is None]
    assert said.why is Why.BUDGET
    assert said.n_asked + len(left) == 59
    assert provider.bill.usd == pytest.approx(spent)
    assert budget - float(worst_usd(fleet(), left[0])) < spent <= budget
    more, _, spent = asked(calls, fleet, tmp_path / "j", 1.0)
    assert (more.why, more.n_asked) == (None, len(left))
    assert set(provider.bill.answered.values()) == {1}


def test_a_provider_gets_so_many_calls_at_a_time(provider, fleet, tmp_path):
    provider.pause_s = 0.02
    asked([call(f"{n}") for n in range(12)], fleet, tmp_path / "j", per_provider=3)
    assert provider.bill.most_at_once["small"] == 3


@pytest.mark.parametrize("fault", ["429", "500", "malformed"])
def test_a_fault_that_passes_costs_an_answer_no_other_try(fault, provider, fleet, tmp_path):
    said, (outcome,), _ = asked([call(f"[{fault}]")], fleet, tmp_path / "j")
    assert outcome.answer is not None
    assert said.why is None
    first, second = provider.bill.at_s[f"[{fault}]"]
    assert second - first > (1.0 if fault == "429" else 0.0)


@pytest.mark.parametrize(("fault", "code"), [("refused", "content_filter"), ("long", "context_length_exceeded")])
def test_what_a_provider_refuses_is_not_asked_again(fault, code, provider, fleet, tmp_path):
    _, (outcome,), spent = asked([call(f"[{fault}]")], fleet, tmp_path / "j")
    assert (outcome.answer, outcome.error.code, spent) == (None, code, 0.0)
    said, (again,), _ = asked([call(f"[{fault}]")], fleet, tmp_path / "j")
    assert (said.n_asked, said.why, again) == (0, None, outcome)
    assert len(provider.bill.bodies) == 1


def test_a_model_that_fails_again_and_again_is_left_alone_and_asked_by_the_next_run(provider, fleet, tmp_path):
    calls = [call(f"[down] {n}", "large") for n in range(30)] + [call("Hi")]
    said, outcomes, _ = asked(calls, fleet, tmp_path / "j", per_provider=IN_A_ROW, total_s=4.0)
    assert (said.why, list(said.failing)) == (Why.FAILING, ["large"])
    assert said.failing["large"].message
    assert [outcome is not None and outcome.answer is not None for outcome in outcomes] == [False] * 30 + [True]
    assert len(provider.bill.asked) <= 2 * IN_A_ROW  # of 31: nine more were under way at the tenth failure


def test_a_killed_call_counts_as_its_worst_case_and_is_asked_again(fleet, tmp_path):
    lost = call("lost")
    journal = Journal(tmp_path / "j", 10_000_000)
    assert journal.begin(lost, 2_000_000)
    journal.close()  # as a kill does: the call has no outcome
    with Journal(tmp_path / "j", 10_000_000, is_read_only=True) as journal:  # only looks, so the next one finds it
        assert (journal.n_lost, journal.spent) == (1, 2_000_000)
        with pytest.raises(JournalError, match="readonly"):
            journal.begin(lost, 1)
    with Journal(tmp_path / "j", 10_000_000) as journal:
        assert (journal.n_lost, journal.lost, journal.spent, journal.reserved) == (1, 2_000_000, 2_000_000, 0)
        assert journal.outcome(lost) is None
    said, (outcome,), spent = asked([lost], fleet, tmp_path / "j", 0.01)
    assert said.n_asked == 1
    assert spent == pytest.approx(0.002 + outcome.cost_usd)


def test_what_is_reserved_and_what_is_spent_share_the_budget(tmp_path):
    """Of 100: 60 reserved, so 50 do not fit; 60 settled as 20 leave 80, and a retry may take 30 more of them."""
    one, two = call("1"), call("2")
    with Journal(tmp_path / "j", 100) as journal:
        assert journal.begin(one, 60)
        assert not journal.begin(two, 50)
        journal.finish(one, CallOutcome("1", "small"), 20e-9)
        assert (journal.spent, journal.left) == (20, 80)
        assert journal.begin(two, 50)
        assert journal.extend(two, 80)
        assert not journal.extend(two, 81)
        journal.lose(two, None)
        assert (journal.spent, journal.left) == (100, 0)


def test_one_process_at_a_time_has_a_journal(tmp_path):
    with Journal(tmp_path / "j", 1), pytest.raises(JournalError, match="another process"):
        Journal(tmp_path / "j", 1)
    (tmp_path / "j").write_bytes(b"no database, but long enough to look like one" * 100)
    with pytest.raises(JournalError, match="cannot be used as the journal"):
        Journal(tmp_path / "j", 1)


def test_without_a_provider_a_price_or_a_right_count_nothing_is_sent(provider, fleet, tmp_path):
    for wrong, said in (
        (call("Hi", "unknown"), "no provider serves 'unknown'"),
        (call("Hi", n=-7), "max_tokens=-7; expected a whole number"),
    ):
        with pytest.raises(InvalidRequestError, match=said):
            asked([wrong], fleet, tmp_path / "j")
    (tmp_path / "providers.toml").write_text(provider.providers_toml(("small", "large", "free")))
    with pytest.raises(InvalidRequestError, match="has no price in the catalog"):
        asked([call("Hi", "free")], fleet, tmp_path / "j")
    assert provider.bill.bodies == []


def test_a_retry_that_the_budget_cannot_pay_for_is_not_made(provider, fleet, tmp_path):
    """A malformed answer is charged by estimate; what is left then is less than a second attempt may cost."""
    budget = float(worst_usd(fleet(), call("[malformed]"))) + 1e-9
    said, _, spent = asked([call("[malformed]")], fleet, tmp_path / "j", budget)
    assert (said.why, len(provider.bill.bodies)) == (Why.BUDGET, 1)
    assert 0 < spent <= budget
