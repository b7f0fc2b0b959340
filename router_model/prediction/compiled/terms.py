"""Compute the bag of word pieces of one prompt by compiled code, with a hash table to find terms.

The weights are those of `router_model.features.bag.BagVocabulary.transform`. Terms come in the order of the prompt.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from router_model.features import BagVocabulary
from router_model.features.bag import TERM_FREQUENCY, WEIGHT_STEPS
from router_model.features.grid import GRID_STEPS
from router_model.features.word_pieces import N_WORD_PIECES
from router_model.prediction.compiled.jit import compiled

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_FREE = -1  # marks a free slot, because no term has a negative code
_MIX = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing (Knuth, volume 3, 6.4)


class Bag(NamedTuple):
    """The bag of one prompt.

    Attributes
    ----------
    terms : int64 array, shape (n_known,)
        Positions in the vocabulary.
    weights : int16 array, shape (n_known,), in steps of the grid; of length 1 (or none)
    coverage : share of the prompt's different terms that are known; 0 for an empty prompt
    """

    terms: IntArray
    weights: npt.NDArray[np.int16]
    coverage: float


@dataclass(frozen=True, slots=True)
class TermTable:
    """A vocabulary as an open hash table.

    Attributes
    ----------
    codes : int64 array, shape (a power of two,), -1 where free
    places : int64 array, same shape
        Positions in the vocabulary.
    idf : float32 array, shape (n_terms,)
    frequency : float64 array, see `router_model.features.bag.TERM_FREQUENCY`
    """

    codes: IntArray
    places: IntArray
    idf: FloatArray
    frequency: npt.NDArray[np.float64]

    @classmethod
    def of(cls, vocabulary: BagVocabulary) -> "TermTable":
        """Hash a vocabulary."""
        terms = np.array(vocabulary.codes, dtype=np.int64)
        codes, places = _hashed(terms)
        return cls(codes, places, np.array(vocabulary.idf, dtype=np.float32), TERM_FREQUENCY)

    def bag(self, pieces: IntArray) -> Bag:
        """Weigh the terms of one prompt, given its word-piece ids."""
        ids = np.array(pieces, dtype=np.int64)
        return Bag(
            *_bag(ids, self.codes, self.places, self.idf, self.frequency, N_WORD_PIECES, WEIGHT_STEPS, GRID_STEPS)
        )


@compiled
def _slot(code, codes):
    """Return the slot of a code in a table, or the free slot for it."""
    last = np.uint64(len(codes) - 1)
    mixed = np.uint64(code) * _MIX
    slot = (mixed ^ (mixed >> np.uint64(32))) & last
    while codes[slot] != _FREE and codes[slot] != code:
        slot = (slot + np.uint64(1)) & last
    return slot


@compiled
def _free_table(n_codes):
    """Return an empty table with at least twice `n_codes` slots."""
    size = 2
    while size < 2 * n_codes:
        size *= 2
    return np.full(size, _FREE, dtype=np.int64), np.zeros(size, dtype=np.int64)


@compiled
def _hashed(terms):
    codes, places = _free_table(len(terms))
    for place in range(len(terms)):
        slot = _slot(terms[place], codes)
        codes[slot], places[slot] = terms[place], place
    return codes, places


@compiled
def _bag(ids, codes, places, idf, frequency, n_pieces, weight_steps, grid_steps):
    n = len(ids)
    own, counts = _free_table(2 * n)
    slots = np.empty(2 * n, dtype=np.int64)  # counts of different terms, in the order of the prompt
    n_terms = 0
    for each in range(2 * n - 1):
        code = ids[each] if each < n else (ids[each - n] + 1) * n_pieces + ids[each - n + 1]
        slot = _slot(code, own)
        if own[slot] == _FREE:
            own[slot] = code
            slots[n_terms] = slot
            n_terms += 1
        counts[slot] += 1
    terms, steps = np.empty(n_terms, dtype=np.int64), np.empty(n_terms)
    n_known, square = 0, 0.0
    for each in range(n_terms):
        slot = _slot(own[slots[each]], codes)
        if codes[slot] == _FREE:
            continue
        count = min(counts[slots[each]], len(frequency) - 1)
        weight = np.rint(frequency[count] * idf[places[slot]] * weight_steps)
        terms[n_known], steps[n_known] = places[slot], weight
        square += weight * weight
        n_known += 1
    norm = np.sqrt(square) if square > 0 else 1.0
    weights = np.rint(steps[:n_known] / norm * grid_steps).astype(np.int16)
    return terms[:n_known], weights, n_known / max(n_terms, 1)
