"""URLs of logs."""

import asyncio
import sys
from functools import partial

import asked_log
import pytest
import sqlalchemy as sa
from log_records import decision

from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log import opening
from router_model.serving.decision_log.log import LogStats
from router_model.serving.decision_log.opening import NoLog, identity, open_log, open_store
from router_model.serving.decision_log.queued_log import QueuedLog
from router_model.serving.decision_log.rows import Kind, record_of
from router_model.serving.decision_log.tables import VERSION_TABLE, metadata


def settings(**changes):
    return Settings(**{"artifact": "x"} | changes)


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///{}/a.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:///{}/new/a.db", "sqlite+aiosqlite"),
        ("postgresql://u:p@h/d", "postgresql+asyncpg"),
        ("postgres://u:p@h/d?sslmode=require", "postgresql+asyncpg"),
    ],
)
def test_databases_by_any_of_their_names(tmp_path, url, driver):
    store = open_store(url.format(tmp_path))
    assert store.url.drivername == driver
    assert dict(store.url.query) == ({"ssl": "require"} if "sslmode" in url else {})


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("mysql://h/d", "got the log 'mysql://h/d', expected sqlite:///path, postgresql://"),
        ("router.db", "got the log 'router.db', expected sqlite:///path"),
        ("postgres:secret", "expected sqlite:///path"),
        ("ftp://me:secret@h/d", r"got the log 'ftp://me:\*\*\*@h/d', expected"),
        ("sqlite://", "a log in memory is lost with the process"),
        ("sqlite:///:memory:", "a log in memory is lost with the process"),
        ("parquet:", "got the log 'parquet:' without a folder"),
        ("parquet:nowhere://x/y", "nowhere://x/y: .*nowhere"),
        ("postgresql://h:port/d", "got the log 'postgresql://h:port/d', which cannot be read"),
        ("sqlite:////dev/null/log.db", "the log /dev/null/log.db cannot be made: /dev/null: not a folder"),
        ("parquet:/dev/null/log", "the log /dev/null/log cannot be made: /dev/null: not a folder"),
        ("sqlite:////dev", "the log /dev is a folder; give a file in it, such as sqlite:////dev/router.db"),
        ("sqlite:////dev/null", "the log /dev/null is not a regular file; .*--log none"),
    ],
)
def test_other_urls_are_refused(url, match):
    with pytest.raises(SettingsError, match=match):
        open_store(url)


@pytest.mark.parametrize(
    ("url", "missing", "extra"),
    [("sqlite:///a.db", "aiosqlite", "serve"), ("postgresql://h/d", "asyncpg", "postgres")],
)
def test_a_missing_package_names_its_extra(monkeypatch, url, missing, extra):
    monkeypatch.setattr(opening, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(ImportError, match=rf"needs {missing}: pip install '.*\[{extra}\]'"):
        open_store(url)


def test_a_missing_fsspec_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match=r"s3://bucket/log needs fsspec: pip install '.*\[s3\]'"):
        open_store("parquet:s3://bucket/log")


@pytest.mark.parametrize("url", ["none", "parquet:folder"])
def test_sessions_need_a_database(url):
    with pytest.raises(SettingsError, match=f"session_store is 'log', but the log is '{url}'"):
        open_log(settings(log=url, session_store="log"))


@pytest.mark.parametrize("url", ["none", "parquet:folder"])
def test_kept_responses_need_a_database(url):
    with pytest.raises(SettingsError, match=f"--store-responses .*: the log is '{url}', and responses are kept in a"):
        open_log(settings(log=url, store_responses=True))


def test_no_log_keeps_nothing():
    async def run():
        log = open_log(settings(log="none"))
        await log.start()
        log.put(decision(1))
        await log.flush(1)
        found = (await log.decision(decision(1).decision_id), await log.session("s"), log.stats, log.writable)
        assert (await log.attempt("resp_1"), await log.responses("r", 9)) == (None, [])
        await log.close(1)
        return found

    assert isinstance(open_log(settings(log="none")), NoLog)
    assert asyncio.run(run()) == (None, None, LogStats(dropped=1), True)


def test_settings_reach_the_log(tmp_path):
    log = open_log(settings(log=f"sqlite:///{tmp_path}/a.db", log_queue=7, log_flush_s=0.5, log_spool=tmp_path / "s"))
    assert isinstance(log, QueuedLog)
    assert (log._most, log._turn_s, log._spool.folder) == (14, 0.25, tmp_path / "s")


def test_one_log_has_one_identity(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert identity("sqlite:///a.db") == identity(f"sqlite+aiosqlite:///{tmp_path}/a.db")
    assert identity("parquet:a") == identity(f"parquet:{tmp_path}/a") != identity("parquet:b")
    assert identity("parquet:s3://b/a") == "parquet:s3://b/a"


# --- schema ----------------------------------------------------------------------------------------------


def opened(url, look):
    """Open the log at a URL and return what `look` sees of its database."""
    asked_log.asked(url, lambda store: store.count())
    return opened_without_migrating(url, look)


def opened_without_migrating(url, look):
    """Return what `look` sees of a database that is left as it is."""

    async def run():
        store = open_store(url)
        try:
            async with store._engine.begin() as connection:
                return await connection.run_sync(look)
        finally:
            await store.close()

    return asyncio.run(run())


async def read_back(url, record=None):
    """Open the log, migrating it, and return a decision: the given one, once it is written, or the first."""
    async with asked_log.opened(url) as store:
        if record is not None:
            await asked_log.put(store, record)
        row = await store.read(Kind.DECISION, (record or decision(1)).decision_id)
        return record_of(Kind.DECISION, row)


def described(connection):
    seen = sa.inspect(connection)
    return {
        name: (
            {column["name"]: (type(column["type"]).__name__, column["nullable"]) for column in seen.get_columns(name)},
            sorted(index["name"] for index in seen.get_indexes(name)),
        )
        for name in set(seen.get_table_names()) & set(metadata.tables)  # without partitions
    }


@pytest.mark.parametrize("log_url", ["sqlite", "postgresql"], indirect=True)
def test_migrations_make_the_tables_that_are_used(log_url, tmp_path, request):
    """Compared with tables made without them."""
    other = (
        f"sqlite:///{tmp_path}/other.db" if "sqlite" in log_url else request.getfixturevalue("new_database")()
    )  # fmt: skip
    migrated = opened(log_url, described)

    def remade(connection):
        metadata.drop_all(connection)
        metadata.create_all(connection)
        return described(connection)

    assert opened(other, remade) == migrated


@pytest.mark.parametrize("log_url", ["sqlite", "postgresql"], indirect=True)
def test_a_log_of_an_older_version_is_upgraded_and_keeps_its_records(log_url):
    """Taken back to version 0005 with a decision in it, which then says nothing of turns."""
    written = asyncio.run(read_back(log_url, decision(1)))
    opened(log_url, partial(asked_log.migrated_to, "0005"))
    older = opened_without_migrating(log_url, described)["router_decisions"][0]
    assert written == decision(1)
    assert not older.keys() & {"turn_type", "tools", "response_format", "max_output_tokens"}
    assert asyncio.run(read_back(log_url)) == decision(1)
    later = decision(2, turn_type="title", tools="[]", max_output_tokens=5)
    assert asyncio.run(read_back(log_url, later)) == later


def test_who_gives_up_waiting_for_a_migration_does_not_stop_it(tmp_path):
    """A large log takes longer than the service waits; it would never end if each call began anew."""
    n_begun = 0

    async def run():
        store = open_store(f"sqlite:///{tmp_path}/log.db")
        migrated = store._open

        async def slowly(**how):
            nonlocal n_begun
            n_begun += 1
            await asyncio.sleep(0.2)
            await migrated(**how)

        store._open = slowly
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(store.open(), 0.02)
        await store.open()
        counts = await store.count()
        await store.close()
        return counts

    assert set(asyncio.run(run()).values()) == {0}
    assert n_begun == 1


@pytest.mark.parametrize("log_url", ["sqlite", "postgresql"], indirect=True)
def test_a_newer_schema_is_left_alone(log_url):
    opened(log_url, lambda connection: connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")))
    with pytest.raises(
        SettingsError, match="the log's tables are at version '9999', and this program knows versions up to"
    ):
        opened(log_url, described)


def test_sqlite_writes_ahead(tmp_path):
    url = f"sqlite:///{tmp_path}/log.db"
    names = ("journal_mode", "synchronous", "busy_timeout")
    seen = opened(url, lambda c: [c.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names])
    assert seen == ["wal", 1, 5000]


def test_the_file_is_for_its_owner_only(tmp_path):
    """It holds prompts."""
    opened(f"sqlite:///{tmp_path}/log.db", described)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("log.db*")} == {0o600}


async def test_parquet_in_another_file_system(tmp_path):
    pytest.importorskip("fsspec")
    log = open_log(settings(log="parquet:memory://router/log", log_spool=tmp_path))
    await log.start()
    log.put(decision(1))
    await log.close(10)
    store = open_store("parquet:memory://router/log")
    await store.open(create=False)
    assert list((await store.count()).values()) == [1, 0, 0, 0, 0]
