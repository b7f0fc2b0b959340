"""The text patterns behind surface features.

``native/texts.c`` counts the same matches in one pass over a text, some hundred times as fast.
"""

import re
from typing import Final

_WORDS: Final = {
    "question_words": "what which who whom whose when where why how",
    "negations": "not no never except neither nor cannot false incorrect",
    "asks_json": "json yaml xml csv",
    "asks_list_or_table": "table bullet list enumerate",
    "asks_writing": "write essay story poem email letter translate rewrite paraphrase",
    "asks_code": r"python javascript java sql c\+\+ rust code script function regex program",
}
"""Words that are counted whole, in upper or lower case."""

_CODE_WORDS: Final = "def return import class function const var public static void SELECT assert lambda print"


def _any_of(words: str) -> str:
    return "|".join(words.split())


PATTERNS: Final = {
    "code_fences": r"```",
    "code_words": rf"\b(?:{_any_of(_CODE_WORDS)})\b",
    "indented_lines": r"\n(?: {2,}|\t)\S",
    "latex_commands": r"\\[a-zA-Z]+|\$[^$\n]{1,200}\$",
    "numbers": r"\d+(?:[.,]\d+)*",
    "arithmetic": r"\d\s*[-+*/^=\u00d7\u00f7<>]\s*\d",
    "long_numbers": r"\d{4,}",
    "question_marks": r"[?\uff1f\u061f]",
    "question_words": rf"\b(?i:{_any_of(_WORDS['question_words'])})\b",
    "negations": rf"\b(?i:{_any_of(_WORDS['negations'])})\b|n't\b",
    "answer_options": r"(?m)(?:^|\s)\(?[A-Ja-j][).:]\s",
    "blanks": r"_{3,}",
    "list_items": r"(?m)^[ \t]{0,20}(?:[-*•]|\d{1,4}[.)])[ \t]",
    "quoted_spans": r"\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”",
    "proper_names": r"(?<=[a-z,] )[A-Z][a-z]+",
    "asks_json": rf"\b(?i:{_any_of(_WORDS['asks_json'])})\b",
    "asks_list_or_table": rf"\b(?i:{_any_of(_WORDS['asks_list_or_table'])})\b",
    "asks_steps": r"(?i:step[- ]by[- ]step|explain|reasoning|show your work|derive|prove)",
    "asks_brief": r"(?i:\bbriefly\b|\bconcise|in one (?:word|sentence)|only the|just the|single letter|\bsummar)",
    "asks_writing": rf"\b(?i:{_any_of(_WORDS['asks_writing'])})\b",
    "asks_code": rf"\b(?i:{_any_of(_WORDS['asks_code'])})\b",
}
"""Regular expressions whose number of matches is a feature ``log_<name>``."""

_COMPILED: Final = [re.compile(pattern) for pattern in PATTERNS.values()]


def count_patterns(text: str) -> list[int]:
    """Return the number of matches of each of `PATTERNS`, in order.

    >>> found = count_patterns("Which of 12 + 30 and 1,000 is not prime?")
    >>> [name for name, count in zip(PATTERNS, found, strict=True) if count]
    ['numbers', 'arithmetic', 'question_marks', 'question_words', 'negations']
    """
    return [sum(1 for _ in pattern.finditer(text)) for pattern in _COMPILED]
