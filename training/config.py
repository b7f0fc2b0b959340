"""Read the settings of a training run from a TOML file.

The file mirrors `router_model.training.train.TrainConfig`::

    quality_bars = [0.5, 0.9]
    seed = 1

    [fit.evidence]
    max_bank = 4000

    [fit.boosters]
    num_leaves = 31
"""

import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from router_model.errors import TrainingError
from router_model.training.train import TrainConfig

T = TypeVar("T")


def read_config(path: Path | None, overrides: Mapping[str, Any]) -> TrainConfig:
    """Return the default settings, changed first by a file and then by `overrides`.

    Raises
    ------
    TrainingError
        If the file cannot be read, or has an unknown key or a value of the wrong type; the message names it.
    """
    config = TrainConfig()
    if path is not None:
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise TrainingError(f"{path}: the settings cannot be read ({exc})") from exc
        config = _changed(config, content, where=str(path))
    return replace(config, **overrides)


def stored_config(stored: Mapping[str, Any], *, where: str) -> TrainConfig:
    """Return settings from a router's provenance, which holds all of them.

    Raises
    ------
    TrainingError
        If another version of this project wrote them, with settings that this one does not know.
    """
    return _changed(TrainConfig(), stored, where=where)


def _changed(settings: T, changes: Mapping[str, Any], *, where: str) -> T:
    """Return a dataclass with some fields changed; tables change nested dataclasses."""
    known = {item.name for item in fields(settings)}  # type: ignore[arg-type]
    unknown = sorted(set(changes) - known)
    if unknown:
        raise TrainingError(
            f"{where}: unknown setting {', '.join(unknown)}; expected some of {', '.join(sorted(known))}"
        )
    values: dict[str, Any] = {}
    for name, value in changes.items():
        current = getattr(settings, name)
        if is_dataclass(current) and isinstance(value, Mapping):
            values[name] = _changed(current, value, where=f"{where}: [{name}]")
        else:
            values[name] = _like(current, value, where=f"{where}: {name}")
    return replace(settings, **values)  # type: ignore[type-var]


def _like(current: object, value: object, *, where: str) -> object:
    """Return `value` with the type of the default that it replaces."""
    if isinstance(current, tuple) and isinstance(value, list):
        like = current[0] if current else 0.5  # a setting whose default is an empty list holds numbers
        return tuple(_like(like, item, where=where) for item in value)
    if isinstance(current, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if is_dataclass(current):
        raise TrainingError(f"{where} is {value!r}; expected a table of settings")
    if type(value) is not type(current):
        raise TrainingError(f"{where} is {value!r}; expected something like {current!r}")
    return value
