import re

import pytest
from pydantic import ValidationError

from router_model.serving.common.masking import masked_url
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings, read_settings


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("none", "none"),
        ("memory", "memory"),
        ("sqlite+aiosqlite:///router-log.db", "sqlite+aiosqlite:///router-log.db"),
        ("postgresql+asyncpg://router@db/log", "postgresql+asyncpg://router@db/log"),
        ("postgresql+asyncpg://router:s3cret@db:5432/log", "postgresql+asyncpg://router:***@db:5432/log"),
        ("postgresql://router:s3@cr/et@db/log", "postgresql://router:***@db/log"),
        ("postgresql://router:s3:cr?et@db/log", "postgresql://router:***@db/log"),
        ("postgresql://db/log?user=router&password=s3cret", "postgresql://db/log?user=***&password=***"),
        ("redis://:s3cret@cache:6379/0", "redis://:***@cache:6379/0"),
        ("parquet:s3://key:s3cret@bucket/log", "parquet:s3://key:***@bucket/log"),
        ("postgresql://router:s3\ncret@db/log", "postgresql://router:***@db/log"),
    ],
)
def test_urls_are_shown_without_their_secrets(url, shown):
    assert masked_url(url) == shown
    settings = Settings(artifact="a", log=url, session_store=url)
    assert repr(shown) in repr(settings)
    assert "cret" not in repr(settings) + str(settings) + f"{settings!r}"
    assert settings.log == url


@pytest.mark.parametrize("given", [{"log": 5}, {"port": -1}, {"nonsense": "s3cret"}, {"workers": "s3cret"}])
def test_a_validation_error_shows_no_value(given):
    with pytest.raises(ValidationError, match="validation error for Settings") as caught:
        Settings(**{"artifact": "a", "log": "postgresql://router:s3cret@db/log"} | given)
    assert "s3cret" not in str(caught.value)


def test_the_environment_may_hold_what_is_no_setting(monkeypatch):
    monkeypatch.setenv("ROUTER_KEYS_SECRET", "s" * 32)
    monkeypatch.setenv("ROUTER_ARTIFACT", "a")
    assert "ssss" not in repr(Settings())


def test_each_router_has_settings_of_its_own_and_the_first_is_auto():
    """What is about one artifact, its catalog and its table for promotions, is not the other routers'."""
    settings = Settings(
        artifact="a", catalog="c", promotion_table="t", router=("code=b", "x=d"), router_catalog=("x=e",), port=1
    )
    found = {
        name: (str(one.artifact), one.catalog and str(one.catalog), one.promotion_table is None, one.port)
        for name, one in settings.by_router.items()
    }
    assert found == {"default": ("a", "c", False, 1), "code": ("b", None, True, 1), "x": ("d", "e", True, 1)}
    assert [*found] == ["default", "code", "x"]
    assert [*Settings(router=("b=1", "a=2")).by_router] == ["b", "a"]
    assert [*Settings(router=("b=1", "default=2")).by_router] == ["default", "b"]
    assert [*Settings(default_plan=("m",), router=("b=1",)).by_router] == ["b"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"router": ("code",)}, "got 'code'; expected NAME=PATH"),
        ({"router": ("code=",)}, "expected NAME=PATH"),
        ({"router": ("=a",)}, "the name ''"),
        ({"router": ("Code=a",)}, "the name 'Code'"),
        ({"router": ("a:b=a",)}, "the name 'a:b'"),
        ({"router": ("a=1", "a=2")}, "the name 'a' is there twice"),
        ({"router": ("a=1", "b=1")}, "'a' and 'b' are both 1"),
        ({"artifact": "x/y", "router": ("b=x//y",)}, "'default' and 'b' are both"),
        ({"artifact": "x", "router": ("default=y",)}, "called that already"),
        ({"artifact": "x", "router_catalog": ("b=y",)}, "there is no --router b"),
        ({"catalog": "c", "router": ("b=x",)}, "expected --router-catalog NAME=c, where NAME is one of b"),
    ],
)
def test_routers_that_cannot_be_told_apart_are_refused(given, says):
    with pytest.raises(SettingsError, match=re.escape(says)):
        read_settings(**given)


def test_a_variable_that_is_no_list_is_named(monkeypatch):
    monkeypatch.setenv("ROUTER_ROUTER", "code=a")
    with pytest.raises(SettingsError, match="ROUTER_ROUTER: expected a list as JSON has it"):
        read_settings()
    monkeypatch.setenv("ROUTER_ROUTER", '["code=a"]')
    assert read_settings().router == ("code=a",)
