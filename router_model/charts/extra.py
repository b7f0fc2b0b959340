"""Import the drawing libraries when a chart is made, and say what to install where they are missing."""

from functools import cache
from importlib import import_module
from typing import Any

from router_model.install_line import install_line


@cache
def altair() -> Any:
    """Return the module ``altair``."""
    return _imported("altair")


@cache
def vl_convert() -> Any:
    """Return the module ``vl_convert``."""
    return _imported("vl_convert")


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as exc:
        raise ImportError(f"{name} is not installed; charts need the extra 'report': {install_line('report')}") from exc
