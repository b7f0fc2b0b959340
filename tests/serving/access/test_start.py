import logging

import pytest
from guarded_app import settings_of

from router_model.serving.access.issuing import revoke_key
from router_model.serving.access.keyring_secret import secret_path
from router_model.serving.access.start import check_access
from router_model.serving.common.callers import Role
from router_model.serving.common.loopback import is_loopback
from router_model.serving.common.service_errors import SettingsError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_insecure_on_loopback_starts_with_a_warning(host, caplog):
    assert check_access(settings_of(insecure=True, host=host)) is None
    assert "running without keys" in caplog.text


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.7", "router.local", "localhost.evil.org", "127.0.0.1.nip.io"]
)
def test_insecure_where_others_reach_it_is_refused(host):
    assert not is_loopback(host)
    with pytest.raises(SettingsError, match="which others may reach; expected 127.0.0.1, ::1 or localhost; make a key"):
        check_access(settings_of(insecure=True, host=host))


def test_no_keys_is_refused_with_both_ways_out():
    with pytest.raises(SettingsError, match="router-model keys create .* or, to try it out .* --insecure"):
        check_access(settings_of())


def test_insecure_with_keys_is_contradictory(folder):
    folder.create()
    with pytest.raises(SettingsError, match="leave one of them out"):
        check_access(settings_of(insecure=True, keys=folder.path))


def test_keys_are_loaded(folder, caplog):
    key, _ = folder.create()
    assert list(check_access(settings_of(keys=folder.path, host="0.0.0.0")).all_keys) == [key]
    assert caplog.records == []


def test_a_file_without_a_valid_key_that_may_decide_is_refused(folder):
    folder.path.touch(0o600)
    secret_path(folder.path).write_text("s" * 32)
    secret_path(folder.path).chmod(0o600)
    settings = settings_of(keys=folder.path)
    with pytest.raises(SettingsError, match="no valid key has the role decide or proxy"):
        check_access(settings)
    folder.create(Role.ADMIN)
    key, _ = folder.create(Role.DECIDE)
    revoke_key(folder.path, key.id)
    with pytest.raises(SettingsError, match="no valid key has the role decide or proxy"):
        check_access(settings)


def test_a_missing_key_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ROUTER_KEYS_SECRET", "s" * 32)
    with pytest.raises(
        SettingsError, match="keys.toml: there is no such key file; make it with 'router-model keys create"
    ):
        check_access(settings_of(keys=tmp_path / "keys.toml"))


@pytest.mark.parametrize("which", ["keys", "secret"])
def test_files_that_others_can_read_are_warned_of(folder, caplog, which):
    folder.create()
    path = folder.path if which == "keys" else secret_path(folder.path)
    path.chmod(0o644)
    check_access(settings_of(keys=folder.path))
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, f"{path}: others can read or change it (mode 644); run: chmod o-rwx,g-w {path}")
    ]
