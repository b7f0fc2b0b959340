r"""The grader ``number``: whether an answer ends in the right number.

**Which number of an answer counts**: the last ``\boxed{}``; else what follows the last ``####``, "answer is" or
"answer:" (behind the last ``=`` of that line, if there is one); else the last number of the text.

**How it is read**: thousands (``1,234.5``), fractions (``3/4``, ``\frac{3}{4}``, ``1 1/2``, ``½``), powers of ten
(``1e-3``, ``1.5 * 10^3``), ``$12``, ``75 %``, "2 million", LaTeX. Where both marks occur, the last one stands before
the decimals: ``1.234,5`` is 1234.5. One comma before three digits stands between thousands (``1,234`` is 1234), and any
other single comma before decimals (``0,5``); ``decimal=comma`` reads ``1.234`` as 1234, too.

**When two numbers are equal**: whole numbers only if they are the same, others up to one in 10^9, or up to the
tolerance. Known units of one kind are converted (1 km is 1000 m); units of different kinds are never equal; a unit that
only one of the two has, or that nobody knows, does not count. If only one of them is a percentage, ``75 %`` equals both
0.75 and 75, because a question may ask for either.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from router_model.training.grading.answers import RIGHT, WRONG, Answer, ByReference, Grade, not_graded
from router_model.training.importing.number_text import DecimalMark

_CLOSE_ENOUGH: Final = Fraction(1, 10**9)
_MOST_DIGITS: Final = 60  # as `read_number`; it also bounds powers of ten

_MOST_MARKS: Final = 10  # these two bound the time that strange texts take
_LONGEST_LINE: Final = 500

_SCALES: Final = {"k": 3, "thousand": 3, "million": 6, "mn": 6, "billion": 9, "bn": 9, "trillion": 12}
_UNITS: Final[dict[str, tuple[str, Fraction]]] = {
    name: (kind, Fraction(factor))
    for kind, names in {
        "length": "mm=1/1000 millimeter=1/1000 cm=1/100 centimeter=1/100 m=1 meter=1 metre=1 km=1000 kilometer=1000 "
        "kilometre=1000 inch=127/5000 inche=127/5000 ft=381/1250 feet=381/1250 foot=381/1250 yard=1143/1250 "
        "mile=201168/125",
        "mass": "mg=1/1000 milligram=1/1000 g=1 gram=1 kg=1000 kilogram=1000 tonne=1000000 lb=45359237/100000 "
        "pound=45359237/100000 ounce=45359237/1600000 oz=45359237/1600000",
        "time": "ms=1/1000 millisecond=1/1000 s=1 sec=1 second=1 min=60 minute=60 h=3600 hr=3600 hour=3600 day=86400 "
        "week=604800",
        "volume": "ml=1/1000 milliliter=1/1000 l=1 liter=1 litre=1",
        "area": "cm^2=1/10000 m^2=1 km^2=1000000",
        "speed": "m/s=1 km/h=5/18 kmh=5/18 mph=1397/3125",
        "dollars": "$=1 usd=1 dollar=1 cent=1/100 ¢=1/100",
        "euros": "€=1 eur=1 euro=1",
        "pounds sterling": "£=1 gbp=1",
        "yen": "¥=1 jpy=1 yen=1",
        "celsius": "°c=1 celsius=1",
        "fahrenheit": "°f=1 fahrenheit=1",
        "degrees": "°=1 degree=1",
    }.items()
    for name, factor in (pair.split("=") for pair in names.split())
}

_THIN: Final = "\u00a0\u2009\u202f'\u2019_"
_DIGITS: Final = rf"(?:\d{{1,3}}(?:[{_THIN}]\d{{3}})+(?:[.,]\d+)?(?!\d)|\d(?:[\d.,]*\d)?|\.\d+)"
_NUMBER: Final = re.compile(
    rf"(?<![A-Za-z_\d.,])(?P<sign>(?<![\w)\]}}])[-+])?\s?(?P<before>[$€£¥])?\s?(?P<after_sign>[-+])?"
    rf"(?:(?P<whole>\d+)\s+(?=\d+/\d))?(?P<top>{_DIGITS})(?P<e>[eE][+-]?\d+(?![\w.]))?"
    r"(?:\^[{(]?(?P<raised>[+-]?\d{1,2})(?!\d)[)}]?)?"
    rf"(?:\s?/\s?(?P<bottom>\d+(?:\.\d+)?)(?![\d/]))?"
    r"(?:\s?[x\u00d7*\u00b7]\s?10\s?\^\s?[{(]?(?P<power>[+-]?\d+)[)}]?)?"
    r"(?:\s?-?(?P<scale>thousand|million|billion|trillion|bn|mn)\b|(?P<k>[kK])\b)?"
    r"(?:\s?(?P<percent>%|percent\b|per\s?cent\b)"
    r"|\s?(?P<unit>(?:[$€£¥¢°]\s?[CF]?|[A-Za-z]+(?:/[A-Za-z]+)?)(?:\^\{?2\}?)?))?"
)
_MARKED: Final = re.compile(r"####|\banswer\b[*_\s]*(?:is|was|:|=)[*_]*", re.IGNORECASE)
_FRACTION: Final = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]*)\}\s*\{([^{}]*)\}|(\d)\s*(\d))")
_LATEX: Final = (
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\}"), r" \1"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\[,;: ]"), "\u2009"),
    (re.compile(r"\\!|\\left|\\right|\\\(|\\\)|\\\[|\\\]"), ""),
    (re.compile(r"\\(?:times|cdot)"), "*"),
    (re.compile(r"\^\s*\{?\\circ\}?|\\degree"), "°"),
    (re.compile(r"\\([$%#&])"), r"\1"),
)
_GROUPED: Final = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_SPACED: Final = re.compile(r"\s*[-+$€£¥ ]{0,3}\d{1,3}(?: \d{3})+(?:[.,]\d+)?\D{0,12}")
_SUPERSCRIPTS: Final = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u207b]+")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it was written, with what stands beside it.

    Attributes
    ----------
    value : Fraction
    is_percent : bool
    kind : str
        What its unit measures, such as ``length``; empty without a known unit.
    factor : Fraction
        How many of the kind's first units one unit is.
    """

    value: Fraction
    is_percent: bool = False
    kind: str = ""
    factor: Fraction = Fraction(1)

    def equals(self, other: "Quantity", *, absolute: Fraction, relative: Fraction) -> bool:
        """Return whether another quantity, which is the reference, is the same up to a tolerance."""
        if self.kind and other.kind and self.kind != other.kind:
            return False
        factors = (self.factor, other.factor) if self.kind and other.kind else (Fraction(1), Fraction(1))
        mine, theirs = self.value * factors[0], other.value * factors[1]
        pairs = [(mine, theirs)]
        if self.is_percent != other.is_percent:
            pairs.append((mine / 100, theirs) if self.is_percent else (mine, theirs / 100))
        return any(_close(*pair, absolute=absolute, relative=relative) for pair in pairs)


def _close(value: Fraction, reference: Fraction, *, absolute: Fraction, relative: Fraction) -> bool:
    if not absolute and not relative:
        relative = Fraction(0) if value.denominator == reference.denominator == 1 else _CLOSE_ENOUGH
    return abs(value - reference) <= max(absolute, relative * abs(reference))


@dataclass(frozen=True, slots=True)
class Number(ByReference):
    """Grades 1 if the number of the answer is that of the reference.

    Attributes
    ----------
    name : str
    absolute, relative : Fraction
        Tolerance: a difference, or a share of the reference.
    decimal : {"point", "comma"}
        The mark before decimals where a number can be read both ways.
    """

    name: str = "number"
    absolute: Fraction = Fraction(0)
    relative: Fraction = Fraction(0)
    decimal: DecimalMark = "point"

    def _grade(self, answer: Answer, reference: str) -> Grade:
        expected = final_number(reference, self.decimal)
        if expected is None:
            return not_graded("the reference has no number")
        found = final_number(answer.final_text, self.decimal)
        is_right = found is not None and found.equals(expected, absolute=self.absolute, relative=self.relative)
        return RIGHT if is_right else WRONG


def final_number(text: str, decimal: DecimalMark = "point") -> Quantity | None:
    r"""Return the number in which a text ends, or None if there is none.

    >>> final_number("3 + 4 = 7, so the answer is 7 apples.").value
    Fraction(7, 1)
    >>> final_number(r"\boxed{\frac{3}{4}}").value, final_number("It costs $1,234.50").kind
    (Fraction(3, 4), 'dollars')
    """
    boxed = _last_boxed(text)
    if boxed is not None:
        text = boxed
    text = _cleaned(text)
    # Where there is nothing else, spaces may stand between thousands.
    if _SPACED.fullmatch(text):
        text = text.replace(" ", "\u2009")
    for mark in reversed(list(_MARKED.finditer(text))[-_MOST_MARKS:]):
        line = text[mark.end() : mark.end() + _LONGEST_LINE].lstrip().partition("\n")[0]
        if found := _first(line.rpartition("=")[2], decimal) or _first(line, decimal):
            return found
    return _last(text, decimal)


def _last_boxed(text: str) -> str | None:
    r"""Return what is in the last ``\boxed{}``, whose braces may be nested."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth = 0
    for at in range(start + 6, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start + 7 : at]
    return text[start + 7 :]


def _cleaned(text: str) -> str:
    """Write LaTeX, superscripts, vulgar fractions and the kinds of minus in one way."""
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    text = _FRACTION.sub(lambda found: f" {found[1] or found[3]}/{found[2] or found[4]} ", text)
    text = _SUPERSCRIPTS.sub(lambda found: "^" + unicodedata.normalize("NFKC", found[0]), text)
    text = re.sub("(?<=\\d)(?=[\u00bc-\u00be\u2150-\u215e])", " ", text)
    text = re.sub("[\u00bc-\u00be\u2150-\u215e]", lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return text.translate({0x2212: "-", 0x2013: "-", 0x2044: "/", 0xFF05: "%", 0xFF0C: ","})


def _first(text: str, decimal: DecimalMark) -> Quantity | None:
    return next(_numbers(text, decimal), None)


def _last(text: str, decimal: DecimalMark) -> Quantity | None:
    found = list(_numbers(text, decimal))
    return found[-1] if found else None


def _numbers(text: str, decimal: DecimalMark) -> Iterator[Quantity]:
    """Yield the numbers of a text in their order."""
    for match in _NUMBER.finditer(text):
        value = _value(match, decimal)
        if value is not None:
            is_negative = "-" in {match["sign"], match["after_sign"]}
            kind, factor = _unit(match)
            yield Quantity(-value if is_negative else value, match["percent"] is not None, kind, factor)


def _value(match: re.Match[str], decimal: DecimalMark) -> Fraction | None:
    value = _read(match["top"], decimal)
    if value is None:
        return None
    if match["raised"]:
        if not value:
            return None
        value = value ** int(match["raised"])
    power = int(match["e"][1:]) if match["e"] else 0
    power += int(match["power"] or 0) + (3 if match["k"] else _SCALES.get(match["scale"] or "", 0))
    if abs(power) > _MOST_DIGITS:
        return None
    if match["bottom"]:
        bottom = Fraction(match["bottom"])
        if not bottom:
            return None
        value = value / bottom + int(match["whole"] or 0)
    return value * Fraction(10) ** power


def _read(digits: str, decimal: DecimalMark) -> Fraction | None:
    """Read digits with marks exactly; of a list such as ``1,2,3``, the last number."""
    digits = re.sub(f"[{_THIN}]", "", digits)
    if len(digits) > _MOST_DIGITS:
        return None
    point = _point_of(digits, decimal)
    before, _, decimals = digits.rpartition(point) if point else (digits, "", "")
    if not before.isdigit() and before and not _GROUPED.fullmatch(before):
        return _read(re.split("[.,]", digits)[-1], decimal)
    return Fraction(f"{re.sub('[.,]', '', before) or 0}.{decimals or 0}")


def _point_of(digits: str, decimal: DecimalMark) -> str:
    """Return the mark that stands before the decimals; empty if there is none."""
    last = digits[max(digits.rfind("."), digits.rfind(","), 0)]
    if last.isdigit():
        return ""
    if "." in digits and "," in digits:
        return last
    if digits.count(last) > 1:
        return ""
    other = {"point": ",", "comma": "."}[decimal]
    return "" if last == other and _GROUPED.fullmatch(digits) and not digits.startswith("0") else last


def _unit(match: re.Match[str]) -> tuple[str, Fraction]:
    """Return what the unit beside a number measures and its size; empty and 1 if there is none that is known."""
    written = (match["unit"] or match["before"] or "").replace("{", "").replace("}", "").replace(" ", "").lower()
    for name in (written, written.removesuffix("s")):
        if name in _UNITS:
            return _UNITS[name]
    return "", Fraction(1)
