"""The interface of an encoder: an object that turns texts into vectors."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from router_model.features.word_pieces import TextBatch

FloatArray = npt.NDArray[np.float32]


class Encoder(Protocol):
    """An encoder turns texts into vectors of a fixed length.

    Attributes
    ----------
    name : str
        The name by which `router_model.features.load_encoder` finds this encoder again.
    dimension : int
        Length of a vector.
    content_hash : str
        ``sha256:`` and the hexadecimal digest of the weights that determine the vectors.
    """

    @property
    def name(self) -> str:
        """The name by which `router_model.features.load_encoder` finds this encoder."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    @property
    def content_hash(self) -> str:
        """Digest of the weights that determine the vectors."""
        ...

    def encode(self, batch: TextBatch) -> FloatArray:
        """Return a vector of unit length for each text, shape (n, dimension); zeros for an empty text."""
        ...


_NORM_BITS = 20


def unit_rows(vectors: npt.NDArray[np.floating]) -> FloatArray:
    """Scale rows to unit length; rows of zeros stay zero.

    A row is read as integers of 20 bits, times a power of two. Sums of up to 2**13 of their squares are exact, so that
    every processor divides by the same length.

    >>> unit_rows(np.array([[3, 4], [0, 0]], dtype=np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    _, exponent = np.frexp(np.abs(vectors).max(axis=1, initial=0.0))
    steps = np.rint(np.ldexp(vectors.astype(np.float64), _NORM_BITS - exponent[:, None]))
    norms = np.sqrt(np.einsum("ij,ij->i", steps, steps))
    steps /= np.where(norms > 0, norms, 1)[:, None]
    return np.asarray(steps, dtype=np.float32)
