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

MOST_SHINGLES: Final = 40_000_000
"""Of texts with more characters in all, some shingles are compared; each takes 20 bytes while texts are grouped."""

FEWEST_KEPT: Final = 16
"""A text that would keep fewer shingles keeps all: too little of it would be left to compare."""

_LABEL: Final = re.compile(r" \(?[a-p][.):](?= )")  # begins with a fixed character, so that few places are tried
_GAP: Final = "\0" * (SHINGLE_CHARS - 1)
_TEXTS_AT_ONCE: Final = 1000  # texts hashed at once, which bounds memory; the number fits into 10 bits
_SHINGLES_AT_ONCE: Final = 2_000_000
_HASH_BITS: Final = np.uint64(54)
# Powers of one number. With multiples of it, "dxa" and "axb" would have one hash, as 4 + 3 * 1 = 1 + 3 * 2.
_FACTORS: Final = np.array([pow(0x9E3779B97F4A7C15, i + 1, 2**64) for i in range(SHINGLE_CHARS)], dtype=np.uint64)

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


def shingle_sets(texts: Sequence[str], *, most: int = MOST_SHINGLES) -> sparse.csr_array:
    """Return the shingles of each text as a sparse matrix.

    Parameters
    ----------
    texts : n normalised texts
    most : if they have more characters, about so many shingles are kept, those whose hashes are multiples of a number
        Texts that share a shingle keep it both or not at all, so that their similarity stays the same on average.

    Returns
    -------
    csr_array of ones (int8, which keeps large tables small), shape (n, n_shingles)
        Columns are in order of the shingles' hashes. One simplification: shingles are identified by 54-bit hashes.
        Among a million different ones, two are taken for one with a probability of about 1 in 30,000.
    """
    hashes, n_of_text = shingle_hashes(texts, one_in=1 + sum(map(len, texts)) // (most + 1))
    # One range of hashes after the other: sorted at once, those of 100,000 long texts would take a gigabyte.
    n_ranges = 1 + len(hashes) // _SHINGLES_AT_ONCE
    range_of = (hashes // np.uint64(2 ** int(_HASH_BITS) // n_ranges + 1)).astype(np.uint16)
    index = np.int32 if len(hashes) < 2**31 else np.int64
    columns, n_distinct = np.empty(len(hashes), dtype=index), 0
    for number in range(n_ranges):
        at = np.flatnonzero(range_of == number)
        distinct, inverse = np.unique(hashes[at], return_inverse=True)
        columns[at] = n_distinct + inverse
        n_distinct += len(distinct)
    starts = np.append(0, np.cumsum(n_of_text)).astype(index)  # of another type, scipy would copy the columns
    del hashes
    return sparse.csr_array((np.ones(len(columns), np.int8), columns, starts), shape=(len(texts), n_distinct))


def shingle_hashes(texts: Sequence[str], *, one_in: int = 1) -> tuple[HashArray, npt.NDArray[np.int64]]:
    """Return the hashes of each text's different shingles, one text after another, and their number for each text.

    Parameters
    ----------
    one_in : keep the hashes that are multiples of it, and those of texts with fewer than `FEWEST_KEPT` times as many
        characters
    """
    hashes, n_of_text = [np.empty(0, dtype=np.uint64)], np.zeros(len(texts), dtype=np.int64)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        found, n_of_text[start : start + _TEXTS_AT_ONCE] = _hashes(texts[start : start + _TEXTS_AT_ONCE], one_in)
        hashes.append(found)
    return np.concatenate(hashes), n_of_text


def _hashes(texts: Sequence[str], one_in: int) -> tuple[HashArray, npt.NDArray[np.int64]]:
    """Return the different shingles of each text, one text after another, and their number for each text."""
    marked = [_GAP.join([*_LABEL.split(" " + text.replace("\0", "")), ""]).replace(" ", "") for text in texts]
    codes = np.frombuffer("".join([_GAP, *marked, _GAP]).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    starts = np.flatnonzero(_is_shingle(codes))
    ends = np.cumsum([len(_GAP), *map(len, marked)])
    text_of = np.repeat(np.arange(len(marked), dtype=np.uint64), np.diff(np.searchsorted(starts, ends)))
    hashes = _mixed(codes, starts) >> (np.uint64(64) - _HASH_BITS)
    if one_in > 1:
        is_short = np.array([len(text) < FEWEST_KEPT * one_in for text in marked])
        kept = (hashes % np.uint64(one_in) == 0) | is_short[text_of]
        text_of, hashes = text_of[kept], hashes[kept]
    # Text and hash share one number, because sorting by one number is several times as fast as by two.
    found = np.sort((text_of << _HASH_BITS) | hashes)
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
    sums = np.zeros(max(len(codes) - SHINGLE_CHARS + 1, 0), dtype=np.uint64)  # of all places: faster than of some
    for i, factor in enumerate(_FACTORS):
        sums += codes[i : i + len(sums)] * factor
    hashes = sums[starts]
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
