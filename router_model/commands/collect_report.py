"""What ``router-model collect`` says: the priced plan before, and the summary after."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import click

from router_model.commands.asking import again
from router_model.commands.collect_plan import ASSUMED_OUTPUT_TOKENS, ModelPrice, Plan
from router_model.commands.collect_tables import Written
from router_model.pages.blocks import Block, Bullets, Facts, Number, Numbers, Page, Paragraph, Section, Verdict
from router_model.serving.paid_calls.journal import Journal
from router_model.serving.paid_calls.runner import Why
from router_model.serving.paid_calls.session import Asked
from router_model.terminal import figures_table, plain_console, print_table
from router_model.training.prompts_to_ask import AskedPrompts
from router_model.wording import counted, shortened, usd

_SHOWN: Final = 5
EXITS: Final = {None: 0, Why.BUDGET: 3, Why.FAILING: 3, Why.STOPPED: 130}
"""Exit status of a command that asks models, by why it ended before all calls were asked."""


def show_plan(
    prices: Mapping[str, ModelPrice],
    *,
    budget_usd: float | None,
    spent_usd: float,
    n_known: int,
    unset_keys: Sequence[str],
    as_json: bool,
) -> None:
    """Print what the open pairs will cost.

    Parameters
    ----------
    prices : of the open pairs, by model
    budget_usd : float or None
        None: it is not decided yet.
    spent_usd : float
        By earlier runs.
    n_known : int
        Pairs that earlier runs have settled.
    unset_keys : environment variables that a run will need
    as_json : bool
    """
    total = _sum(prices)
    if as_json:
        fields = {model: _as_floats(one) for model, one in prices.items()}
        said = {"models": fields, "total": _as_floats(total), "budget_usd": budget_usd, "spent_usd": spent_usd}
        click.echo(json.dumps(said | {"n_known": n_known, "unset_keys": list(unset_keys)}))
        return
    console = plain_console()
    table = figures_table("", "pairs", "tokens in", "tokens out", "expected $", "at most $")
    for name, one in (*prices.items(), ("total", total)):
        table.add_row(
            name,
            f"{one.n_pairs:,}",
            *(f"{tokens:,.0f}" for tokens in (one.input_tokens, one.output_tokens)),
            *(f"{amount:,.4f}" for amount in (one.usd, one.worst_usd)),
        )
    print_table(console, table)
    lines = ["Tokens in: the prompts' bytes / 4. At most: every answer as long as it may be."]
    if total.n_assumed:
        lines.append(
            f"Of {counted(total.n_assumed, 'answer')} the length is not known; {ASSUMED_OUTPUT_TOKENS} tokens are "
            "assumed. "
            "--router names a router that predicts it."
        )
    if n_known:
        lines.append(f"Known from earlier runs, which spent {usd(spent_usd)}: {counted(n_known, 'pair')}.")
    if budget_usd is not None:
        left = budget_usd - spent_usd
        fits = "is expected to be enough" if float(total.usd) <= left else "is expected to end before all are asked"
        lines.append(f"Budget: {usd(budget_usd)}, with {usd(max(left, 0.0))} left; it {fits}.")
    if unset_keys:
        lines.append(f"Set {', '.join(unset_keys)} before you ask: the providers need it.")
    lines.append("Nothing was sent.")
    for line in lines:
        console.print(line, markup=False)


@dataclass(frozen=True, slots=True)
class CollectReport:
    """The summary of a run.

    Attributes
    ----------
    written : Written
    n_prompts, n_models, n_pairs : int
    n_repeated, n_sealed : int
        What was left out of the sources: records of the same prompt again, and prompts that were logged as features.
    n_other_bodies, n_other_references : int
        Prompts with several records that differ in parameters, or in references. The first one counts.
    n_known, n_asked : int
        Pairs that earlier runs had settled, and pairs that this run has asked.
    n_answered : int
        Pairs with an answer, of all runs.
    n_cut : int
        Of these, answers that a limit of tokens has cut.
    refused : mapping of (model, code) to (number, message)
        Pairs without an answer because of what they ask, of all runs.
    failing : mapping of model to message
        Models that were left alone in this run.
    n_left : int
    left_usd : float
        What the pairs that are left are expected to cost.
    is_first : bool
        Whether only the first prompts were to be asked, because nothing is graded yet.
    contenders, left_out : models that a router may choose, and that none would choose, by the grades so far
        Both empty if no grades were asked for.
    why : Why or None
    spent_usd, budget_usd : float
        Of all runs.
    n_other : int
        Calls that earlier runs have paid for, of prompts or models that are not in this plan.
    n_lost : int
        Answers that kills of earlier runs have lost.
    lost_usd : float
    """

    written: Written
    n_prompts: int
    n_models: int
    n_pairs: int
    n_repeated: int
    n_sealed: int
    n_other_bodies: int
    n_other_references: int
    n_known: int
    n_asked: int
    n_answered: int
    n_cut: int
    refused: Mapping[tuple[str, str], tuple[int, str]]
    failing: Mapping[str, str]
    n_left: int
    left_usd: float
    is_first: bool
    contenders: tuple[str, ...]
    left_out: tuple[str, ...]
    why: Why | None
    spent_usd: float
    budget_usd: float
    n_other: int
    n_lost: int
    lost_usd: float

    @classmethod
    def of(
        cls,
        plan: Plan,
        read: AskedPrompts,
        journal: Journal,
        *,
        asked: Asked,
        prices: Mapping[str, ModelPrice],
        written: Written,
        n_known: int,
    ) -> Self:
        """Make it of what is left of the plan."""
        outcomes, keys = plan.outcomes.values(), {pair.call.key for pair in plan.pairs}
        return cls(
            written,
            n_prompts=len({pair.call.id for pair in plan.pairs}),
            n_models=len(plan.models),
            n_pairs=len(plan.pairs),
            n_repeated=read.n_repeated,
            n_sealed=read.n_sealed,
            n_other_bodies=read.n_other_bodies,
            n_other_references=len(read.other_references),
            n_known=n_known,
            n_asked=asked.n_asked,
            n_answered=sum(one.answer is not None for one in outcomes),
            n_cut=sum(one.finish_reason == "length" for one in outcomes),
            refused=_refused(plan),
            failing={model: error.message for model, error in asked.failing.items()},
            n_left=len(plan.open),
            left_usd=float(_sum(prices).usd),
            is_first=plan.is_first,
            contenders=() if plan.contenders is None else plan.contenders.worth_asking,
            left_out=plan.left_out,
            why=asked.why,
            spent_usd=journal.spent / 1e9,
            budget_usd=journal.budget / 1e9,
            n_other=sum(key not in keys for key in journal.paid_keys()),
            n_lost=journal.n_lost,
            lost_usd=journal.lost / 1e9,
        )

    @property
    def exit_code(self) -> int:
        """0: all pairs were asked; 3: some are left; 130: interrupted."""
        return EXITS[self.why]

    def as_dict(self) -> dict[str, Any]:
        """Return it in the form that ``--json`` prints."""
        refused = [
            {"model": model, "code": code, "n": n, "message": message}
            for (model, code), (n, message) in self.refused.items()
        ]
        answers = self.written.answers
        files = {"out": str(self.written.outcomes), "answers": None if answers is None else str(answers)}
        fields = {name: value for name, value in asdict(self).items() if name != "written"}
        return fields | files | {"refused": refused, "why": None if self.why is None else str(self.why)}

    def text(self) -> str:
        """Return it as lines for a terminal."""
        facts = [f"  {label:<10} {value}" for label, value in self.facts()]
        return "\n".join([*self._files(), *facts, *self.unanswered(), *self.what_is_left()])

    def _files(self) -> list[str]:
        files = [path for path in (self.written.outcomes, self.written.answers) if path is not None]
        return [f"Wrote {' and '.join(map(str, files))}"]

    def facts(self) -> list[tuple[str, str]]:
        """Return what the run did, as names and values."""
        facts = [
            ("pairs", f"{self.n_pairs:,} of {counted(self.n_prompts, 'prompt')} and {counted(self.n_models, 'model')}"),
            ("answered", f"{self.n_answered:,}"),
            ("asked now", f"{self.n_asked:,}" + (f"; {self.n_known:,} were known" if self.n_known else "")),
            ("spent", f"{usd(self.spent_usd)} of {usd(self.budget_usd)}, earlier runs included"),
        ]
        if self.n_lost:
            facts.append(
                (
                    "lost",
                    f"{counted(self.n_lost, 'answer')} of a run that was killed, counted as {usd(self.lost_usd)}",
                )
            )
        if self.n_cut:
            cut = f"{counted(self.n_cut, 'answer')} ended at the limit; a larger --max-output-tokens does not ask again"
            facts.append(("cut", f"{cut} (give the prompts a larger max_output_tokens for that)"))
        if self.n_other or self.written.n_kept:
            earlier = f"{counted(self.n_other, 'call')} of earlier runs for other prompts or models"
            facts.append(("earlier", f"{earlier}; {counted(self.written.n_kept, 'row')} of such kept"))
        if self.written.n_outdated:
            facts.append(
                ("outdated", f"{counted(self.written.n_outdated, 'row')} left out: the prompt_id has another text now")
            )
        if self.contenders:
            facts.append(("contenders", f"{', '.join(self.contenders)}: by the grades, a router may choose them"))
        if self.left_out:
            facts.append(("left alone", f"{', '.join(self.left_out)}: by the grades, no router would choose them"))
        if self.n_repeated:
            facts.append(("left out", f"{counted(self.n_repeated, 'record')} of prompts that were there already"))
        if self.n_sealed:
            facts.append(("left out", f"{counted(self.n_sealed, 'prompt')} that were logged without their text"))
        return facts

    def unanswered(self) -> list[str]:
        """Say which pairs have no row, and why."""
        n_refused = sum(n for n, _ in self.refused.values())
        lines = [f"Refused prompts, and so no answer and no row: {counted(n_refused, 'pair')}."] if n_refused else []
        for (model, code), (n, message) in list(self.refused.items())[:_SHOWN]:
            lines.append(f"  {n:,} x {model}, {code}: {shortened(message)}")
        for model, message in self.failing.items():
            lines.append(f"{model} was left alone after failing again and again: {shortened(message)}")
        return lines

    def what_is_left(self) -> list[str]:
        """Say what is left, and how to go on."""
        if not self.n_left and self.is_first:
            grade = f"Grade the answers into {self.written.outcomes} (router-model grade)"
            return [f"These are the first prompts. {grade}, and go on: {again()}"]
        if not self.n_left:
            return [f"All pairs were asked. {self._grading()}"]
        why = {
            Why.BUDGET: "The budget has ended",
            Why.STOPPED: "Interrupted",
            Why.FAILING: "Not all models answered",
            None: "Not all pairs were asked",
        }[self.why]
        in_all = f", {usd(self.spent_usd + self.left_usd)} in all" if self.why is Why.BUDGET else ""
        lines = [f"{why}: still {counted(self.n_left, 'pair')} to ask, for {usd(self.left_usd)} as expected{in_all}."]
        raised = " with a larger --budget-usd" if self.why is Why.BUDGET else ""
        if self.why is Why.BUDGET and self.left_usd < self.budget_usd - self.spent_usd:
            lines.append(
                f"{usd(self.budget_usd - self.spent_usd)} is left, but the next call may cost more than that: each "
                "reserves its longest answer. A lower --max-output-tokens makes that less."
            )
        return [*lines, f"Go on{raised}: {again()}"]

    def _grading(self) -> str:
        n_rows, n_ungraded = self.written.n_rows, self.written.n_ungraded
        if n_ungraded == n_rows:
            return "The table has no qualities yet: grade the answers (router-model grade)."
        if n_ungraded:
            return f"Without a quality: {n_ungraded:,} of {counted(n_rows, 'answer')}. Grade them (router-model grade)."
        return "All answers have a quality."


def collect_page(report: CollectReport) -> Page:
    """Return the page of the command ``collect``."""
    complete = not report.n_left
    headline = "All pairs were asked" if complete else f"{report.n_left:,} pairs are left"
    what, *others = report.what_is_left()
    first: list[Block] = [
        Verdict(headline, what, "good" if complete else "neutral"),
        Numbers(
            (
                Number(f"{report.n_answered:,}", "Answers", f"of {report.n_pairs:,} pairs of prompt and model"),
                Number(usd(report.spent_usd), "Spent, earlier runs included", f"of {usd(report.budget_usd)}"),
            )
        ),
        *(Paragraph(line) for line in others),
    ]
    sections = [Section("", tuple(first)), Section("The run", (Facts(tuple(report.facts())),))]
    unanswered = report.unanswered()
    if unanswered:
        sections.append(Section("Pairs without an answer", (Bullets(tuple(line.strip() for line in unanswered)),)))
    lead = f"{report.n_prompts:,} prompts and {report.n_models:,} models."
    return Page("What was collected", lead, tuple(sections))


def _refused(plan: Plan) -> dict[tuple[str, str], tuple[int, str]]:
    """Count the pairs without an answer by model and code, the most frequent first; with one message each."""
    numbers: Counter[tuple[str, str]] = Counter()
    messages: dict[tuple[str, str], str] = {}
    for one in plan.outcomes.values():
        if one.error is not None:
            numbers[one.model, one.error.code] += 1
            messages.setdefault((one.model, one.error.code), one.error.message)
    return {which: (n, messages[which]) for which, n in numbers.most_common()}


def _sum(prices: Mapping[str, ModelPrice]) -> ModelPrice:
    total = ModelPrice()
    for one in prices.values():
        total.n_pairs += one.n_pairs
        total.input_tokens += one.input_tokens
        total.output_tokens += one.output_tokens
        total.usd += one.usd
        total.worst_usd += one.worst_usd
        total.n_assumed += one.n_assumed
    return total


def _as_floats(price: ModelPrice) -> dict[str, float]:
    return {name: float(value) for name, value in asdict(price).items()}
