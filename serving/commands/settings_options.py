"""Command line options made from the settings: each field is one, with its description, default and variable."""

import types
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin

import click
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from router_model.serving.errors import SettingsError
from router_model.serving.settings import Settings

ARGUMENT: Final = "artifact"


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for every setting but the artifact, in their order."""
    for name in reversed(Settings.model_fields):
        if name != ARGUMENT:
            command = _option(name, Settings.model_fields[name])(command)
    return command


def read_settings(**options: Any) -> Settings:
    """Return the settings of options; what was not given comes from the environment, or is the default.

    Raises
    ------
    SettingsError
        If one is out of its range; the message names the option.
    """
    given = {name: value for name, value in options.items() if value not in (None, ())}
    try:
        return Settings(**given)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        if not first["loc"]:
            raise SettingsError(first["msg"]) from None
        name = str(first["loc"][0])
        raise SettingsError(f"{option_name(name)} (or {variable(name)}): {_lowered(first['msg'])}") from None


def option_name(name: str) -> str:
    """Return a setting's option.

    >>> option_name("max_body_bytes")
    '--max-body-bytes'
    """
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    """Return a setting's environment variable.

    >>> variable("max_body_bytes")
    'ROUTER_MAX_BODY_BYTES'
    """
    return f"ROUTER_{name.upper()}"


def default_text(field: FieldInfo) -> str:
    """Return a default as it would be typed; empty where there is none."""
    value = field.default
    if value is None or value == ():
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that stand for settings, for the processes of a service.

    >>> as_environment(Settings(artifact="r", trusted_hosts=("a", "b")))["ROUTER_TRUSTED_HOSTS"]
    '["a","b"]'
    """
    values = settings.model_dump(mode="json", exclude_none=True)
    dumped = {name: value if isinstance(value, str) else _json(value) for name, value in values.items()}
    return {variable(name): value for name, value in dumped.items()}


def _json(value: object) -> str:
    from pydantic_core import to_json  # noqa: PLC0415

    return to_json(value).decode()


def _option(name: str, field: FieldInfo) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    default = default_text(field)
    text = f"{field.description} [{f'default: {default}; ' * bool(default)}{variable(name)}]"
    kind = _kind(field.annotation)
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


def _lowered(message: str) -> str:
    return message[0].lower() + message[1:]
