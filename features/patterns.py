"""The text patterns behind surface features, and a fast way to count their matches.

`PATTERNS` defines the patterns as regular expressions. `count_patterns` returns the same counts as these expressions in
a sixth of the time. It looks up whole words in one table and first tests for rare patterns with substrings. The rest is
left to expressions that begin with a character which the regular expression engine can search for quickly.
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

_COLUMN: Final = {name: column for column, name in enumerate(PATTERNS)}
_COLUMN_OF_WORD: Final = {word: _COLUMN[name] for name, words in _WORDS.items() for word in words.split()}
_CODE_WORD_FOLDED: Final = frozenset(_CODE_WORDS.lower().split())
_KNOWN_WORDS: Final = _CODE_WORD_FOLDED.union(_COLUMN_OF_WORD)
_WORD: Final = re.compile(r"\w+")

# This table splits an ASCII text into words: letters become lower case, digits and underscores stay, the rest is blank.
_LOWER_OR_BLANK: Final = bytes(ord(chr(c).lower() if _WORD.match(chr(c)) else " ") for c in range(128)) + bytes(128)

# The only non-ASCII characters that match an ASCII letter if an expression ignores case.
_ODD_LETTERS: Final = {"\u0130": "i", "\u0131": "i", "\u017f": "s", "\u212a": "k"}

_OPENING, _CLOSING, _LONGEST_QUOTE = "“", "”", 200

# Patterns that are counted only if a substring shows that there may be a match; "folded" ones look in lower-case text.
_RARE: Final = {
    "code_fences": ("```",),
    "indented_lines": ("\n  ", "\n\t"),
    "latex_commands": ("\\", "$"),
    "blanks": ("___",),
    "quoted_spans": (_OPENING, '"'),
}
_RARE_FOLDED: Final = {
    "asks_steps": ("step", "explain", "reasoning", "show your work", "derive", "prove"),
    "asks_brief": ("briefly", "concise", "in one ", "only the", "just the", "single letter", "summar"),
}

# The same matches as in `PATTERNS`, but each expression begins with a character that can be searched for.
_FROM_LINE_BREAK: Final = {
    "answer_options": re.compile(r"\s\(?[A-Ja-j][).:](?:(?=\n)|\s)"),
    "list_items": re.compile(r"\n[ \t]{0,20}(?:[-*•]|\d{1,4}[.)])[ \t]"),
}
_PROPER_NAME: Final = re.compile(r" (?<=[a-z,] )[A-Z][a-z]+")
_CODE_WORD, _NUMBER, _ARITHMETIC, _LONG_NUMBER = (
    re.compile(PATTERNS[name]) for name in ("code_words", "numbers", "arithmetic", "long_numbers")
)
_LONG_FROM: Final = 4  # digits
_CUT_NOT: Final = re.compile(r"n't\b")
_C_PLUS_PLUS: Final = re.compile(r"\bc\+\+\b")
_COMPILED: Final = {name: re.compile(PATTERNS[name]) for name in (*_RARE, *_RARE_FOLDED)}


def count_patterns(text: str) -> list[int]:
    """Return the number of matches of each of `PATTERNS`, in order.

    >>> found = count_patterns("Which of 12 + 30 and 1,000 is not prime?")
    >>> [name for name, count in zip(PATTERNS, found, strict=True) if count]
    ['numbers', 'arithmetic', 'question_marks', 'question_words', 'negations']
    """
    counts = [0] * len(PATTERNS)
    plain = text.isascii()
    folded = (text if plain else _without_odd_letters(text)).lower()
    words = text.encode().translate(_LOWER_OR_BLANK).decode().split() if plain else _WORD.findall(folded)
    _count_words(text, folded, words, counts)
    for rare, shown in ((_RARE, text), (_RARE_FOLDED, folded)):
        for name, parts in rare.items():
            for part in parts:
                if part in shown:
                    searched = _without_unclosed(text) if part == _OPENING else text
                    counts[_COLUMN[name]] = len(_COMPILED[name].findall(searched))
                    break
    _count_numbers(text, counts)
    counts[_COLUMN["question_marks"]] = text.count("?") + (0 if plain else text.count("\uff1f") + text.count("\u061f"))
    counts[_COLUMN["proper_names"]] = len(_PROPER_NAME.findall(text))
    after_break = f"\n{text}"
    for name, pattern in _FROM_LINE_BREAK.items():
        counts[_COLUMN[name]] = len(pattern.findall(after_break))
    return counts


def _without_odd_letters(text: str) -> str:
    for odd, letter in _ODD_LETTERS.items():
        text = text.replace(odd, letter)
    return text


def _without_unclosed(text: str) -> str:
    """Replace each opening quotation mark that has no closing mark soon enough on the same line.

    From each such mark, the expression would search in vain up to the longest allowed quotation. The matches stay the
    same.

    >>> _without_unclosed("““ “a” “")
    '““ “a” .'
    """
    *closed, rest = text.split(_CLOSING)
    parts: list[str] = []
    for part in closed:
        near = max(part.rfind("\n") + 1, len(part) - _LONGEST_QUOTE - 1)
        parts += [part[:near].replace(_OPENING, "."), part[near:], _CLOSING]
    return "".join([*parts, rest.replace(_OPENING, ".")])


def _count_words(text: str, folded: str, words: list[str], counts: list[int]) -> None:
    found = _KNOWN_WORDS.intersection(words)
    for word in found:
        column = _COLUMN_OF_WORD.get(word)
        if column is not None:
            counts[column] += words.count(word)
    if not _CODE_WORD_FOLDED.isdisjoint(found):
        counts[_COLUMN["code_words"]] = len(_CODE_WORD.findall(text))
    if "n't" in text:
        counts[_COLUMN["negations"]] += len(_CUT_NOT.findall(text))
    if "c++" in folded:
        counts[_COLUMN["asks_code"]] += len(_C_PLUS_PLUS.findall(folded))


def _count_numbers(text: str, counts: list[int]) -> None:
    numbers = _NUMBER.findall(text)
    counts[_COLUMN["numbers"]] = len(numbers)
    if len(numbers) > 1:  # an operator stands between two
        counts[_COLUMN["arithmetic"]] = len(_ARITHMETIC.findall(text))
    # A number consists of whole runs of digits, so long runs of digits occur only in long numbers.
    long = [number for number in numbers if len(number) >= _LONG_FROM]
    counts[_COLUMN["long_numbers"]] = sum(len(_LONG_NUMBER.findall(number)) for number in long)
