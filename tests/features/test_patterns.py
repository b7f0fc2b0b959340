import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_model.features.compiled import native_module
from router_model.features.patterns import PATTERNS, count_patterns
from router_model.features.surface import N_OF_TEXT, SURFACE_NAMES, describe_text, page_of

PARTS = [
    "which", "What", "HOW", "not", "isn't", "cannot", "n't", "json", "CSV", "table", "list", "write", "code", "c++",
    "c++x", "SELECT", "select", "def", "proved", "explain", "step-by-step", "briefly", "concisely", "summary",
    "only the", "in one word", "a)", "(B).", "C:", "1,000.25", "12345", "3 + 4", "___", "```", "$x$", "\\frac",
    '"quoted"', "“so”", "““", "”", "x" * 150,
    "Paris", "wr\u0131te", "tabl\u00e9", "\u212a", "\u017ftory", "\u0661\u0662", "\uff1f", "-", "*", "1.", "_",
    " ", "\n", "\t", "\n  ", ". ",
]  # fmt: skip


def by_compiled_code(text: str) -> np.ndarray:
    native = native_module()
    if native is None:
        pytest.skip("the extension module was not built; CI builds it")
    row = np.full(N_OF_TEXT, np.nan, dtype=np.float32)
    native.describe(text, len(text), page_of, row)
    return row


def by_python(text: str) -> np.ndarray:
    row = np.full(N_OF_TEXT, np.nan, dtype=np.float32)
    describe_text(text, len(text), page_of, row)
    return row


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PARTS), max_size=30), st.sampled_from(["", " "]))
def test_compiled_code_describes_texts_as_python_does(parts, between):
    text = between.join(parts)
    assert by_compiled_code(text).tolist() == by_python(text).tolist()


@settings(max_examples=300)
@given(st.text(alphabet=st.characters(), max_size=200))
def test_compiled_code_describes_any_text_as_python_does(text):
    """Surrogates, combining marks, right-to-left scripts and NUL among them."""
    assert by_compiled_code(text).tolist() == by_python(text).tolist()


@pytest.mark.parametrize("unit", ["a\0", "\ud800", "e\u0301", "\u05d0 ", "1 + ", '"', "$", "a)\n", " \t"])
def test_a_megabyte_is_described_alike(unit):
    text = unit * (1_000_000 // len(unit))
    assert by_compiled_code(text).tolist() == by_python(text).tolist()


def test_compiled_code_refuses_what_it_cannot_describe():
    native = native_module()
    row = np.zeros(N_OF_TEXT, dtype=np.float32)
    with pytest.raises(ValueError, match="row of at least 43"):
        native.describe("a", 1, page_of, row[1:])
    with pytest.raises(ValueError, match="row of at least 43"):
        native.describe("a", 1, page_of, row.astype(np.float64))
    with pytest.raises(ValueError, match="no kinds of 256 characters"):
        native.describe("\U000e0100", 1, lambda _: b"", row)  # a page that no other test reads
    with pytest.raises(OverflowError):
        native.describe("a", 2**70, page_of, row)
    with pytest.raises(ValueError, match="expected up to"):
        native.describe("a", -1, page_of, row)


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
    assert dict(zip(SURFACE_NAMES, by_compiled_code(f"{text}\nend"), strict=False))[f"log_{name}"] == np.float32(
        np.log1p(count)
    )
