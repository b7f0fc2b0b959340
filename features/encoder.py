"""What an encoder is."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from features.word_pieces import TextBatch

FloatArray = npt.NDArray[np.float32]


class Encoder(Protocol):
    """Turns texts into vectors.

    Attributes
    ----------
    name : str
        What `features.load_encoder` takes to find this encoder again.
    dimension : int
        Length of a vector.
    content_hash : str
        ``sha256:`` and the hexadecimal digest of what determines the vectors.
    """

    @property
    def name(self) -> str:
        """What `features.load_encoder` takes."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    @property
    def content_hash(self) -> str:
        """Digest of what determines the vectors."""
        ...

    def encode(self, batch: TextBatch) -> FloatArray:
        """Return one row a text, shape (n, dimension), of unit length; zeros for an empty text."""
        ...


def unit_rows(vectors: FloatArray) -> FloatArray:
    """Scale rows to unit length in place; rows of zeros stay zero.

    >>> unit_rows(np.array([[3, 4], [0, 0]], dtype=np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    vectors /= np.where(norms > 0, norms, 1)[:, None]
    return vectors
