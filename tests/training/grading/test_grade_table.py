"""From a table of answers to an outcome table: what is graded by whom, what is not, and what labels change."""

import json

import numpy as np
import polars as pl
import pytest

from router_model.errors import TableError
from router_model.training.fitting.judges import leave_out_contradicted
from router_model.training.grading.answers import Grade, answers_of, read_answers
from router_model.training.grading.grade_table import GradedTable, grade_table
from router_model.training.grading.graders import read_by
from router_model.training.grading.labels import labelled_grades, read_labels
from router_model.training.importing.output import write_table
from router_model.training.table.outcomes import read_outcomes


def answers_table(path, **columns):
    """Two prompts and two models; `small` answers the second one wrongly."""
    rows = {
        "prompt_id": ["p", "p", "q", "q"],
        "prompt": ["1 + 1?", "1 + 1?", "Capital of France?", "Capital of France?"],
        "task": ["math", "math", "facts", "facts"],
        "model": ["small", "large", "small", "large"],
        "answer": ["2", "It is 2", "Lyon", "Paris"],
        "reference": ["2", "2", "Paris", "Paris"],
        "cost_usd": [0.1, 0.2, 0.1, 0.2],
        "extra": [None, '{"seed": 1}', None, None],
    }
    pl.DataFrame(rows | columns).write_parquet(path)
    return path


@pytest.fixture
def graded(tmp_path):
    path = answers_table(tmp_path / "answers.parquet")
    return grade_table(path, read_answers(path), read_by(["math=number", "exact"], judge=None))


def test_each_task_has_its_grader_and_the_table_can_be_trained_on(graded, tmp_path):
    write_table(graded.outcomes({}, None), tmp_path / "outcomes.parquet")
    outcomes = read_outcomes(tmp_path / "outcomes.parquet")
    assert outcomes.models == ("large", "small")
    assert outcomes.quality.tolist() == [[1.0, 1.0], [1.0, 0.0]]
    assert outcomes.cost_usd.tolist() == [[0.2, 0.1], [0.2, 0.1]]
    assert outcomes.judge is None
    written = pl.read_parquet(tmp_path / "outcomes.parquet")
    assert json.loads(written["extra"][1]) == {"seed": 1, "graded_by": "number"}
    assert "answer" not in written.columns


def test_what_cannot_be_graded_has_no_quality_and_a_reason(tmp_path):
    path = answers_table(
        tmp_path / "a.parquet", answer=[None, "2", "", "Paris"], reference=["2", None, "Paris", "Paris"]
    )
    graded = grade_table(path, read_answers(path), read_by(["exact"], judge=None))
    assert [grade.quality for grade in graded.grades] == [None, None, 0.0, 1.0]
    assert graded.reasons == {"no answer was collected": 1, "no reference": 1}
    table = graded.outcomes({}, None)
    assert table["quality"].to_list() == [None, None, 0.0, 1.0]
    assert json.loads(table["extra"][1]) == {"seed": 1, "graded_by": "exact", "not_graded": "no reference"}
    graded.check(0.5)
    with pytest.raises(TableError, match=r"2 of 4 answers could not be graded, 50 % of those of small \(1: no ans"):
        graded.check(0.4)


def test_a_model_of_which_nothing_can_be_graded_is_refused(tmp_path):
    """Half of all answers are graded, but none of one model: its quality would not be known, and nobody told."""
    path = answers_table(tmp_path / "a.parquet", answer=["Paris"] * 4, reference=["Paris", None] * 2)
    graded = grade_table(path, read_answers(path), read_by(["exact"], judge=None))
    with pytest.raises(TableError, match=r"2 of 4 answers could not be graded, 100 % of those of "):
        graded.check(0.5)


def test_a_model_that_ended_without_a_word_is_wrong(tmp_path):
    """As `collect` writes it where all tokens went into thinking."""
    ends = {"answer": [None, "2", None, "Paris"], "finish_reason": ["length", "stop"] * 2}
    path = answers_table(tmp_path / "a.parquet", **ends)
    graded = grade_table(path, read_answers(path), read_by(["exact"], judge=None))
    assert [grade.quality for grade in graded.grades] == [0.0, 1.0, 0.0, 1.0]


def test_a_task_without_a_grader_is_not_graded(tmp_path):
    path = answers_table(tmp_path / "a.parquet")
    graded = grade_table(path, read_answers(path), read_by(["math=number"], judge=None))
    assert graded.reasons == {"the task has no grader": 2}


def test_labels_of_people_are_the_quality_and_have_no_judge(graded):
    """The judge graded three answers, and people one of them."""
    judge = "judge:m@score-v1"
    judged = type(graded)(
        graded.path, graded.answers, graded.table, [Grade(0.75)] * 3 + [Grade(None, "why")], [judge] * 4
    )
    table = judged.outcomes({("p", "large"): 0.0}, judge)
    assert table["quality"].to_list() == [0.75, 0.0, 0.75, None]
    assert table["judge"].to_list() == [judge, None, judge, None]
    assert json.loads(table["extra"][1]) == {
        "seed": 1,
        "graded_by": "label",
        "grader": judge,
        "grader_quality": 0.75,
    }


def test_labels_are_read_averaged_and_put_beside_the_grades(graded, tmp_path):
    """Two people disagree about one answer."""
    (tmp_path / "labels.csv").write_text(
        "prompt_id,model,label\nq,small,0\nq,large,1\nq,large,0\np,small,\nelse,small,1\n"
    )
    labels = read_labels(tmp_path / "labels.csv", graded.table)
    assert labels == {("q", "small"): 0.0, ("q", "large"): 0.5, ("else", "small"): 1.0}
    grades = labelled_grades(graded, labels, "exact")
    assert grades.models == ["large", "small"]
    assert grades.judged.tolist() == [[1.0, 0.0]]
    assert grades.labels.tolist() == [[0.5, 0.0]]
    assert grades.n_chars.tolist() == [[5.0, 4.0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("prompt_id,model\np,small\n", "column label missing; got prompt_id, model"),
        (
            "prompt_id,model,label\np,small,4\n",
            "the label of small on prompt 'p' is '4'; expected a number",
        ),
        ("prompt_id,model,label\np,small,good\n", "the label of small on prompt 'p' is 'good'"),
        ("prompt_id,model,label\nx,small,1\n", "none of its 1 labels is of a prompt and a model in the answers"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(content, message, graded, tmp_path):
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(TableError, match=message):
        read_labels(tmp_path / "labels.csv", graded.table)


def test_references_come_from_another_column_or_table(tmp_path):
    path = answers_table(tmp_path / "a.parquet", gold=["x", "x", "y", "y"])
    assert read_answers(path, reference="gold")["reference"].to_list() == ["x", "x", "y", "y"]
    (tmp_path / "refs.jsonl").write_text('{"prompt_id": "q", "gold": "z"}\n')
    found = read_answers(path, reference="gold", references=tmp_path / "refs.jsonl")
    assert found["reference"].to_list() == [None, None, "z", "z"]


def test_tables_that_cannot_be_used_are_refused(tmp_path):
    path = answers_table(tmp_path / "a.parquet")
    twice = answers_table(tmp_path / "twice.parquet", model=["small", "small", "small", "large"])
    (tmp_path / "none.csv").write_text("prompt,model\n")
    (tmp_path / "refs.csv").write_text("prompt_id,reference\nq,a\nq,b\n")
    for read, message in (
        (lambda: read_answers(tmp_path / "no.parquet"), "no such file"),
        (lambda: read_answers(tmp_path / "none.csv"), "column prompt_id, answer missing; got prompt, model"),
        (lambda: read_answers(path, reference="gold"), "no column 'gold' for --reference; got prompt_id"),
        (lambda: read_answers(twice), "small has several answers to prompt 'p'"),
        (lambda: read_answers(path, references=tmp_path / "refs.csv"), "prompt 'q' has several references"),
    ):
        with pytest.raises(TableError, match=message):
            read()


@pytest.mark.parametrize(("level", "is_left_out"), [(0.55, False), (0.98, True)])
def test_training_leaves_out_a_judge_that_many_labels_contradict(level, is_left_out, tmp_path):
    """150 labels of each model with a mean of 0.5; the judge gives the other 150 answers 0.55, or 0.98."""
    ids = [f"p{n}" for n in range(300)]
    rows = {"prompt_id": ids, "prompt": ids, "model": ["m"] * 300, "answer": ["x"] * 300}
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    table = read_answers(tmp_path / "a.parquet")
    judge, rng = "judge:m@score-v1", np.random.default_rng(0)
    grades = [Grade(float(rng.random() < level)) for _ in ids]
    graded = GradedTable(tmp_path / "a.parquet", answers_of(table), table, grades, [judge] * 300)
    write_table(graded.outcomes({(one, "m"): n % 2 for n, one in enumerate(ids[:150])}, judge), tmp_path / "o.parquet")
    kept, found = leave_out_contradicted(
        read_outcomes(tmp_path / "o.parquet"), rng.normal(size=(300, 8)).astype(np.float32), seed=0
    )
    assert [finding.judge for finding in found] == [judge] * is_left_out
    assert np.isnan(kept.quality).sum() == (150 if is_left_out else 0)


def test_a_table_that_cannot_be_written_leaves_nothing_behind(graded, tmp_path):
    (tmp_path / "out.parquet").mkdir()
    with pytest.raises(TableError, match="cannot be written"):
        write_table(graded.table, tmp_path / "out.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.parquet", "out.parquet"]
