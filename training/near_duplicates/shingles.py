"""Turn texts into sets of shingles, the short stretches of characters that near duplicates have in common.

A shingle is `SHINGLE_CHARS` characters in a row, without white space. It consists of characters and not of words, so
that a lost space, a typo, or a script without spaces changes only a few shingles. Labels of answer options ("A.",
"(b)") are left out, and shingles do not extend over them, so that options in another order give the same set.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

SHINGLE_CHARS: Final = 5

_LABEL: Final = re.compile(r"(?:(?<=\s)|^)\(?[a-p][.):]\s")
_GAP: Final = "\0" * (SHINGLE_CHARS - 1)
_TEXTS_AT_ONCE: Final = 1000  # texts hashed at once, which bounds memory; the number fits into 10 bits
_HASH_BITS: Final = np.uint64(54)
_FACTORS: Final = np.array([(0x9E3779B97F4A7C15 * (i + 1) | 1) % 2**64 for i in range(SHINGLE_CHARS)], dtype=np.uint64)

HashArray = npt.NDArray[np.uint64]
CodeArray = npt.NDArray[np.uint32]


def normalised(text: str) -> str:
    r"""Return the text in the form that is compared: NFKC, case folded, white space collapsed to one blank.

    >>> normalised("  What\tis x² at\n\nTEN?")
    'what is x2 at ten?'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.casefold().split())


def shingle_sets(texts: Sequence[str]) -> sparse.csr_array:
    """Return the shingles of each text as a sparse matrix.

    Parameters
    ----------
    texts : n normalised texts

    Returns
    -------
    csr_array of 1.0, shape (n, n_shingles)
        Columns are in order of the shingles' hashes. One simplification: shingles are identified by 54-bit hashes.
        Among a million different ones, two are taken for one with a probability of about 1 in 30,000.
    """
    hashes, n_of_text = shingle_hashes(texts)
    distinct, columns = np.unique(hashes, return_inverse=True)
    ones = np.ones(len(columns), dtype=np.float64)
    starts = np.append(0, np.cumsum(n_of_text))
    return sparse.csr_array((ones, columns, starts), shape=(len(texts), len(distinct)))


def shingle_hashes(texts: Sequence[str]) -> tuple[HashArray, npt.NDArray[np.int64]]:
    """Return the hashes of each text's different shingles, one text after another, and their number for each text."""
    blocks = [_hashes(texts[start : start + _TEXTS_AT_ONCE]) for start in range(0, len(texts), _TEXTS_AT_ONCE)]
    hashes = np.concatenate([np.zeros(0, dtype=np.uint64), *(block[0] for block in blocks)])
    return hashes, np.concatenate([np.zeros(0, dtype=np.int64), *(block[1] for block in blocks)])


def _hashes(texts: Sequence[str]) -> tuple[HashArray, npt.NDArray[np.int64]]:
    """Return the different shingles of each text, one text after another, and their number for each text."""
    marked = [_GAP.join([*_LABEL.split(text.replace("\0", "")), ""]).replace(" ", "") for text in texts]
    codes = np.frombuffer("".join([_GAP, *marked, _GAP]).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    starts = np.flatnonzero(_is_shingle(codes))
    ends = np.cumsum([len(_GAP), *map(len, marked)])
    text_of = np.searchsorted(ends, starts, side="right").astype(np.uint64) - np.uint64(1)
    # Text and hash share one number, because sorting by one number is several times as fast as by two.
    found = np.sort((text_of << _HASH_BITS) | (_mixed(codes, starts) >> (np.uint64(64) - _HASH_BITS)))
    found = found[np.append(True, found[1:] != found[:-1])[: len(found)]]
    n_of_text = np.bincount((found >> _HASH_BITS).astype(np.int64), minlength=len(texts))
    return found & ((np.uint64(1) << _HASH_BITS) - np.uint64(1)), n_of_text.astype(np.int64)


def _is_shingle(codes: CodeArray) -> npt.NDArray[np.bool_]:
    """Return where shingles start: where enough characters follow, and at the start of a part that is shorter."""
    inside = codes != 0
    last = SHINGLE_CHARS - 1
    starts = np.zeros(len(codes), dtype=np.bool_)
    starts[1:-last] = inside[1:-last] & (inside[last + 1 :] | ~inside[: -last - 1])
    return starts


def _mixed(codes: CodeArray, starts: npt.NDArray[np.intp]) -> HashArray:
    """Hash the shingles that start at `starts`: a sum, then the finaliser of SplitMix64 (Steele et al. 2014)."""
    hashes = np.zeros(len(starts), dtype=np.uint64)
    for i, factor in enumerate(_FACTORS):
        hashes += codes[starts + i] * factor
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
