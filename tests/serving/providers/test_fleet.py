import asyncio
import logging
from dataclasses import replace
from decimal import Decimal

import pytest
from raw_server import answer, chunked, raw_server

from router_model.catalog import ModelCard
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.providers.config import Alias
from router_model.serving.providers.echo import EchoTransport
from router_model.serving.providers.fleet import Fleet
from router_model.serving.providers.health import Verdict
from router_model.serving.providers.http import HttpRequest
from router_model.serving.proxy.naming import check_alias

ENVIRON = {"FIRST_KEY": "sk-1", "SECOND_KEY": "sk-2"}
PRICED = ModelCard("a/priced", Decimal(1), Decimal(2))
ONLY_IN_CATALOG = ModelCard("b/known", Decimal(1), Decimal(2))
CARDS = {"a/priced": PRICED, "b/known": ONLY_IN_CATALOG, "c/unserved": ModelCard("c/unserved", Decimal(1), Decimal(1))}
TWO = """
[first]
kind = "openai"
base_url = "http://127.0.0.1:1/v1"
keys = ["FIRST_KEY", "SECOND_KEY"]
models = {"a/priced" = "priced-1", "b/*" = "*"}

[second]
kind = "echo"
models = ["a/priced", "a/unpriced"]
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "providers.toml"
    path.write_text(TWO)
    return path


@pytest.fixture
def fleet(path):
    return Fleet(path, lambda: CARDS, environ=ENVIRON)


def served(url: str, model: str = "m", **more: object) -> str:
    lines = [f"{name} = {value!r}" for name, value in {"base_url": f"{url}/v1", **more}.items()]
    return "\n".join(["[p]", 'kind = "openai"', f'models = ["{model}"]', *lines])


async def ask(fleet, provider):
    response = await fleet.transport(provider).send(HttpRequest(f"{provider.base_url}/chat", {}, b"{}"))
    try:
        return b"".join([piece async for piece in response.chunks()])
    finally:
        await response.close()


def test_targets_are_in_the_order_of_the_file(fleet):
    assert list(fleet.all) == ["first", "second"]
    found = fleet.targets("a/priced")
    assert [(target.name, target.upstream_model, target.card) for target in found] == [
        ("first:a/priced", "priced-1", PRICED),
        ("second:a/priced", "a/priced", PRICED),
    ]


@pytest.mark.parametrize(
    ("model", "expected"),
    [("b/known", ["known"]), ("b/new", ["new"]), ("c/unserved", []), ("nobody", []), ("b/*", [])],
)
def test_targets_of_any_id(fleet, model, expected):
    assert [target.upstream_model for target in fleet.targets(model)] == expected


def test_models_are_those_of_the_file_and_those_of_the_catalog_that_are_served(fleet):
    assert dict(fleet.models) == {"a/priced": PRICED, "a/unpriced": None, "b/known": ONLY_IN_CATALOG}


def test_missing_price_is_said_at_start(path, caplog):
    with caplog.at_level(logging.WARNING):
        Fleet(path, lambda: CARDS, environ=ENVIRON).warn_of_missing_prices()
    (record,) = caplog.records
    assert "no price in the catalog for a/unpriced: their answers carry a cost of null" in record.getMessage()


def test_changed_price_is_seen(path):
    cards = dict(CARDS)
    fleet = Fleet(path, lambda: cards, environ=ENVIRON)
    assert fleet.targets("a/priced")[0].card is PRICED
    dearer = ModelCard("a/priced", Decimal(5), Decimal(6))
    cards = {**CARDS, "a/priced": dearer}
    assert fleet.targets("a/priced")[0].card is dearer


def test_only_models_of_the_catalog_are_remembered(fleet):
    """Other ids are callers' words: remembering them would grow without end."""
    for n in range(100):
        assert fleet.targets(f"b/{n}")
    fleet.targets("a/priced")
    assert fleet._known.keys() <= CARDS.keys()


def test_keys_are_each_providers_own(fleet):
    first, second = fleet.all.values()
    assert [key.value for key in fleet.keys(first).keys] == ["sk-1", "sk-2"]
    assert [key.value for key in fleet.keys(second).keys] == [None]
    assert fleet.keys(first) is fleet.keys(first)


def test_transports_are_made_lazily_and_kept(fleet):
    first, second = fleet.all.values()
    assert isinstance(fleet.transport(second), EchoTransport)
    assert fleet.transport(first) is fleet.transport(first)
    assert fleet.transport(first).n_open == 0


def test_wrong_file_stops_the_start(tmp_path):
    (tmp_path / "providers.toml").write_text("[p]\nkind = 'openai'")
    with pytest.raises(SettingsError, match="provider 'p': lacks 'base_url'"):
        Fleet(tmp_path / "providers.toml", dict, environ={})


def test_reload_takes_the_new_file(fleet, path):
    path.write_text("[third]\nkind = 'echo'\nmodels = ['a/priced']")
    asyncio.run(fleet.reload())
    assert [target.name for target in fleet.targets("a/priced")] == ["third:a/priced"]
    assert list(fleet.models) == ["a/priced"]


def test_a_file_that_changes_is_read_again_and_a_wrong_one_is_said_once(fleet, path, caplog):
    def followed():
        asyncio.run(fleet.follow())
        return [target.name for target in fleet.targets("a/priced")]

    before = followed()
    assert not caplog.records
    path.write_text("[third]\nkind = 'nothing'")
    assert [followed(), followed()] == [before, before]
    path.unlink()
    assert [followed(), followed()] == [before, before]
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert ["kind is 'nothing'" in said[0], len(said)] == [True, 2]
    path.write_text("[third]\nkind = 'echo'\nmodels = ['a/priced']")
    assert followed() == ["third:a/priced"]


def test_aliases_are_found_by_name_then_by_glob_and_follow_the_file(fleet, path):
    aliases = 'aliases = {"gpt-5*" = "auto", "gpt-5-mini" = {model = "a/priced", deny = ["x"]}}\n'
    path.write_text(aliases + TWO)
    asyncio.run(fleet.reload())
    assert list(fleet.all) == ["first", "second"]
    assert fleet.alias("gpt-5.2") == Alias("gpt-5*", "auto", {})
    assert fleet.alias("gpt-5-mini") == Alias("gpt-5-mini", "a/priced", {"deny": ["x"]})
    assert fleet.alias("gpt-4") is None
    for wrong in ('"" = "auto"', "a = 1", "a = {deny = []}"):
        path.write_text(TWO + f"\n[aliases]\n{wrong}")
        with pytest.raises(SettingsError, match="names no model"):
            asyncio.run(fleet.reload())
    assert fleet.alias("gpt-5.2") is not None


def test_an_alias_with_options_that_no_request_could_have_stops_the_start(path):
    path.write_text(TWO + '\n[aliases]\na = {model = "auto", target_sucess = 0.9}')
    with pytest.raises(SettingsError, match="alias 'a': target_sucess: unknown field"):
        Fleet(path, dict, environ=ENVIRON, check=check_alias)


def test_an_alias_to_a_model_that_nobody_has_stops_the_start_and_not_what_runs(path):
    """Models of providers, by name or star, and of the catalog are known; at the first reading the catalog is not."""
    fleet = Fleet(path, lambda: CARDS, environ=ENVIRON, check=check_alias)
    path.write_text(TWO + '\n[aliases]\na = "auto"\nb = "b/any"\nc = "c/unserved"\nd = "a/unpriced"\n')
    asyncio.run(fleet.reload())
    path.write_text(TWO + '\n[aliases]\ne = "a"\n')
    lost = "alias 'e' leads to 'a', which no provider serves and the router does not know"
    with pytest.raises(SettingsError, match=lost):
        asyncio.run(fleet.reload())
    assert fleet.alias("a") is not None
    with pytest.raises(SettingsError, match=lost):
        Fleet(path, lambda: CARDS, environ=ENVIRON, check=check_alias).check_aliases()


def test_while_a_router_is_missing_aliases_to_its_models_are_left_and_checked_later(path, caplog):
    missing = ["code"]
    fleet = Fleet(path, lambda: CARDS, environ=ENVIRON, check=check_alias, all_known=lambda: not missing)
    path.write_text(TWO + '\n[aliases]\ne = "code-only"\n')
    fleet.check_aliases()
    asyncio.run(fleet.reload())
    asyncio.run(fleet.follow())
    assert fleet.alias("e") is not None
    assert "code-only" not in caplog.text
    missing.clear()
    for _ in range(2):
        asyncio.run(fleet.follow())
    assert caplog.text.count("alias 'e' leads to 'code-only'") == 1


def test_bad_file_is_refused_and_the_old_one_stays(fleet, path):
    before = fleet.targets("a/priced")
    path.write_text(TWO + "\n[third]\nkind = 'nothing'")
    with pytest.raises(SettingsError, match="provider 'third': kind is 'nothing'"):
        asyncio.run(fleet.reload())
    assert fleet.targets("a/priced") == before
    assert list(fleet.all) == ["first", "second"]


def test_reload_tries_refused_keys_again_and_keeps_connections(fleet):
    first = fleet.all["first"]
    transport = fleet.transport(first)
    for key in fleet.keys(first).keys:
        for caller in ("ann", "bob"):
            key.refusals.report(Verdict.FAILS, caller, is_probe=False, now=1.0)
    assert set(fleet.keys(first).states().values()) == {"refused"}
    asyncio.run(fleet.reload())
    assert set(fleet.keys(fleet.all["first"]).states().values()) == {"ok"}
    assert fleet.transport(fleet.all["first"]) is transport


def test_keys_do_not_follow_a_provider_that_moved(fleet, path):
    """Whoever still calls the old address keeps the old ring."""
    old = fleet.all["first"]
    path.write_text(TWO.replace("127.0.0.1:1", "127.0.0.1:2"))
    fleet.keys(old)
    asyncio.run(fleet.reload())
    assert fleet.keys(old) is not fleet.keys(fleet.all["first"])


async def test_call_under_way_ends_as_it_began(tmp_path):
    """A stream of the old address goes on while the new file is taken; then its connection ends."""
    path = tmp_path / "providers.toml"
    go = asyncio.Event()

    async def old(connection):
        await connection.request()
        said = chunked(b"one ", b"two")
        await connection.say(said[:-13])
        await go.wait()
        await connection.say(said[-13:])
        await connection.wait_until_left()

    async def new(connection):
        while (await connection.request())[0]:
            await connection.say(answer(b"new"))

    async with asyncio.timeout(10), raw_server(old) as old_server, raw_server(new) as new_server:
        path.write_text(served(old_server.url))
        fleet = Fleet(path, dict, environ={})
        provider = fleet.all["p"]
        response = await fleet.transport(provider).send(HttpRequest(f"{provider.base_url}/chat", {}, b"{}"))
        path.write_text(served(new_server.url))
        await fleet.reload()
        assert await ask(fleet, fleet.all["p"]) == b"new"
        go.set()
        assert b"".join([piece async for piece in response.chunks()]) == b"one two"
        assert not old_server.connections[0].left.is_set()
        await response.close()
        await old_server.connections[0].left.wait()
        await fleet.close()


async def test_close_ends_streams_of_retired_providers_too(tmp_path):
    path = tmp_path / "providers.toml"

    async def endless(connection):
        await connection.request()
        await connection.say(chunked(b"one")[:-5])
        await connection.wait_until_left()

    async with asyncio.timeout(10), raw_server(endless) as server:
        path.write_text(served(server.url))
        fleet = Fleet(path, dict, environ={})
        provider = fleet.all["p"]
        response = await fleet.transport(provider).send(HttpRequest(f"{provider.base_url}/chat", {}, b"{}"))
        path.write_text(served("http://127.0.0.1:1"))
        await fleet.reload()
        await fleet.close()
        await server.connections[0].left.wait()
        await response.close()


def test_an_id_with_a_colon_is_the_providers_unless_the_catalog_says_that_it_is_an_effort(path):
    """OpenRouter's ``:nitro`` and ``:free`` go to a star as they are; ``b/known:high`` is b/known with an effort."""
    high = replace(ONLY_IN_CATALOG, model="b/known:high", base_model="b/known", reasoning_effort="high")
    fleet = Fleet(path, lambda: {**CARDS, high.model: high}, environ=ENVIRON)
    (nitro,), (with_effort,) = fleet.targets("b/known:nitro"), fleet.targets("b/known:high")
    assert (nitro.upstream_model, nitro.effort, nitro.served_model) == ("known:nitro", None, "b/known:nitro")
    assert (with_effort.upstream_model, with_effort.effort, with_effort.served_model) == ("known", "high", "b/known")
    assert with_effort.name == "first:b/known:high"
    assert list(fleet.models)[-1] == "b/known:high"
