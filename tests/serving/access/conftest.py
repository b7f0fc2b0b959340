"""A key file with a key for each purpose."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from router_model.serving.access.issuing import create_key
from router_model.serving.access.keyring import Keyring
from router_model.serving.access.keyring_secret import read_secret
from router_model.serving.access.keys import Key
from router_model.serving.common.callers import Role


class Clock:
    """A clock that stands still until it is told; seconds, or nanoseconds as `ns`."""

    def __init__(self):
        self.s = 1000.0

    def __call__(self):
        return self.s

    def ns(self):
        return round(self.s * 10**9)


@dataclass(frozen=True)
class KeyFolder:
    path: Path
    clock: Clock

    def create(self, *roles, name=None, **limits) -> tuple[Key, str]:
        roles = roles or (Role.DECIDE,)
        name = name or f"key {len(self.path.read_bytes()) if self.path.exists() else 0}"
        return create_key(self.path, name=name, roles=roles, **limits)

    def load(self) -> Keyring:
        return Keyring.load(self.path, secret=read_secret(self.path), clock=self.clock)


@pytest.fixture(autouse=True)
def no_secret_in_environment(monkeypatch):
    monkeypatch.delenv("ROUTER_KEYS_SECRET", raising=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path, clock) -> KeyFolder:
    return KeyFolder(tmp_path / "keys.toml", clock)
