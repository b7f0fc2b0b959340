"""``--html``: the option of commands that can write what they found as a page, too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def check_page(path: Path | None) -> None:
    """Refuse a place for a page before anything is measured; None is no page.

    Raises
    ------
    click.UsageError
        If it is a folder, or its folder does not exist.
    """
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise click.UsageError(f"got {path} for the page, expected the name of a file in a folder that exists")


def html_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option ``--html``, which arrives as `html`: a path whose folder exists, or None."""

    def checked(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
        check_page(value)
        return value

    option = click.option(
        "--html", type=click.Path(path_type=Path), metavar="FILE", callback=checked, help="Write it as a page, too."
    )
    return option(function)
