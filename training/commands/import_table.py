"""The command ``router-model import``: convert outcome tables and logs of other tools into one table to train on."""

import json
import os
import textwrap
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from router_model.errors import TableError
from router_model.help_pages import Command
from router_model.progress import Work, working
from router_model.training.distributed.options import engine_option
from router_model.wording import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_model.training.importing import ImportReport, Preview, Progress

# This list is repeated here (a test compares it), because importing the converters would load polars for every --help.
FORMAT_NAMES = (
    "auto",
    "alpaca_eval",
    "arena",
    "bedrock",
    "every_eval_ever",
    "helicone",
    "helm",
    "inspect_ai",
    "langfuse",
    "langsmith",
    "litellm",
    "llmrouterbench",
    "lm_eval",
    "mlflow",
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
_WIDTH = 80


@click.command(
    "import",
    cls=Command,
    examples=r"""
    router-model import log.csv --preview
    router-model import log.csv --column quality=stars --scale 1:5 --out o.parquet
    router-model import 'traces/*.jsonl.gz' --model openai/gpt-5 --out o.parquet
    router-model import s3://bucket/traces --out s3://bucket/outcomes \
      --engine tcp://scheduler:8786
    """,
    sections={
        "What the fields mean": "--format",
        "Bad rows": "--on-error",
        "Where": "--engine",
        "Output": "--json",
    },
)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--out",
    type=click.Path(),
    help="The table to write, a .parquet file; or a folder that ends with '/', or a URI, for a partition of each file.",
)
@click.option("--preview", is_flag=True, help="Show the first three rows as they would be read; write nothing.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMAT_NAMES),
    metavar="FORMAT",
    default="auto",
    show_default=True,
    help=f"Format of the sources; auto finds it from each file's first record. The others: "
    f"{', '.join(FORMAT_NAMES[1:])}.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="OURS=THEIRS",
    help="Which field is which column: quality=verdict, prompt=input.text (inside an object), latency_s=took:ms "
    "(unit), cost_usd= (none). Repeatable.",
)
@click.option(
    "--scale", metavar="WORST:BEST", help="Scale of qualities: 1:5, 0:100, or 5:1 if 1 is best. Default: 0:1."
)
@click.option(
    "--values",
    multiple=True,
    metavar="WORD=QUALITY,...",
    help="Qualities that words stand for: good=1,bad=0,n/a= (nothing: not graded). Repeatable.",
)
@click.option("--model", metavar="NAME", help="The model of records that do not name one.")
@click.option(
    "--catalog",
    type=click.Path(),
    help="A catalog with entries of a model with a reasoning_effort: answers that were asked for with it become the "
    "entry's.",
)
@click.option(
    "--dates", type=click.Choice(["day-first", "month-first"]), help="The order of day and month in 03/04/2025."
)
@click.option(
    "--decimal", type=click.Choice(["point", "comma"]), help="The mark before the decimals in numbers such as 1,234."
)
@click.option(
    "--on-error",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="Stop at bad rows, or put single bad rows into <out>.rejects.jsonl.",
)
@click.option(
    "--max-rejected",
    default="5%",
    show_default=True,
    metavar="SHARE|ROWS",
    help="With --on-error skip: stop if more rows of a source are rejected for one reason (20%, 0.2 or 500); one bad "
    "row is always accepted.",
)
@engine_option
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def command(sources: tuple[str, ...], out: str | None, *, preview: bool, as_json: bool, **options: Any) -> None:
    """Turn outcome tables and logs into one table to train on.

    A SOURCE is a file, a folder or a quoted pattern: Parquet, CSV, JSON or JSON lines, the text formats also
    compressed (.gz, .zst). If columns have other names or another scale, the import stops and prints the
    command that reads them. data/README.md describes the columns and formats.
    """
    # Imported here so that --help needs no polars.
    from router_model.training.importing import import_sources, make_options, preview_sources
    from router_model.training.importing.partitions import import_partitions, is_folder

    chosen = _chosen(**options)
    if preview:
        shown = preview_sources(sources, make_options(**chosen), out=out or "")
        click.echo(preview_text(shown))
        if shown.objection:
            raise TableError(shown.objection)
        return
    if out is None:
        raise click.UsageError("Missing option '--out': name the table to write, or use --preview to write nothing.")
    if is_folder(out):
        with working("importing every file into a partition"):
            reports = import_partitions(sources, out, **chosen)
        click.echo(json.dumps([summary(one) for one in reports]) if as_json else partitions_text(reports, out))
        return
    with working("reading") as work:
        report = import_sources(sources, out, progress=lambda now: _show_progress(work, now), **chosen)
    click.echo(json.dumps(summary(report)) if as_json else summary_text(report))


def _chosen(*, format_name: str, columns: tuple[str, ...], values: tuple[str, ...], **others: Any) -> dict[str, Any]:
    """Return the parameters of `import_sources` for the given options."""
    from router_model.training.importing.columns import parse_columns
    from router_model.training.importing.reading import parse_words

    return {"format": format_name, "columns": parse_columns(columns), "values": parse_words(values), **others}


def summary(report: "ImportReport") -> dict[str, object]:
    """Return a report in the form that ``--json`` prints."""
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
    if report.n_with_effort is not None:
        facts.append(("with effort", f"{report.n_with_effort:,} became a candidate's of the catalog"))
    facts += [("skipped", f"{number:,} {what}") for what, number in report.skipped.items()]
    facts += [("noted", f"{number:,} {what}") for what, number in report.told.items()]
    if report.n_rejected:
        facts.append(("rejected", f"{report.n_rejected:,}, see {report.rejects}"))
    if report.unknown_columns:
        facts.append(("kept in extra", _listed(report.unknown_columns)))
    if report.unread:
        facts.append(("not read", f"{len(report.unread):,} files of other kinds: {_listed(report.unread)}"))
    facts += _formats(report.formats)
    lines = [f"Wrote {report.out}", *(_line(label, value) for label, value in facts)]
    lines += [
        f"{', '.join(models)} count as different models; if they are one, give them one name before the import."
        for models in report.alike
    ]
    if not report.n_with_quality:
        lines.append(
            "No row has a quality; training needs some. Which field says how good an answer was? Name it with "
            "--column quality=FIELD."
        )
    return "\n".join(lines)


def partitions_text(reports: "Sequence[ImportReport]", out: str) -> str:
    """Return the reports of partitions as lines for a terminal."""
    n_rows, rejected = sum(one.n_rows for one in reports), sum(one.n_rejected for one in reports)
    skipped, told = Counter[str](), Counter[str]()
    for one in reports:
        skipped.update(one.skipped)
        told.update(one.told)
    return "\n".join(
        [
            f"Wrote {len(reports):,} partitions to {out}",
            f"  {'rows':<14} {n_rows:,}",
            f"  {'with quality':<14} {_share(sum(one.n_with_quality for one in reports), n_rows)}",
            *(f"  {'skipped':<14} {number:,} {what}" for what, number in skipped.items()),
            *(f"  {'noted':<14} {number:,} {what}" for what, number in told.items()),
            *([f"  {'rejected':<14} {rejected:,}, see the .rejects.jsonl beside them"] if rejected else []),
        ]
    )


def preview_text(preview: "Preview") -> str:
    """Return the rows of a preview as lines of at most 80 columns."""
    lines = []
    for path, name, rows in preview.files:
        lines.append(f"{path} ({name})")
        for row in rows:
            lines.append(f"  row {row.row}" + (", cannot be read:" if row.problems else ""))
            lines += [_cut(f"    {column:<14} {_one_line(value)}") for column, value in row.values.items()]
            lines += [_cut(f"    {_one_line(problem.partition(': ')[2])}") for problem in row.problems]
    if preview.n_more_files:
        lines.append(f"and {preview.n_more_files:,} more files")
    return "\n".join([*lines, "Nothing was written."])


def _show_progress(work: Work, now: "Progress") -> None:
    work.reached(now.bytes_read, now.bytes_total, f"reading {now.path.name}")


def _one_line(value: object) -> str:
    return " ".join(f"{value:.10g}".split() if isinstance(value, float) else str(value).split())


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _share(part: int, whole: int) -> str:
    return f"{part:,}" if part == whole else f"{part:,} ({percent(part / whole)})"


def _line(label: str, value: str) -> str:
    """Write a fact on a line of 80 characters; a list of names on several. What has a path stays whole, to be copied.

    >>> print(_line("models", ", ".join(["claude-sonnet-4.5"] * 4)))
      models         claude-sonnet-4.5, claude-sonnet-4.5, claude-sonnet-4.5,
                     claude-sonnet-4.5
    """
    first = f"  {label:<14} "
    if os.sep in value:
        return first + value
    rest = " " * len(first)
    return textwrap.fill(
        value, 80, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _formats(formats: dict[str, str]) -> list[tuple[str, str]]:
    shown = [(name, file) for file, name in list(formats.items())[:_MAX_LISTED]]
    more = len(formats) - _MAX_LISTED
    return [*shown, ("…", f"and {more} more files, see --json")] if more > 0 else shown
