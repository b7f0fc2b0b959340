"""Grade a table of answers: from answers and graders to an outcome table, with what could not be graded by reason."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from router_model.errors import TableError
from router_model.outcome_schema import OUTCOME_COLUMN_NAMES
from router_model.training.grading.answers import NO_ANSWER, Answer, Grade, Grader, answers_of, json_value, not_graded
from router_model.training.grading.graders import OTHERS
from router_model.training.importing.checks import check_batch
from router_model.training.importing.values import safe_json
from router_model.wording import percent

MAX_UNGRADED: Final = 0.5
"""If a larger share of the answers could not be graded, something is wrong with the references or the grader."""

_NO_GRADER: Final = "the task has no grader"
_LOOK_AT_GRADER: Final = "check --by, the grader and --reference"


@dataclass(frozen=True, slots=True)
class GradedTable:
    """Answers with their grades.

    Attributes
    ----------
    path : Path
        Of the answers.
    answers : one for each row
    table : polars.DataFrame
        The rows of `router_model.training.grading.answers.read_answers`.
    grades : one for each row
    graders : name of each row's grader; empty without one
    """

    path: Path
    answers: Sequence[Answer]
    table: pl.DataFrame
    grades: Sequence[Grade]
    graders: Sequence[str]

    @property
    def reasons(self) -> dict[str, int]:
        """Why answers could not be graded, and how many; the most frequent first. Details behind a colon are joined."""
        found = Counter(grade.reason.partition(": ")[0] for grade in self.grades if grade.quality is None)
        return dict(found.most_common())

    def _example(self, reason: str) -> str:
        """Return a reason with the details of the first answer that has it."""
        whole = next(one.reason for one in self.grades if one.reason.partition(": ")[0] == reason)
        return whole if whole == reason else f"{reason}, such as {whole.removeprefix(reason + ': ')!r}"

    @property
    def n_graded(self) -> int:
        """How many answers have a quality."""
        return sum(grade.quality is not None for grade in self.grades)

    def check(self, most: float = MAX_UNGRADED, *, advice: Mapping[str, str] | None = None) -> None:
        """Refuse a table if too many answers of a model could not be graded.

        Parameters
        ----------
        most : float
            Share.
        advice : what to do, by the reason; of other reasons, the set-up of the grader is to be looked at

        Raises
        ------
        TableError
            If the share that could not be graded is above `most`.
        """
        by_model = pl.DataFrame(
            {"model": self.table["model"], "is_not": [grade.quality is None for grade in self.grades]}
        )
        shares = by_model.group_by("model").agg(pl.col("is_not").mean()).sort("is_not", "model")
        model, worst = shares.row(-1)
        if worst <= most:
            return
        reasons = "; ".join(f"{n:,}: {self._example(reason)}" for reason, n in list(self.reasons.items())[:5])
        found = dict.fromkeys((advice or {}).get(reason, _LOOK_AT_GRADER) for reason in self.reasons)
        n_not, n = len(self.grades) - self.n_graded, len(self.grades)
        of_one = "" if len(shares) == 1 else f", {percent(worst)} of those of {model}"
        raise TableError(
            f"{n_not:,} of {n:,} answers could not be graded{of_one} ({reasons}); expected at most {percent(most)} of "
            f"each model. To do: {'; '.join(found)}; or allow more with --max-ungraded"
        )

    def outcomes(self, labels: Mapping[tuple[str, str], float], judge: str | None) -> pl.DataFrame:
        """Return the outcome table.

        Where people have graded an answer, their grade is its quality and `judge` is empty, because people are
        believed. What the grader said is kept in ``extra``. Training weighs the judge's grades against theirs.

        Parameters
        ----------
        labels : grades of people by prompt id and model
        judge : name of the judging model for the column ``judge``; None if no model judged

        Raises
        ------
        TableError
            If a row has a value that an outcome table may not have.
        """
        rows = zip(self.table.iter_rows(named=True), self.grades, self.graders, strict=True)
        columns: dict[str, list[Any]] = {"quality": [], "judge": [], "extra": []}
        for row, grade, grader in rows:
            label = labels.get((row["prompt_id"], row["model"]))
            columns["quality"].append(grade.quality if label is None else label)
            columns["judge"].append(judge if label is None and grade.quality is not None and grader == judge else None)
            columns["extra"].append(_extra(row, grade, grader, is_labelled=label is not None))
        types = {"quality": pl.Float64, "judge": pl.String, "extra": pl.String}
        made = [pl.Series(name, values, dtype=types[name]) for name, values in columns.items()]
        good, problems = check_batch(self.table.with_columns(made).select(OUTCOME_COLUMN_NAMES))
        if problems:
            raise TableError(problems[0].message(self.path, problems[0].index + 1, n_alike=len(problems)))
        return good


def _extra(row: Mapping[str, Any], grade: Grade, grader: str, *, is_labelled: bool) -> str:
    """Add to a row's ``extra`` who graded it, and what is not in the quality."""
    before = json_value(row["extra"])
    about: dict[str, Any] = {"graded_by": "label" if is_labelled else grader}
    if is_labelled:
        about |= {"grader": grader, "grader_quality": grade.quality}
    if grade.quality is None:
        about["not_graded"] = grade.reason
    return safe_json({**(before if isinstance(before, dict) else {}), **about})


def grade_table(path: Path, table: pl.DataFrame, graders: Mapping[str, Grader]) -> GradedTable:
    """Grade every answer with the grader of its task.

    Raises
    ------
    TableError
        If the table has no rows.
    """
    if table.is_empty():
        raise TableError(f"{path}: the table has no answers")
    answers = answers_of(table)
    grades: list[Grade] = [not_graded(NO_ANSWER)] * len(answers)
    names = [""] * len(answers)
    for grader, rows in _rows_of_graders(table, answers, graders, grades):
        for row, grade in zip(rows, grader.grade([answers[row] for row in rows]), strict=True):
            grades[row], names[row] = grade, grader.name
    return GradedTable(path, answers, table, grades, names)


def _rows_of_graders(
    table: pl.DataFrame, answers: Sequence[Answer], graders: Mapping[str, Grader], grades: list[Grade]
) -> list[tuple[Grader, list[int]]]:
    """Return each grader with its rows; an answer that is not there, or that nobody grades, gets its reason here."""
    found: dict[int, tuple[Grader, list[int]]] = {}
    for row, (task, answer) in enumerate(zip(table["task"], answers, strict=True)):
        grader = graders.get(task or "", graders.get(OTHERS))
        if grader is None:
            grades[row] = not_graded(f"{_NO_GRADER}: {task or 'without a name'}")
        elif answer.was_given:
            found.setdefault(id(grader), (grader, []))[1].append(row)
    return list(found.values())
