"""Split texts into word pieces, once for the static encoder, the bag and the token counts together.

The vocabulary is the uncased one of BERT and MiniLM (30,522 pieces). It is shipped with the package, so nothing is
downloaded. The result is passed on as a `TextBatch`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from router_model.features.words import WordPieces

N_WORD_PIECES = 30522


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Texts with their word pieces.

    Attributes
    ----------
    texts : sequence of str, length n
    pieces : list of int64 or uint16 arrays, length n
        Word-piece ids of each text, without special tokens; empty for an empty text.
    """

    texts: Sequence[str]
    pieces: list[npt.NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.texts)

    def lengths(self) -> npt.NDArray[np.int64]:
        """Return the number of word pieces of each text, shape (n,)."""
        return np.fromiter(map(len, self.pieces), dtype=np.int64, count=len(self.pieces))

    def compact(self) -> "TextBatch":
        """Return the same with all pieces in one uint16 array, and views of it for the texts."""
        together: Any = np.concatenate([*self.pieces, np.empty(0, np.int64)]).astype(np.uint16)  # N_WORD_PIECES fit
        ends = np.cumsum(self.lengths())
        return TextBatch(self.texts, [together[start:end] for start, end in pairwise([0, *ends])])


def tokenise(texts: Sequence[str]) -> TextBatch:
    """Split texts into word pieces.

    >>> tokenise(["Route it.", ""]).lengths().tolist()
    [3, 0]
    """
    # Lone surrogates are valid in a Python string but not in UTF-8, which the tokeniser reads.
    clean = [text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    words = _words()
    return TextBatch(texts=clean, pieces=[np.array(list(words.of_text(text)), dtype=np.int64) for text in clean])


def load_tokeniser() -> Tokenizer:
    """Return the tokeniser shipped with the package: the reference for `tokenise`, which gives the same pieces."""
    tokeniser = Tokenizer.from_buffer(files("router_model.features").joinpath("assets/word_pieces.json").read_bytes())
    tokeniser.no_truncation()
    tokeniser.no_padding()
    return tokeniser


@cache
def _words() -> WordPieces:
    return WordPieces(load_tokeniser())
