import hmac
import logging
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.access import keyring as keyring_module
from router_model.serving.access.issuing import revoke_key
from router_model.serving.access.keyring import Keyring
from router_model.serving.access.keyring_secret import read_secret, secret_path
from router_model.serving.access.keys import KEY_PATTERN, key_hash, key_id_of, new_key_text
from router_model.serving.access.start import check_access
from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings

SECRET = b"s" * 32


def test_a_key_is_found_by_its_text(folder):
    key, text = folder.create(Role.DECIDE, Role.FEEDBACK)
    assert folder.load().find(text.encode()) == key
    assert key.roles == {Role.DECIDE, Role.FEEDBACK}


def test_key_text_can_be_recognised_by_scanners():
    key_id, text = new_key_text()
    assert KEY_PATTERN.fullmatch(text)[1] == key_id
    assert len({new_key_text()[1] for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "credential",
    [
        b"",
        b"rm_",
        b"rm_" * 100_000,
        b"x" * 10_000_000,
        "rm_schlüssel".encode(),
        b"\xff" * 59,
        b"rm_aaaaaaaaaaaa_" + b"a" * 42 + b"\r\n",
        b"rm_aaaaaaaaaaaa_" + b"a" * 43,
        b"rm_' OR '1'='1_" + b"a" * 44,
        b"' OR 1=1; DROP TABLE keys; --",
        b"rm_../../../../_" + b"a" * 43,
        b"rm_aaaaaaaaaaaa_" + b"{0.__class__}" + b"a" * 30,
        b"rm_\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00_" + b"a" * 43,
    ],
)
def test_what_is_no_key_is_simply_not_ours(folder, credential):
    folder.create()
    assert folder.load().find(credential) is None


@given(st.binary(max_size=200))
def test_nothing_but_the_right_shape_has_an_id(credential):
    key_id = key_id_of(credential)
    assert key_id is None or credential == b"rm_" + key_id + b"_" + credential[16:]


def test_every_character_of_a_key_counts(folder):
    _, text = folder.create()
    keyring = folder.load()
    for at in range(len(text)):
        changed = text[:at] + ("b" if text[at] != "b" else "c") + text[at + 1 :]
        assert keyring.find(changed.encode()) is None


def test_the_secret_of_one_key_does_not_open_another(folder):
    (one, text), (other, _) = folder.create(), folder.create()
    assert folder.load().find(text.replace(one.id, other.id).encode()) is None


def test_an_unknown_id_is_compared_all_the_same(folder, monkeypatch):
    folder.create()
    keyring, compared = folder.load(), []
    monkeypatch.setattr(
        keyring_module.hmac, "compare_digest", lambda a, b: compared.append((len(a), len(b))) or a == b, raising=True
    )
    assert keyring.find(b"rm_aaaaaaaaaaaa_" + b"a" * 43) is None
    assert compared == [(32, 32)] * 2  # with the text, and with the former one


def test_what_is_kept_is_an_hmac():
    """RFC 4231, test case 2: key "Jefe", data "what do ya want for nothing?"."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert key_hash(b"what do ya want for nothing?", b"Jefe").hex() == expected
    assert hmac.compare_digest(key_hash(b"a", SECRET), key_hash(b"a", SECRET))


def test_the_key_file_holds_no_key(folder):
    _, text = folder.create()
    assert text[16:] not in folder.path.read_text()
    assert text[16:] not in repr(folder.load().find(text.encode()))


def test_a_revocation_holds_after_a_second_without_a_restart(folder):
    key, text = folder.create()
    keyring = folder.load()
    revoke_key(folder.path, key.id)
    folder.clock.s += 0.999
    assert keyring.find(text.encode()).revoked is None
    folder.clock.s += 0.001
    assert keyring.find(text.encode()).revoked is not None


def test_the_first_request_after_a_quiet_hour_sees_the_revocation(folder):
    key, text = folder.create()
    keyring = folder.load()
    revoke_key(folder.path, key.id)
    folder.clock.s += 3600
    assert keyring.find(text.encode()).revoked is not None


def test_a_new_key_is_known_after_a_second(folder):
    folder.create()
    keyring = folder.load()
    key, text = folder.create()
    folder.clock.s += 1
    assert keyring.find(text.encode()) == key
    assert keyring.generation == 1


def test_a_change_is_seen_by_its_new_file_even_at_the_same_time_and_size(folder):
    folder.create()
    keyring = folder.load()
    before = folder.path.stat()
    content = folder.path.read_bytes().replace(b'"key 0"', b'"key x"')
    other = folder.path.with_suffix(".other")
    other.write_bytes(content)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(folder.path)
    folder.clock.s += 1
    keyring.refresh()
    assert [key.name for key in keyring.all_keys] == ["key x"]


@pytest.mark.parametrize("content", [b"not toml", b"version = 9", None])
def test_a_bad_key_file_changes_nothing_and_is_logged_once(folder, caplog, content):
    key, text = folder.create()
    keyring, good = folder.load(), folder.path.read_bytes()
    folder.path.unlink()
    if content is not None:
        folder.path.write_bytes(content)
    for _ in range(3):
        folder.clock.s += 1
        assert keyring.find(text.encode()) == key
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "the keys read before stay in use: " in caplog.text
    folder.path.write_bytes(good)
    folder.clock.s += 1
    assert keyring.find(text.encode()) == key
    assert keyring.generation == 1


def test_another_secret_is_refused_rather_than_every_key(folder, monkeypatch):
    folder.create()
    monkeypatch.setenv("ROUTER_KEYS_SECRET", "another secret of thirty-two characters")
    with pytest.raises(SettingsError, match="its keys were made under another secret"):
        folder.load()


def test_the_environment_may_hold_the_secret(folder, monkeypatch):
    monkeypatch.setenv("ROUTER_KEYS_SECRET", "a secret of at least thirty-two characters")
    key, text = folder.create()
    assert not secret_path(folder.path).exists()
    assert folder.load().find(text.encode()) == key


def test_files_are_for_their_owner_only(folder):
    folder.create()
    assert folder.path.stat().st_mode & 0o777 == 0o600
    assert secret_path(folder.path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("umask", [0o000, 0o277])
def test_files_are_for_their_owner_only_whatever_the_umask(folder, umask):
    before = os.umask(umask)
    try:
        folder.create()
    finally:
        os.umask(before)
    assert folder.path.stat().st_mode & 0o077 == 0


def test_a_missing_secret_is_named_and_no_new_one_is_made(folder):
    folder.create()
    secret_path(folder.path).unlink()
    with pytest.raises(SettingsError, match="its secret is missing: neither ROUTER_KEYS_SECRET is set nor"):
        folder.load()
    with pytest.raises(SettingsError, match="its secret is missing"):
        folder.create(name="second")
    assert not secret_path(folder.path).exists()


def test_a_short_secret_is_refused_without_showing_it(folder, monkeypatch):
    monkeypatch.setenv("ROUTER_KEYS_SECRET", "hunter2")
    with pytest.raises(
        SettingsError, match="ROUTER_KEYS_SECRET: the secret has 7 characters; expected at least 32"
    ) as e:
        folder.create()
    assert "hunter2" not in str(e.value)
    assert not folder.path.exists()


def test_no_key_file_is_an_error_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(SettingsError, match="router-model keys create --file"):
        Keyring.load(tmp_path / "keys.toml", secret=SECRET)


def test_the_secret_is_what_the_file_says_without_its_newline(folder):
    folder.create()
    assert read_secret(folder.path) == secret_path(folder.path).read_bytes().strip()


def test_a_key_asks_a_router_that_there_is(folder, caplog):
    """At the start an unknown router is an error; later it is logged, and other keys can still be revoked."""
    key, text = folder.create(router="code")
    assert (key.router, folder.load().find(text.encode())) == ("code", key)
    secret = read_secret(folder.path)
    settings = Settings(artifact="a", keys=folder.path)
    with pytest.raises(SettingsError, match="its router is 'code', and this service has default; correct 'router'"):
        check_access(settings)
    assert check_access(settings, is_worker=True).find(text.encode()) == key  # one that is started again serves others
    keyring = Keyring.load(folder.path, secret=secret, clock=folder.clock, routers=("default", "code"))
    _, other = folder.create(router="nope")
    folder.clock.s += 2
    assert keyring.find(text.encode()) == key
    assert keyring.find(other.encode()).router == "nope"
    assert "its router is 'nope', and this service has default, code" in caplog.text
    revoke_key(folder.path, text)
    folder.clock.s += 2
    assert keyring.find(text.encode()).revoked is not None
    revoke_key(folder.path, other)
    assert Keyring.load(folder.path, secret=secret, routers=("default",)).astray() is None  # they ask nobody
    with pytest.raises(SettingsError, match="router 'No'; expected"):
        folder.create(router="No")
