"""The service as a proxy before the scripted upstream: a provider for every fault in each format, and healthy ones.

Models say what happens to a call: ``KIND.alone.FAULT.…`` has one provider, which always plays FAULT;
``KIND.failover.FAULT.…`` has a second one, which is healthy. What comes after is the test's: breakers are each
model's own. ``KIND/…`` is always answered, ``next-KIND/…`` gets what the test has put into the upstream's ``plays``.
The models of the router `trained` are served, too: each in another format.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_faults import FAULTS
from scripted_upstream import PREFIXES, ScriptedUpstream
from system import System, system

KINDS = tuple(PREFIXES)
KEYS = {"SCRIPTED_KEY": "sk-scripted-0123456789", "SCRIPTED_KEY_2": "sk-scripted-9876543210"}
SHORT = {"connect_s": 2.0, "first_token_s": 0.8, "idle_s": 0.8, "total_s": 2.5}
PATIENT = {"connect_s": 5.0, "first_token_s": 30.0, "idle_s": 30.0, "total_s": 60.0}
TRAINED = {"openai": "small", "anthropic": "coder", "gemini": "large"}


def _table(name: str, kind: str, url: str, models: dict[str, str], deadlines: dict[str, float]) -> str:
    mapped = ", ".join(f'"{ours}" = "{theirs}"' for ours, theirs in models.items())
    timed = ", ".join(f"{key} = {value}" for key, value in deadlines.items())
    lines = [f'[{name}]\nkind = "{kind}"\nbase_url = "{url}"', f"models = {{ {mapped} }}", f"deadlines = {{ {timed} }}"]
    return "\n".join([*lines, 'keys = ["SCRIPTED_KEY"]', "max_connections = 1500", ""])


def providers_toml(upstream: ScriptedUpstream) -> str:
    """Return the file of providers; who comes first is tried first."""
    tables = []
    for kind in KINDS:
        for name, fault in FAULTS.items():
            models = {f"{kind}.{mode}.{name}.*": "*" for mode in ("alone", "failover")}
            deadlines = PATIENT if fault.harmless else SHORT
            tables.append(_table(f"{kind}-{name}", kind, upstream.url(kind, name), models, deadlines))
        healthy = {f"{kind}.failover.*": "*", f"{kind}/*": "*", TRAINED[kind]: f"their-{TRAINED[kind]}"}
        tables += [
            _table(f"{kind}-healthy", kind, upstream.url(kind), healthy, PATIENT),
            _table(f"{kind}-next", kind, upstream.url(kind, "next"), {f"next-{kind}/*": "*"}, SHORT),
        ]
    return "\n".join(tables)


@contextlib.contextmanager
def proxied(folder: Path, artifact: Path, providers: str, **settings: object) -> Iterator[System]:
    """Run the service with a file of providers until the end of the block."""
    folder.mkdir(exist_ok=True)
    (folder / "providers.toml").write_text(providers)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setitem(os.environ, name, value)
        options = {"providers": folder / "providers.toml", "log_flush_s": 0.05} | settings
        with system(folder, artifact, **options) as running:
            yield running


def rows(running: System, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table of the service's log, oldest first."""
    path = running.log.partition("///")[2]
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"SELECT * FROM router_{table} ORDER BY created_at")]
