"""``router-model import``: outcome tables and logs of others become one table to train on."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.importing import ImportReport, Progress

# Written out, and pinned by a test: importing the converters would load polars for every --help.
FORMAT_NAMES = (
    "auto",
    "alpaca_eval",
    "arena",
    "every_eval_ever",
    "helicone",
    "helm",
    "inspect_ai",
    "langfuse",
    "langsmith",
    "litellm",
    "llmrouterbench",
    "lm_eval",
    "mt_bench",
    "mt_bench_pairs",
    "openai_batch",
    "openai_evals",
    "openai_stored",
    "openinference",
    "otel",
    "outcomes",
    "paretobandit",
    "promptfoo",
    "ragas",
    "routerbench",
    "vercel",
)
_MAX_LISTED = 12


@click.command("import")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--out", required=True, type=click.Path(), help="The table to write, a .parquet file.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMAT_NAMES),
    default="auto",
    show_default=True,
    help="What the sources are; auto tells each file by its first record.",
)
@click.option(
    "--on-error",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="End at the first bad row, or set bad rows aside in <out>.rejects.jsonl.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def command(sources: tuple[str, ...], out: str, format_name: str, on_error: str, *, as_json: bool) -> None:
    """Turn outcome tables and logs into one table to train on.

    A SOURCE is a file, a folder or a quoted pattern: Parquet, CSV, JSON or JSON lines, the text ones also
    compressed (.gz, .zst). data/README.md describes the columns and formats.
    """
    # Imported here so that --help needs no polars.
    from training.importing import import_sources  # noqa: PLC0415

    with _progress_bar() as show:
        report = import_sources(
            sources, out, format=format_name, on_error="skip" if on_error == "skip" else "fail", progress=show
        )
    click.echo(json.dumps(summary(report)) if as_json else summary_text(report))


def summary(report: "ImportReport") -> dict[str, object]:
    """Return a report as what ``--json`` prints."""
    fields = asdict(report)
    return fields | {"out": str(report.out), "rejects": report.rejects and str(report.rejects)}


def summary_text(report: "ImportReport") -> str:
    """Return a report as lines for a terminal."""
    facts = [
        ("rows", f"{report.n_rows:,}"),
        ("prompts", f"{report.n_prompts:,}"),
        ("models", f"{report.n_models:,}"),
        ("with quality", _share(report.n_with_quality, report.n_rows)),
    ]
    facts += [("skipped", f"{number:,} {what}") for what, number in report.skipped.items()]
    if report.n_rejected:
        facts.append(("rejected", f"{report.n_rejected:,}, see {report.rejects}"))
    if report.unknown_columns:
        facts.append(("kept in extra", _listed(report.unknown_columns)))
    facts += _formats(report.formats)
    lines = [f"Wrote {report.out}", *(f"  {label:<14} {value}" for label, value in facts)]
    if not report.n_with_quality:
        lines.append("No row has a quality; training needs some. Is the column named 'quality'?")
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part:,}" if part == whole else f"{part:,} ({part / whole:.1%})"


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _formats(formats: dict[str, str]) -> list[tuple[str, str]]:
    shown = [(name, file) for file, name in list(formats.items())[:_MAX_LISTED]]
    more = len(formats) - _MAX_LISTED
    return [*shown, ("…", f"and {more} more files, see --json")] if more > 0 else shown


@contextmanager
def _progress_bar() -> "Iterator[Callable[[Progress], None]]":
    """Show how much of the sources has been read, on a terminal's stderr only."""
    from rich.console import Console  # noqa: PLC0415 not needed for --help
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Reading", total=None)

        def show(progress: "Progress") -> None:
            bar.update(
                task,
                description=f"Reading {progress.path.name}",
                completed=progress.bytes_read,
                total=progress.bytes_total,
            )

        yield show
