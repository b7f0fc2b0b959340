"""A process that asks models is killed, or interrupted, at any moment: nothing is paid for twice."""

import signal
import subprocess
import sys

import killed_payer
import pytest
from billing_provider import billing_provider, catalog_toml
from processes import eventually

from router_model.serving.paid_calls.calls import PaidCall
from router_model.serving.paid_calls.journal import Journal
from router_model.serving.paid_calls.runner import Why
from router_model.serving.paid_calls.session import ask_models
from router_model.serving.providers.fleet import Fleet

N_CALLS = 40


@pytest.fixture
def provider(tmp_path):
    with billing_provider(pause_s=0.03) as running:
        (tmp_path / "providers.toml").write_text(running.providers_toml(("small",)))
        (tmp_path / "catalog.toml").write_text(catalog_toml("small"))
        yield running


def kill_after(provider, folder, budget_usd, n_answers):
    """Start the process, and kill it once the provider has answered so many more calls."""
    until = sum(provider.bill.answered.values()) + n_answers
    command = [sys.executable, killed_payer.__file__, folder, str(budget_usd), str(N_CALLS)]
    with subprocess.Popen(command) as process:
        eventually(
            lambda: process.poll() is not None or sum(provider.bill.answered.values()) >= until,
            "the provider has answered",
        )
        process.kill()  # SIGKILL
        process.wait(timeout=10)


@pytest.mark.parametrize(
    ("budget_usd", "kills"),
    [(1.0, (9,)), pytest.param(0.02, (3, 5, 2, 6, 1, 4), marks=pytest.mark.slow)],
)
def test_after_kills_no_answer_is_paid_for_twice_and_the_budget_holds(budget_usd, kills, provider, tmp_path):
    """At $0.02 the budget ends before all 40 calls are answered, at $1 it does not."""
    kept = {}
    for n_answers in kills:
        kill_after(provider, tmp_path, budget_usd, n_answers)
        with Journal(tmp_path / killed_payer.JOURNAL, 10**9) as journal:  # books what the kill has lost
            assert journal.n_lost <= 6  # so many calls were under way at most
            assert provider.bill.usd * 1e9 <= journal.spent + 1
            for call in killed_payer.calls(N_CALLS):
                if journal.outcome(call):
                    kept.setdefault(call.id, provider.bill.asked["small", f"Prompt {call.id}"])
    assert kept
    done, spent = killed_payer.pay(tmp_path, budget_usd, N_CALLS)
    for call_id, n_asked in kept.items():
        assert provider.bill.asked["small", f"Prompt {call_id}"] == n_asked
    assert provider.bill.usd * 1e9 <= spent + 1 <= budget_usd * 1e9 + 1
    with Journal(tmp_path / killed_payer.JOURNAL, 10**9) as journal:
        n_known = sum(journal.outcome(call) is not None for call in killed_payer.calls(N_CALLS))
    assert (n_known < N_CALLS) == (budget_usd < 1)
    assert (done.why is Why.BUDGET) == (budget_usd < 1)


@pytest.mark.parametrize("n_presses", [1, 2])
def test_ctrl_c_waits_for_the_calls_under_way_and_the_second_one_does_not(n_presses, provider, tmp_path):
    provider.pause_s = 0.5
    calls = [PaidCall(f"{n}", "small", {"messages": [{"role": "user", "content": f"{n}"}]}, 100) for n in range(9)]
    calls[0] = PaidCall("fast", "small", {"messages": [{"role": "user", "content": "[refused]"}]}, 100)
    seen, stops = [], []

    def see(_, outcome):
        seen.append(outcome)
        if len(seen) == 1:
            for _ in range(n_presses):
                signal.raise_signal(signal.SIGINT)

    cards = killed_payer.Catalog.load(tmp_path / "catalog.toml").cards
    fleet = Fleet(tmp_path / "providers.toml", lambda: cards)
    with Journal(tmp_path / "j", 10**9) as journal:
        ask = lambda: ask_models([calls], fleet, journal, per_provider=3, on_outcome=see, on_stop=stops.append)  # noqa: E731
        if n_presses == 2:
            with pytest.raises(KeyboardInterrupt):
                ask()
        else:
            done = ask()
            assert (done.why, done.n_asked) == (Why.STOPPED, len(seen))
            assert 1 < len(seen) < 9
        assert journal.reserved == 0
        assert len(stops) == n_presses
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
