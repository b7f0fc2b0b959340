"""What calls cost, from each kind of log, and ``router-model spend``."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from asked_log import asked, put, written
from click.testing import CliRunner
from log_records import BEGAN, attempt, decision, feedback

from router_model.cli import group
from router_model.serving.access.issuing import create_key
from router_model.serving.access.key_budget import NANOS, KeyBudget
from router_model.serving.access.ledger import Account, Ledger
from router_model.serving.common.callers import Role
from router_model.serving.decision_log.days import DAY
from router_model.serving.decision_log.spend import By, last_used, spent
from router_model.serving.decision_log.store import ALWAYS, Period

CALLS = [
    attempt(0, cost_usd=0.5),
    attempt(1, cost_usd=0.25, model="large", provider="other", created_at=BEGAN + DAY),
    attempt(2, cost_usd=None, key_id="k2"),
    # reports: of a decision that was called here, of an answer from here, and of a call elsewhere
    attempt(3, cost_usd=9, decision_id=attempt(0).decision_id, response_id="r3", authority="key"),
    attempt(4, cost_usd=9, decision_id=None, response_id=attempt(0).response_id, authority="key"),
    attempt(5, cost_usd=0.125, key_id=None, decision_id=None, authority="key"),
]


@pytest.fixture
def log(log_url):
    written(log_url, *CALLS)
    return log_url


def test_a_call_that_was_made_here_is_not_counted_again_when_it_is_reported(log):
    def groups(*by, period=ALWAYS):
        rows = asked(log, lambda store: spent(store, period, by))
        return [(*(row[one] for one in by), row["usd"], row["calls"], row["unpriced"]) for row in rows]

    assert groups(By.KEY) == [("k1", 0.75, 2, 0), (None, 0.125, 1, 0), ("k2", 0.0, 1, 1)]
    assert groups(By.DAY, By.PROVIDER) == [
        (f"{BEGAN:%Y-%m-%d}", "acme", 0.625, 3, 1),
        (f"{BEGAN + DAY:%Y-%m-%d}", "other", 0.25, 1, 0),
    ]
    assert groups(By.MODEL, period=Period(BEGAN + DAY, None)) == [("large", 0.25, 1, 0)]
    assert groups(By.MODEL, period=Period(BEGAN + 9 * DAY, None)) == []


def test_a_key_is_used_when_it_asks_calls_or_reports(log):
    later = feedback(8, key_id="judge", created_at=BEGAN + 2 * DAY)

    async def uses(store):
        await put(store, decision(7, key_id="k1", created_at=BEGAN), later)
        return [await last_used(store, period) for period in (ALWAYS, Period(BEGAN + DAY, None))]

    ever, lately = asked(log, uses)
    assert ever["k1"] == lately["k1"] == BEGAN + DAY
    assert ever["judge"] == later.created_at
    assert (set(ever), set(lately)) == ({"k1", "k2", "judge"}, {"k1", "judge"})


def test_the_list_of_keys_says_when_they_were_used_and_how_long_they_last(tmp_path):
    log, file = f"sqlite:///{tmp_path}/log.db", tmp_path / "keys.toml"
    ends = datetime.now(UTC) + 30 * DAY + timedelta(hours=1)
    used, _ = create_key(file, name="ann", roles=[Role.PROXY], expires=ends)
    create_key(file, name="prometheus", roles=[Role.METRICS])
    written(log, attempt(6, key_id=used.id))
    options = ["keys", "list", "--file", str(file), "--spool", str(tmp_path / "spool"), "--log", log]
    options += ["--since", f"{BEGAN:%Y-%m-%d}"]
    told = CliRunner().invoke(group, options, catch_exceptions=False).output.splitlines()
    assert told[0].split()[-4:] == ["last", "used", "(UTC)", "state"]
    assert f"{attempt(6).created_at:%Y-%m-%d %H:%M}" in told[1]
    assert "(30 days left)" in told[1]
    assert told[2].split()[-2:] == ["-", "valid"]
    assert told[3].startswith("-: nothing of it is in the log since")
    found = json.loads(CliRunner().invoke(group, [*options, "--json"], catch_exceptions=False).stdout)
    assert [one["last_used"] for one in found] == [attempt(6).created_at.isoformat(), None]
    assert [one["days_left"] for one in found] == [30, None]


def test_a_call_is_its_router_s_and_of_a_named_model_nobody_s(log):
    """Of the decision of the second call the log has nothing, so its router is not known."""
    decided = decision(0, router="code"), decision(2, router="code")
    rows = asked(log, lambda store: put(store, *decided)) or asked(
        log, lambda store: spent(store, ALWAYS, (By.ROUTER,))
    )
    assert [(row["router"], row["model_named"], row["usd"], row["calls"]) for row in rows] == [
        ("code", False, 0.5, 2), (None, False, 0.25, 1), (None, True, 0.125, 1),
    ]  # fmt: skip


def test_the_command_names_keys_and_says_what_is_left_of_budgets(tmp_path):
    budget, log = KeyBudget(Decimal(2)), f"sqlite:///{tmp_path}/log.db"
    key, _ = create_key(tmp_path / "keys.toml", name="ann", roles=[Role.PROXY], budget=budget)
    written(log, *CALLS, attempt(6, cost_usd=1.123456789, key_id=key.id))
    files = ["--keys", tmp_path / "keys.toml", "--budget-file", tmp_path / "budgets.db"]
    options = ["spend", "--log", log, "--spool", tmp_path / "spool", "--since", f"{BEGAN:%Y-%m-%d}", *files]

    def run(*more):
        done = CliRunner().invoke(group, [*map(str, options), *more], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    told = run()
    assert "$2.00 for 5 calls" in told
    assert "The cost of 1 call is unknown" in told
    assert f"ann ({key.id})" in told
    assert "$2.00 of $2.00 left" in told
    assert not (tmp_path / "budgets.db").exists()  # who looks does not make the service's file
    ledger = Ledger(tmp_path / "budgets.db")
    account = Account(key.id, 2 * NANOS, since=0)
    held, _ = ledger.reserve([account], int(1.5 * NANOS), day=10**7, now=0, expires_at=1)
    ledger.settle(held, int(1.5 * NANOS))
    ledger.close()
    told = json.loads(run("--json"))
    assert [one["left_usd"] for one in told["budgets"]] == [0.5]
    assert (told["spend"][0]["key"], told["spend"][0]["usd"]) == (key.id, 1.123456789)  # not as people read it


def test_a_database_of_somebody_else_is_not_made_a_log(tmp_path):
    """A mistyped path once got seven tables and other rights."""
    theirs = tmp_path / "grafana.db"
    with closing(sqlite3.connect(theirs)) as database:
        database.execute("CREATE TABLE dashboards (id INTEGER)")
    theirs.chmod(0o664)
    before = theirs.read_bytes()
    done = CliRunner().invoke(group, ["spend", "--log", f"sqlite:///{theirs}", "--spool", str(tmp_path / "spool")])
    assert done.exit_code != 0
    assert "has no decision log in it, and nothing was changed" in str(done.exception)
    assert (theirs.read_bytes(), theirs.stat().st_mode & 0o777) == (before, 0o664)
