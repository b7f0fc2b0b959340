"""``router-model keys``, as click runs it."""

import json
import subprocess
import sys
from decimal import Decimal

import pytest
from click.testing import CliRunner

from router_model.cli import group
from router_model.serving.access.key_budget import KeyBudget, Per
from router_model.serving.access.key_file import read_key_file
from router_model.serving.access.keyring import Keyring
from router_model.serving.access.keyring_secret import read_secret
from router_model.serving.access.keys import KEY_PATTERN
from router_model.serving.common.service_errors import SettingsError


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.delenv("ROUTER_KEYS_SECRET", raising=False)
    monkeypatch.delenv("ROUTER_KEYS", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return CliRunner().invoke(group, ["keys", *arguments], catch_exceptions=False)

    return run


def create(run, name="gateway", *options):
    done = run("create", "--name", name, "--role", "decide", *options)
    assert done.exit_code == 0, done.output
    return done


def test_a_key_is_printed_once_alone_on_standard_output(run, tmp_path):
    done = create(run)
    text = done.stdout.strip()
    assert KEY_PATTERN.fullmatch(text)
    assert text not in done.stderr
    assert "it is printed this once" in done.stderr
    assert text not in run("list").output + (tmp_path / "keys.toml").read_text()


def test_the_printed_key_opens_the_file(run, tmp_path):
    text = create(run, "gateway", "--requests-per-minute", "60", "--feedback-per-day", "0").stdout.strip()
    path = tmp_path / "keys.toml"
    key = Keyring.load(path, secret=read_secret(path)).find(text.encode())
    assert (key.name, key.requests_per_minute, key.feedback_per_day) == ("gateway", 60, 0)


def test_json_has_the_key_and_what_is_known_of_it(run):
    made = json.loads(create(run, "gateway", "--json").stdout)
    listed = json.loads(run("list", "--json").stdout)
    assert KEY_PATTERN.fullmatch(made.pop("key"))[1] == made["id"]
    assert listed == [made | {"days_left": None}]


def test_the_list_has_a_line_a_key(run):
    create(run)
    create(run, "other", "--role", "feedback", "--requests-per-minute", "60")
    head, first, second = run("list").output.splitlines()
    assert head.split() == ["id", "name", "roles", "created", "requests/min", "state"]  # no key has another limit
    assert first.split()[1:3] == ["gateway", "decide"]
    assert "decide, feedback" in second
    assert second.split()[-2:] == ["60", "valid"]


def test_a_key_for_the_proxy_has_a_budget(run, tmp_path):
    options = ["--budget-usd", "2.50", "--budget-per", "day", "--max-concurrent", "4"]
    made = json.loads(run("create", "--name", "app", "--role", "proxy", "--json", *options).stdout)
    assert (made["roles"], made["budget_usd"], made["budget_per"], made["max_concurrent"]) == (["proxy"], 2.5, "day", 4)
    assert read_key_file(tmp_path / "keys.toml").keys[made["id"]].budget == KeyBudget(Decimal("2.5"), Per.DAY)
    assert run("list").output.splitlines()[1].split()[-5:] == ["4", "$2.5", "a", "day", "valid"]


def test_a_budget_of_a_key_that_may_call_no_model_is_remarked_on(run):
    assert "it lacks the role proxy" in create(run, "a", "--budget-usd", "3").stderr
    assert "it lacks the role proxy" not in create(run, "b", "--budget-usd", "3", "--role", "proxy").stderr


def test_since_without_a_log_is_refused_and_takes_that_of_the_service(run, tmp_path, monkeypatch):
    create(run)
    monkeypatch.delenv("ROUTER_LOG", raising=False)
    assert "add --log URL, or set ROUTER_LOG" in run("list", "--since", "7d").output
    monkeypatch.setenv("ROUTER_LOG", f"sqlite:///{tmp_path}/none/log.db")
    assert run("list").exit_code == 0  # a log that cannot be opened does not matter
    with pytest.raises(SettingsError):
        run("list", "--since", "7d")


def test_a_budget_is_monthly_unless_it_says_otherwise(run):
    assert json.loads(create(run, "a", "--budget-usd", "3", "--json").stdout)["budget_per"] == "month"


@pytest.mark.parametrize("by", ["id", "key"])
def test_a_key_is_revoked_by_its_id_or_by_the_key_that_was_found(run, by):
    made = json.loads(create(run, "gateway", "--json").stdout)
    done = run("revoke", made[by])
    assert f"Key {made['id']} (gateway) is revoked since 20" in done.output
    assert run("revoke", made["id"]).output == done.output
    assert "revoked 20" in run("list").output


def test_a_key_is_rotated_and_expires(run):
    made = json.loads(create(run, "gateway", "--expires", "90d", "--json").stdout)
    assert "valid until 20" in run("list").output
    done = run("rotate", made["id"], "--overlap", "12h", "--json")
    found = json.loads(done.stdout)
    assert (found["id"], found["expires"]) == (made["id"], made["expires"])
    assert found["key"] != made["key"]
    assert f"The former text is refused from {found['former_expires'][:10]}" in done.stderr
    other = json.loads(create(run, "other", "--json").stdout)
    run("rotate", other["key"])
    assert "valid; its former text until 20" in run("list").output


def test_the_name_of_a_revoked_key_is_free_again(run):
    run("revoke", json.loads(create(run, "gateway", "--json").stdout)["id"])
    create(run)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["revoke", "abcdefghijkl"], "keys.toml: has no key of that id; 'router-model keys list' shows them"),
        (
            ["create", "--name", "gateway", "--role", "decide"],
            "is already named 'gateway'; choose another or revoke it",
        ),
        (["create", "--name", "", "--role", "decide"], "name ''; expected 1 to 100 printable characters"),
        (["create", "--name", "a\nb", "--role", "decide"], r"name 'a\\nb'; expected"),
        (["list", "--file", "none.toml"], "none.toml: cannot be read"),
        (
            ["revoke", "abcdefghijkl", "--file", "none.toml"],
            "none.toml: there is no such key file; name it with --file",
        ),
        (
            ["create", "--name", "a", "--role", "decide", "--file", "none/keys.toml"],
            "none/keys.toml: cannot be written",
        ),
    ],
)
def test_errors_say_what_to_do(run, arguments, message):
    create(run)
    with pytest.raises(SettingsError, match=message):
        run(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "--name", "a"], "Missing option '--role'"),
        (["create", "--role", "decide"], "Missing option '--name'"),
        (["create", "--name", "a", "--role", "root"], "'root' is not one of 'decide', 'feedback', 'feedback-all'"),
        (["create", "--name", "a", "--role", "decide", "--requests-per-minute", "0"], "0 is not in the range x>=1"),
        (["create", "--name", "a", "--role", "proxy", "--budget-usd", "ten"], "'ten'; expected a number of USD, such"),
        (
            ["create", "--name", "a", "--role", "decide", "--expires", "soon"],
            "'soon'; expected a date such as",
        ),
        (["create", "--name", "a", "--role", "decide", "--expires", "2020-01-31"], "'2020-01-31' is over; expected a"),
        (["create", "--name", "a", "--role", "proxy", "--budget-usd", "0"], "a budget of 0 USD; expected more than 0"),
        (
            ["create", "--name", "a", "--role", "proxy", "--budget-usd", "1", "--budget-per", "hour"],
            "'hour' is not one",
        ),
    ],
)
def test_impossible_options_are_refused(arguments, message):
    assert message in CliRunner().invoke(group, ["keys", *arguments]).output


def test_an_unknown_key_to_revoke_is_not_shown(run):
    create(run)
    text = "rm_abcdefghijkl_" + "A" * 43
    with pytest.raises(SettingsError, match="has no key of that id") as caught:
        run("revoke", text)
    assert "AAAA" not in str(caught.value)


def test_keys_needs_nothing_of_the_extra_serve(tmp_path):
    code = "import sys; sys.modules |= dict.fromkeys(['fastapi', 'starlette', 'pydantic', 'uvicorn', 'orjson'])\n"
    code += (
        f"sys.argv = ['x', 'keys', 'create', '--name', 'a', '--role', 'admin', '--file', '{tmp_path / 'keys.toml'}']\n"
    )
    code += "from router_model.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert KEY_PATTERN.fullmatch(done.stdout.strip())
