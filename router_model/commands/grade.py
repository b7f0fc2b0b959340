"""The command ``router-model grade``: grade answers by rules, by a function or by a judging model."""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from router_model.commands.asking import saying_how_to_go_on
from router_model.commands.judge_options import JudgeOptions, judge_options
from router_model.help_pages import Command
from router_model.progress import working

if TYPE_CHECKING:
    import polars as pl

    from router_model.commands.grade_report import GradeReport

_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option(
        "--by", required=True, multiple=True, metavar="[TASK=]GRADER[:OPTIONS]",
        help="exact, number, choice, contains, regex, json-schema, tool-calls, python or judge; repeatable: one for "
        "each task that has its own, and one for all others.",
    ),
    click.option("--labels", type=_PATH, metavar="TABLE",
                 help="Labels of people (prompt_id, model, label), to measure the grader by."),
    click.option("--quality-bar", type=click.FloatRange(0, 1, min_open=True), default=0.5, show_default=True,
                 help="From this quality on, an answer succeeds; for the comparison with labels."),
    click.option("--max-ungraded", type=click.FloatRange(0, 1), default=0.5, show_default=True, metavar="SHARE",
                 help="The largest share of answers that may be left without a grade."),
)  # fmt: skip


def grading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how to grade, those of the judge included."""
    function = judge_options(function)
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command(
    "grade",
    cls=Command,
    examples=r"""
    router-model grade answers.parquet --by math=number --by choice \
      --out outcomes.parquet
    router-model grade answers.parquet --by judge --judge openai/gpt-5-mini \
      --providers providers.toml --budget-usd 2 --labels labels.csv \
      --out outcomes.parquet
    """,
    sections={
        "Grader": "--by",
        "Judging model": "--judge",
        "Files": "--out",
        "Output": "--json",
    },
)
@click.argument("answers", type=_PATH)
@grading_options
@click.option("--out", required=True, type=_PATH, help="The outcome table to write, a .parquet file.")
@click.option("--reference", metavar="COLUMN", help="The column with the right answers [reference].")
@click.option("--references", type=_PATH, metavar="TABLE", help="A table that has the references, by prompt_id.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    answers: Path,
    *,
    out: Path,
    reference: str | None,
    references: Path | None,
    as_json: bool,
    **how: Any,
) -> int:
    """Grade the table ANSWERS, which 'collect' wrote, and write an outcome table.

    A grade is from 0 to 1. An answer that cannot be graded, such as one
    without a reference, has no grade, and the summary says why.

    With --labels, the grader is measured by what people say: how often they
    agree, whether it favours models or lengths, and what each model's mean
    quality is when it is corrected. docs/grading.md explains every grader.

    Exit status: 0 all answers were graded as far as they can be, 3 the judge
    was not asked about all (budget, failing model), 130 Ctrl-C; the table has
    the grades so far. 2 nothing was written, also because more is left than
    --max-ungraded allows.
    """
    report = grade_answers(answers, out, reference=reference, references=references, **how)
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        report.show()
    return report.exit_code


def check_grading(
    expected: "pl.DataFrame", *, by: Sequence[str], judge: JudgeOptions, labels: Path | None, **_: object
) -> None:
    """Refuse graders, a judge or labels that `grade_answers` would refuse, before answers are paid for.

    Parameters
    ----------
    expected : prompt_id and model of the answers
    by, judge, labels : see `grade_answers`

    Raises
    ------
    TableError, RequestError
        See `grade_answers`.
    """
    from router_model.training.grading.graders import read_by
    from router_model.training.grading.labels import read_labels

    with TemporaryDirectory(prefix="router-grade-") as folder, ExitStack() as opened:

        def checked_judge() -> Any:
            made = opened.enter_context(judge.opened(Path(folder) / "no-calls.db"))
            made.check()
            return made

        read_by(by, judge=checked_judge)
    if labels is not None:
        read_labels(labels, expected)


def grade_answers(
    answers: Path,
    out: Path,
    *,
    by: Sequence[str],
    judge: JudgeOptions,
    labels: Path | None,
    quality_bar: float,
    max_ungraded: float,
    reference: str | None = None,
    references: Path | None = None,
    journal: Path | None = None,
) -> "GradeReport":
    """Grade a table of answers and write the outcome table.

    Parameters
    ----------
    answers, out : Path
    by : graders of tasks, as typed
    judge : JudgeOptions
    labels : Path or None
    quality_bar : float
    max_ungraded : float
    reference, references : see `router_model.training.grading.answers.read_answers`
    journal : where the judge's calls are kept [``<out>.judge.db``]

    Raises
    ------
    TableError
        If the answers or the labels cannot be used, or too many answers could not be graded.
    RequestError
        If a grader or one of its options is wrong.
    """
    from router_model.commands.grade_report import GradeReport
    from router_model.training.grading.answers import read_answers
    from router_model.training.grading.grade_table import grade_table
    from router_model.training.grading.graders import read_by
    from router_model.training.grading.labels import measure_graders, read_labels
    from router_model.training.importing.output import check_table_name, write_table

    check_table_name(out)
    table = read_answers(answers, reference=reference, references=references)
    given = {} if labels is None else read_labels(labels, table)
    with ExitStack() as opened:
        judges = []

        def make_judge() -> Any:
            path = journal or out.with_name(f"{out.stem}.judge.db")
            opened.enter_context(saying_how_to_go_on(path))
            judges.append(opened.enter_context(judge.opened(path)))
            return judges[0]

        graders = read_by(by, judge=make_judge)
        with nullcontext() if judges else working("grading"):  # a judge says by itself what it asks
            graded = grade_table(answers, table, graders)
        model = judges[0] if judges else None
        graded.check(max_ungraded, advice=model.advice if model else None)
        write_table(graded.outcomes(given, model.name if model else None), out)
        return GradeReport.of(out, graded, measure_graders(graded, given, bar=quality_bar), model)
