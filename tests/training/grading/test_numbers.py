"""The grader `number`, on texts whose right grade was decided by hand."""

import pytest

from router_model.training.grading.answers import Answer
from router_model.training.grading.graders import read_by
from router_model.training.grading.numbers import final_number

RIGHT = [  # answer, reference
    ("The answer is 42.", "42"),
    ("3 + 4 = 7, so there are 7 of them.", "7"),
    ("The answer is 3 because 4 < 5", "3"),
    ("It is 5 here. The answer is 6, not 5. So 7 was wrong.", "6"),
    ("Answer: x = 2·3 = 6", "6"),
    ("**Answer:** 42 km/h", "42 km/h"),
    ("So 6 + 12 = 18.\n#### 18\n", "We add. #### 18"),
    (r"\boxed{42} is what I got after 7 tries", "42"),
    (r"$\boxed{\frac{3}{4}}$", "0.75"),
    (r"\boxed{1\frac{1}{2}}", "1.5"),
    (r"\boxed{\dfrac34}", "3/4"),
    (r"\boxed{\text{about } 12}", "12"),
    (r"$\$1{,}234$", "1234"),
    ("1½ cups", "1.5"),
    ("3/4", "0.75"),
    ("1,234.5", "1234.5"),
    ("1.234,5", "1234.5"),
    ("1,234", "1234"),
    ("0,5", "0.5"),
    ("1 234 567", "1234567"),
    ("1'234'567", "1234567"),
    ("75 %", "0.75"),
    ("75%", "75"),
    ("75", "75 %"),
    ("$12", "12"),
    ("12 dollars", "$12"),
    ("-$5", "-5"),
    ("\u22125", "-5"),
    ("10-15", "15"),
    ("1e-3", "0.001"),
    ("1.5 \u00d7 10^3", "1500"),
    (r"1.5 \times 10^{-3}", "0.0015"),
    ("10⁻³", "0.001"),
    ("2 million people", "2000000"),
    ("$5k", "5000"),
    ("12 km", "12000 m"),
    ("12", "12 km"),
    ("12 apples", "12"),
    ("2 in total", "2"),
    ("about 30 minutes", "0.5 hours"),
    ("7.0", "7"),
    ("<think>Is it 3? No, 4.</think>It is 4", "4"),
]
WRONG = [
    ("", "42"),
    ("I cannot help with that.", "42"),
    ("we get 3 100 times", "3100"),
    ("-5", "5"),
    ("€12", "$12"),
    ("12 km", "12 m"),
    ("25 °C", "25 °F"),
    ("12 m", "12 s"),
    ("0.333", "1/3"),
    ("1000000001", "1000000000"),
    ("<think>it must be 42", "42"),
    ("1/0", "1"),
]


@pytest.mark.parametrize(("quality", "cases"), [(1.0, RIGHT), (0.0, WRONG)])
def test_number_is_found_and_compared(quality, cases):
    grader = read_by(["number"], judge=None)["*"]
    grades = grader.grade([Answer(text, reference=reference) for text, reference in cases])
    assert [case for case, grade in zip(cases, grades, strict=True) if grade.quality != quality] == []


@pytest.mark.parametrize(
    ("by", "text", "reference", "quality"),
    [
        ("number:tolerance=1%", "3.11", "3.14", 1.0),
        ("number:tolerance=1%", "3.10", "3.14", 0.0),
        ("number:tolerance=0.5", "99.5", "100", 1.0),
        ("number:tolerance=0.5", "99.4", "100", 0.0),
        ("number:decimal=comma", "1.234", "1234", 1.0),
        ("number:decimal=comma", "1,234", "1,234", 1.0),
    ],
)
def test_tolerance_and_decimal_mark(by, text, reference, quality):
    (grade,) = read_by([by], judge=None)["*"].grade([Answer(text, reference=reference)])
    assert grade.quality == quality


def test_a_reference_without_a_number_says_so():
    grader = read_by(["number"], judge=None)["*"]
    grades = grader.grade([Answer("42", reference="forty-two"), Answer("42")])
    assert [(grade.quality, grade.reason) for grade in grades] == [
        (None, "the reference has no number"),
        (None, "no reference"),
    ]


@pytest.mark.parametrize(
    "text", ["answer is " * 5000, "1 " * 4000, "1," * 20000, "9" * 20000, "\\boxed{" * 9000, "2^" * 4000, "9e9999999"]
)
def test_strange_texts_are_read_in_little_time(text):
    """With a pattern that backtracks, these take minutes."""
    assert final_number(text) is None or final_number(text).value is not None
