"""The command ``router-model label``: answers of several models to a sample of logged prompts, graded."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router_model.commands.asking import saying_how_to_go_on
from router_model.commands.collect import command as collect
from router_model.commands.grade import check_grading, grade_answers, grading_options
from router_model.commands.judge_options import JudgeOptions
from router_model.commands.log_source import LogSource, log_options
from router_model.errors import RequestError, TableError
from router_model.help_pages import Command
from router_model.missing_paths import no_such
from router_model.serving.common.private_files import making_private

if TYPE_CHECKING:
    import polars as pl


@click.command(
    "label",
    cls=Command,
    examples=r"""
    router-model label --log sqlite:///router-log.db --sample 300 \
      --models openai/gpt-5-mini,qwen/qwen3-32b --providers providers.toml \
      --by judge --judge openai/gpt-5 --budget-usd 5 --out labelled.parquet
    """,
    sections={
        "Prompts of the log": "--log",
        "Who is asked": "--models",
        "Grader": "--by",
        "Judging model": "--judge",
        "Output": "--out",
    },
)
@log_options
@click.option("--models", required=True, metavar="A,B,C", help="The models to ask, as the providers file names them.")
@click.option("--sample", type=click.IntRange(min=1), default=200, show_default=True, help="How many prompts.")
@click.option("--one-per-session", is_flag=True, help="Take at most one prompt of each conversation.")
@grading_options
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The outcome table to write (.parquet).")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    source: LogSource,
    models: str,
    sample: int,
    one_per_session: bool,
    out: Path,
    judge: JudgeOptions,
    **how: Any,
) -> int:
    """Ask models a sample of the prompts of a decision log, and grade the answers.

    This is 'collect' and 'grade' with one budget for both. The sample is drawn
    once and kept beside OUT, with the answers and with all that was paid for:
    give the same command again to go on where it was. Table OUT is for 'train'
    and 'retrain --table': it has all models' outcomes of each prompt.

    Exit status: 0 all was asked and graded, 2 nothing was graded, 3 some is
    left (budget, failing models), 130 Ctrl-C.
    """
    journal = out.with_name(f"{out.stem}.collected.calls.db")
    with saying_how_to_go_on(journal):
        return _label(
            *(ctx, source, out, journal),
            models=models,
            sample=sample,
            one_per_session=one_per_session,
            judge=judge,
            how=how,
        )


def _label(
    ctx: click.Context,
    source: LogSource,
    out: Path,
    journal: Path,
    *,
    models: str,
    sample: int,
    one_per_session: bool,
    judge: JudgeOptions,
    how: dict[str, Any],
) -> int:
    from router_model.training.grading.answers import read_table
    from router_model.training.grading.graders import needs_reference
    from router_model.training.importing.output import check_table_name, write_whole

    if judge.providers is None or judge.budget_usd is None:
        raise RequestError("label needs --providers FILE and --budget-usd USD, to ask the models")
    check_table_name(out)
    drawn, collected = out.with_name(f"{out.stem}.sample.parquet"), out.with_name(f"{out.stem}.collected.parquet")
    answers = out.with_name(f"{out.stem}.answers.parquet")
    is_drawn = drawn.exists()
    if is_drawn:
        click.echo(f"{drawn} is there from an earlier run, and is asked again; delete it to draw another sample")
    prompts = read_table(drawn) if is_drawn else _draw(source, sample, judge.seed, one_per_session=one_per_session)
    comparing = [text for text in how["by"] if needs_reference(text)]
    if comparing:
        raise RequestError(
            f"--by {comparing[0]} compares with right answers, and a decision log has none; grade by judge, python, "
            "json-schema or regex:PATTERN"
        )
    check_grading(_pairs(prompts, models), judge=judge, **how)
    # All of these files have whole prompts of the log.
    with making_private():
        if not is_drawn:
            write_whole(prompts, drawn, is_private=True)
        status = ctx.invoke(
            collect,
            prompts=(str(drawn),),
            models=models,
            providers=judge.providers,
            budget_usd=judge.budget_usd,
            out=collected,
            answers=answers,
            catalog=judge.catalog,
            concurrency=judge.concurrency,
            seed=judge.seed,
        )
    if status:
        click.echo("Nothing is graded before all answers are there; give the same command again to go on.")
        return int(status)
    # One journal for both has one budget for both.
    report = grade_answers(answers, out, judge=judge, journal=journal, **how)
    report.show()
    return report.exit_code


def _draw(source: LogSource, n: int, seed: int, *, one_per_session: bool) -> "pl.DataFrame":
    """Return n prompts of the log whose text is known."""
    import polars as pl

    with source.table() as path:
        if not path.is_file():
            raise TableError(f"{no_such(path)} Expected a table of 'router-model log export', or a log's URL")
        table = pl.read_parquet(path)
    sample = draw_prompts(table, n, seed=seed, one_per_session=one_per_session)
    if sample.is_empty():
        raise TableError(f"{source.name} has no prompt with its text; 'serve --log-prompts full' keeps them")
    return sample


def _pairs(prompts: "pl.DataFrame", models: str) -> "pl.DataFrame":
    """Return the prompts and models that will be asked."""
    import polars as pl

    names = [name.strip() for name in models.split(",")]
    return prompts.select("prompt_id").join(pl.DataFrame({"model": names}), how="cross")


def draw_prompts(table: "pl.DataFrame", n: int, *, seed: int, one_per_session: bool = False) -> "pl.DataFrame":
    """Draw prompts without replacement, each with the same probability; what the models answered is left out.

    The order of a hash of ids decides, so that the same log gives the same sample, and a longer log keeps most of it.
    Conversations have a hash of their own, so that a long one is drawn as often as a short one.

    Parameters
    ----------
    table : an exported log
    n : int
    seed : int
    one_per_session : whether to draw conversations, and one prompt of each
    """
    import polars as pl

    from router_model.training.prompts_to_ask import PROMPT_FIELDS

    forms = [pl.col(name).is_not_null() for name in ("prompt", "messages") if name in table.columns]
    known = table.filter(pl.any_horizontal(forms)).unique("prompt_id", keep="first", maintain_order=True)
    known = _shuffled(known, "prompt_id", seed)
    if one_per_session:
        session = pl.col("session_id").fill_null(pl.col("prompt_id")).alias("session")
        known = known.with_columns(session).unique("session", keep="first", maintain_order=True)
        known = _shuffled(known, "session", seed)
    return known.head(n).select(name for name in PROMPT_FIELDS if name in known.columns)


def _shuffled(table: "pl.DataFrame", name: str, seed: int) -> "pl.DataFrame":
    """Return the rows in the order of a hash of one column."""
    import polars as pl

    place = [hashlib.sha256(f"{name}:{value}:{seed}".encode()).hexdigest() for value in table[name]]
    return table.with_columns(pl.Series("place", place, dtype=pl.String)).sort("place")
