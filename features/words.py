"""Word pieces of words, remembered: most words of a prompt have been seen before.

The tokeniser splits at white space and ASCII punctuation whatever stands around them, so a text's pieces are its
words' pieces one after another. What stands between blanks is looked up as a whole, with its punctuation, and where it
is new put together from its words: one look-up less for every comma. That takes a tenth of the time that normalising
and splitting the whole text again does. Decides what a word is here; what its pieces are, the tokeniser decides.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

from tokenizers import Tokenizer

_SPECIAL: Final = "PAD|UNK|CLS|SEP|MASK"  # the tokeniser knows these in brackets, also in the middle of a word
_WORD: Final = re.compile(rf"\[(?:{_SPECIAL})\]|[^ \t\n\r!-/:-@\[-`{{-~]+|[!-/:-@\[-`{{-~]")

_BLANKS: Final = "\t\n\r"  # as the space; the tokeniser deletes or keeps other white space by rules of its own
_MAX_REMEMBERED: Final = 100_000  # words, with and without punctuation; about 25 MB
_MAX_CHARS: Final = 40  # of what is remembered; longer ones rarely come again
_MAX_SPLIT_CHARS: Final = 100  # longer words are unknown to the tokeniser
_CONTINUED: Final = "##"


class WordPieces(dict[str, tuple[int, ...]]):
    """The pieces of words, found when they are first asked for.

    Parameters
    ----------
    tokeniser : Tokenizer
        Word pieces of lower-cased text, without truncation.
    """

    def __init__(self, tokeniser: Tokenizer) -> None:
        super().__init__()
        self._tokeniser = tokeniser
        self._vocabulary: dict[str, int] = tokeniser.get_vocab()

    def of_text(self, text: str) -> Iterator[int]:
        """Return the pieces of a text, in order."""
        for blank in _BLANKS:
            text = text.replace(blank, " ")
        return chain.from_iterable(map(self.__getitem__, text.split(" ")))

    def __missing__(self, run: str) -> tuple[int, ...]:
        words = _WORD.findall(run)
        pieces = self._split(run) if words == [run] else tuple(chain.from_iterable(map(self.__getitem__, words)))
        if len(run) <= _MAX_CHARS:
            if len(self) >= _MAX_REMEMBERED:
                self.clear()  # common words are back within a few prompts
            self[run] = pieces
        return pieces

    def _split(self, word: str) -> tuple[int, ...]:
        if not (word.isascii() and word.isalnum() and len(word) <= _MAX_SPLIT_CHARS):
            return tuple(self._tokeniser.encode(word, add_special_tokens=False).ids)
        return self._longest_first(word.lower())

    def _longest_first(self, word: str) -> tuple[int, ...]:
        """Split a word as the tokeniser does: the longest known piece, again and again.

        For a plain word this costs less than calling the tokeniser, so that a new word does not slow a decision.
        """
        pieces: list[int] = []
        start, prefix = 0, ""
        while start < len(word):
            end = len(word)
            while (piece := self._vocabulary.get(prefix + word[start:end])) is None and end > start + 1:
                end -= 1
            if piece is None:
                return (self._vocabulary["[UNK]"],)
            pieces.append(piece)
            start, prefix = end, _CONTINUED
        return tuple(pieces)
