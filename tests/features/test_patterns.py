import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_model.features.patterns import PATTERNS, count_patterns

PARTS = [
    "which", "What", "HOW", "not", "isn't", "cannot", "n't", "json", "CSV", "table", "list", "write", "code", "c++",
    "c++x", "SELECT", "select", "def", "proved", "explain", "step-by-step", "briefly", "concisely", "summary",
    "only the", "in one word", "a)", "(B).", "C:", "1,000.25", "12345", "3 + 4", "___", "```", "$x$", "\\frac",
    '"quoted"', "“so”", "““", "”", "x" * 150,
    "Paris", "wr\u0131te", "tabl\u00e9", "\u212a", "\u017ftory", "\u0661\u0662", "\uff1f", "-", "*", "1.", "_",
    " ", "\n", "\t", "\n  ", ". ",
]  # fmt: skip


def plainly(text: str) -> list[int]:
    return [len(re.findall(pattern, text)) for pattern in PATTERNS.values()]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PARTS), max_size=30), st.sampled_from(["", " "]))
def test_counts_are_those_of_the_patterns(parts, between):
    text = between.join(parts)
    assert count_patterns(text) == plainly(text)


@settings(max_examples=300)
@given(st.text(max_size=200))
def test_any_text_is_counted_as_the_patterns_do(text):
    assert count_patterns(text) == plainly(text)


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        ("A. B. C. D. ", "answer_options", 2),  # a space that ends one option does not begin the next
        ("A.\nB.\nC.\n", "answer_options", 3),  # a line break does
        ("Is c++x C++ or c++?", "asks_code", 1),
        ("an Ada Bob, Eve", "proper_names", 3),
        ("12345,678 and 1.2345", "long_numbers", 2),
    ],
)
def test_corner_cases(text, name, count):
    assert dict(zip(PATTERNS, count_patterns(text), strict=True))[name] == count
    assert len(re.findall(PATTERNS[name], text)) == count
