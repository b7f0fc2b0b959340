"""Labels: what people say of some of the answers, and the measurement of each grader by them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from router_model.errors import TableError
from router_model.training.grading.answers import read_table
from router_model.training.grading.grade_table import GradedTable
from router_model.training.grading.judge_quality import JudgeReport, LabelledGrades, measure_judge
from router_model.training.measuring.design_effect import key_numbers

Labels = Mapping[tuple[str, str], float]

_NAMES: Final = ("label", "quality")


def read_labels(path: Path, answers: pl.DataFrame) -> dict[tuple[str, str], float]:
    """Read labels by prompt id and model; several of one answer are averaged.

    Parameters
    ----------
    path : table with the columns ``prompt_id``, ``model`` and ``label`` (or ``quality``), from 0 to 1; empty: no label
    answers : the table of the answers

    Raises
    ------
    TableError
        If the file cannot be read, a label is not from 0 to 1, or no label is of an answer in the table.
    """
    table = read_table(path, "labels of people: a table with the columns prompt_id, model and label")
    name = next((one for one in _NAMES if one in table.columns), _NAMES[0])
    missing = [one for one in ("prompt_id", "model", name) if one not in table.columns]
    if missing:
        raise TableError(
            f"{path}: column {', '.join(missing)} missing; got {', '.join(table.columns)}. Expected prompt_id, model "
            "and label, which is from 0 to 1"
        )
    given = table.select("prompt_id", "model", pl.col(name).alias("label")).drop_nulls()
    numbers = given.with_columns(pl.col("label").cast(pl.Float64, strict=False))
    wrong = ~numbers["label"].is_between(0, 1).fill_null(value=False)
    if wrong.any():
        row = given.row(int(wrong.arg_max() or 0), named=True)
        raise TableError(
            f"{path}: the label of {row['model']} on prompt {row['prompt_id']!r} is {row['label']!r}; expected a "
            "number from 0 to 1"
        )
    means = numbers.group_by("prompt_id", "model").agg(pl.col("label").mean())
    labels = {(prompt_id, model): label for prompt_id, model, label in means.iter_rows()}
    known = set(answers.select("prompt_id", "model").iter_rows())
    if not labels.keys() & known:
        raise TableError(f"{path}: none of its {len(labels):,} labels is of a prompt and a model in the answers")
    return labels


def measure_graders(graded: GradedTable, labels: Labels, *, bar: float) -> dict[str, JudgeReport]:
    """Measure each grader by the labels of the answers that it graded.

    Parameters
    ----------
    graded : GradedTable
    labels : by prompt id and model
    bar : quality from which an answer counts as a success
    """
    names = sorted(set(graded.graders) - {""})
    return {name: measure_judge(labelled_grades(graded, labels, name), bar=bar) for name in names}


def labelled_grades(graded: GradedTable, labels: Labels, grader: str) -> LabelledGrades:
    """Return the grades of one grader and the labels as matrices."""
    rows = [row for row, name in enumerate(graded.graders) if name == grader]
    prompts, names, sessions = (graded.table[one].to_list() for one in ("prompt_id", "model", "session_id"))
    models = sorted({names[row] for row in rows})
    number = {prompt_id: n for n, prompt_id in enumerate(dict.fromkeys(prompts[row] for row in rows))}
    judged, people, n_chars = (np.full((len(number), len(models)), np.nan) for _ in range(3))
    of_session = [""] * len(number)
    for row in rows:
        at = number[prompts[row]], models.index(names[row])
        quality, label = graded.grades[row].quality, labels.get((prompts[row], names[row]))
        judged[at] = np.nan if quality is None else quality
        people[at] = np.nan if label is None else label
        n_chars[at] = len(graded.answers[row].final_text)
        of_session[at[0]] = sessions[row] or prompts[row]
    return LabelledGrades(models, judged, people, n_chars, key_numbers(of_session))
