"""``router-model log``."""

import json
import sys
from datetime import UTC, datetime

import polars as pl
import pytest
from asked_log import written
from click.testing import CliRunner
from log_records import BEGAN, attempt, decision, feedback

from router_model.errors import RouterModelError
from router_model.features.logged import LogKeys
from router_model.serving.commands.log import DEFAULT_LOG, DEFAULT_SPOOL, command, moment
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.opening import open_spool
from router_model.serving.decision_log.rows import batch_of, row_of

RECORDS = [make(n) for n in range(6) for make in (decision, attempt, feedback)]


@pytest.fixture
def log(log_url, tmp_path):
    """Options that name a log in which the first half of RECORDS lies; the other half was left in the spool."""
    written(log_url, *RECORDS[:9])
    spool = open_spool(log_url, tmp_path / "spool")
    spool.append(batch_of(map(row_of, RECORDS[9:])))
    spool.close()
    return ["--log", log_url, "--spool", str(tmp_path / "spool")]


def run(*arguments, code=0):
    done = CliRunner().invoke(command, list(map(str, arguments)))
    assert done.exit_code == code, (done.output, done.exception)
    return done


def test_export(log, tmp_path):
    done = run("export", *log, "--since", BEGAN.isoformat(), "--out", tmp_path / "t.parquet")
    assert "6 rows of 1 models, 6 with quality, 6 with propensity" in done.output
    assert f"Took 9 records of processes that have ended out of {tmp_path}/spool." in done.stderr
    assert pl.read_parquet(tmp_path / "t.parquet").height == 6
    assert list((tmp_path / "spool").glob("*.spool")) == []


def test_delete_reaches_what_is_in_the_spool(log):
    """Of decisions 0-5 users u0, u1 and u2 have two each: u2 one in the log and one in the spool."""
    done = run("delete", *log, "--user", "u2")
    assert "Deleted 2 attempt records, 2 decision records, 2 feedback records, 0 response records" in done.output
    counts = json.loads(run("stats", *log).stdout)
    assert counts == {"decision": 4, "attempt": 4, "feedback": 4, "session": 0, "response": 0}


def test_prune_deletes_what_is_old(log):
    done = run("prune", *log, "--days", "1")
    assert "6 decision records" in done.output


def test_show_prints_a_decision(log):
    shown = json.loads(run("show", decision(5).decision_id, *log).stdout)
    assert (shown["model"], shown["candidates"]["propensity"]) == ("small", [0.75, 0.25])
    assert "the log has no decision dec_x" in run("show", "dec_x", *log, code=1).output


def test_what_waits_in_running_services_is_said(log, log_url, tmp_path):
    run("stats", *log)
    running = open_spool(log_url, tmp_path / "spool")
    running.append(batch_of(map(row_of, RECORDS[:3])))
    assert "note: 3 records of running services still wait" in run("stats", *log).stderr
    running.close()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["delete"], "give one of --user, --session and --before"),
        (["delete", "--user", "u", "--session", "s"], "give one of --user"),
        (["export", "--since", "soon", "--out", "x.parquet"], "got 'soon', expected a time such as 2026-01-31"),
        (
            ["export", "--since", "2026-02-01", "--until", "2026-01-31", "--out", "x.csv"],
            "is not earlier than --until 2026-01-31",
        ),
        (["prune"], "Missing option '--days'"),
    ],
)
def test_mistakes_are_said(arguments, match):
    assert match in run(*arguments, code=2).output


@pytest.mark.parametrize("url", ["sqlite:///{}/none.db", "parquet:{}/none"])
def test_a_log_that_is_not_there_is_not_made(tmp_path, url):
    done = CliRunner().invoke(command, ["stats", "--log", url.format(tmp_path)])
    assert isinstance(done.exception, RouterModelError)
    assert "no such log" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "router_model.serving.decision_log.opening", None)
    done = CliRunner().invoke(command, ["stats", "--spool", str(tmp_path)])
    assert isinstance(done.exception, ImportError)
    assert "'log' needs the extra 'serve'" in str(done.exception)
    assert CliRunner().invoke(command, ["stats", "--help"]).exit_code == 0


def test_moments():
    assert moment("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    assert moment("2026-01-31T10:00:00+02:00") == datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert 6.9 < (datetime.now(UTC) - moment("7d")).total_seconds() / 86_400 < 7.1


def test_defaults_are_those_of_the_service():
    settings = Settings(artifact="x")
    assert (settings.log, str(settings.log_spool)) == (DEFAULT_LOG, DEFAULT_SPOOL)


def test_a_new_key_says_what_it_is_for(tmp_path):
    done = run("new-key", tmp_path / "log.key")
    keys = LogKeys.read(tmp_path / "log.key")
    assert f"The key {keys.key_id} is in" in done.output
    assert f"ROUTER_LOG_KEY={tmp_path / 'log.key'}" in done.output
    assert keys.keys[0] not in done.output
