"""``router-model doctor`` on set-ups with real faults."""

import json
import os
import socket
import sqlite3
import time
from contextlib import closing
from datetime import UTC, date, datetime
from email.utils import formatdate
from unittest.mock import patch

import pytest
from command_line import run_command
from http_thread import LocalServer, QuietHandler, answering

from router_model.catalog import ModelCard
from router_model.serving.access.issuing import create_key
from router_model.serving.common.callers import Role
from router_model.serving.common.settings import Settings
from router_model.serving.doctor import machine_checks
from router_model.serving.doctor.finding import Level
from router_model.serving.doctor.router_checks import _catalog


class _Models(QuietHandler):
    """A provider whose list of models costs nothing; its clock is an hour behind ours."""

    def do_GET(self):
        good = self.headers.get("authorization") == "Bearer good-key-0123456789"
        body = json.dumps({"data": [{"id": "small"}]}).encode()
        self.send_response_only(200 if good else 401)
        self.send_header("date", formatdate(time.time() - 3600, usegmt=True))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def provider():
    server = LocalServer(_Models)
    with answering(server):
        yield f"{server.url}/v1"


def examined(*arguments, **variables):
    """Return the findings by what was examined, and the exit status."""
    with patch.dict(os.environ, variables):
        done = run_command("doctor", *arguments, "--json")
    assert "good-key" not in done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["status"] == done.returncode
    return {one["check"]: one for one in said["findings"]}, done.returncode


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create_key(tmp_path / "keys.toml", name="gateway", roles=[Role.DECIDE])
    return ("--keys", "keys.toml", "--port", "0", "--log", "sqlite:///log.db")


def test_a_faulty_set_up_is_told_whole(files, trained, provider, tmp_path):
    (tmp_path / "providers.toml").write_text(f"""
[one]
kind = "openai"
base_url = "{provider}"
keys = ["GOOD_KEY", "BAD_KEY"]
models = {{ small = "small", large = "retired" }}
[gone]
kind = "openai"
base_url = "http://127.0.0.1:1/v1"
models = ["large"]
""")
    (tmp_path / "router-spool").mkdir()
    (tmp_path / "router-spool" / "a.spool").write_text("a record")
    variables = {"GOOD_KEY": "good-key-0123456789", "BAD_KEY": "bad-key-0123456789"}
    options = "--providers", "providers.toml", "--default-plan", "smal"
    found, status = examined(trained.path, *files, *options, **variables)
    assert status == 2
    said = {check: (one["level"], one["said"]) for check, one in found.items()}
    assert said["artifact"][0] == said["log"][0] == said["keys"][0] == said["port"][0] == "good"
    assert said["provider one, key GOOD_KEY"] == ("warning", "takes the key, and does not list retired")
    assert said["provider one, key BAD_KEY"] == ("error", "refuses the key in BAD_KEY (status 401)")
    assert said["provider gone"][0] == "error"
    assert said["models"] == ("warning", "nobody serves coder, so 'auto' never chooses them")
    assert "nobody has smal: no provider" in said["default plan"][1]
    assert said["prices"] == ("warning", "nobody knows how old they are: coder, large, small")
    assert said["clock"][0] == "error"
    assert "ahead of the providers'" in said["clock"][1]
    assert said["spool"][0] == "warning"
    assert all(one["do"] for one in found.values() if one["level"] in {"warning", "error"})
    assert not (tmp_path / "log.db").exists()  # nothing was made


def test_what_keeps_a_service_from_starting_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found, status = examined("nothing", "--offline", "--port", port, "--providers", "none.toml")
    assert status == 2
    errors = {check for check, one in found.items() if one["level"] == "error"}
    assert errors == {"artifact", "providers", "keys", "port"}
    assert "no key file" in found["keys"]["said"]


def test_a_log_that_is_away_is_a_warning_because_the_spool_keeps_its_records(files, trained):
    found, status = examined(trained.path, *files, "--offline", "--log", "postgresql://me:secret@127.0.0.1:1/log")
    assert (found["log"]["level"], status) == ("warning", 1)
    assert "me:***@" in found["log"]["said"]


def test_an_archive_is_no_log_to_go_on_with(files, trained, tmp_path):
    """Its tables could be read, so it was called well; the service's records would lie among them."""
    (tmp_path / "archive" / "day=2026-11-29").mkdir(parents=True)
    (tmp_path / "archive" / "day=2026-11-29" / "outcomes.parquet").write_bytes(b"PAR1PAR1")
    found, status = examined(trained.path, *files, "--offline", "--log", "parquet:archive")
    assert (found["log"]["level"], status) == ("error", 2)
    assert "holds the outcome tables of an archive" in found["log"]["said"]


def test_unknown_windows_are_told_once():
    cards = [ModelCard(name, usd_per_mtok_input=1, usd_per_mtok_output=1) for name in ("a", "b")]
    (windows,) = (one for one in _catalog(cards, date(2026, 11, 30)) if one.check == "context windows")
    assert windows.said == "unknown of all 2 models, so none is left out for a prompt that is too long for it"


def test_what_looks_well_and_is_not_is_an_error(trained, tmp_path, monkeypatch):
    """A log that a newer version has migrated, keys that have all ended, a spool that is a file."""
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect(tmp_path / "newer.db")) as database:
        database.execute("CREATE TABLE router_log_version (version_num VARCHAR(32))")
        database.execute("INSERT INTO router_log_version VALUES ('9999')")
        database.commit()
    create_key(tmp_path / "ended.toml", name="old", roles=[Role.DECIDE], expires=datetime(2020, 1, 1, tzinfo=UTC))
    (tmp_path / "file").touch()
    options = ("--log", "sqlite:///newer.db", "--keys", "ended.toml", "--log-spool", "file", "--port", "0", "--offline")
    found, _ = examined(trained.path, *options)
    assert {name: found[name]["level"] for name in ("log", "keys", "spool")} == dict.fromkeys(
        ("log", "keys", "spool"), "error"
    )
    assert "a newer router-model has migrated them" in found["log"]["said"]
    assert "0 valid keys, so every call is refused" in found["keys"]["said"]


def test_looking_makes_no_folder_and_wrong_options_are_findings(files, trained, tmp_path):
    found, _ = examined(trained.path, *files, "--offline", "--log", "sqlite:///below/log.db")
    assert found["log"]["level"] == "good"
    assert not (tmp_path / "below").exists()
    found, status = examined("--offline")
    assert (found["settings"]["level"], status) == ("error", 2)


@pytest.mark.parametrize(("free_mb", "level"), [(50_000, Level.GOOD), (1_000, Level.WARNING), (100, Level.ERROR)])
def test_little_disk_and_memory_are_told_before_they_are_gone(monkeypatch, free_mb, level):
    class Usage:
        free = free_mb * 10**6

    monkeypatch.setattr(machine_checks.shutil, "disk_usage", lambda _: Usage)
    monkeypatch.setattr(machine_checks, "_free_mb", lambda: free_mb)
    settings = Settings(artifact="router", workers=3)
    found = {one.check: one.level for one in machine_checks.machine_findings(settings, [])}
    assert found["disk"] is level
    assert found["memory"] is (Level.GOOD if free_mb >= 1200 else Level.WARNING)


def test_an_installation_without_its_extension_modules_is_told(monkeypatch):
    """A wheel that was built without Python.h decides the same, slower, and says nothing of it."""
    monkeypatch.setattr(machine_checks, "find_spec", lambda name: None if "features" in name else name)
    settings = Settings(artifact="none", log="none", port=0)
    (found,) = (one for one in machine_checks.machine_findings(settings, []) if one.check == "compiled code")
    assert (found.level, "libpython3-dev" in found.do) == (Level.WARNING, True)
    assert found.said.startswith("router_model.features._native is missing")
