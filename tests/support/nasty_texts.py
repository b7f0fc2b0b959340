"""Texts that are hard on tokenisers and regular expressions, of any length: one maker a kind.

Each maker takes a number of characters and a random generator, and returns a text of about that length.
"""

import base64
import string
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

Maker = Callable[[int, Random], str]

_CONSONANTS: Final = "bcdfghjklmnpqrstvwxz"
_MARKS: Final = "".join(map(chr, range(0x300, 0x370)))
_PLAIN: Final = (
    "Which of the following numbers is prime, and why? Explain step by step: a train leaves at 9:40 and arrives "
    "at 13:05. Write a function in Python that returns the longest common prefix of two lists. "
)


def _filled(part: Callable[[], str], n: int) -> str:
    """Return parts, one after another, cut to n characters."""
    parts: list[str] = []
    size = 0
    while size < n:
        parts.append(part())
        size += len(parts[-1])
    return "".join(parts)[:n]


def _drawn(alphabet: str, n: int, rng: Random) -> str:
    return "".join(rng.choices(alphabet, k=n))


def _words(alphabet: str, length: int) -> Maker:
    return lambda n, rng: _filled(lambda: _drawn(alphabet, length, rng) + " ", n)


def _repeated(unit: str) -> Maker:
    return lambda n, _: (unit * (n // len(unit) + 1))[:n]


def _letters(alphabet: str) -> Maker:
    return lambda n, rng: _drawn(alphabet, n, rng)


def _base64(n: int, rng: Random) -> str:
    return base64.encodebytes(rng.randbytes(n)).decode()[:n]


def _fasta(n: int, rng: Random) -> str:
    return f">sequence\n{_filled(lambda: _drawn('ACGT', 70, rng) + chr(10), n)}"[:n]


def _zalgo(n: int, rng: Random) -> str:
    return _filled(lambda: rng.choice(string.ascii_letters) + _drawn(_MARKS, 12, rng), n)


NASTY: Final[Mapping[str, Maker]] = {
    "plain English": _repeated(_PLAIN),
    "random words of 12 letters": _words(string.ascii_lowercase, 12),
    "random words of 39 letters": _words(string.ascii_letters, 39),
    "random words of 100 letters": _words(string.ascii_lowercase, 100),
    "consonants, words of 100": _words(_CONSONANTS, 100),
    "random words of 101 letters": _words(string.ascii_lowercase, 101),
    "letters and digits, words of 100": _words(string.ascii_letters + string.digits, 100),
    "one word": _letters(string.ascii_lowercase),
    "one letter again and again": _repeated("a"),
    "words of one letter": _words(string.ascii_letters, 1),
    "hex": lambda n, rng: rng.randbytes(n)[: n // 2 + 1].hex()[:n],
    "hex, lines of 64": _words("0123456789abcdef", 64),
    "base64": _base64,
    "FASTA": _fasta,
    "digits": _letters(string.digits),
    "numbers with commas": _repeated("1,"),
    "punctuation": _letters(string.punctuation),
    "letters and punctuation": _letters(string.ascii_letters + string.punctuation),
    "words joined by punctuation": lambda n, rng: _filled(
        lambda: _drawn(string.ascii_lowercase, 99, rng) + rng.choice(string.punctuation), n
    ),
    "dollars": _repeated("$a"),
    "one quotation mark a line": _repeated('"a\n'),
    "opening quotation marks": _repeated("“"),
    "backslashes": _repeated("\\"),
    "brackets": _repeated("[UNK["),
    "special pieces": _repeated("[MASK]"),
    "underscores": _repeated("_"),
    "blanks": _repeated(" "),
    "blanks before a word": lambda n, _: " " * (n - 1) + "a",
    "digits and blanks": lambda n, _: _filled(lambda: "1" + " " * 300, n),
    "tabs and blanks": _repeated("\t "),
    "line breaks": _repeated("\n"),
    "indented lines": _repeated("\n      "),
    "list markers": _repeated("\n" + " " * 20 + "1"),
    "no-break spaces": _repeated("\u00a0"),
    "emoji": _letters("".join(map(chr, range(0x1F600, 0x1F650)))),
    "emoji joined by ZWJ": _repeated("\U0001f468\u200d\U0001f469\u200d\U0001f467"),
    "skin tones": _repeated("\U0001f44d\U0001f3fd"),
    "combining marks": _letters(_MARKS),
    "zalgo": _zalgo,
    "letters with marks": _words("".join(map(chr, range(0xC0, 0x180))), 100),
    "composed Hangul": _letters("".join(map(chr, range(0xAC00, 0xD7A3)))),
    "decomposing ligatures": _repeated("\ufdfa"),
    "Chinese without spaces": _letters("".join(map(chr, range(0x4E00, 0x9FA5)))),
    "Japanese": _letters("".join(map(chr, range(0x3041, 0x30FF)))),
    "Thai without spaces": _letters("".join(map(chr, range(0x0E01, 0x0E5B)))),
    "Arabic": _words("".join(map(chr, range(0x0621, 0x064B))), 80),
    "Hebrew with overrides": _repeated("\u202e\u05d0\u05d1\u05b0"),
    "Cyrillic": _words("".join(map(chr, range(0x0430, 0x0450))), 100),
    "mathematical letters": _letters("".join(map(chr, range(0x1D400, 0x1D7FF)))),
    "nulls": _repeated("\x00"),
    "control characters": _letters("".join(map(chr, range(1, 32)))),
    "replacement characters": _repeated("\ufffd"),
    "lone surrogates": _letters("".join(map(chr, range(0xD800, 0xDFFF)))),
    "surrogates in words": _repeated("ab\ud800cd "),
    "zero-width spaces": _repeated("a\u200b"),
    "any character": lambda n, rng: "".join(chr(rng.randrange(0x110000)) for _ in range(n)),
    "Turkish dotted capitals": _repeated("\u0130"),
    "upper case sharp s": _repeated("\u1e9e"),
}
"""Maker by kind."""
