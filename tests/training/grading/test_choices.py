"""The grader `choice`, on texts whose option was decided by hand."""

import pytest

from router_model.training.grading.answers import Answer
from router_model.training.grading.choices import Choice, chosen_letter

CASES = {
    "(A)": "A",
    "**A**": "A",
    "c": "C",
    "`B`": "B",
    "C) Paris": "C",
    "C. Paris": "C",
    "**B. Paris**": "B",
    "B: Paris": "B",
    "The answer is (B)": "B",
    "The answer is B) Paris": "B",
    "The answer is: **(B) Paris**": "B",
    "The answer is “B”": "B",
    "The answer is A because it fits": "A",
    "Answer: C because A is too small": "C",
    "Answer: B Paris": "B",
    "Answer\n: B": "B",
    "ANSWER: b": "B",
    "**Answer: C**": "C",
    "**Answer:** C": "C",
    "Final Answer: (E)": "E",
    "The correct option is D": "D",
    "The best answer is option C.": "C",
    "Option B is correct": "B",
    "I choose B": "B",
    r"$\boxed{\text{B}}$": "B",
    r"The answer is $\textbf{(C)}$": "C",
    "First I thought the answer is A. Then I saw that the answer is B.": "B",
    "Let me think. (A) is too small. The answer is C": "C",
    "It is the third one.\n\nC": "C",
    "Only (D) fits, so (D).": "D",
    "A train leaves at nine.": None,
    "Answer: A train leaves at nine.": None,
    "Answer: I think so": None,
    "(A) or (B)": None,
    "The answer is not C": None,
    "I'm sorry, but I cannot help with that.": None,
    "": None,
}


def test_letter_is_found():
    assert {text: chosen_letter(text) for text in CASES} == CASES


def test_refusals_are_wrong_and_a_reference_that_names_no_option_is_no_grade():
    cases = [("The answer is (B)", "B"), ("(C)", "(B)"), ("I cannot say", "B"), ("B", "Paris"), ("B", None)]
    grades = Choice().grade([Answer(text, reference=reference) for text, reference in cases])
    assert [grade.quality for grade in grades] == [1.0, 0.0, 0.0, None, None]
    assert grades[3].reason == "the reference is not the letter of an option"


@pytest.mark.parametrize(
    "text", ["answer " + " " * 20000 + ".", "answer " + "*" * 20000, "(A)" * 9000, "answer " * 9000]
)
def test_strange_texts_are_read_in_little_time(text):
    assert chosen_letter(text) in {None, "A"}
