"""The command ``router-model collect``: ask models prompts, and write an outcome table of their answers."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from router_model.commands.asking import progress_of_calls, say_stop, saying_how_to_go_on
from router_model.commands.log_source import LogSource, is_table
from router_model.errors import RequestError
from router_model.help_pages import Command
from router_model.pages.command_option import html_option
from router_model.serving.commands.log import DEFAULT_SPOOL
from router_model.serving.common.extra import needing_serve
from router_model.wording import counted, shortened, usd

if TYPE_CHECKING:
    from router_model.catalog import ModelCard
    from router_model.commands.collect_plan import Plan
    from router_model.serving.paid_calls.calls import CallOutcome, PaidCall
    from router_model.serving.paid_calls.journal import Journal
    from router_model.serving.paid_calls.session import Asked
    from router_model.serving.providers.fleet import Fleet
    from router_model.training.prompts_to_ask import AskedPrompts

MAX_OUTPUT_TOKENS: Final = 8192
"""The limit of prompts that set none. It bounds what has to be reserved for a call."""


@click.command(
    "collect",
    cls=Command,
    examples=r"""
    router-model collect prompts.jsonl --models openai/gpt-5-mini,qwen/qwen3-32b \
      --providers providers.toml --budget-usd 5 --dry-run --out outcomes.parquet
    router-model collect prompts.jsonl --models openai/gpt-5-mini,qwen/qwen3-32b \
      --providers providers.toml --budget-usd 5 --out outcomes.parquet
    """,
    sections={
        "Who is asked, and for how much": "--models",
        "Files": "--out",
        "What is asked": "--max-output-tokens",
        "What is left out": "--adaptive",
        "Output": "--json",
    },
)
@click.argument("prompts", nargs=-1, required=True, metavar="PROMPTS...")
@click.option("--models", required=True, metavar="A,B,C", help="The models to ask, as the providers file names them.")
@click.option(
    "--providers",
    required=True,
    type=click.Path(path_type=Path),
    envvar="ROUTER_PROVIDERS",
    help="Who serves them, as for 'serve' (docs/providers.md) [ROUTER_PROVIDERS].",
)
@click.option(
    "--budget-usd",
    type=click.FloatRange(min=0, min_open=True),
    help="The most to spend, earlier runs into the same table included; --dry-run can do without.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The table to write, a .parquet file.")
@click.option(
    "--answers",
    type=click.Path(path_type=Path),
    help="Where the answers go, for grading [OUT with 'answers' for 'outcomes'].",
)
@click.option("--no-answers", is_flag=True, help="Write no answers.")
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices (TOML) [a public price list].")
@click.option(
    "--max-output-tokens",
    type=click.IntRange(min=1),
    default=MAX_OUTPUT_TOKENS,
    show_default=True,
    help="The limit of prompts that set none. Models that think may need more.",
)
@click.option(
    "--column", "columns", multiple=True, metavar="OURS=THEIRS", help="Which field is which column, as for 'import'."
)
@click.option(
    "--reference", metavar="FIELD", help="The field with the right answer [reference, where a record has it]."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=8,
    show_default=True,
    help="Calls at a time that a provider gets.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order of the prompts.")
@click.option(
    "--adaptive",
    is_flag=True,
    help="Ask the first prompts, and after you have graded them into OUT, only models that a router may choose.",
)
@click.option("--router", type=click.Path(path_type=Path), help="A router that predicts the lengths of answers.")
@click.option("--dry-run", is_flag=True, help="Show what it would cost; send nothing, and need no keys.")
@click.option(
    "--spool",
    type=click.Path(path_type=Path),
    default=DEFAULT_SPOOL,
    envvar="ROUTER_LOG_SPOOL",
    show_default=True,
    help="Of a decision log: folder of records that are not in it yet.",
)
@html_option
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    prompts: tuple[str, ...],
    *,
    models: str,
    providers: Path,
    budget_usd: float | None,
    out: Path,
    answers: Path | None,
    no_answers: bool,
    catalog: Path | None,
    max_output_tokens: int,
    columns: tuple[str, ...],
    reference: str | None,
    concurrency: int,
    seed: int,
    adaptive: bool,
    router: Path | None,
    dry_run: bool,
    spool: Path,
    html: Path | None,
    as_json: bool,
) -> int:
    """Ask models the PROMPTS, and write what each answered, took and cost.

    PROMPTS are files and folders that 'import' reads, with or without
    answers of other models, or the URL of a decision log. A field beside the
    prompt that a chat body knows (tools, temperature ...) is sent along.

    Money is reserved before each call, so the budget is never exceeded. A
    run that was killed goes on where it was: give the same command again,
    and nothing is paid for twice. Ctrl-C waits for the calls under way.

    Grade the answers then; what OUT says of the same answers already, and
    of other prompts and models, is kept. Exit status: 0 all pairs were
    asked, 3 some are left (budget, failing models), 130 Ctrl-C.
    """
    journal_path = out.with_name(f"{out.stem}.calls.db")
    with saying_how_to_go_on(journal_path):
        named = _models(models)
        _check_out(out, journal_path)
        if budget_usd is None and not dry_run:
            raise click.UsageError("--budget-usd is missing, the most to spend; --dry-run shows what it will cost")
        with needing_serve("'collect'"):
            from router_model.commands.collect_plan import OutputLengths, Plan, price
            from router_model.commands.collect_report import CollectReport, show_plan
            from router_model.commands.collect_tables import answers_path, grades_of, write_tables
            from router_model.serving.providers.fleet import Fleet
            from router_model.serving.providers.secret_values import as_if_set

        cards = _cards(catalog, named)
        fleet = Fleet(providers, lambda: cards, environ=as_if_set(os.environ) if dry_run else os.environ)
        _check_served(fleet, named)
        read = _read(prompts, columns, reference, spool)
        _say_not_sent(read)
        plan = Plan.of(read.prompts, named, seed=seed, max_output_tokens=max_output_tokens)
        with _journal(journal_path, budget_usd or 0.0, is_read_only=dry_run) as journal:
            n_known = _recall(plan, journal)
            if adaptive:
                plan.narrow(grades_of(out, plan))
            predicted = {} if router is None else _predicted(router, plan)
            # Before a run, too: a body that has no price is refused before anything is sent.
            prices = price(plan.open, OutputLengths(plan, predicted), fleet, cards)
            if dry_run or journal is None:
                show_plan(
                    prices,
                    budget_usd=budget_usd,
                    spent_usd=0.0 if journal is None else journal.spent / 1e9,
                    n_known=n_known,
                    unset_keys=_unset_keys(fleet, named),
                    as_json=as_json,
                )
                return 0
            _check_budget(plan, fleet, journal)
            asked = _ask(plan, fleet, journal, concurrency)
            prices = price(plan.open, OutputLengths(plan, predicted), fleet, cards)
            written = write_tables(plan, out, None if no_answers else answers or answers_path(out))
            report = CollectReport.of(plan, read, journal, asked=asked, prices=prices, written=written, n_known=n_known)
    if html is not None:
        from router_model.commands.collect_report import collect_page
        from router_model.pages.render import write_page

        write_page(collect_page(report), html)
    click.echo(json.dumps(report.as_dict()) if as_json else report.text())
    return report.exit_code


def _models(text: str) -> tuple[str, ...]:
    """Read the list of models.

    >>> _models("a, b,a")
    ('a', 'b')
    """
    named = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not named:
        raise click.UsageError(f"--models: got {text!r}, expected names of models with commas between them")
    return named


def _check_out(out: Path, journal: Path) -> None:
    from router_model.training.importing.output import check_table_name

    check_table_name(out)
    if out.exists() and not journal.exists():
        raise click.UsageError(f"--out: {out} exists, and {journal} does not: another command wrote it; name another")


def _cards(catalog: Path | None, models: Sequence[str]) -> "dict[str, ModelCard]":
    from router_model.catalog import Catalog
    from router_model.training.table.prices import complete_catalog

    return dict(complete_catalog(None if catalog is None else Catalog.load(catalog), models).cards)


def _check_served(fleet: "Fleet", models: Sequence[str]) -> None:
    unserved = [model for model in models if not fleet.targets(model)]
    if unserved:
        served = ", ".join(fleet.models) or "none by name"
        raise RequestError(
            f"no provider serves {', '.join(unserved)}; the providers file serves {served}: add the model to one of "
            f"{', '.join(fleet.all)}, or correct --models"
        )


def _read(prompts: Sequence[str], columns: Sequence[str], reference: str | None, spool: Path) -> "AskedPrompts":
    """Read the prompts; a decision log is exported first."""
    from router_model.training.importing.columns import parse_columns
    from router_model.training.prompts_to_ask import read_prompts

    with ExitStack() as exported:
        paths = [
            str(exported.enter_context(LogSource(one, spool, None, None).table())) if not is_table(one) else one
            for one in prompts
        ]
        return read_prompts(paths, columns=parse_columns(columns), reference=reference)


def _unset_keys(fleet: "Fleet", models: Sequence[str]) -> list[str]:
    """Return the environment variables that asking these models needs, and that are not set."""
    names = (name for model in models for target in fleet.targets(model) for name in target.provider.key_variables)
    return [name for name in dict.fromkeys(names) if not os.environ.get(name, "").strip()]


def _say_not_sent(read: "AskedPrompts") -> None:
    """Say what of the source is not asked as it stands there, before anything is paid for."""
    lines = [
        f"{name}: of {counted(n, 'prompt')} it is no JSON object, so it is not sent as a parameter; it is kept in "
        "'extra'"
        for name, n in Counter(name for prompt in read.prompts for name in prompt.not_sent).items()
    ]
    if read.n_other_bodies:
        lines.append(
            f"parameters: {counted(read.n_other_bodies, 'prompt')} of several records with other parameters; those of "
            "the first record are sent. Records with a prompt_id of their own are asked apart"
        )
    if read.other_references:
        prompt_id, several = next(iter(read.other_references.items()))
        kept, other = (shortened(one, 40) for one in several)
        lines.append(
            f"references: {counted(len(read.other_references), 'prompt')} with several; the first is kept (of prompt "
            f"{prompt_id!r} {kept!r}, and not {other!r}). If all of them are right, make them one JSON list"
        )
    for line in lines:
        click.echo(line, err=True)


def _predicted(router: Path, plan: "Plan") -> dict[tuple[str, str], float]:
    """Return the output tokens that a router expects of the models that it knows, by prompt and model."""
    from router_model.router import Router

    table = Router.load(router).predict([prompt.body for prompt in plan.prompts])
    return {
        (prompt.row["prompt_id"], model): float(tokens)
        for prompt, row in zip(plan.prompts, table.expected_output_tokens, strict=True)
        for model, tokens in zip(table.models, row, strict=True)
    }


@contextmanager
def _journal(path: Path, budget_usd: float, *, is_read_only: bool) -> "Iterator[Journal | None]":
    """Open the journal; None if there is none and it would only be read."""
    from router_model.serving.access.key_budget import nanos
    from router_model.serving.paid_calls.journal import Journal

    if is_read_only and not path.exists():
        yield None
        return
    with Journal(path, nanos(Decimal(str(budget_usd))), is_read_only=is_read_only) as journal:
        yield journal


def _recall(plan: "Plan", journal: "Journal | None") -> int:
    """Put what earlier runs have learned into the plan; return how many pairs that are."""
    if journal is not None:
        for pair in plan.pairs:
            known = journal.outcome(pair.call)
            if known is not None:
                plan.note(pair.call, known)
    return len(plan.outcomes)


def _check_budget(plan: "Plan", fleet: "Fleet", journal: "Journal") -> None:
    """Refuse a budget that does not reach for the first call, before anything is sent."""
    from router_model.serving.access.key_budget import nanos
    from router_model.serving.paid_calls.runner import worst_usd

    for pair in plan.open[:1]:
        worst = worst_usd(fleet, pair.call)
        if nanos(worst) > journal.left and not plan.outcomes:
            raise RequestError(
                f"--budget-usd: the first call, of {pair.call.model}, may cost up to {usd(float(worst))}, and "
                f"{usd(journal.left / 1e9)} is left; give a larger budget, or a lower --max-output-tokens"
            )


def _ask(plan: "Plan", fleet: "Fleet", journal: "Journal", concurrency: int) -> "Asked":
    """Ask what is open, with a progress bar, and put the outcomes into the plan."""
    from router_model.serving.paid_calls.session import ask_models

    calls = [pair.call for pair in plan.open]
    with progress_of_calls(journal) as progress:
        progress.expect(len(calls))

        def note(call: "PaidCall", outcome: "CallOutcome") -> None:
            plan.note(call, outcome)
            progress.advance()

        return ask_models([calls], fleet, journal, per_provider=concurrency, on_outcome=note, on_stop=say_stop)
