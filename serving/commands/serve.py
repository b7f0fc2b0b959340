"""``router-model serve``: every setting is one of its options, with its description, default and variable."""

import types
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin

import click

from router_model.help_pages import Command
from router_model.progress import working
from router_model.serving.common.extra import needing_serve
from router_model.serving.common.lean_imports import import_lightgbm_if_needed
from router_model.serving.common.lean_memory import keep_little_memory

with needing_serve("'serve'"):
    from pydantic.fields import FieldInfo

    from router_model.serving.common.settings import Settings, option_name, read_settings, variable

ARGUMENT: Final = "artifact"
SECTIONS: Final = {
    "Router and decisions": "--catalog",
    "Exploration": "--explore-share",
    "Canary": "--canary-every-s",
    "Promotions from the console": "--promotion-table",
    "Levels between retrains": "--follow-levels",
    "Sessions": "--session-ttl-s",
    "Forwarded calls": "--providers",
    "Decision log": "--log",
    "Address and processes": "--host",
    "Access and budgets": "--keys",
    "Limits of a request": "--max-body-bytes",
    "Log lines": "--log-format",
    "Ending": "--drain-s",
}
"""Heading in the help -> the first option below it."""


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for every setting but the artifact, in their order."""
    # Reversed, because click puts the option that is added last first.
    for name in reversed(Settings.model_fields):
        if name != ARGUMENT:
            command = _option(name, Settings.model_fields[name])(command)
    return command


def default_text(field: FieldInfo) -> str:
    """Return a default as it would be typed; empty if there is none."""
    value = field.default
    if value is None or value == ():
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _option(name: str, field: FieldInfo) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    default = default_text(field)
    text = f"{field.description} [{f'default: {default}; ' * bool(default)}{variable(name)}]"
    kind = _kind(field.annotation)
    # None where the flag is not given: false would go before the variable.
    if kind is bool:
        return click.option(option_name(name), name, is_flag=True, default=None, help=text)
    if kind is tuple:
        return click.option(option_name(name), name, multiple=True, metavar="TEXT", help=f"{text}; repeatable.")
    return click.option(option_name(name), name, type=kind, help=text)


def _kind(annotation: Any) -> Any:
    """Return click's type of a field's."""
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(one for one in get_args(annotation) if one is not type(None))
    if get_origin(annotation) is tuple:
        return tuple
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return click.Choice([one.value for one in annotation])
    return click.Path(path_type=Path) if annotation is Path else annotation


@click.command(
    "serve",
    cls=Command,
    examples=r"""
    # this machine only
    router-model serve my-router --insecure --providers providers.toml
    # callers show a key, and the folder's router may be replaced while it serves
    router-model serve routers --host 0.0.0.0 --keys keys.toml \
      --providers providers.toml
    # two routers: "auto:support" and "auto:code"; "auto" is the first
    router-model serve --router support=routers/support \
      --router code=routers/code --keys keys.toml --providers providers.toml
    """,
    sections=SECTIONS,
)
@click.argument("artifact", type=click.Path(path_type=Path), required=False)
@settings_options
def command(**options: Any) -> None:
    """Answer over HTTP which model to call, with the router in ARTIFACT.

    With --providers it also forwards calls: OpenAI's, Anthropic's and
    Google's SDKs may be pointed at it (docs/proxy.md), also without an
    ARTIFACT.

    ARTIFACT is a router's folder, a file or link that names one, or a folder
    that 'router-model promote' publishes in; its name is "default". --router
    adds others, or replaces it. Every option can be set by the
    variable behind it, too; the option wins.
    """
    settings = read_settings(**options)
    keep_little_memory()
    import_lightgbm_if_needed()  # before the router is loaded
    with needing_serve("'serve'"):
        from router_model.serving.preflight import about
        from router_model.serving.server import claim, in_url, serve

    with claim(settings.host, settings.port) as sock:  # first: what is in use is said before the router is loaded
        with working("reading the router"):
            lines = about(settings)
        address = in_url(settings.host, sock.getsockname()[1])
        said = "\n".join([f"listening on http://{address}", *lines]).replace("{address}", address)
        serve(settings, sock, on_listening=lambda: click.echo(said))
    click.echo("stopped; what was under way was answered, and the log is flushed")
