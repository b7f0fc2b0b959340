"""``router-model doctor``: examine what a service needs, and say what to do about what is wrong."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router_model.help_pages import Command
from router_model.serving.commands.serve import SECTIONS, settings_options
from router_model.serving.common.lean_imports import import_lightgbm_alone
from router_model.wording import counted

if TYPE_CHECKING:
    from router_model.serving.common.settings import Settings
    from router_model.serving.doctor.finding import Finding
    from router_model.serving.providers.provider import Provider

_MARKS = {"good": "ok", "unknown": "--", "warning": "WARN", "error": "ERROR"}


@click.command(
    "doctor",
    cls=Command,
    examples="""
    # with the options, or the variables, that 'serve' gets
    router-model doctor routers --keys keys.toml --providers providers.toml
    # for a script: 0 good, 1 warnings, 2 errors
    router-model doctor routers --json > findings.json
    """,
    sections=SECTIONS,
)
@click.argument("artifact", type=click.Path(path_type=Path), required=False)
@click.option("--offline", is_flag=True, help="Ask no provider.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@settings_options
def command(*, offline: bool, as_json: bool, **options: Any) -> None:
    """Examine artifact, catalog, providers, log, keys and machine.

    It takes the options and variables of 'serve', changes nothing, and asks
    providers for their list of models alone, which is free. Each finding says
    what to do. The exit status is 0 if all is well, 1 if there are warnings,
    and 2 if there are errors.
    """
    from router_model.serving.common.service_errors import SettingsError
    from router_model.serving.common.settings import read_settings
    from router_model.serving.doctor.finding import Finding, Level, exit_status

    import_lightgbm_alone()
    try:
        found = list(examine(read_settings(**options), offline=offline))
    except SettingsError as exc:
        found = [Finding("settings", Level.ERROR, str(exc), "give the options, or the variables, that 'serve' gets")]
    if as_json:
        click.echo(json.dumps({"status": exit_status(found), "findings": [asdict(one) for one in found]}))
    else:
        for one in found:
            click.echo(f"{_MARKS[one.level]:<5}  {one.check}: {one.said}")
            if one.do:
                click.echo(f"       -> {one.do}")
    raise SystemExit(exit_status(found))


def examine(settings: "Settings", *, offline: bool = False) -> "Iterator[Finding]":
    """Yield the findings about everything that the settings name."""
    from router_model.serving.doctor.log_checks import log_findings
    from router_model.serving.doctor.machine_checks import machine_findings
    from router_model.serving.doctor.provider_checks import Asked, ask_providers
    from router_model.serving.doctor.router_checks import router_findings

    providers, broken = _providers(settings)
    yield from router_findings(settings, providers)
    yield from broken
    asked = Asked((), ()) if offline else ask_providers(providers)
    yield from asked.findings
    yield from log_findings(settings)
    yield from _access(settings)
    yield from machine_findings(settings, asked.ahead_s)


def _providers(settings: "Settings") -> "tuple[tuple[Provider, ...], list[Finding]]":
    from router_model.serving.common.service_errors import SettingsError
    from router_model.serving.doctor.finding import Finding, Level
    from router_model.serving.providers.config import load_providers

    if settings.providers is None:
        return (), [Finding("providers", Level.UNKNOWN, "none are named, so nothing is forwarded")]
    try:
        return load_providers(settings.providers), []
    except SettingsError as exc:
        return (), [Finding("providers", Level.ERROR, str(exc), "the service does not start like this")]


def _access(settings: "Settings") -> "Iterator[Finding]":
    from router_model.serving.access.start import check_access
    from router_model.serving.common.service_errors import SettingsError
    from router_model.serving.doctor.finding import Finding, Level

    try:
        keyring = check_access(settings)
    except SettingsError as exc:
        yield Finding("keys", Level.ERROR, str(exc), "the service does not start like this")
        return
    if keyring is None:
        yield Finding("keys", Level.UNKNOWN, "not asked for: everybody on this machine may call (--insecure)")
    else:
        n = sum(key.ended(datetime.now(UTC)) is None for key in keyring.all_keys)
        said = f"{settings.keys} has {counted(n, 'valid key')}"
        if n:
            yield Finding("keys", Level.GOOD, said)
        else:
            yield Finding("keys", Level.ERROR, f"{said}, so every call is refused", "router-model keys create")
