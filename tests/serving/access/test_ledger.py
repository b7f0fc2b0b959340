"""Money is never reserved twice: by threads, by processes, after a kill, after a restart."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from router_model.serving.access.ledger import SYNC_EVERY, Account, Balance, Ledger, LedgerError

ACCOUNT = Account("key", 100, since=5)
WORKER = """
import sys
from pathlib import Path
from router_model.serving.access.ledger import Account, Ledger
path, limit, n, amount, spent = sys.argv[1], *map(int, sys.argv[2:6])
ledger, taken = Ledger(Path(path), wait_s=30), 0
for _ in range(n):
    hold, _ = ledger.reserve([Account("key", limit, 5)], amount, day=5, now=0.0, expires_at=1e9)
    if hold is not None:
        taken += 1
        if spent >= 0:
            ledger.settle(hold, spent)
print(taken, flush=True)
if len(sys.argv) > 6:
    sys.stdin.read()
ledger.close()
"""


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(tmp_path / "budgets.db", wait_s=30)
    yield opened
    opened.close()


def reserve(ledger, amount, *, account=ACCOUNT, day=5, now=0.0, expires_at=60.0):
    return ledger.reserve([account], amount, day=day, now=now, expires_at=expires_at)[0]


def balance(ledger, account=ACCOUNT, now=0.0):
    found = ledger.balance(account, now=now)
    return found.spent, found.reserved


def worker(path, *arguments, **options):
    words = [sys.executable, "-c", WORKER, str(path), *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **options)


def test_what_is_reserved_is_settled_at_its_true_cost(ledger):
    """Of 100: 60 reserved; 40 fit beside them and 41 do not; 60 settled at 10 leave 90 less the 40."""
    first = reserve(ledger, 60)
    assert reserve(ledger, 41) is None
    assert reserve(ledger, 40) is not None
    ledger.settle(first, 10)
    assert balance(ledger) == (10, 40)
    assert Balance(100, 10, 40).remaining == 50


def test_what_is_released_is_there_again(ledger):
    ledger.settle(reserve(ledger, 100), 0)
    assert balance(ledger) == (0, 0)


def test_an_amount_is_reserved_in_all_accounts_or_in_none(ledger):
    other = Account("service", 50, since=5)
    hold, balances = ledger.reserve([ACCOUNT, other], 60, day=5, now=0, expires_at=9)
    assert (hold, balances) == (None, [Balance(100, 0, 0), Balance(50, 0, 0)])
    assert balance(ledger) == (0, 0)
    hold, _ = ledger.reserve([ACCOUNT, other], 50, day=5, now=0, expires_at=9)
    ledger.settle(hold, 20)
    assert balance(ledger) == balance(ledger, other) == (20, 0)


def test_a_reservation_expires(ledger):
    reserve(ledger, 100, expires_at=60)
    assert reserve(ledger, 1, now=59.9) is None
    assert reserve(ledger, 100, now=60) is not None


def test_a_call_that_ends_after_its_reservation_expired_is_still_paid(ledger):
    late = reserve(ledger, 100, expires_at=60)
    assert balance(ledger, now=61) == (0, 0)
    ledger.settle(late, 30)
    assert balance(ledger, now=61) == (30, 0)


def test_days_before_the_period_do_not_count(ledger):
    """Spent on days 5, 6 and 7: 1, 2 and 4. A call counts on the day on which it began."""
    for day, spent in ((5, 1), (6, 2), (7, 4)):
        ledger.settle(reserve(ledger, 10, day=day), spent)
    assert [balance(ledger, Account("key", 100, since))[0] for since in (1, 5, 6, 7, 8)] == [7, 7, 6, 4, 0]


def test_accounts_are_apart(ledger):
    reserve(ledger, 100)
    assert reserve(ledger, 100, account=Account("other", 100, 5)) is not None


def test_what_was_spent_and_reserved_outlives_a_restart(tmp_path):
    first = Ledger(tmp_path / "budgets.db")
    first.settle(reserve(first, 50), 30)
    reserve(first, 20)
    first.close()
    second = Ledger(tmp_path / "budgets.db")
    assert balance(second) == (30, 20)
    second.close()


@given(
    limit=st.integers(1, 200),
    steps=st.lists(st.tuples(st.integers(0, 60), st.floats(0, 1), st.integers(0, 5)), max_size=40),
)
def test_what_is_spent_and_reserved_never_exceeds_the_limit(tmp_path_factory, limit, steps):
    """Any order of reserving, settling within the reservation and releasing, against a plain count."""
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "budgets.db")
    account, open_, spent = Account("key", limit, 1), [], 0
    for amount, share, n_end in steps:
        hold = reserve(ledger, amount, account=account)
        held = sum(one.amount for one in open_)
        assert (hold is not None) == (spent + held + amount <= limit)
        open_ += [hold] if hold else []
        for one in open_[:n_end]:
            ledger.settle(one, int(one.amount * share))
            spent += int(one.amount * share)
        open_ = open_[n_end:]
        assert balance(ledger, account) == (spent, sum(one.amount for one in open_))
        assert spent + sum(one.amount for one in open_) <= limit
    ledger.close()


def test_workers_that_start_at_once_open_one_new_file(tmp_path):
    with ThreadPoolExecutor(6) as pool:
        for n in range(40):
            path = tmp_path / f"{n}.db"
            for opened in list(pool.map(lambda _, path=path: Ledger(path), range(6))):
                opened.close()


def test_threads_never_reserve_the_same_money(ledger):
    """8 threads want 50 times 7 of 1,000: 142 get it, as 142 x 7 = 994."""
    account = Account("key", 1000, 5)

    def hammer(_):
        return sum(reserve(ledger, 7, account=account) is not None for _ in range(50))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(hammer, range(8))) == 142
    assert balance(ledger, account) == (0, 994)


@pytest.mark.parametrize(("spent", "taken"), [(-1, 142), (3, 332)])
def test_processes_never_spend_the_same_money(tmp_path, spent, taken):
    """3 processes want 200 times 7 of 1,000, as they start, too: 142 where none is settled.

    Settled at 3 one after the other, as long as 7 are left: n calls fit while 3 (n - 1) + 7 <= 1,000, so 332. Of three
    at a time, two may hold 7 each while the third asks: the last 14 may be refused them, at least 327 fit.
    """
    path = tmp_path / "budgets.db"
    running = [worker(path, 1000, 200, 7, spent) for _ in range(3)]
    n_taken = sum(int(process.communicate(timeout=120)[0]) for process in running)
    assert taken - (5 if spent >= 0 else 0) <= n_taken <= taken
    ledger = Ledger(path)
    account = Account("key", 1000, 5)
    assert balance(ledger, account) == ((n_taken * spent, 0) if spent >= 0 else (0, n_taken * 7))
    ledger.close()


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_process_leaves_its_reservations_until_they_expire(tmp_path):
    path = tmp_path / "budgets.db"
    process = worker(path, 100, 1, 60, -1, "wait", stdin=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "1\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    ledger = Ledger(path)
    assert balance(ledger, now=1e9 - 1) == (0, 60)
    assert balance(ledger, now=1e9) == (0, 0)
    ledger.close()


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_process_that_is_killed_while_it_writes_leaves_a_whole_file(tmp_path):
    """It reserves 7 and settles 3 again and again: what is spent is a multiple of 3, and at most one 7 is reserved."""
    path, account = tmp_path / "budgets.db", Account("key", 10**12, 5)
    ledger = Ledger(path, wait_s=30)
    process = worker(path, 10**12, 10**9, 7, 3)
    try:
        asyncio.run(until(lambda: balance(ledger, account)[0] > 300))
    finally:
        process.kill()
        process.communicate(timeout=60)
    ledger.close()
    again = Ledger(path)
    spent, reserved = balance(again, account)
    assert (spent % 3, reserved in {0, 7}) == (0, True)
    again.close()


def test_what_cannot_be_noted_now_is_noted_with_the_next_step(tmp_path, caplog):
    """While somebody else holds the file, a settled call of 30 waits; its reservation stands until it is noted."""
    ledger = Ledger(tmp_path / "budgets.db", wait_s=0.01)
    hold = reserve(ledger, 60)
    other = sqlite3.connect(tmp_path / "budgets.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger.settle(hold, 30)
    assert "the cost of a call could not be recorded; it is recorded later" in caplog.text
    with pytest.raises(LedgerError, match="budgets.db: the budgets cannot be read or written now .database is locked"):
        reserve(ledger, 1)
    other.execute("ROLLBACK")
    other.close()
    assert balance(ledger) == (30, 0)
    assert balance(ledger) == (30, 0)
    ledger.close()


def test_what_is_still_to_be_noted_is_noted_at_the_end(tmp_path):
    ledger = Ledger(tmp_path / "budgets.db", wait_s=0.01)
    hold = reserve(ledger, 60)
    other = sqlite3.connect(tmp_path / "budgets.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger.settle(hold, 30)
    other.execute("ROLLBACK")
    other.close()
    ledger.close()
    again = Ledger(tmp_path / "budgets.db")
    assert balance(again) == (30, 0)
    again.close()


def test_the_file_is_brought_to_the_disk_from_time_to_time_and_stays_small(tmp_path):
    ledger = Ledger(tmp_path / "budgets.db")
    for _ in range(2 * SYNC_EVERY):
        ledger.settle(reserve(ledger, 1), 0)
    for thread in threading.enumerate():
        if thread.name == "budgets":
            thread.join(30)
    assert (tmp_path / "budgets.db").stat().st_size > 4096
    size = (tmp_path / "budgets.db-wal").stat().st_size
    for _ in range(2 * SYNC_EVERY):
        ledger.settle(reserve(ledger, 1), 0)
    assert (tmp_path / "budgets.db-wal").stat().st_size < 4 * size
    ledger.close()


def test_what_is_no_ledger_is_refused(tmp_path):
    (tmp_path / "budgets.db").write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError, match=r"budgets.db: cannot be used for budgets \(file is not a database\)"):
        Ledger(tmp_path / "budgets.db")


def test_a_ledger_of_another_version_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "budgets.db") as other:
        other.execute("PRAGMA user_version = 7")
    other.close()
    with pytest.raises(LedgerError, match="it has version 7; expected 1"):
        Ledger(tmp_path / "budgets.db")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LedgerError, match="none/budgets.db: cannot be used for budgets .*No such file"):
        Ledger(tmp_path / "none" / "budgets.db")
