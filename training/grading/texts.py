"""Graders that compare the text of an answer: ``exact``, ``contains`` and ``regex``."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from router_model.errors import RequestError
from router_model.training.grading.answers import (
    NO_REFERENCE,
    RIGHT,
    WRONG,
    Answer,
    ByReference,
    Grade,
    alternatives,
    not_graded,
    plain,
)

IGNORABLE: Final = ("case", "punctuation", "articles")
"""What ``exact`` and ``contains`` ignore on request; Unicode's forms and white space never count."""

_ARTICLES: Final = re.compile(r"\b(?:a|an|the)\b", re.IGNORECASE)
_SPACELESS: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def normalised(text: str, ignoring: Sequence[str] = ()) -> str:
    """Return a text as ``exact`` compares it.

    >>> normalised("The  answer: PARIS!", ["case", "punctuation", "articles"])
    'answer paris'
    """
    text = plain(text)
    if "case" in ignoring:
        text = text.casefold()
    if "punctuation" in ignoring:
        text = "".join(" " if unicodedata.category(char)[0] == "P" else char for char in text)
    if "articles" in ignoring:
        text = _ARTICLES.sub(" ", text)
    return plain(text)


@dataclass(frozen=True, slots=True)
class Exact(ByReference):
    """Grades 1 if the whole answer is the reference, or one of the references of a JSON list.

    Attributes
    ----------
    name : str
    ignoring : some of `IGNORABLE`
    """

    name: str = "exact"
    ignoring: tuple[str, ...] = ()

    def _grade(self, answer: Answer, reference: str) -> Grade:
        accepted = {normalised(one, self.ignoring) for one in (*alternatives(reference), reference)}
        return RIGHT if normalised(answer.final_text, self.ignoring) in accepted else WRONG


@dataclass(frozen=True, slots=True)
class Contains(ByReference):
    """Grades 1 if the answer contains the reference as whole words: ``4`` is not found in ``42``.

    Attributes
    ----------
    name : str
    ignoring : some of `IGNORABLE`
    needs_all : bool
        Whether all texts of a JSON list must be there, and not only one of them.
    """

    name: str = "contains"
    ignoring: tuple[str, ...] = ()
    needs_all: bool = False

    def _grade(self, answer: Answer, reference: str) -> Grade:
        wanted = [normalised(one, self.ignoring) for one in alternatives(reference)]
        if not all(wanted):
            return not_graded("the reference is empty")
        text = normalised(answer.final_text, self.ignoring)
        found = [_has_words(text, one) for one in wanted]
        return RIGHT if (all(found) if self.needs_all else any(found)) else WRONG


def _has_words(text: str, wanted: str) -> bool:
    """Return whether `wanted` stands in `text` and does not begin or end inside a word or a number.

    Scripts without spaces between words have no such limits. A point or comma between digits does not end a number.
    """
    start = text.find(wanted)
    while start >= 0:
        end = start + len(wanted)
        if not _joined(text[max(start - 2, 0) : start], wanted[0]) and not _joined(
            text[end : end + 2][::-1], wanted[-1]
        ):
            return True
        start = text.find(wanted, start + 1)
    return False


def _joined(beside: str, edge: str) -> bool:
    """Return whether a character belongs to the same word as the (up to) two characters beside it, nearest last.

    >>> _joined("4", "2"), _joined("1.", "2"), _joined("x.", "2"), _joined("案", "巴")
    (True, True, False, False)
    """
    if not beside or not edge.isalnum() or _SPACELESS.match(edge):
        return False
    nearest = beside[-1]
    if nearest in ".," and edge.isdigit():
        return beside[0].isdigit()
    return nearest.isalnum() and not _SPACELESS.match(nearest)


@dataclass(frozen=True, slots=True)
class Regex:
    """Grades 1 if a pattern is found in the answer.

    The engine is that of polars. Its time grows linearly with the text, so no pattern can hang a run. In exchange, it
    has no look-around and no back references.

    Attributes
    ----------
    name : str
    pattern : str or None
        The same for all answers; None if each answer's reference is its pattern.
    """

    name: str = "regex"
    pattern: str | None = None

    def __post_init__(self) -> None:
        if self.pattern is not None:
            try:
                pl.Series([""]).str.contains(self.pattern)
            except pl.exceptions.PolarsError as exc:
                raise RequestError(
                    f"--by regex: got the pattern {self.pattern!r}, expected one of Rust's regex (no look-around, no "
                    f"back references; --by python takes any): {_why(exc)}"
                ) from exc

    def grade(self, answers: Sequence[Answer]) -> list[Grade]:
        """Return a grade for each answer."""
        patterns = [answer.reference if self.pattern is None else self.pattern for answer in answers]
        columns = {"text": [answer.final_text for answer in answers], "pattern": patterns}
        frame = pl.DataFrame(columns, schema={"text": pl.String, "pattern": pl.String})
        found = frame.select(pl.col("text").str.contains(pl.col("pattern"), strict=False)).to_series()
        return [_of_match(is_there, pattern) for is_there, pattern in zip(found, patterns, strict=True)]


def _why(exc: Exception) -> str:
    r"""Return what is wrong with a pattern, of an error of polars.

    >>> _why(ValueError("regex error: regex parse error:\n  (\n  ^\nerror: unclosed group\n\nThis error occurred ..."))
    'unclosed group'
    """
    lines = str(exc).splitlines()
    return next((line for line in lines if line.startswith("error: ")), lines[0].removeprefix("regex ")).removeprefix(
        "error: "
    )


def _of_match(found: bool | None, pattern: str | None) -> Grade:  # noqa: FBT001  (one row of a column)
    if pattern is None:
        return not_graded(NO_REFERENCE)
    if found is None:
        return not_graded("the reference is not a pattern that can be read")
    return RIGHT if found else WRONG
