import pytest
from pydantic import ValidationError

from router_model.serving.common.masking import masked_url
from router_model.serving.common.settings import Settings


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
