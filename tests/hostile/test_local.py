"""Who is on the same machine: pages of other sites, other users, an older program's log, a full disk."""

import asyncio
import contextlib
import os
import sqlite3
import stat
from decimal import Decimal

import pytest
from fake_service import client_of, fake_parts

from router_model.cli import main
from router_model.serving.access.budgets import Budgets
from router_model.serving.access.key_budget import KeyBudget, Per
from router_model.serving.access.ledger import Ledger
from router_model.serving.common.service_errors import NotReadyError
from router_model.serving.decision_log.opening import open_store

OURS = "http://127.0.0.1:8484"


@pytest.fixture
def client(trained):
    with client_of(fake_parts(trained.router)) as client:
        client.headers["host"] = "127.0.0.1:8484"
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},  # another program's page on this machine
        {"origin": "http://localhost:8484"},  # our port under another name is another origin
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
        {"origin": OURS, "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},  # a form
    ],
)
@pytest.mark.parametrize("path", ["/admin/reload", "/v1/route", "/v1/feedback", "/v1/messages"])
def test_pages_of_others_make_a_service_without_keys_do_nothing(client, path, headers):
    answer = client.post(path, content=b"{}", headers=headers)
    assert (answer.status_code, "another site" in answer.text) == (403, True)


@pytest.mark.parametrize("headers", [{}, {"origin": OURS, "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}])
def test_our_own_pages_and_programs_are_answered(client, headers):
    assert client.post("/admin/reload", headers=headers).status_code == 200


def test_a_link_to_our_pages_may_be_followed_from_anywhere(client):
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/docs", headers=followed).status_code == 200
    assert client.get("/admin/status", headers={"sec-fetch-site": "cross-site"}).status_code == 403


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
@pytest.mark.parametrize("kept", ["new", "of an older version"])
@pytest.mark.parametrize("kind", ["budgets", "log"])
def test_databases_are_their_owners_alone(tmp_path, kind, kept):
    path = tmp_path / "file.db"
    if kept != "new":
        path.touch()
        path.chmod(0o644)

    def modes():
        return {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}

    if kind == "budgets":
        ledger = Ledger(path)
        assert len(list(tmp_path.iterdir())) == 3  # with -wal and -shm
        assert modes() == {0o600}
        ledger.close()
    else:
        store = open_store(f"sqlite:///{path}")

        async def opened():
            await store.open()
            assert modes() == {0o600}
            await store.close()

        asyncio.run(opened())
    assert modes() == {0o600}


def test_tables_of_a_newer_version_are_said_before_anything_listens(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///log.db")
    asyncio.run(_opened(store))
    with sqlite3.connect("log.db") as database:
        database.execute("UPDATE router_log_version SET version_num = '9999'")
    database.close()
    monkeypatch.setattr(
        "sys.argv", ["router-model", "serve", str(trained.path), "--insecure", "--port=0", "--log=sqlite:///log.db"]
    )
    with pytest.raises(SystemExit, match="2"):
        main()
    said = capsys.readouterr()
    assert "listening" not in said.out
    assert len(said.err.strip().splitlines()) == 1
    assert "a newer router-model has migrated them" in said.err


async def _opened(store):
    await store.open()
    await store.close()


def test_a_full_disk_leaves_the_service_ready(trained):
    """Neither the store nor the spool takes records: that is said, decisions are made, reports are sent back."""
    parts = fake_parts(trained.router)
    parts.log.writable = False
    with client_of(parts) as client:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["log_writable"]) == (200, False)
        assert client.post("/v1/route", json={"messages": [{"role": "user", "content": "Hi"}]}).status_code == 200
        assert client.post("/v1/feedback", json={"decision_id": "d", "thumb": "up"}).status_code == 503


@pytest.mark.parametrize("fails_open", [True, False])
def test_budgets_on_a_full_disk_fail_as_configured(tmp_path, fails_open):
    """SQLite itself says that the disk is full: its file may have no more pages."""
    budgets = Budgets(tmp_path / "budgets.db", service=KeyBudget(Decimal(10), Per.DAY), fails_open=fails_open)
    budgets.open(needed=True)
    try:
        _fill(budgets._ledger())
        if fails_open:
            assert budgets.reserve("key", None, lambda: Decimal(1), within_s=1) is None
        else:
            with pytest.raises(NotReadyError, match="database or disk is full"):
                budgets.reserve("key", None, lambda: Decimal(1), within_s=1)
    finally:
        budgets.close()


def _fill(ledger):
    execute = ledger._connection.execute
    (pages,) = execute("PRAGMA page_count").fetchone()
    execute(f"PRAGMA max_page_count = {pages}")
    with contextlib.suppress(sqlite3.OperationalError):
        while True:
            execute("INSERT INTO reserved VALUES ('a' || random(), random(), 1, 1, 9e9)")
