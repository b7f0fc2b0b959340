"""What ``router-model grade`` says in the end: what was graded, what was not, and how good the grader is."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from router_model.terminal import figures_table, plain_console, print_table
from router_model.training.grading.corrected_means import MIN_LABELS
from router_model.training.grading.judge_quality import JudgeReport, Shown
from router_model.training.measuring.verdict import Estimate
from router_model.wording import counted, percent, usd

if TYPE_CHECKING:
    from rich.console import Console

    from router_model.commands.judge import Judge
    from router_model.training.grading.grade_table import GradedTable

_MOST_PAIRS = 20


@dataclass(frozen=True, slots=True)
class GradeReport:
    """The report of one run.

    Attributes
    ----------
    out : Path
    n_answers, n_graded : int
    by : graded answers by grader
    reasons : answers without a grade by reason
    measured : by grader
    judge : str or None
        Name of the judging model and its prompt.
    position_bias : Estimate or None
    spent_usd : float or None
        On judging, earlier runs into the same table included.
    exit_code : int
        0, or that of `Judge`.
    """

    out: Path
    n_answers: int
    n_graded: int
    by: dict[str, int]
    reasons: dict[str, int]
    measured: dict[str, JudgeReport]
    judge: str | None = None
    position_bias: Estimate | None = None
    spent_usd: float | None = None
    exit_code: int = 0

    @classmethod
    def of(cls, out: Path, graded: "GradedTable", measured: dict[str, JudgeReport], judge: "Judge | None") -> Self:
        """Gather what a run has found."""
        known = (name for name, grade in zip(graded.graders, graded.grades, strict=True) if grade.quality is not None)
        return cls(
            out,
            len(graded.grades),
            graded.n_graded,
            dict(Counter(known).most_common()),
            graded.reasons,
            measured,
            judge=judge.name if judge else None,
            position_bias=judge.position_bias if judge else None,
            spent_usd=judge.journal.spent / 1e9 if judge else None,
            exit_code=judge.exit_code if judge else 0,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        return {
            "out": str(self.out),
            "n_answers": self.n_answers,
            "n_graded": self.n_graded,
            "by": self.by,
            "not_graded": self.reasons,
            "judge": self.judge,
            "spent_usd": self.spent_usd,
            "position_bias": None if self.position_bias is None else self.position_bias.as_dict(),
            "measured": {name: report.as_dict() for name, report in self.measured.items()},
        }

    def show(self) -> None:
        """Print the report for a terminal."""
        from rich.markup import escape

        console = plain_console()
        graded = f"{self.n_graded:,} of {counted(self.n_answers, 'answer')} graded"
        console.print(f"[bold]Wrote[/] {escape(str(self.out))}: {graded}.")
        for name, n in self.by.items():
            console.print(f"  {n:>8,}  by {name}", markup=False)
        for reason, n in self.reasons.items():
            console.print(f"  {n:>8,}  not graded: {reason}", markup=False)
        if self.spent_usd is not None:
            console.print(f"Judging has cost {usd(self.spent_usd)}, earlier runs into this table included.")
        if self.exit_code:
            console.print("The judge was not asked about all answers; give the same command again to go on.")
        for name, report in self.measured.items():
            _show_measured(name, report, self.position_bias if name == self.judge else None, console)


def _show_measured(name: str, report: JudgeReport, position_bias: Estimate | None, console: "Console") -> None:
    from rich.markup import escape

    console.print()
    is_labelled = report.n_labels > 0
    titles = ("labelled", "grades", "labels alone", "corrected") if is_labelled else ("answers", "grades")
    table = figures_table("", *titles)
    for one in report.means:
        cells = [f"{one.n_labels:,}/{one.n_judged:,}" if is_labelled else f"{one.n_judged:,}", _shown(one.judge)]
        if is_labelled:
            few = f"under {MIN_LABELS}"
            cells += [_shown(one.labels) or few, _shown(one.corrected) or few]
        table.add_row(escape(one.model), *map(escape, cells))
    console.print(f"[bold]Mean quality[/] by {escape(name)}, with 95 % intervals:")
    print_table(console, table)
    for line in _biases(report, position_bias):
        console.print(line, markup=False)
    contested = [pair for pair in report.pairs if pair.shown is not Shown.ALIKE][:_MOST_PAIRS]
    for pair in contested:
        console.print(
            f"{pair.better} over {pair.worse}: by the grades {_shown(pair.judge, sign=True)}, corrected "
            f"{_shown(pair.corrected, sign=True)}: {pair.shown}",
            markup=False,
        )
    console.print(f"[bold]Verdict:[/] {report.sentence}.")


def _biases(report: JudgeReport, position_bias: Estimate | None) -> list[str]:
    lines = []
    if (found := report.agreement) is not None:
        of = counted(report.n_labels, "answer")
        lines.append(
            f"Agrees with the labels on {percent(found.share)} of {of} at quality {found.bar:g} "
            f"({_kappa(found.kappa)}): both right {found.both_succeed:,}, both wrong {found.both_fail:,}, only "
            f"the grade right {found.only_judge:,}, only the label right {found.only_labels:,}."
        )
    if kind := [f"{one.model} {_shown(one.bias, sign=True)}" for one in report.means if one.bias is not None]:
        lines.append(f"Kinder than the labels by: {'; '.join(kind)}.")
    if report.length_bias is not None:
        lines.append(f"An answer twice as long gets {_shown(report.length_bias, sign=True)} beside its label.")
    if position_bias is not None:
        lines.append(f"An answer that stands first gets {_shown(position_bias, sign=True)}.")
    return lines


def _kappa(kappa: Estimate) -> str:
    return f"kappa {_shown(kappa)}" if math.isfinite(kappa.value) else "no kappa, because both always say the same"


def _shown(estimate: Estimate | None, *, sign: bool = False) -> str:
    """Return an estimate with its interval; nothing if there is none."""
    if estimate is None or not math.isfinite(estimate.value):
        return ""
    form = "+.2f" if sign else ".2f"
    return f"{estimate.value:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"
