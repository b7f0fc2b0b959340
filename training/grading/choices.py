r"""The grader ``choice``: which option of a multiple-choice question an answer names.

The letter is looked for in this order, and the first rule that finds one decides:

1. the last ``\boxed{C}``;
2. the last "answer is (C)", "Answer: C", "option C is correct" or "I choose C";
3. an answer that begins with its letter: "C", "(C)", "**C**", "C) Paris", "C. Paris";
4. a last line that is only a letter;
5. letters in brackets or in bold type, if all of them are the same.

An answer that names no option, such as a refusal, is wrong.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from router_model.training.grading.answers import RIGHT, WRONG, Answer, ByReference, Grade, not_graded

_OPEN, _CLOSE = r"(?:[*_`\"'“\u2018(\[{<$\s]|\\text|\\mathrm|\\textbf|\\mathbf|\\\()*", r"[*_`\"'”\u2019)\]}>]*"
# After a marker, "A" and "I" may begin a sentence ("Answer: A train…"). So they need an end, a mark or a word like
# "because" behind them; other capital letters do not.
_JOINING = "because|since|as|is|are|was|and|which|due|given|for|would"
_ENDS = rf"{_CLOSE}(?=\s*$|\s*[\n.,;:)\]}}\-\u2013\u2014!$\\]|\s+(?:{_JOINING})\b)"
_MARKED: Final = re.compile(
    r"(?:\b(?:answer|choice|option|solution|response)s?\b(?:\s+(?:is|would\s+be|should\s+be|must\s+be))?(?:\s+(?:option|choice))?"
    r"|\bI\s+(?:choose|pick|select|would\s+choose)(?:\s+(?:option|choice))?"
    rf"|\banswer\s*=)\s*[:=\-]?\s*{_OPEN}(?:(?P<letter>[A-Za-z])(?![A-Za-z]){_ENDS}|(?P<capital>(?-i:[B-HJ-Z]))\s)",
    re.IGNORECASE,
)
_BOXED: Final = re.compile(rf"\\boxed\s*\{{{_OPEN}(?P<letter>[A-Za-z])(?![A-Za-z])")
_ALONE: Final = re.compile(rf"\s*{_OPEN}(?P<letter>[A-Za-z]){_CLOSE}[.:]?{_CLOSE}\s*")
_FIRST: Final = re.compile(
    r"\s*(?:\((?P<a>[A-Z])\)(?!\s*(?:or|and)\b)|\*\*\(?(?P<b>[A-Z])(?:\)?[.:)]?\*\*|[).:]\s)"
    r"|(?P<c>[A-Z])(?:[).:](?=\s|\*|$)|,?\s(?:because|since)\b))"
)
_MENTIONED: Final = re.compile(r"\((?P<a>[A-Z])\)|\*\*\(?(?P<b>[A-Z])\)?[.:)]?\*\*")


def chosen_letter(text: str) -> str | None:
    """Return the option that a text names, as a capital letter, or None.

    >>> chosen_letter("The answer is (B)."), chosen_letter("Answer: C because A is too small"), chosen_letter("**a**")
    ('B', 'C', 'A')
    >>> chosen_letter("A train leaves at nine."), chosen_letter("I cannot help with that.")
    (None, None)
    """
    # Long runs of white space would make the patterns slow.
    text = re.sub(r"\s*\n\s*", "\n", re.sub(r"[^\S\n]+", " ", unicodedata.normalize("NFKC", text))).strip()
    for pattern in (_BOXED, _MARKED):
        found = [_letter(match) for match in pattern.finditer(text)]
        if found:
            return found[-1]
    lines = text.splitlines() or [""]
    if first := _ALONE.fullmatch(text) or _FIRST.match(text) or _ALONE.fullmatch(lines[-1]):
        return _letter(first)
    mentioned = {match["a"] or match["b"] for match in _MENTIONED.finditer(text)}
    return mentioned.pop() if len(mentioned) == 1 else None


def _letter(match: re.Match[str]) -> str:
    return next(letter for letter in match.groupdict().values() if letter).upper()


@dataclass(frozen=True, slots=True)
class Choice(ByReference):
    """Grades 1 if the answer names the option of the reference, which is a letter such as ``C`` or ``(C)``."""

    name: str = "choice"

    def _grade(self, answer: Answer, reference: str) -> Grade:
        expected = chosen_letter(reference)
        if expected is None:
            return not_graded("the reference is not the letter of an option")
        return RIGHT if chosen_letter(answer.final_text) == expected else WRONG
