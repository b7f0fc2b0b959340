"""A sparse bag of word pieces: counts of single pieces and of pairs of neighbours, weighted by tf-idf.

The mean of token embeddings captures the topic of a prompt. The bag captures its wording ("which of the following",
"assert output =="), which distinguishes kinds of tasks. The weight is a sublinear term frequency times a smoothed
inverse document frequency, and rows have unit length (Salton & Buckley 1988; the smoothing is scikit-learn's). Every
step is exact or rounded to a grid (`router_model.features.grid`), so that a prompt has the same bag on every processor.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.features.grid import on_grid
from router_model.features.word_pieces import N_WORD_PIECES

IntArray = npt.NDArray[np.int64]

_INT32_LIMIT = 2**31  # entries; below this number, indices fit integers of half the size
MOST_COUNTED = 2**15  # a term that occurs more often is counted this many times
_FREQUENCY_STEPS = 2**20
WEIGHT_STEPS = 2**12
"""Steps per unit of a term's weight before the bag is scaled to unit length; sums of squares are below 2**53 steps."""

TERM_FREQUENCY = np.array(
    [0.0, *(round((1 + math.log(count)) * _FREQUENCY_STEPS) / _FREQUENCY_STEPS for count in range(1, MOST_COUNTED + 1))]
)
"""``1 + ln(count)`` by count. Math libraries return logarithms with different last bits. The rounded values agree,
because no logarithm is within 1e-6 steps of a rounding boundary (a test checks this)."""

_PROMPT_BITS = 12
_CHUNK = 2**_PROMPT_BITS  # prompts counted together


class Terms(NamedTuple):
    """The terms of a prompt whose word pieces are not known in their order: all that a bag reads of them.

    Attributes
    ----------
    codes : int64 array, shape (n_terms,), ascending
        See `BagVocabulary`.
    counts : int64 array, shape (n_terms,)
    """

    codes: IntArray
    counts: IntArray


class Bags(NamedTuple):
    """The bags of n prompts.

    Attributes
    ----------
    vectors : float32 CSR array, shape (n, n_terms)
        Rows of unit length on the grid of `router_model.features.grid`.
    n_terms : int64 array, shape (n,)
        Number of different terms in the prompt, in the vocabulary or not.
    """

    vectors: sp.csr_array
    n_terms: IntArray

    @property
    def coverage(self) -> npt.NDArray[np.float32]:
        """Share of each prompt's terms that the vocabulary has, shape (n,); 0 for an empty prompt."""
        known = np.diff(self.vectors.indptr)
        return np.asarray(known / np.maximum(self.n_terms, 1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class BagVocabulary:
    """The vocabulary of a bag: the word pieces and pairs of pieces that it counts.

    Attributes
    ----------
    codes : int64 array, shape (n_terms,), ascending
        A piece's id, or ``(first + 1) * N_WORD_PIECES + second`` for a pair.
    idf : float32 array, shape (n_terms,)
        Inverse document frequency, ``ln((1 + n) / (1 + df)) + 1``.
    """

    codes: IntArray
    idf: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, pieces: Sequence[IntArray | Terms], *, min_prompts: int, max_terms: int) -> "BagVocabulary":
        """Keep at most `max_terms` terms, the most common of those in at least `min_prompts` prompts."""
        codes, frequency = _prompt_frequency(pieces)
        kept = np.flatnonzero(frequency >= min_prompts)
        if len(kept) > max_terms:
            # A stable sort makes ties deterministic: the smaller code wins.
            kept = np.sort(kept[np.argsort(-frequency[kept], kind="stable")[:max_terms]])
        idf = np.log((1 + len(pieces)) / (1 + frequency[kept])) + 1
        return cls(codes=codes[kept], idf=idf.astype(np.float32))

    def transform(self, pieces: Sequence[IntArray | Terms]) -> Bags:
        """Return the weighted bags. A prompt without a known term gets an empty row."""
        # Pages of memory count when they are written: the room that too many entries would need costs nothing.
        most = sum(len(ids.codes) if isinstance(ids, Terms) else 2 * len(ids) for ids in pieces)
        values, columns = np.empty(most, np.float32), np.empty(most, np.int32)
        n_terms, row_ends, end = np.zeros(len(pieces), dtype=np.int64), np.zeros(len(pieces) + 1, dtype=np.int64), 0
        for first in range(0, len(pieces), _CHUNK):
            column, value, known, n_terms[first : first + _CHUNK] = self._weigh(pieces[first : first + _CHUNK])
            start, end = end, end + len(column)
            columns[start:end], values[start:end] = column, value
            row_ends[first + 1 : first + 1 + len(known)] = start + np.cumsum(known)
        ends = row_ends.astype(np.int32) if end < _INT32_LIMIT else row_ends
        return Bags(csr_of(values[:end], columns[:end], ends, shape=(len(pieces), len(self.codes))), n_terms)

    def _weigh(
        self, pieces: Sequence[IntArray | Terms]
    ) -> tuple[IntArray, npt.NDArray[np.float32], IntArray, IntArray]:
        """Return known terms and their weights, one prompt after the other, and how many it knows and has of each."""
        n = len(pieces)
        codes, counts, prompt = _terms_together(pieces)
        starts = _starts(codes)
        place = np.searchsorted(self.codes, codes[starts])
        place[place == len(self.codes)] = 0
        is_known = self.codes[place] == codes[starts] if len(self.codes) else np.zeros(len(starts), dtype=bool)
        n_prompts = np.diff(starts, append=len(codes))
        known = np.flatnonzero(np.repeat(is_known, n_prompts))
        # Codes ascend, and so do columns: it is left to put each prompt's together.
        known = known[np.argsort(prompt[known], kind="stable")]
        column, of_prompt = np.repeat(place, n_prompts)[known], prompt[known]
        frequency = TERM_FREQUENCY.take(counts[known], mode="clip")
        steps = np.rint(frequency * self.idf[column] * WEIGHT_STEPS)
        norm = np.sqrt(np.bincount(of_prompt, steps * steps, minlength=n))[of_prompt]
        values = on_grid(np.divide(steps, norm, out=steps, where=norm > 0))
        return column, values, np.bincount(of_prompt, minlength=n), np.bincount(prompt, minlength=n)


def csr_of(
    values: npt.NDArray[np.float32], columns: npt.NDArray[Any], row_ends: npt.NDArray[Any], *, shape: tuple[int, int]
) -> sp.csr_array:
    """Return a sparse matrix of arrays that it does not copy: scipy's own way copies a view of less than half."""
    matrix: Any = sp.csr_array(shape, dtype=values.dtype)
    matrix.data, matrix.indices, matrix.indptr = values, columns, row_ends
    made: sp.csr_array = matrix
    return made


def _prompt_frequency(pieces: Sequence[IntArray | Terms]) -> tuple[IntArray, IntArray]:
    """Return all codes, ascending, and in how many prompts each occurs."""
    codes, counts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(pieces), _CHUNK):
        found, _, _ = _terms_together(pieces[start : start + _CHUNK])
        starts = _starts(found)
        codes.append(found[starts])
        counts.append(np.diff(starts, append=len(found)))
    different, place = np.unique(np.concatenate(codes), return_inverse=True)
    frequency = np.bincount(place, weights=np.concatenate(counts), minlength=len(different))
    return different, frequency.astype(np.int64)


def _terms_together(pieces: Sequence[IntArray | Terms]) -> tuple[IntArray, IntArray, npt.NDArray[np.uint16]]:
    """Count the terms of up to `_CHUNK` prompts together, which is faster than one prompt after the other.

    Returns
    -------
    codes : int64 array, shape (n_terms,), ascending; a term comes once for each prompt that has it
    counts : int64 array, shape (n_terms,)
    prompt : uint16 array, shape (n_terms,)
        Which of the prompts has it; ascending for each code.
    """
    if any(isinstance(ids, Terms) for ids in pieces):
        each = [count_terms(ids) for ids in pieces]
        codes, counts = (np.concatenate([one[part] for one in each]) for part in (0, 1))
        prompt = np.repeat(np.arange(len(each), dtype=np.uint16), [len(one[0]) for one in each])
        order = np.argsort(codes, kind="stable")
        return codes[order], counts[order], prompt[order]
    ids = np.concatenate([*pieces, np.empty(0, np.int64)])
    of_piece = np.repeat(np.arange(len(pieces)), [len(one) for one in pieces])
    inside = of_piece[:-1] == of_piece[1:]
    pairs = ((ids[:-1] + 1) * N_WORD_PIECES + ids[1:])[inside]
    # Code and prompt share one number, because sorting by one number is several times as fast as by two.
    terms = np.concatenate([ids << _PROMPT_BITS | of_piece, pairs << _PROMPT_BITS | of_piece[:-1][inside]])
    terms.sort()
    starts = _starts(terms)
    found = terms[starts]
    return found >> _PROMPT_BITS, np.diff(starts, append=len(terms)), (found & (2**_PROMPT_BITS - 1)).astype(np.uint16)


def _starts(ascending: IntArray) -> npt.NDArray[np.intp]:
    """Return where each different number begins.

    >>> _starts(np.array([3, 3, 5])).tolist()
    [0, 2]
    """
    return np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1])[: len(ascending)])


def count_terms(pieces: IntArray | Terms) -> tuple[IntArray, IntArray]:
    """Return the different codes of one prompt's terms, ascending, and how often each occurs.

    >>> codes, counts = count_terms(np.array([7, 7]))  # the piece twice, the pair (7, 7) once
    >>> counts.tolist()
    [2, 1]
    """
    if isinstance(pieces, Terms):
        return pieces
    return np.unique(term_codes(pieces), return_counts=True)


def term_codes(ids: IntArray) -> IntArray:
    """Return the codes of all pieces and adjacent pairs of one prompt, with repetitions.

    >>> term_codes(np.array([5, 7])).tolist() == [5, 7, 6 * N_WORD_PIECES + 7]
    True
    """
    ids = ids.astype(np.int64, copy=False)  # uint16 does not hold the codes of pairs
    return np.concatenate([ids, (ids[:-1] + 1) * N_WORD_PIECES + ids[1:]])
