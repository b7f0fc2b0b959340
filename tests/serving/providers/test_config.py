import re
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings
from router_model.serving.providers.config import _KEYS, load_providers, parse_providers, with_default_plan
from router_model.serving.providers.provider import Deadlines, Kind, Provider

EXAMPLE = Path(__file__).parents[3] / "deploy" / "providers.example.toml"
SECRET = "sk-proj-A1b2C3d4E5f6G7h8"
ENVIRON = {"OPENAI_API_KEY": "sk-one", "OTHER_KEY": "sk-two", "EMPTY_KEY": " ", "SPLIT_KEY": "sk one", "NO_URL": "x"}
GOOD = """[openai]
kind = "openai"
keys = ["OPENAI_API_KEY"]
models = ["gpt-4o"]
"""


def parse(content: str) -> tuple[Provider, ...]:
    return parse_providers(content, origin="providers.toml", environ=ENVIRON)


def entry(*lines: str, without: str = "") -> str:
    """The good entry with some lines more, and one less."""
    return "\n".join([line for line in GOOD.splitlines() if not without or not line.startswith(without)] + [*lines])


def test_example_file_is_read():
    names = re.findall(r'"(\w+_API_KEY\w*)"', EXAMPLE.read_text())
    providers = load_providers(EXAMPLE, dict.fromkeys(names, "sk-x"))
    assert [provider.name for provider in providers] == ["openai", "anthropic", "gemini", "openrouter", "local", "echo"]
    first = providers[0]
    assert first == Provider(
        "openai",
        Kind.OPENAI,
        "https://api.openai.com/v1",
        key_variables=("OPENAI_API_KEY", "OPENAI_API_KEY_2"),
        models={"openai/gpt-4o": "gpt-4o", "openai/*": "*"},
        headers={"openai-organization": "org-example"},
        deadlines=Deadlines(),
    )
    assert [provider.base_url for provider in providers[1:3]] == [
        "https://api.anthropic.com/v1",
        "https://generativelanguage.googleapis.com/v1beta",
    ]
    assert providers[4].deadlines == Deadlines(first_token_s=300)


def test_file_of_aliases_alone_has_no_providers():
    assert parse('[aliases]\nSIMPLE = "small"') == ()
    settings = Settings(artifact="router", providers="tiers.toml")
    assert with_default_plan(settings, ()) is settings
    with pytest.raises(SettingsError, match=r"tiers.toml: has aliases alone, and there is no router; .* --artifact"):
        with_default_plan(Settings(providers="tiers.toml"), ())


def test_the_mark_that_windows_editors_put_first_is_no_mistake(tmp_path):
    path = tmp_path / "providers.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_providers(path, {"OPENAI_API_KEY": "sk-x"}) == parse(GOOD)


def test_defaults():
    (provider,) = parse(GOOD)
    assert provider == Provider(
        "openai", Kind.OPENAI, "https://api.openai.com/v1", ("OPENAI_API_KEY",), {"gpt-4o": "gpt-4o"}
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"providers.toml: has no providers; expected tables \[NAME\]"),
        ("[openai", "providers.toml: not valid TOML"),
        ('kind = "openai"', "'kind' stands outside of a table; expected one table"),
        ('["a:b"]\nkind = "echo"', "provider 'a:b': expected a name of letters"),
        (entry("base_ur = 'x'"), "provider 'openai': unknown key 'base_ur'; did you mean 'base_url'?"),
        (entry("zzz = 1"), "unknown key 'zzz'; expected kind, base_url, keys"),
        (entry(without="kind"), "lacks 'kind', the format it speaks; expected openai, .*, openai-responses, echo"),
        (entry("kind = 'mistral'", without="kind"), "kind is 'mistral'; expected openai, .*with a base_url"),
        (entry("kind = 3", without="kind"), "kind is not a text"),
        (entry(without="models"), "has no models; expected models ="),
        (entry("models = []", without="models"), "has no models"),
        (entry("models = {}", without="models"), "has no models"),
        (entry("models = 'gpt-4o'", without="models"), "has no models"),
        (entry("models = ['a', 'b', 'a']", without="models"), "models has an entry twice"),
        (entry("models = [1]", without="models"), "models is not a list of names"),
        (entry("models = {'a' = 1}", without="models"), "models: 'a' is not a pair of texts"),
        (entry("models = {'a/*' = 'x'}", without="models"), r"'a/\*' = 'x'; expected one '\*' on both sides"),
        (entry("models = {'*/*' = '*/*'}", without="models"), r"expected one '\*' on both sides"),
        (entry(without="keys"), r"has no keys; expected keys = \['OPENAI_API_KEY'\]"),
        (entry("keys = ['OPENAI_API_KEY', 'NO_SUCH_KEY']", without="keys"), "variable NO_SUCH_KEY is not set; set it"),
        (entry("keys = ['EMPTY_KEY']", without="keys"), "variable EMPTY_KEY is empty; set it"),
        (entry("keys = ['SPLIT_KEY']", without="keys"), "SPLIT_KEY contains characters that a key cannot have"),
        (entry("keys = 'OPENAI_API_KEY'", without="keys"), "keys is not a list of names"),
        (entry("keys = ['OTHER_KEY', 'OTHER_KEY']", without="keys"), "keys has an entry twice"),
        (entry(f"keys = ['{SECRET}']", without="keys"), "keys contains what looks like the secret itself"),
        (entry("headers = {Authorization = 'x'}"), "headers: 'Authorization' would contain a key"),
        (entry("headers = {host = 'x'}"), "headers: 'host' cannot be set"),
        (entry("headers = {'a b' = 'x'}"), "headers: 'a b' cannot be set"),
        (entry("headers = {x-a = '1', X-A = '2'}"), "headers: 'X-A' cannot be set; expected a header's name, once"),
        (entry('headers = {x-a = "1\\r\\nx-b: 2"}'), "headers: the value of 'x-a' cannot be sent"),
        (entry("headers = {x-a = 1}"), "headers: the value of 'x-a' cannot be sent"),
        (entry("headers = 'x'"), "headers is not a table"),
        (entry("deadlines = {connect = 5}"), "deadlines: unknown deadline 'connect'; did you mean 'connect_s'?"),
        (entry("deadlines = {idle_s = 0}"), "deadlines: idle_s is 0; expected a number above 0"),
        (entry("deadlines = {idle_s = inf}"), "deadlines: idle_s is inf"),
        (entry("deadlines = {idle_s = nan}"), "deadlines: idle_s is nan"),
        (entry("deadlines = {idle_s = true}"), "deadlines: idle_s is True"),
        (entry("max_connections = 2.5"), "max_connections is 2.5; expected a whole number above 0"),
        (entry("max_connections = -1"), "max_connections is -1"),
        (entry("proxy = 'NO_SUCH_PROXY'"), "variable NO_SUCH_PROXY is not set"),
        (entry("proxy = 'NO_URL'"), "variable NO_URL does not contain the URL of a proxy"),
        (entry("proxy = 'http://user:pass@proxy:3128'"), "proxy contains what looks like the secret itself"),
        ("[e]\nkind = 'echo'\nbase_url = 'http://x'\nmodels = ['m']", "answers in this process; remove 'base_url'"),
        ("[e]\nkind = 'echo'\nkeys = ['A']\nmodels = ['m']", "kind echo answers in this process; remove 'keys'"),
        ("[deepseek]\nkind = 'openai'\nkeys = ['OTHER_KEY']\nmodels = ['m']", "provider 'deepseek': lacks 'base_url'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(content, message):
    with pytest.raises(SettingsError, match=message):
        parse(content)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("api.openai.com/v1", r"expected an http\(s\) URL"),
        ("ftp://example.com", r"expected an http\(s\) URL"),
        ("https://", r"expected an http\(s\) URL"),
        ("https://exämple.com/v1", r"expected an http\(s\) URL in ASCII"),
        ("https://example.com:port/v1", "base_url is not a valid URL"),
        ("https://example.com:99999/v1", "base_url is not a valid URL"),
        ("https://[::1/v1", "base_url is not a valid URL"),
        ("https://exa mple.com/v1", "contains a space"),
        ("https://user:hunter2@example.com/v1", "contains credentials"),
        ("https://hunter2@example.com/v1", "contains credentials"),
        ("https://example.com/v1?key=hunter2", r"without a '\?' or '#' part"),
        ("https://example.com/v1#a", r"without a '\?' or '#' part"),
        ("https://example.com/v1/chat/completions", "without '/chat/completions', which the service adds"),
        ("https://example.com/v1/messages/", "without '/messages'"),
        ("http://example.com/v1", "would send prompts and keys unencrypted"),
        ("http://192.168.1.5:8000/v1", "would send prompts and keys unencrypted"),
        ("http://localhost.example.com/v1", "would send prompts and keys unencrypted"),
        ("", "base_url is not a text"),
    ],
)
def test_bad_url_is_refused(url, message):
    with pytest.raises(SettingsError, match=message) as caught:
        parse(entry(f"base_url = '{url}'"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["base_url = 'https://eu.example.com/v1/'"], "https://eu.example.com/v1"),
        (["base_url = 'http://127.0.0.1:8000/v1'"], "http://127.0.0.1:8000/v1"),
        (["base_url = 'http://[::1]:8000'"], "http://[::1]:8000"),
        (["base_url = 'http://localhost:11434/v1'"], "http://localhost:11434/v1"),
        (["base_url = 'http://gpu.lan/v1'", "allow_http = true"], "http://gpu.lan/v1"),
    ],
)
def test_good_url_is_taken(lines, expected):
    assert parse(entry(*lines))[0].base_url == expected


@pytest.mark.parametrize("secret", [SECRET, "gsk_x9Y8z7", "AIzaSyB-1234567890", "AKIAQ5E7R2T9Y4U8", "a b"])
@pytest.mark.parametrize("field", ["keys", "proxy"])
def test_key_in_the_file_is_never_shown(secret, field):
    value = f"['{secret}']" if field == "keys" else f"'{secret}'"
    with pytest.raises(SettingsError, match="looks like the secret itself") as caught:
        parse(entry(f"{field} = {value}", without=field))
    assert secret not in str(caught.value)


def test_lower_case_name_of_a_variable_that_is_set_is_taken():
    content = entry("keys = ['my_key']", without="keys")
    (provider,) = parse_providers(content, origin="providers.toml", environ={"my_key": "sk-1"})
    assert provider.key_variables == ("my_key",)


def test_missing_file_is_said(tmp_path):
    with pytest.raises(SettingsError, match="no.toml: the providers cannot be read"):
        load_providers(tmp_path / "no.toml", {})


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("openai/gpt-4o", "gpt-4o-2024"),  # an id without a star goes first, wherever it stands
        ("openai/o3", "o3"),
        ("openai/ft:gpt:acme", "ft:gpt:acme"),
        ("x/large-v2", "large/x"),
        ("openai/", None),  # a star is one character at least
        ("openai/*", None),
        ("anthropic/claude", None),
        ("openai/../admin", None),
        ("openai/a?b=c", None),
        ("openai/a b", None),
        ("openai/a%2f", None),
        ("openai/ä", None),
        ("openai/" + "a" * 300, None),
    ],
)
def test_stars_in_models(model, expected):
    models = {"openai/*": "*", "openai/gpt-4o": "gpt-4o-2024", "x/*-v2": "*/x"}
    assert Provider("p", Kind.OPENAI, "https://p.example", models=models).upstream_model(model) == expected


VALUES = st.recursive(
    st.one_of(
        st.text(max_size=8),
        st.integers(-5, 5),
        st.floats(),
        st.booleans(),
        st.sampled_from(["*", "openai", "OTHER_KEY"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(_KEYS), VALUES, max_size=4))
def test_whatever_is_in_a_file_is_taken_or_refused_in_words(changes):
    table = {"kind": "openai", "keys": ["OPENAI_API_KEY"], "models": ["m"], **changes}
    try:
        said = parse(tomli_w.dumps({"openai": table}))[0].name
    except SettingsError as exc:
        said = str(exc)
    assert said == "openai" or said.startswith("providers.toml: provider 'openai': ")


@given(st.text("ab/", max_size=4), st.text("ab/", max_size=4), st.text("ab", min_size=1, max_size=4))
def test_star_gives_back_what_it_stands_for(before, after, filled):
    provider = Provider("p", Kind.OPENAI, "https://p.example", models={f"m{before}*{after}": "*"})
    assert provider.upstream_model(f"m{before}{filled}{after}") == filled
