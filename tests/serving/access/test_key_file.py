from datetime import UTC, datetime
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.access.key_budget import KeyBudget, Per
from router_model.serving.access.key_file import KeyFile, dump_key_file, edit_key_file, parse_key_file, read_key_file
from router_model.serving.access.keys import Key
from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import SettingsError

ORIGIN = Path("keys.toml")
GOOD = {"name": "gateway", "roles": ["decide"], "hash": "ab" * 32, "created": "2026-01-31T12:00:00Z"}


def document(**changes):
    """Return a key file's text with one key, whose fields (TOML literals) are replaced or, by None, left out."""
    fields = {
        "name": '"gateway"',
        "roles": '["decide"]',
        "hash": f'"{"ab" * 32}"',
        "created": "2026-01-31T12:00:00Z",
    } | changes
    lines = [f"{name} = {value}" for name, value in fields.items() if value is not None]
    return "\n".join(['version = 1\nsecret_check = "0123456789abcdef"\n[keys.abcdefghijkl]', *lines]).encode()


keys = st.builds(
    Key,
    id=st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=12),
    name=st.text(max_size=20),
    roles=st.frozensets(st.sampled_from(Role), min_size=1),
    hash=st.binary(min_size=32, max_size=32),
    created=st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  (hypothesis adds the zone)
    revoked=st.none(),
    expires=st.none() | st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    requests_per_minute=st.none() | st.integers(1, 10**6),
    feedback_per_day=st.none() | st.integers(0, 10**6),
    max_concurrent=st.none() | st.integers(1, 1000),
    budget=st.none() | st.builds(KeyBudget, st.decimals("0.01", 10**6, places=4), st.sampled_from(Per)),
)


@given(st.lists(keys, max_size=4, unique_by=lambda key: key.id))
def test_what_is_written_is_read(listed):
    before = KeyFile("0123456789abcdef", {key.id: key for key in listed})
    after = parse_key_file(dump_key_file(before), origin=ORIGIN)
    assert after.keys == before.keys
    assert after.secret_check == before.secret_check


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_has_no_keys(content):
    assert parse_key_file(content, origin=ORIGIN) == KeyFile(None, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not toml", "keys.toml: is not valid TOML"),
        (b"\xff\xfe", "keys.toml: is not valid TOML"),
        (b"version = 2", "keys.toml: has version 2; expected 1"),
        (b"version = 1", "keys.toml: lacks 'secret_check'"),
        (tomli_w.dumps({"version": 1, "secret_check": "x", "keys": {"short": GOOD}}).encode(), "key 'short': expected"),
        (document(colour='"red"'), "key 'abcdefghijkl': unknown field 'colour'"),
        (document(name="7"), "name is 7; expected a str"),
        (
            document(roles='["root"]'),
            r"roles are \['root'\]; expected a list of decide, feedback, feedback-all, proxy, metrics, admin",
        ),
        (document(roles="7"), "roles are 7; expected a list"),
        (document(roles="[]"), "has no roles"),
        (document(roles=None), "roles are None; expected a list"),
        (document(hash='"ab"'), "hash is damaged; expected 64 hex digits"),
        (document(hash='"' + "xy" * 32 + '"'), "hash is damaged"),
        (document(created=None), "created is None; expected a datetime"),
        (document(created="2026-01-31T12:00:00"), "created is 2026-01-31 12:00:00; expected a time with an offset"),
        (document(revoked='"yes"'), "revoked is 'yes'; expected a datetime"),
        (document(requests_per_minute="0"), "requests_per_minute is 0; expected a whole number from 1"),
        (document(requests_per_minute="true"), "requests_per_minute is True; expected a whole number"),
        (document(feedback_per_day="-1"), "feedback_per_day is -1; expected a whole number from 0"),
        (document(max_concurrent="0"), "max_concurrent is 0; expected a whole number from 1"),
        (document(budget_usd="0", budget_per='"day"'), "a budget of 0 USD; expected more than 0"),
        (document(budget_usd="nan", budget_per='"day"'), "a budget of NaN USD; expected more than 0"),
        (document(budget_usd='"10"', budget_per="7"), "budget_usd is '10' and budget_per 7; expected a number of USD"),
        (document(budget_usd="10"), "budget_per None; expected .* one of day, month, total"),
        (document(budget_per='"day"'), "budget_usd is 'None' and budget_per 'day'"),
        (document(budget_usd="10", budget_per='"week"'), "budget_per 'week'; expected"),
        (document(budget_usd="true", budget_per='"day"'), "budget_usd is 'True'"),
    ],
)
def test_a_damaged_file_is_refused_naming_file_and_key(content, message):
    with pytest.raises(SettingsError, match=message):
        parse_key_file(content, origin=ORIGIN)


def test_no_message_about_a_hash_shows_it():
    with pytest.raises(SettingsError, match="hash is damaged") as caught:
        parse_key_file(document(hash='"cafebabe"'), origin=ORIGIN)
    assert "cafebabe" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"none.toml: cannot be read \(No such file or directory\)"):
        read_key_file(tmp_path / "none.toml")


def test_an_edit_that_fails_changes_nothing_and_lets_go_of_the_lock(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_bytes(document())

    def fail(before):
        raise SettingsError(f"{len(before.keys)} key")

    with pytest.raises(SettingsError, match="1 key"):
        edit_key_file(path, fail)
    assert path.read_bytes() == document()
    assert list(tmp_path.iterdir()) == [path]


def test_two_edits_at_once_are_refused_with_what_to_do(tmp_path):
    (tmp_path / "keys.toml.new").touch()
    with pytest.raises(SettingsError, match="keys.toml.new: exists: another 'router-model keys' is at work"):
        edit_key_file(tmp_path / "keys.toml", lambda before: before)


def test_a_link_stays_a_link(tmp_path):
    real, link = tmp_path / "real.toml", tmp_path / "keys.toml"
    real.write_bytes(document())
    link.symlink_to(real)
    edit_key_file(link, lambda before: before)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    real.chmod(0o640)  # of root's, for the group of the service's user
    edit_key_file(link, lambda before: before)
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"cannot be written \(No such file or directory\)"):
        edit_key_file(tmp_path / "none" / "keys.toml", lambda before: before)
