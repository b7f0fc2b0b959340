"""Answers that are to be graded, and what a grader returns for one of them.

A grade of 0 means that the answer is wrong. An answer that could not be graded, because its reference is missing or
because the grader failed, has no quality and a reason instead. So a mistake in the set-up never looks like a bad model.
"""

import json
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl

from router_model.errors import TableError
from router_model.missing_paths import no_such
from router_model.outcome_schema import OUTCOME_COLUMN_NAMES

ANSWER_COLUMNS: Final = ("answer", "tool_calls", "finish_reason", "reference")
"""The columns of a table of answers that an outcome table does not have."""

NO_ANSWER: Final = "no answer was collected"
NO_REFERENCE: Final = "no reference"

_THOUGHTS: Final = re.compile(r"^\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of one model.

    Attributes
    ----------
    text : str or None
        None if the model wrote no text.
    tool_calls : list of dict, or None
        In OpenAI's form; None if it called no tool.
    reference : str or None
        What the answer is compared with, as the table has it: text, or JSON.
    row : mapping
        The columns of the row, for graders that need more.
    """

    text: str | None
    tool_calls: list[dict[str, Any]] | None = None
    reference: str | None = None
    row: Mapping[str, Any] = field(default_factory=dict)

    @property
    def was_given(self) -> bool:
        """Whether the model answered. One that wrote nothing has a reason for its end, and is graded."""
        return not (self.text is None and self.tool_calls is None and self.row.get("finish_reason") is None)

    @property
    def final_text(self) -> str:
        """The text without thoughts that open it between ``<think>`` marks; empty if the model wrote none.

        >>> Answer("<think>3 or 4?</think> 4").final_text, Answer("<think>3 or").final_text
        ('4', '')
        """
        return _THOUGHTS.sub("", self.text or "", count=1).strip()


@dataclass(frozen=True, slots=True)
class Grade:
    """The quality of an answer, or the reason why it could not be graded.

    Attributes
    ----------
    quality : float from 0 to 1, or None
    reason : str
        Why there is no quality; empty if there is one.
    """

    quality: float | None
    reason: str = ""


RIGHT: Final = Grade(1.0)
WRONG: Final = Grade(0.0)


def not_graded(reason: str) -> Grade:
    """Return the grade of an answer that could not be graded."""
    return Grade(None, reason)


class Grader(Protocol):
    """Grades answers of one kind."""

    @property
    def name(self) -> str:
        """What the table says about who graded, with the options."""

    def grade(self, answers: Sequence[Answer]) -> list[Grade]:
        """Return a grade for each answer, in their order."""


class ByReference(ABC):
    """Grades each answer by its reference; an answer without one is not graded."""

    __slots__ = ()

    def grade(self, answers: Sequence[Answer]) -> list[Grade]:
        """Return a grade for each answer, in their order."""
        return [
            not_graded(NO_REFERENCE) if one.reference is None else self._grade(one, one.reference) for one in answers
        ]

    @abstractmethod
    def _grade(self, answer: Answer, reference: str) -> Grade:
        """Return the grade of an answer."""


def plain(text: str) -> str:
    r"""Return a text in Unicode's composed form (NFC), with single spaces and none at its ends.

    >>> plain(" Cafe\u0301\n au  lait ")
    'Café au lait'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def alternatives(reference: str) -> list[str]:
    """Return the texts that a reference accepts: itself, or those in it if it is a JSON list of texts or numbers.

    >>> alternatives('["Paris", "paris, France"]'), alternatives("[1] or [2]")
    (['Paris', 'paris, France'], ['[1] or [2]'])
    """
    found = json_value(reference) if reference.lstrip().startswith("[") else None
    if isinstance(found, list) and found and all(isinstance(one, str | int | float) for one in found):
        return [one if isinstance(one, str) else json.dumps(one) for one in found]
    return [reference]


def json_value(text: object) -> Any:
    """Return what a JSON text means, or None if it is no JSON; values that are parsed already are returned."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_answers(path: Path, *, reference: str | None = None, references: Path | None = None) -> pl.DataFrame:
    """Read a table of answers: a row for each prompt and model, with `ANSWER_COLUMNS` and the outcome columns.

    Parameters
    ----------
    path : Parquet file that ``router-model collect`` wrote, or a JSON lines or CSV file with the same columns
    reference : column that holds the references [``reference``]
    references : table with the columns ``prompt_id`` and `reference`, if the answers have no references

    Raises
    ------
    TableError
        If a file cannot be read, lacks a column, or has several references for one prompt.
    """
    table = read_table(path)
    missing = [name for name in ("prompt_id", "model", "answer") if name not in table.columns]
    if missing:
        raise TableError(
            f"{path}: column {', '.join(missing)} missing; got {', '.join(table.columns)}. Expected a table of "
            "answers, as 'router-model collect' writes it: prompt_id, model, answer and reference"
        )
    name = reference or "reference"
    if references is not None:
        table = _joined(table, references, name)
    elif reference is not None and reference not in table.columns:
        raise TableError(f"{path}: no column {reference!r} for --reference; got {', '.join(table.columns)}")
    if name in table.columns and name != "reference":
        table = table.with_columns(pl.col(name).alias("reference"))
    repeated = table.filter(table.select("prompt_id", "model").is_duplicated())
    if not repeated.is_empty():
        raise TableError(
            f"{path}: {repeated['model'][0]} has several answers to prompt {repeated['prompt_id'][0]!r} "
            f"({repeated.height:,} such rows); keep one answer for each prompt and model"
        )
    wanted = (*OUTCOME_COLUMN_NAMES, *ANSWER_COLUMNS)
    return table.with_columns(pl.lit(None, pl.String).alias(one) for one in wanted if one not in table.columns)


def _joined(table: pl.DataFrame, references: Path, name: str) -> pl.DataFrame:
    """Add references of another table by the prompts' ids."""
    others = read_table(references, f"a table with the columns prompt_id and {name}")
    missing = [column for column in ("prompt_id", name) if column not in others.columns]
    if missing:
        raise TableError(f"{references}: column {', '.join(missing)} missing; got {', '.join(others.columns)}")
    found = others.select("prompt_id", name).drop_nulls().unique(maintain_order=True)
    twice = found.filter(pl.col("prompt_id").is_duplicated())
    if not twice.is_empty():
        raise TableError(f"{references}: prompt {twice['prompt_id'][0]!r} has several references; keep one")
    return table.drop(name, strict=False).join(found, on="prompt_id", how="left", maintain_order="left")


def read_table(path: Path, expected: str = "the answers that 'router-model collect' wrote") -> pl.DataFrame:
    """Read a Parquet, JSON lines or CSV file; ids are read as text.

    Parameters
    ----------
    path : Path
    expected : what should be there, for the error

    Raises
    ------
    TableError
        If there is no such file, or it cannot be read.
    """
    readers: dict[str, Any] = {
        ".parquet": pl.read_parquet,
        ".jsonl": lambda file: pl.read_ndjson(file, infer_schema_length=None),
        ".csv": lambda file: pl.read_csv(file, infer_schema=False),
    }
    if not path.is_file():
        raise TableError(f"{no_such(path)} Expected {expected}")
    if path.suffix not in readers:
        raise TableError(f"{path}: expected a file that ends with {', '.join(readers)}")
    try:
        table: pl.DataFrame = readers[path.suffix](path)
    except (pl.exceptions.PolarsError, OSError) as exc:
        raise TableError(f"{path}: cannot be read ({exc})") from exc
    return table.with_columns(pl.col(one).cast(pl.String) for one in ("prompt_id", "model") if one in table.columns)


def answers_of(table: pl.DataFrame) -> list[Answer]:
    """Return the rows of a table of `read_answers` as answers."""
    return [
        Answer(
            text=None if row["answer"] is None else str(row["answer"]),
            tool_calls=json_value(row["tool_calls"]),
            reference=_as_text(row["reference"]),
            row=row,
        )
        for row in table.iter_rows(named=True)
    ]


def _as_text(reference: object) -> str | None:
    """Return a reference as text: one that is no text, such as a number or a list, as JSON."""
    if reference is None or isinstance(reference, str):
        return reference or None
    return json.dumps(reference, ensure_ascii=False)
