"""What an encoder is, and how one is found by its name.

An artifact records an encoder's name and content hash; `load_encoder` finds it again and the caller compares
the hash, so that a router never runs on vectors it was not trained on.
"""

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
        What `load_encoder` takes to find this encoder again.
    dimension : int
        Length of a vector.
    content_hash : str
        ``sha256:`` and the hexadecimal digest of what determines the vectors.
    """

    @property
    def name(self) -> str:
        """What `load_encoder` takes."""
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


def load_encoder(name: str) -> Encoder:
    """Find an encoder by name.

    Parameters
    ----------
    name : str
        ``static`` (shipped, no download), ``minilm`` (all-MiniLM-L6-v2), a folder with a
        sentence-transformers model, or the id of one on a model hub.

    Raises
    ------
    EncoderError
        If the model cannot be loaded; the message says what was tried.
    ImportError
        If the encoder needs the extra ``encoders`` and it is not installed.
    """
    # Imported here so that the static path never loads torch.
    if name == "static":
        from features.static_encoder import StaticEncoder  # noqa: PLC0415

        return StaticEncoder.load()
    from features.transformer_encoder import TransformerEncoder  # noqa: PLC0415

    return TransformerEncoder.load(name)


def unit_rows(vectors: FloatArray) -> FloatArray:
    """Scale rows to unit length in place; rows of zeros stay zero.

    >>> unit_rows(np.array([[3, 4], [0, 0]], dtype=np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    vectors /= np.where(norms > 0, norms, 1)[:, None]
    return vectors
