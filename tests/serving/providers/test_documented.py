"""What docs/providers.md says is true."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from router_model.serving.providers.base_urls import DEFAULTS, checked_base_url
from router_model.serving.providers.config import _KEYS, parse_providers
from router_model.serving.providers.provider import Deadlines

DOCS = (Path(__file__).parents[3] / "docs" / "providers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"^```toml\n(.*?)^```", DOCS, flags=re.MULTILINE | re.DOTALL))
def test_every_example_is_a_file(block):
    class Set(defaultdict):
        def get(self, name, _=None):
            return f"sk-{name}"

    assert parse_providers(block, origin="docs", environ=Set(str))


def test_every_key_is_in_the_table():
    assert tuple(re.findall(r"^\| `(\w+)` \|", DOCS, flags=re.MULTILINE)) == _KEYS


def test_defaults_are_what_is_said():
    default = Deadlines()
    for name in ("connect_s", "total_s"):
        assert f"`{name} = {getattr(default, name):g}`" in DOCS
    assert (default.first_token_s, default.idle_s) == (None, None)
    for url in DEFAULTS.values():
        assert f"`{url}`" in DOCS


@pytest.mark.parametrize("url", re.findall(r"\| `(https?://[^`]+)` \|", DOCS))
def test_every_address_is_taken(url):
    assert checked_base_url(url, allow_http=False, where="docs") == url
