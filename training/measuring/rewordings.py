"""Reword prompts slightly without changing their meaning, to test whether the decision stays the same.

There are four kinds: case, white space, typos and polite templates. Each is a pure function of the text (typos come
from a random generator that the text seeds). Digits are always kept. Typos are not made in text that a machine reads:
fenced code, lines that look like code, LaTeX commands, identifiers. Case and white space are changed everywhere, also
in code, which is harsher than what people do.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Final

import numpy as np

TYPO_RATE: Final = 0.02
"""Expected number of typos per letter, in words that may have one."""

_FENCE: Final = "```"
_CODE_LINE: Final = re.compile(
    r"^(?: {2,}|\t)|;\s*$|==|^\s*(?:def|class|import|from|return|assert|for|if|while)\b.*:?$"
)
# Plain words: four letters or more, no capital inside, not part of an identifier, path, call or LaTeX command.
_WORD: Final = re.compile(r"(?<![\w\\./@#${'-])[A-Za-z][a-z]{3,}(?![\w(\[=/'-]|\.\w)")
_SPACES_A_LINE: Final = 10


@dataclass(frozen=True, slots=True)
class Rewording:
    """A named way to reword a prompt.

    Attributes
    ----------
    name : str
    kind : ``case``, ``whitespace``, ``typos`` or ``template``
    apply : the reworded text of a text
    """

    name: str
    kind: str
    apply: Callable[[str], str]


def title_case(text: str) -> str:
    """Begin every word with a capital.

    >>> title_case("what don't 3 birds do?")
    "What Don't 3 Birds Do?"
    """
    return re.sub(r"[^\W\d_][\w']*", lambda match: match[0][0].upper() + match[0][1:], text)


def swap_first_letter(text: str) -> str:
    """Change the case of the first letter, as at the start of a chat message.

    >>> swap_first_letter("What is 2 + 2?")
    'what is 2 + 2?'
    """
    return re.sub(r"[^\W\d_]", lambda match: match[0].swapcase(), text, count=1)


def double_spaces(text: str) -> str:
    """Double every space.

    >>> double_spaces("a b")
    'a  b'
    """
    return text.replace(" ", "  ")


def double_newlines(text: str) -> str:
    r"""Double every line break.

    >>> double_newlines("a\nb")
    'a\n\nb'
    """
    return text.replace("\n", "\n\n")


def spaces_to_tabs(text: str) -> str:
    r"""Put a tab in place of every space.

    >>> spaces_to_tabs("a b")
    'a\tb'
    """
    return text.replace(" ", "\t")


def pad(text: str) -> str:
    r"""Add blanks at the end of every line, and blank lines before and after the text.

    >>> pad("a\nb")
    '\n a  \nb  \n\n'
    """
    return "\n " + text.replace("\n", "  \n") + "  \n\n"


def wrap_lines(text: str) -> str:
    r"""Break lines at every tenth space, as in a text pasted from an e-mail.

    >>> wrap_lines("1 2 3 4 5 6 7 8 9 10 11")
    '1 2 3 4 5 6 7 8 9 10\n11'
    """
    parts = text.split(" ")
    lines = (" ".join(parts[start : start + _SPACES_A_LINE]) for start in range(0, len(parts), _SPACES_A_LINE))
    return "\n".join(lines)


def with_typos(text: str, slip: Callable[[str, int], str], *, seed: int = 0, rate: float = TYPO_RATE) -> str:
    """Make typos in plain words of four letters or more: at most one in a word, and never at its first letter.

    Parameters
    ----------
    text : str
    slip : function from a word and a position in it (from 1, not the last) to the mistyped word
    seed : determines every typo, together with the text
    rate : expected number of typos per letter
    """
    digest = sha256(f"{seed}:{text}".encode("utf-8", "surrogatepass")).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8]))

    def mistype(match: re.Match[str]) -> str:
        word = match[0]
        hit, at = rng.random(), int(rng.integers(1, len(word) - 1))
        return slip(word, at) if hit < rate * len(word) else word

    def in_prose(line: str) -> str:
        return line if _CODE_LINE.search(line) else _WORD.sub(mistype, line)

    parts = text.split(_FENCE)
    parts[::2] = ["\n".join(map(in_prose, part.split("\n"))) for part in parts[::2]]
    return _FENCE.join(parts)


def swap_letters(word: str, at: int) -> str:
    """Exchange a letter with the next.

    >>> swap_letters("house", 1)
    'huose'
    """
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def drop_letter(word: str, at: int) -> str:
    """Leave a letter out.

    >>> drop_letter("house", 1)
    'huse'
    """
    return word[:at] + word[at + 1 :]


def double_letter(word: str, at: int) -> str:
    """Type a letter twice.

    >>> double_letter("house", 1)
    'hoouse'
    """
    return word[:at] + word[at] + word[at:]


def in_template(text: str, before: str, after: str) -> str:
    """Put words around the text.

    >>> in_template("What is a quark?", "", " Thank you.")
    'What is a quark? Thank you.'
    """
    return before + text + after


REWORDINGS: Final = (
    Rewording("lower case", "case", str.lower),
    Rewording("upper case", "case", str.upper),
    Rewording("title case", "case", title_case),
    Rewording("first letter", "case", swap_first_letter),
    Rewording("doubled spaces", "whitespace", double_spaces),
    Rewording("doubled newlines", "whitespace", double_newlines),
    Rewording("tabs", "whitespace", spaces_to_tabs),
    Rewording("padding", "whitespace", pad),
    Rewording("wrapped lines", "whitespace", wrap_lines),
    Rewording("swapped letters", "typos", partial(with_typos, slip=swap_letters)),
    Rewording("dropped letters", "typos", partial(with_typos, slip=drop_letter)),
    Rewording("doubled letters", "typos", partial(with_typos, slip=double_letter)),
    Rewording(
        "please answer", "template", partial(in_template, before="Please answer the following question: ", after="")
    ),
    Rewording("thank you", "template", partial(in_template, before="", after=" Thank you.")),
    Rewording("question, answer", "template", partial(in_template, before="Question: ", after="\nAnswer:")),
    Rewording("need help", "template", partial(in_template, before="I need help with this: ", after="")),
    Rewording("assistant", "template", partial(in_template, before="You are a helpful assistant. ", after="")),
)
"""The rewordings with which robustness is measured."""
