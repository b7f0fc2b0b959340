"""A sparse bag of word pieces: single pieces and pairs of neighbours, weighted by tf-idf.

Where a mean of token embeddings knows the topic, the bag knows the wording ("which of the following",
"assert output =="), which is what tells task types apart. Weights: sublinear term frequency times smoothed
inverse document frequency, rows of unit length (Salton & Buckley 1988; the smoothing is scikit-learn's).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from features.word_pieces import N_WORD_PIECES

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BagVocabulary:
    """The pieces and pairs a bag counts.

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
    def fit(cls, pieces: Sequence[IntArray], *, min_prompts: int, max_terms: int) -> "BagVocabulary":
        """Keep the terms that occur in at least `min_prompts` prompts, the `max_terms` commonest of them."""
        per_prompt = [np.unique(term_codes(ids)) for ids in pieces]
        codes, frequency = np.unique(np.concatenate([*per_prompt, np.empty(0, np.int64)]), return_counts=True)
        kept = np.flatnonzero(frequency >= min_prompts)
        if len(kept) > max_terms:
            # A stable sort makes ties deterministic: the smaller code wins.
            kept = np.sort(kept[np.argsort(-frequency[kept], kind="stable")[:max_terms]])
        idf = np.log((1 + len(pieces)) / (1 + frequency[kept])) + 1
        return cls(codes=codes[kept], idf=idf.astype(np.float32))

    def transform(self, pieces: Sequence[IntArray]) -> sp.csr_array:
        """Return the weighted bags, a float32 CSR array of shape (n_prompts, n_terms).

        A prompt with no known term gets an empty row.
        """
        columns: list[IntArray] = []
        values: list[npt.NDArray[np.float32]] = []
        row_ends = np.zeros(len(pieces) + 1, dtype=np.int64)
        for row, ids in enumerate(pieces):
            column, value = self._weigh(ids)
            columns.append(column)
            values.append(value)
            row_ends[row + 1] = row_ends[row] + len(column)
        return sp.csr_array(
            (
                np.concatenate([*values, np.empty(0, np.float32)]),
                np.concatenate([*columns, np.empty(0, np.int64)]),
                row_ends,
            ),
            shape=(len(pieces), len(self.codes)),
        )

    def _weigh(self, ids: IntArray) -> tuple[IntArray, npt.NDArray[np.float32]]:
        codes, counts = np.unique(term_codes(ids), return_counts=True)
        column = np.searchsorted(self.codes, codes)
        column[column == len(self.codes)] = 0
        known = self.codes[column] == codes if len(self.codes) else np.zeros(len(codes), dtype=bool)
        column = column[known]
        value = ((1 + np.log(counts[known])) * self.idf[column]).astype(np.float32)
        norm = np.sqrt(value @ value)
        return column, value / norm if norm > 0 else value


def term_codes(ids: IntArray) -> IntArray:
    """Return the codes of all pieces and adjacent pairs of one prompt, with repetitions.

    >>> term_codes(np.array([5, 7])).tolist() == [5, 7, 6 * N_WORD_PIECES + 7]
    True
    """
    return np.concatenate([ids, (ids[:-1] + 1) * N_WORD_PIECES + ids[1:]])
