"""Split texts into word pieces fast, by remembering the pieces of words that were seen before.

The tokeniser always splits at white space and ASCII punctuation. So the pieces of a text are the pieces of its words,
one word after another. Each stretch between blanks is looked up as a whole, with its punctuation. A new stretch is
put together from its words. This saves one look-up for every comma.

New words are split here too, with the tokeniser's own vocabulary and the same result. To find a piece, the tokeniser
tries all ends of a word, which takes time that grows with the square of the word's length. Here a piece is searched
from its beginning, and the search stops when no longer piece exists. Words that are not printable ASCII are first
brought into the tokeniser's normal form by the tokeniser itself. It is called once for all new words of a text, because
each call is expensive.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from tokenizers import Tokenizer

_SPECIAL: Final = "PAD|UNK|CLS|SEP|MASK"  # the tokeniser knows these in brackets, also in the middle of a word
_WORD: Final = re.compile(rf"\[(?:{_SPECIAL})\]|[^ \t\n\r!-/:-@\[-`{{-~]+|[!-/:-@\[-`{{-~]")

_PUNCTUATION: Final = (
    r"\u00a1\u00a7\u00ab\u00b6\u00b7\u00bb\u00bf\u037e\u0387\u055a-\u055f\u0589\u058a\u05be\u05c0\u05c3\u05c6"
    r"\u05f3\u05f4\u0609\u060a\u060c\u060d\u061b\u061e\u061f\u066a-\u066d\u06d4\u0700-\u070d\u07f7-\u07f9"
    r"\u0830-\u083e\u085e\u0964\u0965\u0970\u0af0\u0df4\u0e4f\u0e5a\u0e5b\u0f04-\u0f12\u0f14\u0f3a-\u0f3d"
    r"\u0f85\u0fd0-\u0fd4\u0fd9\u0fda\u104a-\u104f\u10fb\u1360-\u1368\u1400\u166d\u166e\u169b\u169c"
    r"\u16eb-\u16ed\u1735\u1736\u17d4-\u17d6\u17d8-\u17da\u1800-\u180a\u1944\u1945\u1a1e\u1a1f\u1aa0-\u1aa6"
    r"\u1aa8-\u1aad\u1b5a-\u1b60\u1bfc-\u1bff\u1c3b-\u1c3f\u1c7e\u1c7f\u1cc0-\u1cc7\u1cd3\u2010-\u2027"
    r"\u2030-\u2043\u2045-\u2051\u2053-\u205e\u207d\u207e\u208d\u208e\u2308-\u230b\u2329\u232a\u2768-\u2775"
    r"\u27c5\u27c6\u27e6-\u27ef\u2983-\u2998\u29d8-\u29db\u29fc\u29fd\u2cf9-\u2cfc\u2cfe\u2cff\u2d70"
    r"\u2e00-\u2e2e\u2e30-\u2e42\u3001-\u3003\u3008-\u3011\u3014-\u301f\u3030\u303d\u30a0\u30fb\ua4fe\ua4ff"
    r"\ua60d-\ua60f\ua673\ua67e\ua6f2-\ua6f7\ua874-\ua877\ua8ce\ua8cf\ua8f8-\ua8fa\ua8fc\ua92e\ua92f\ua95f"
    r"\ua9c1-\ua9cd\ua9de\ua9df\uaa5c-\uaa5f\uaade\uaadf\uaaf0\uaaf1\uabeb\ufd3e\ufd3f\ufe10-\ufe19"
    r"\ufe30-\ufe52\ufe54-\ufe61\ufe63\ufe68\ufe6a\ufe6b\uff01-\uff03\uff05-\uff0a\uff0c-\uff0f\uff1a\uff1b"
    r"\uff1f\uff20\uff3b-\uff3d\uff3f\uff5b\uff5d\uff5f-\uff65\U00010100-\U00010102\U0001039f\U000103d0"
    r"\U0001056f\U00010857\U0001091f\U0001093f\U00010a50-\U00010a58\U00010a7f\U00010af0-\U00010af6"
    r"\U00010b39-\U00010b3f\U00010b99-\U00010b9c\U00011047-\U0001104d\U000110bb\U000110bc\U000110be-\U000110c1"
    r"\U00011140-\U00011143\U00011174\U00011175\U000111c5-\U000111c9\U000111cd\U000111db\U000111dd-\U000111df"
    r"\U00011238-\U0001123d\U000112a9\U000114c6\U000115c1-\U000115d7\U00011641-\U00011643\U0001173c-\U0001173e"
    r"\U00012470-\U00012474\U00016a6e\U00016a6f\U00016af5\U00016b37-\U00016b3b\U00016b44\U0001bc9f"
    r"\U0001da87-\U0001da8b"
)
"""Non-ASCII punctuation of the tokeniser, whose Unicode version is older than Python's (a test compares them)."""
_PART: Final = re.compile(rf"[!-/:-@\[-`{{-~{_PUNCTUATION}]|[^ !-/:-@\[-`{{-~{_PUNCTUATION}]+")
"""Matches a word or a punctuation mark of a text in normal form, in which blanks are the only white space."""
_BETWEEN: Final = "!"
"""Separates words that are normalised together; no word contains it, and normalising never creates it."""

_BLANKS: Final = "\t\n\r"  # treated like a space; for other white space the tokeniser has special rules
_MAX_REMEMBERED: Final = 100_000  # words remembered, with and without punctuation; about 25 MB
_MAX_CHARS: Final = 40  # characters of a remembered word; longer words rarely occur again
_MAX_SPLIT_CHARS: Final = 100  # longer words are unknown to the tokeniser
_CONTINUED: Final = "##"
_NO_PIECE: Final = -1
_END: Final = "\0"  # occurs in no piece, so a search ends there at the latest

Pieces = tuple[int, ...]


class WordPieces(dict[str, Pieces]):
    """The word pieces of words; they are found when a word first occurs, and then remembered.

    Parameters
    ----------
    tokeniser : Tokenizer
        Word pieces of lower-cased text, without truncation.
    """

    def __init__(self, tokeniser: Tokenizer) -> None:
        super().__init__()
        self._normaliser = tokeniser.normalizer
        vocabulary: dict[str, int] = tokeniser.get_vocab()
        marked = {f"[{name}]": vocabulary[f"[{name}]"] for name in _SPECIAL.split("|")}
        self._special = {name: (piece,) for name, piece in marked.items()}
        self._unknown = self._special["[UNK]"]
        pieces = {piece: i for piece, i in vocabulary.items() if piece not in marked}
        self._first = _with_beginnings({one: i for one, i in pieces.items() if not one.startswith(_CONTINUED)})
        n_marks = len(_CONTINUED)
        self._continued = _with_beginnings(
            {one[n_marks:]: i for one, i in pieces.items() if one.startswith(_CONTINUED) and len(one) > n_marks}
        )

    def of_text(self, text: str) -> Iterator[int]:
        """Return the pieces of a text, in order."""
        for blank in _BLANKS:
            text = text.replace(blank, " ")
        runs = text.split(" ")
        if _is_plain(text):
            return chain.from_iterable(map(self.__getitem__, runs))
        others = [run for run in dict.fromkeys(runs) if not _is_plain(run)]
        # By `get`, and now: new words, here or in another thread, may empty the memory.
        found = {run: known for run in others if (known := self.get(run)) is not None}
        found |= self._of_others([run for run in others if run not in found])
        return chain.from_iterable([found[run] if run in found else self[run] for run in runs])

    def __missing__(self, run: str) -> Pieces:
        words = _WORD.findall(run)
        pieces = self._of_plain(run) if words == [run] else tuple(chain.from_iterable(map(self.__getitem__, words)))
        self._remember(run, pieces)
        return pieces

    def _remember(self, run: str, pieces: Pieces) -> None:
        if len(run) <= _MAX_CHARS:
            if len(self) >= _MAX_REMEMBERED:
                self.clear()  # start again from an empty memory; common words return within a few prompts
            self[run] = pieces

    def _of_plain(self, word: str) -> Pieces:
        """Return the pieces of a word of printable ASCII."""
        return self._special.get(word) or self._split(word.lower())

    def _of_others(self, runs: Sequence[str]) -> dict[str, Pieces]:
        """Return a mapping from each stretch of text that is not printable ASCII to its pieces."""
        words = {run: _WORD.findall(run) for run in runs}
        others = [word for word in dict.fromkeys(chain.from_iterable(words.values())) if not _is_plain(word)]
        new = dict(zip(others, self._normalised(others), strict=True))
        found = {}
        for run, own in words.items():
            found[run] = tuple(chain.from_iterable(new[word] if word in new else self[word] for word in own))
            self._remember(run, found[run])
        return found

    def _normalised(self, words: Iterable[str]) -> Iterator[Pieces]:
        """Yield the pieces of words that the tokeniser may change or split further; they have no ASCII punctuation."""
        pieces: list[int] = []
        between = "".join(word + _BETWEEN for word in words)
        for part in _PART.findall(self._normaliser.normalize_str(between)):
            if part == _BETWEEN:
                yield tuple(pieces)
                pieces = []
            elif (piece := self._first.get(part, _NO_PIECE)) != _NO_PIECE:
                pieces.append(piece)
            else:
                pieces += self._split(part)

    def _split(self, word: str) -> Pieces:
        """Split a word in normal form: take the longest known piece, repeatedly. Without one the word is unknown."""
        if len(word) > _MAX_SPLIT_CHARS:
            return self._unknown
        pieces: list[int] = []
        start, n_chars, beginnings = 0, len(word), self._first.get
        word += _END
        while start < n_chars:
            longest, end, after = _NO_PIECE, start + 1, start
            while (piece := beginnings(word[start:end])) is not None:
                if piece != _NO_PIECE:
                    longest, after = piece, end
                end += 1
            if longest == _NO_PIECE:
                return self._unknown
            pieces.append(longest)
            start, beginnings = after, self._continued.get
        return tuple(pieces)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _with_beginnings(pieces: dict[str, int]) -> dict[str, int]:
    """Return the pieces and all their beginnings; a beginning that is not itself a piece maps to `_NO_PIECE`.

    >>> _with_beginnings({"abc": 7, "a": 5})
    {'a': 5, 'ab': -1, 'abc': 7}
    """
    found: dict[str, int] = {}
    for piece in sorted(pieces):
        for end in range(1, len(piece)):
            found.setdefault(piece[:end], _NO_PIECE)
        found[piece] = pieces[piece]
    return found
