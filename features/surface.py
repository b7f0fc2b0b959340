"""Surface features: properties of a prompt's text that can be counted without understanding it.

Each feature says something about which models will do well. Long prompts and other scripts need larger models, some
models specialise in code or mathematics, and a requested format or tool excludes models. All features are finite for
any text, including an empty one and lone surrogates. Counts are ``log(1 + count)``; shares lie in [0, 1]. Pattern
counts read the text that is clipped for encoding (`router_model.features.prompt.MAX_ENCODED_CHARS`), so that a megabyte
costs no more than a page. All features ignore white space without meaning (`router_model.features.plain_text`).

``native/texts.c`` computes what a text alone decides, in one pass; the code here is the reference.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from router_model.features.compiled import native_module
from router_model.features.patterns import PATTERNS, count_patterns
from router_model.features.plain_text import plain_text
from router_model.features.prompt import Prompt

FloatArray = npt.NDArray[np.float32]

# --- code points -----------------------------------------------------------------------------------------

CHARACTER_CLASSES: Final = (
    "space", "digit", "lower", "upper", "punctuation", "code_symbol", "math_symbol",
    "latin_extended", "greek", "cyrillic", "semitic", "indic", "kana", "han", "hangul", "emoji", "other",
)  # fmt: skip
"""Classes of code points; each gives a feature ``share_<class>``."""

_ASCII_CLASSES: Final = {
    "space": " \t\n\r\v\f",
    "digit": "0123456789",
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "punctuation": ".,:!?'\"-",
    "code_symbol": "{}[]()<>_;#/\\&|@`$",
    "math_symbol": "+*^%~=",
}

# The first code point of each block, ascending, and its class. The blocks of Unicode 16 are grouped into classes.
_BLOCKS: Final = (
    (0x80, "other"), (0xC0, "latin_extended"), (0x370, "greek"), (0x400, "cyrillic"), (0x530, "other"),
    (0x590, "semitic"), (0x900, "indic"), (0xE00, "other"), (0x1100, "hangul"), (0x1200, "other"),
    (0x1E00, "latin_extended"), (0x1F00, "greek"), (0x2000, "punctuation"), (0x2070, "math_symbol"),
    (0x20A0, "other"), (0x2100, "math_symbol"), (0x2300, "other"), (0x27C0, "math_symbol"),
    (0x27F0, "other"), (0x2980, "math_symbol"), (0x2B00, "other"), (0x2E80, "han"), (0x3000, "punctuation"),
    (0x3040, "kana"), (0x3100, "han"), (0x3130, "hangul"), (0x3190, "han"), (0xA000, "other"),
    (0xAC00, "hangul"), (0xD7B0, "other"), (0xF900, "han"), (0xFB00, "other"), (0xFB1D, "semitic"),
    (0xFE00, "other"), (0x1D400, "math_symbol"), (0x1D800, "other"), (0x1F000, "emoji"), (0x1FB00, "other"),
    (0x20000, "han"), (0x32000, "other"),
)  # fmt: skip

_CLASS_ID: Final = {name: i for i, name in enumerate(CHARACTER_CLASSES)}
_BLOCK_STARTS: Final = [start for start, _ in _BLOCKS]
_BLOCK_CLASSES: Final = [_CLASS_ID[name] for _, name in _BLOCKS]
_ASCII_TABLE: Final = [
    next((_CLASS_ID[name] for name, members in _ASCII_CLASSES.items() if chr(code) in members), _CLASS_ID["other"])
    for code in range(128)
]

# --- names ------------------------------------------------------------------------------------------------

_SHAPE_NAMES: Final = ("log_chars", "log_words", "log_lines", "mean_word_chars", "log_longest_word")
_CONTEXT_NAMES: Final = ("log_turns", "has_system", "has_tools", "has_images", "wants_json")

SURFACE_NAMES: Final = (
    *_SHAPE_NAMES,
    *(f"share_{name}" for name in CHARACTER_CLASSES),
    *(f"log_{name}" for name in PATTERNS),
    *_CONTEXT_NAMES,
)
"""Names of the columns of `surface_features`, in order."""

N_OF_TEXT: Final = len(SURFACE_NAMES) - len(_CONTEXT_NAMES)
"""The first columns are those that a text alone decides."""

_native: Final = native_module()

MEANINGS: Final = {
    "log_chars": "characters of the whole prompt, before clipping; like all features without surplus white space",
    "log_words": "runs of non-space characters",
    "log_lines": "line breaks, blank lines left out",
    "mean_word_chars": "mean length of a word, at most 50; long in code, URLs and languages without spaces",
    "log_longest_word": "length of the longest word",
    "share_space": "white space",
    "share_digit": "ASCII digits: arithmetic, tables, identifiers",
    "share_lower": "a to z",
    "share_upper": "A to Z: names, acronyms, shouting",
    "share_punctuation": "sentence punctuation, also of other scripts",
    "share_code_symbol": "brackets, slashes, semicolons and the like: code and mark-up",
    "share_math_symbol": "plus, equals, integrals, arrows: formulas",
    "share_latin_extended": "Latin letters with marks: European languages other than English",
    "share_greek": "Greek: the language, or variables of a formula",
    "share_cyrillic": "Cyrillic",
    "share_semitic": "Hebrew and Arabic",
    "share_indic": "Devanagari, Tamil and related scripts",
    "share_kana": "Japanese syllables",
    "share_han": "Chinese characters",
    "share_hangul": "Korean",
    "share_emoji": "emoji and pictographs",
    "share_other": "everything else",
    "log_code_fences": "triple back-ticks: quoted code",
    "log_code_words": "key words of common programming languages",
    "log_indented_lines": "lines that begin with two spaces or a tab",
    "log_latex_commands": "LaTeX commands and dollar formulas",
    "log_numbers": "numbers",
    "log_arithmetic": "an operator between two digits",
    "log_long_numbers": "numbers of four digits or more: arithmetic that small models get wrong",
    "log_question_marks": "question marks, also of other scripts",
    "log_question_words": "what, which, who, how and the like",
    "log_negations": "not, except, never: questions that are easily misread",
    "log_answer_options": "(A), B., c): options of multiple choice",
    "log_blanks": "___: gaps to fill in",
    "log_list_items": "lines that begin with a bullet or a number",
    "log_quoted_spans": "text in double quotation marks",
    "log_proper_names": "capitalised words inside sentences: questions of knowledge",
    "log_asks_json": "names JSON, YAML, XML or CSV: a machine reads the answer",
    "log_asks_list_or_table": "a list or table is named",
    "log_asks_steps": "reasoning, a proof or an explanation is asked for: long answers",
    "log_asks_brief": "a short answer is asked for",
    "log_asks_writing": "an essay, a poem, a translation and the like",
    "log_asks_code": "a programming language or a program is named",
    "log_turns": "messages that are not instructions",
    "has_system": "there is a system or developer message",
    "has_tools": "tools are offered",
    "has_images": "a message holds an image",
    "wants_json": "the request's response_format asks for JSON",
}
"""What each feature counts, and why it is counted if that is not obvious."""


def surface_features(prompts: Sequence[Prompt]) -> FloatArray:
    """Return the surface features of prompts.

    Returns
    -------
    float32 array, shape (n_prompts, len(SURFACE_NAMES))

    Examples
    --------
    >>> row = surface_features([Prompt.parse("What is 12 + 30?")])[0]
    >>> values = dict(zip(SURFACE_NAMES, row.tolist(), strict=True))
    >>> values["share_digit"], round(values["log_question_words"], 4)
    (0.25, 0.6931)
    """
    rows = np.empty((len(prompts), len(SURFACE_NAMES)), dtype=np.float32)
    fill_surface(rows, prompts)
    return rows


def fill_surface(rows: FloatArray, prompts: Sequence[Prompt]) -> None:
    """Write the surface features of prompts to `rows`, shape (n_prompts, len(SURFACE_NAMES))."""
    describe = describe_text if _native is None else _native.describe
    for row, prompt in zip(rows, prompts, strict=True):
        describe(prompt.text, prompt.n_chars, page_of, row)
        row[N_OF_TEXT:] = [
            _log(prompt.n_turns),
            prompt.has_system,
            prompt.has_tools,
            prompt.has_images,
            prompt.wants_json,
        ]


def describe_text(text: str, n_chars: int, page_of: Callable[[int], bytes], out: FloatArray) -> None:
    """Write the features that a text alone decides to the beginning of `out`; ``_native.describe`` writes the same."""
    plain = plain_text(text)
    lengths = list(map(len, plain.split())) or [0]
    kinds = Counter(page_of(ord(character) & ~_PAGE_BITS)[ord(character) & _PAGE_BITS] & _CLASS for character in plain)
    out[:N_OF_TEXT] = [
        _log(round(len(plain) * n_chars / max(len(text), 1))),
        _log(len(lengths) if plain else 0),
        _log(plain.count("\n")),
        min(sum(lengths) / len(lengths), 50.0),
        _log(max(lengths)),
        *(kinds[each] / max(len(plain), 1) for each in range(len(CHARACTER_CLASSES))),
        *map(_log, count_patterns(plain)),
    ]


def _log(count: int) -> float:
    """Return ``log(1 + count)``.

    Math libraries return logarithms with different last bits in float64. Rounded to float32 they agree: for counts up
    to a million, no logarithm is within 1e-7 float32 steps of a rounding boundary (a test checks this).
    """
    return math.log1p(count)


_PAGE_BITS: Final = 255
_CLASS, _SPACE, _WORD, _DIGIT = 31, 32, 64, 128


@cache
def page_of(start: int) -> bytes:
    """Return the kinds of 256 characters: the class in five bits, and what regular expressions say in the others.

    >>> kind = page_of(0)[ord("7")]
    >>> CHARACTER_CLASSES[kind & 31], bool(kind & 32), bool(kind & 64), bool(kind & 128)
    ('digit', False, True, True)
    """
    return bytes(map(_kind, range(start, start + _PAGE_BITS + 1)))


def _kind(code: int) -> int:
    character = chr(code)
    own = _ASCII_TABLE[code] if code < len(_ASCII_TABLE) else _BLOCK_CLASSES[bisect_right(_BLOCK_STARTS, code) - 1]
    is_word = character.isalnum() or character == "_"
    return own | _SPACE * character.isspace() | _WORD * is_word | _DIGIT * character.isdecimal()
