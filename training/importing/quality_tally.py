"""Count the kinds of quality values in a whole source, to find out whether it has another scale.

Only counts are kept, because a source may be larger than the memory. They decide whether values outside 0 to 1 are bad
rows or show another scale:

- If all values are whole numbers and some are outside 0 to 1, the scale is another one, however few these are. Ratings
  that are mostly the worst one look like 0 and 1 with a few mistakes, but read like this the worst rating would be a
  success.
- If there are fractions too, the scale is another one if more than one number, and more than 5 % of all, is outside.
- Words, percentages and marks such as 4/5 show another scale if they are more than 5 % of all.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

import polars as pl

from router_model.training.importing.columns import words_of
from router_model.training.importing.findings import Arguments, Finding
from router_model.training.importing.near_names import sounds_lower_is_better
from router_model.training.importing.options import ImportOptions, RejectedLimit
from router_model.training.importing.problems import shown
from router_model.training.importing.reading import Reading
from router_model.training.importing.scales import PERCENT, Scale, guess_scale
from router_model.training.importing.values import quality_values

_STRAYS: Final = RejectedLimit()
_MAX_WORDS: Final = 12
_MAX_WORD_CHARS: Final = 40
_PERCENT: Final = re.compile(r"[+-]?\d+(?:[.,]\d+)?\s*%")
_OUT_OF: Final = re.compile(r"\d+(?:[.,]\d+)?\s*(?:/|out of)\s*(\d+)")
_UNGRADED: Final = frozenset(
    ("n/a", "na", "none", "null", "-", "--", "?", "unknown", "unrated", "not rated", "skip", "skipped", "no rating")
)
_FAMILIES: Final[tuple[Mapping[str, float], ...]] = (
    {
        **dict.fromkeys(("good", "yes", "y", "pass", "passed", "correct", "right", "positive", "up", "success"), 1.0),
        **dict.fromkeys(("thumbs_up", "thumbs up", "thumbsup", "👍", "accept", "accepted", "ok", "t", "like"), 1.0),
        **dict.fromkeys(("successful", "approved", "win", "satisfied", "resolved", "solved", "true positive"), 1.0),
        **dict.fromkeys(("partial", "partially correct", "neutral", "tie", "mixed", "acceptable"), 0.5),
        **dict.fromkeys(("bad", "no", "n", "fail", "failed", "incorrect", "wrong", "negative", "down"), 0.0),
        **dict.fromkeys(("failure", "thumbs_down", "thumbs down", "thumbsdown", "👎", "reject", "rejected"), 0.0),
        **dict.fromkeys(("f", "dislike", "unsuccessful", "loss", "unsatisfied", "unresolved", "unsolved"), 0.0),
        **dict.fromkeys(("not_attempted", "not attempted"), 0.0),
    },
    {
        "excellent": 1.0,
        "very good": 0.9,
        "good": 0.75,
        **dict.fromkeys(("fair", "average", "okay"), 0.5),
        "poor": 0.25,
        **dict.fromkeys(("bad", "very poor"), 0.0),
    },
    {"c": 1.0, "p": 0.5, "i": 0.0, "n": 0.0},
    {"a": 1.0, "b": 0.75, "c": 0.5, "d": 0.25, "e": 0.0, "f": 0.0},
    {  # points of American grades, a quarter of them
        "a+": 1.0, "a": 1.0, "a-": 0.925, "b+": 0.825, "b": 0.75, "b-": 0.675, "c+": 0.575, "c": 0.5, "c-": 0.425,
        "d+": 0.325, "d": 0.25, "d-": 0.175, "e": 0.0, "f": 0.0,
    },
    {f"{stars} star{'s' * (stars > 1)}": (stars - 1) / 4 for stars in range(1, 6)},
    {"⭐" * stars: (stars - 1) / 4 for stars in range(1, 6)},
    {"★" * stars + "☆" * (5 - stars): (stars - 1) / 4 for stars in range(1, 6)},
    {"★" * stars: (stars - 1) / 4 for stars in range(1, 6)},
)  # fmt: skip
"""Families of words that occur together, with the quality of each word."""


class QualityTally:
    """Counts the kinds of quality values of one source."""

    def __init__(self) -> None:
        self._n_known = 0
        self._n_numbers = 0
        self._n_outside = 0
        self._n_fractions = 0
        self._minimum = float("inf")
        self._maximum = float("-inf")
        self._n_words = 0
        self._words: Counter[str] = Counter()

    def add(self, series: pl.Series, reading: Reading) -> None:
        """Count the values of a column before they are converted."""
        numbers, known, unreadable = quality_values(series, reading)
        self._n_known += known.count()
        numbers = numbers.filter(numbers.is_finite().fill_null(value=False))
        if len(numbers):
            self._n_numbers += len(numbers)
            self._n_outside += int(((numbers < 0) | (numbers > 1)).sum())
            self._n_fractions += int((numbers != numbers.floor()).sum())
            values = numbers.to_numpy()
            self._minimum = min(self._minimum, float(values.min()))
            self._maximum = max(self._maximum, float(values.max()))
        if unreadable.any():
            self._n_words += int(unreadable.sum())
            self._add_words(series.filter(unreadable).to_list())

    def _add_words(self, values: list[object]) -> None:
        for value in values:
            word = value.strip().lower()[:_MAX_WORD_CHARS] if isinstance(value, str) else shown(value)
            if word in self._words or len(self._words) <= _MAX_WORDS:
                self._words[word] += 1

    @property
    def has_qualities(self) -> bool:
        """Whether most of the values can be qualities: numbers or known words."""
        known = sum(n for word, n in self._words.items() if _family_of({word}) or _mark_of(word))
        n_all = self._n_known + self._n_numbers + self._n_words
        return n_all > 0 and 2 * (self._n_words - known) <= n_all

    def finding(self, options: ImportOptions, name: str, *, is_joined: bool = False) -> Finding | None:
        """Return the reason why the qualities cannot be read as they are; None if they can.

        Parameters
        ----------
        options : ImportOptions
        name : str
            Name of the field in the source.
        is_joined : bool, default False
            Whether other sources are read in the same way.
        """
        marked = self._about_marks() if self._are_many(self._n_words) else None
        if marked is not None:
            return marked
        if self._are_many(self._n_words, options.max_rejected):
            return _about_words(name, self._words, self._n_words)
        scale = options.reading.scale
        if self._n_known and not options.reading.words and sounds_lower_is_better(name):
            return _about_true_losses(name)
        return self._about_numbers(name) if scale is None else self._about_scale(scale, is_joined=is_joined)

    def _are_many(self, n: int, limit: RejectedLimit = _STRAYS) -> bool:
        n_all = self._n_known + self._n_numbers + self._n_words
        return n > 0 and (n == n_all or limit.is_passed(n, n_all))

    def _range(self) -> str:
        kind = "numbers" if self._n_fractions else "whole numbers"
        if self._n_numbers == 1:
            return f"the number {self._minimum:g}"
        return f"{self._n_numbers:,} {kind} from {self._minimum:g} to {self._maximum:g}"

    def _about_numbers(self, name: str) -> Finding | None:
        """Return a finding if numbers that are read as 0 to 1 have another scale."""
        if sounds_lower_is_better(name) and self._n_numbers:
            return self._about_losses(name)
        is_other_scale = self._n_outside > 0 and (not self._n_fractions or self._are_many(self._n_outside))
        if not is_other_scale:
            return None
        seen = f"quality has {self._range()}, expected 0 to 1"
        scale = guess_scale(self._minimum, self._maximum)
        if scale is None:
            ends = Scale(math.floor(self._minimum), math.ceil(self._maximum))
            if ends.worst == ends.best:
                return Finding(seen, otherwise="Say which number is the worst and which the best: --scale WORST:BEST.")
            otherwise = (
                f"Which number is best cannot be told from a name: that is --scale {ends} if the greatest is, "
                f"and --scale {ends.reversed} if the smallest is, as of a loss. Put the scale's true ends."
            )
            return Finding(seen, (("--scale", str(ends)),), otherwise)
        otherwise = (
            f"The ends of the scale are a guess from the numbers; put the true ones. --scale {scale.reversed} instead "
            f"if {scale.worst:g} is best, --scale 0:1 if the numbers outside 0 to 1 are mistakes"
            + (", --values -1= if -1 means 'not graded'." if self._minimum == -1 else ".")
        )
        return Finding(seen, (("--scale", str(scale)),), otherwise)

    def _about_losses(self, name: str) -> Finding:
        high = max(1.0, self._maximum)
        low = max(self._minimum, 0.0) if "rank" in words_of(name) and not self._n_fractions else min(0.0, self._minimum)
        scale = Scale(max(high, low + 1), low)
        return Finding(
            f"quality comes from {name!r}, whose name suggests that smaller is better; it has {self._range()}",
            (("--scale", str(scale)),),
            f"The first number of --scale is the worst; --scale {scale.reversed} if greater is better.",
        )

    def _about_scale(self, scale: Scale, *, is_joined: bool) -> Finding | None:
        """Return a finding if numbers do not fit the scale that the user stated."""
        low, high = scale.range
        is_wider = high - low > 1
        within_unit = self._n_numbers > 0 and self._minimum >= 0 >= self._maximum - 1
        if not is_wider or not within_unit or not (self._n_fractions or is_joined):
            return None
        return Finding(
            f"quality has {self._range()}, which --scale {scale} would bring close together",
            (("--scale", "0:1"),),
            "Sources of different scales are imported one by one and their tables joined: router-model import A B.",
        )

    def _about_marks(self) -> Finding | None:
        """Return a finding about percentages or marks such as 4/5, if all words are of one such kind."""
        marks = {_mark_of(word) for word in self._words}
        scale = marks.pop() if len(marks) == 1 else None
        if scale is None:
            return None
        return Finding(
            f"quality is written as {shown(next(iter(self._words)))} in {self._n_words:,} rows, expected 0 to 1",
            (("--scale", str(scale)),),
            f"Put the scale's true ends; --scale {scale.reversed} if {scale.worst:g} is the best.",
        )


def _about_true_losses(name: str) -> Finding:
    return Finding(
        f"quality comes from {name!r}, whose name suggests that true is worse than false",
        (("--values", "true=0,false=1"),),
        "--values true=1,false=0 if true is better.",
    )


def _about_words(name: str, words: Counter[str], n_words: int) -> Finding:
    """Return a finding that proposes a quality for each word."""
    listed = ", ".join(f"{shown(word)} ({n:,})" for word, n in words.most_common(_MAX_WORDS))
    if len(words) > _MAX_WORDS:
        return Finding(
            f"quality comes from {name!r}, which has {n_words:,} texts such as {shown(next(iter(words)))}, expected "
            "numbers",
            otherwise="Name the field that says how good an answer was with --column quality=FIELD; "
            "--column quality= says that there is none.",
        )
    if all(word.startswith(("[", "{")) for word in words):
        inner = re.match(r'\{"([^"]+)"', next(iter(words)))
        ways = [f"--column quality={name}.{key}" for key in ((inner[1],) if inner else ("0", "helpful"))]
        return Finding(
            f"quality comes from {name!r}, which holds {listed}, expected one number",
            otherwise=f"Name the number in it that counts with --column quality=FIELD, as in {' or '.join(ways)}.",
        )
    family = _family_of(words)
    worth = [f"{word}={_worth(word, family)}" for word in words if "," not in word]
    add: Arguments = (("--values", ",".join(worth)),) if worth else ()
    otherwise = (
        "Check what each word is worth, from 0 to 1; nothing behind the = means 'not graded'."
        if family or not set(words) - _UNGRADED
        else "Write a number from 0 to 1 for each QUALITY; nothing behind the = means 'not graded'."
    )
    return Finding(f"quality has the words {listed}, expected numbers from 0 to 1", add, otherwise)


def _family_of(words: "Counter[str] | set[str]") -> Mapping[str, float] | None:
    """Return the family with all those words that have a meaning."""
    meant = set(words) - _UNGRADED
    return next((family for family in _FAMILIES if meant and meant <= family.keys()), None)


def _worth(word: str, family: Mapping[str, float] | None) -> str:
    if word in _UNGRADED:
        return ""
    return f"{family[word]:g}" if family else "QUALITY"


def _mark_of(word: str) -> Scale | None:
    """Return the scale of marks that name their upper end, such as 4/5."""
    if _PERCENT.fullmatch(word):
        return PERCENT
    match = _OUT_OF.fullmatch(word)
    best = float(match[1]) if match else 0.0
    return Scale(0, best) if best else None
