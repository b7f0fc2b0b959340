"""The service as a proxy before the scripted upstream: a provider for every fault in each format, and healthy ones.

Models say what happens to a call: ``KIND.alone.FAULT.…`` has one provider, which always plays FAULT;
``KIND.failover.FAULT.…`` has a second one, which is healthy. What comes after is the test's: breakers are each
model's own. ``KIND/…`` is always answered; ``keyed-KIND/…`` has its key refused, ``two-KIND/…`` the first of two. The
models of the router `trained` are served, too: each in another format.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_faults import FAULTS, GOOD_KEY
from scripted_upstream import PREFIXES, ScriptedUpstream
from system import System, system

KINDS = ("openai", "anthropic", "gemini")
"""Kinds of providers that play every fault."""
ALL_KINDS = tuple(PREFIXES)
KEYS = {"SCRIPTED_KEY": "sk-scripted-0123456789", "SCRIPTED_KEY_2": GOOD_KEY}
SHORT = {"connect_s": 2.0, "first_token_s": 0.8, "idle_s": 0.8, "total_s": 2.5}
PATIENT = {"connect_s": 5.0, "first_token_s": 30.0, "idle_s": 30.0, "total_s": 60.0}
TRAINED = {"openai": "small", "anthropic": "coder", "gemini": "large"}


def _table(name: str, url: str, models: dict[str, str], deadlines: dict[str, float], keys: tuple[str, ...] = ()) -> str:
    """Return one provider; its kind is what its name begins with."""
    kind = next(kind for kind in sorted(ALL_KINDS, reverse=True) if name.startswith(kind))
    mapped = ", ".join(f'"{ours}" = "{theirs}"' for ours, theirs in models.items())
    timed = ", ".join(f"{key} = {value}" for key, value in deadlines.items())
    lines = [f'[{name}]\nkind = "{kind}"\nbase_url = "{url}"', f"models = {{ {mapped} }}"]
    return "\n".join([*lines, f"deadlines = {{ {timed} }}\nkeys = {list(keys)}\nmax_connections = 1500\n"])


def providers_toml(upstream: ScriptedUpstream) -> str:
    """Return the file of providers; who comes first is tried first.

    Those that play faults need no key: a key that one call found dead would be dead for the others.
    """
    tables, one = [], tuple(KEYS)[:1]
    for kind in KINDS:
        for name, fault in FAULTS.items():
            models = {f"{kind}.{mode}.{name}.*": "*" for mode in ("alone", "failover")}
            deadlines = SHORT if fault.silent else PATIENT
            tables.append(_table(f"{kind}-{name}", upstream.url(kind, name), models, deadlines))
        healthy = {f"{kind}.failover.*": "*", f"{kind}/*": "*", TRAINED[kind]: f"their-{TRAINED[kind]}"}
        tables += [
            _table(f"{kind}-healthy", upstream.url(kind), healthy, PATIENT, one),
            _table(f"{kind}-keyed", upstream.url(kind, "tells_key"), {f"keyed-{kind}/*": "*"}, PATIENT, one),
            _table(f"{kind}-two", upstream.url(kind, "one_key"), {f"two-{kind}/*": "*"}, PATIENT, tuple(KEYS)),
        ]
    faults = [_table("openai-responses", upstream.url("openai-responses"), {"openai-responses/*": "*"}, PATIENT, one)]
    for name in ("cut_stream", "error_event_middle"):
        url = upstream.url("openai-responses", name)
        faults.append(_table(f"openai-responses-{name}", url, {f"openai-responses.alone.{name}.*": "*"}, PATIENT))
    return "\n".join([*tables, *faults])


def silent_toml(upstream: ScriptedUpstream) -> str:
    """Return providers without deadlines of their own: ``KIND.PLAY.…`` has one that is silent, and a healthy one.

    ``KIND.alone.…`` stalls, and has nobody beside it.
    """
    tables = []
    for kind in KINDS:
        rest = {f"{kind}.{play}.*": "*" for play in ("silence", "stall")}
        tables += [
            _table(f"{kind}-silence", upstream.url(kind, "silence"), {f"{kind}.silence.*": "*"}, {}),
            _table(f"{kind}-stall", upstream.url(kind, "stall"), {f"{kind}.stall.*": "*"}, {}),
            _table(f"{kind}-alone", upstream.url(kind, "stall"), {f"{kind}.alone.*": "*"}, {}),
            _table(f"{kind}-healthy", upstream.url(kind), rest, {}),
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
