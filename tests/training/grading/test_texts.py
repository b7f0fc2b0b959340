"""The graders `exact`, `contains` and `regex`, by hand."""

import pytest

from router_model.errors import RequestError
from router_model.training.grading.answers import Answer
from router_model.training.grading.graders import read_by

CASES = [  # grader, answer, reference, quality
    ("exact", "Paris", "Paris", 1),
    ("exact", " Paris\n", "Paris", 1),
    ("exact", "Cafe\u0301", "Café", 1),
    ("exact", "paris", "Paris", 0),
    ("exact", "Paris.", "Paris", 0),
    ("exact:ignore=case+punctuation+articles", "the PARIS!", "Paris", 1),
    ("exact:ignore=punctuation", "well-known", "well known", 1),
    ("exact", "Lutetia", '["Paris", "Lutetia"]', 1),
    ("exact", '["Paris"]', '["Paris"]', 1),
    ("exact", "<think>London?</think>Paris", "Paris", 1),
    ("exact", "", "Paris", 0),
    ("contains", "It is Paris, of course", "Paris", 1),
    ("contains", "42", "4", 0),
    ("contains", "1.42", "42", 0),
    ("contains", "It is 42.", "42", 1),
    ("contains", "I know", "no", 0),
    ("contains", "答案是巴黎。", "巴黎", 1),
    ("contains", "C++ is", "C++", 1),
    ("contains", "red", '["red", "blue"]', 1),
    ("contains:all", "red", '["red", "blue"]', 0),
    ("contains:all", "blue and red", '["red", "blue"]', 1),
    ("contains:ignore=case", "PARIS", "paris", 1),
    ("regex", "order 1234", r"\b\d{4}\b", 1),
    ("regex", "order 123", r"\b\d{4}\b", 0),
    (r"regex:(?i)^yes\b", "Yes, it is", "anything", 1),
    (r"regex:^yes\b", "Yes, it is", "anything", 0),
    ("regex:a,b=c", "a,b=c", None, 1),
]


@pytest.mark.parametrize(("by", "text", "reference", "quality"), CASES)
def test_texts_are_compared(by, text, reference, quality):
    (grade,) = read_by([by], judge=None)["*"].grade([Answer(text, reference=reference)])
    assert grade.quality == quality


def test_a_pattern_that_would_hang_elsewhere_takes_no_time():
    """Python's re needs 2 to the power of 50 steps for it."""
    (grade,) = read_by(["regex:^(a+)+$"], judge=None)["*"].grade([Answer("a" * 50_000 + "!", reference="")])
    assert grade.quality == 0.0


def test_what_cannot_be_compared_has_no_grade():
    grades = [read_by([by], judge=None)["*"].grade([Answer("x", reference=one)])[0] for by, one in (
        ("regex", "("), ("regex", None), ("exact", None), ("contains", None), ("contains", " "))]  # fmt: skip
    assert [grade.quality for grade in grades] == [None] * 5
    assert grades[0].reason == "the reference is not a pattern that can be read"


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (["regex:(?=x)"], r"got the pattern '\(\?=x\)', expected one of Rust's regex"),
        (["exactly"], "no grader 'exactly'; expected one of exact, number, choice"),
        (["exact:ignore=accents"], "got ignore=accents, expected some of case, punctuation, articles"),
        (["exact:loose"], "--by exact: got the option 'loose', expected some of ignore=…"),
        (["choice:x"], "--by choice: got the option 'x', expected none"),
        (["number:tolerance=much"], "got tolerance=much, expected a number from 0"),
        (["number:decimal=dot"], "got decimal=dot, expected point or comma"),
        (["exact", "number"], "all tasks has another grader, exact"),
        (["math=exact", "math=number"], "task 'math' has another grader, exact"),
        (["python"], "got no file, expected python:FILE.py"),
        (["python:/no/such.py"], "/no/such.py: no such file"),
        (["json-schema:/no/such.json"], "/no/such.json cannot be read"),
        (["judge:gpt"], "the judge's settings are options of their own"),
    ],
)
def test_a_wrong_by_says_what_is_expected(by, message):
    with pytest.raises(RequestError, match=message):
        read_by(by, judge=lambda: None)
