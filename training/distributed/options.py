"""``--engine``, and tables that may be in several files: what commands that train and measure share."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click


class TablePath(click.ParamType[str | Path]):
    """The path of a table, of its partitions, or their URI, which is no path."""

    name = "path"

    def convert(self, value: Any, _parameter: click.Parameter | None, _context: click.Context | None) -> str | Path:
        """Keep a URI as it is: a path would lose one of its slashes."""
        return str(value) if "://" in str(value) else Path(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Any:
        """Propose files, as for other paths."""
        return click.Path().shell_complete(ctx, param, incomplete)


def engine_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option ``--engine``; the whole command then computes there."""

    @wraps(function)
    def on_engine(*args: Any, engine: str, **others: Any) -> Any:
        from router_model.training.distributed.engine import computing_on  # noqa: PLC0415  (--help stays fast)

        with computing_on(engine):
            return function(*args, **others)

    option = click.option(
        "--engine",
        default="local",
        metavar="WHERE",
        envvar="ROUTER_ENGINE",
        help="Where to compute: local, local:N for N processes, or a Dask scheduler such as tcp://host:8786 [local].",
    )
    return option(on_engine)


max_prompts_option: Callable[[Any], Any] = click.option(
    "--max-prompts",
    type=click.IntRange(min=1000),
    default=1_000_000,
    metavar="N",
    show_default=True,
    help="From a larger table so many prompts are drawn at random; a million of 650 characters take about 6 GB.",
)
"""``--max-prompts``: how many prompts of a table are read (`router_model.training.table.subsample.MAX_PROMPTS`)."""
